"""Whether confidences are true: of the images classified with confidence .8, are four of five right?"""

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups
from convlift.records.evaluation import Calibration, ConfidenceBin
from convlift.records.result import Estimate

Floats = NDArray[np.float64]

BINS = 15  # Guo et al. 2017, "On calibration of modern neural networks", section 5
RESAMPLES = 1000
SIDES = (0.025, 0.975)
Z_SQUARED = 1.96**2


def calibration(
    confidence_N: Floats, right_N: NDArray[np.bool_], groups_N: Groups = None, seed: int = 0
) -> Calibration:
    """The expected calibration error (Guo et al. 2017, equation 3) over bins of equal width, with a 95% interval, and
    what it is by chance alone.

    With few images the error of a calibrated network is not 0: a bin of four images is right by quarters. by_chance is
    the mean over made-up labels of which every confidence is true (Vaicenavicius et al. 2019, section 5). The error is
    too large by all of that where confidences are true, and by next to nothing where they are far from it. So the
    interval is the spread of a bootstrap over images, or whole groups, around the error above and around the error less
    by_chance below; above it reaches at least as far as Wilson's from a share of 0, since images that agree say nothing
    of one that does not. It covers in at least 95% of simulated networks of either kind, where the bootstrap alone
    covers in 1%.
    confidence_N: of the predicted class, in [0, 1]; at least one image. groups_N: which images belong together.
    """
    rng = np.random.default_rng(seed)
    place = np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)
    right = right_N.astype(np.float64)
    over, even = confidence_N - right, np.ones(len(right))
    unit = np.arange(len(right)) if groups_N is None else np.unique(groups_N, return_inverse=True)[1]
    units, error = int(unit.max()) + 1, _error(place, over, even)
    again = [_error(place, over, _drawn(rng, units)[unit]) for _ in range(RESAMPLES)]
    chance = [_error(place, confidence_N - (rng.random(len(right)) < confidence_N), even) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, SIDES) - np.mean(again)
    by_chance, unseen = float(np.mean(chance)), Z_SQUARED / (units + Z_SQUARED)
    found = Estimate(error, max(0.0, error - by_chance + float(low)), min(1.0, error + max(float(high), unseen)))
    bins = tuple(_bin(number, place, confidence_N, right) for number in range(BINS) if (place == number).any())
    return Calibration(found, by_chance, float(confidence_N.mean()), bins)


def _drawn(rng: np.random.Generator, units: int) -> Floats:
    """How often each of so many is in a sample of as many, with replacement."""
    return np.bincount(rng.integers(0, units, units), minlength=units).astype(np.float64)


def _error(place_N: NDArray[np.int64], over_N: Floats, weight_N: Floats) -> float:
    """The mean over images of how far the mean confidence of a bin is from its share of right ones; over_N: confidence
    less right; weight_N: how often each image counts."""
    return float(np.abs(np.bincount(place_N, over_N * weight_N, BINS)).sum() / weight_N.sum())


def _bin(number: int, place_N: NDArray[np.int64], confidence_N: Floats, right_N: Floats) -> ConfidenceBin:
    own = place_N == number
    confidence, right = float(confidence_N[own].mean()), float(right_N[own].mean())
    return ConfidenceBin(number / BINS, (number + 1) / BINS, int(own.sum()), confidence, right)
