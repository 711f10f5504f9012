"""Whether confidences are true: of the images classified with confidence .8, are four of five right?"""

import numpy as np
from numpy.typing import NDArray

from convlift.records.evaluation import Calibration, ConfidenceBin
from convlift.records.result import Estimate

Floats = NDArray[np.float64]

BINS = 15  # Guo et al. 2017, "On calibration of modern neural networks", section 5
RESAMPLES = 1000
SIDES = (0.025, 0.975)


def calibration(confidence_N: Floats, right_N: NDArray[np.bool_], seed: int = 0) -> Calibration:
    """The expected calibration error (Guo et al. 2017, equation 3) over bins of equal width, with a 95% interval, and
    what it is by chance alone.

    With few images the error of a calibrated network is not 0: a bin of four images is right by quarters. by_chance is
    the mean over made-up labels of which every confidence is true (Vaicenavicius et al. 2019, section 5). The error is
    too large by all of that where confidences are true, and by next to nothing where they are far from it. So the
    interval is the spread of a bootstrap over images, around the error above and around the error less by_chance below:
    it covers in at least 95% of simulated networks of either kind, where the bootstrap alone covers in 1%.
    confidence_N: of the predicted class, in [0, 1]; at least one image.
    """
    rng, count = np.random.default_rng(seed), len(confidence_N)
    place = np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)
    right = right_N.astype(np.float64)
    error = _error(place, confidence_N - right)
    drawn = rng.integers(0, count, (RESAMPLES, count))
    again = np.array([_error(place[each], (confidence_N - right)[each]) for each in drawn])
    chance = [_error(place, confidence_N - (rng.random(count) < confidence_N)) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, SIDES) - again.mean()
    by_chance = float(np.mean(chance))
    found = Estimate(error, max(0.0, error - by_chance + float(low)), min(1.0, error + float(high)))
    bins = tuple(_bin(number, place, confidence_N, right) for number in range(BINS) if (place == number).any())
    return Calibration(found, by_chance, float(confidence_N.mean()), bins)


def _error(place_N: NDArray[np.int64], over_N: Floats) -> float:
    """The mean over images of how far the mean confidence of a bin is from its share of right ones; over_N: confidence
    less right."""
    return float(np.abs(np.bincount(place_N, over_N, BINS)).sum() / len(place_N))


def _bin(number: int, place_N: NDArray[np.int64], confidence_N: Floats, right_N: Floats) -> ConfidenceBin:
    own = place_N == number
    confidence, right = float(confidence_N[own].mean()), float(right_N[own].mean())
    return ConfidenceBin(number / BINS, (number + 1) / BINS, int(own.sum()), confidence, right)
