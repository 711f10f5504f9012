"""Does this network classify more images of this kind correctly than that one? Two fixed networks, one sealed test.

Both were fixed before the test was opened, so the images are all that is random: what other seeds would have done
enters nowhere, and one run of each recipe is enough. Of the recipes, trained again, `total_gain` speaks.

With d_i = [after right] - [before right] on image i the gain is mean d. Its interval is

- Tango's (1998), for right and wrong, each image on its own: the differences that the score test does not reject, and
  0 where McNemar's exact test does not;
- from the cluster-robust variance (`image_variance.image_part`), for right and wrong in groups;
- a paired bootstrap over images or groups (Efron and Tibshirani 1993), for every other score.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from convlift.evidence.image_variance import Groups, degrees_of_freedom, image_part, images_alike
from convlift.evidence.total_gain import one_network
from convlift.records.result import Estimate, NetworkGain

Floats = NDArray[np.float64]

LEVEL = 0.95
SIDE = (1.0 - LEVEL) / 2.0
RESAMPLES = 4000  # a bound then moves by 1/30 of the half-width from seed to seed
EDGE = 1e-12  # of [-1, 1], where the score statistic divides by 0


def compare_networks(before: Floats, after: Floats, groups: Groups = None, *, lowest: float = 0.0) -> NetworkGain:
    """What the sealed test says of two networks, each named before it was opened.

    before, after (n,): their scores on every image, 1 at best (`metrics`); right or wrong for accuracy.
    groups (n,): which images belong together.
    lowest: the worst score there is.

    The gain is proven where its 95% interval lies above 0.
    """
    apart, is_counted = after - before, bool(np.isin([before, after], (0.0, 1.0)).all())
    won, lost = int((apart > 0).sum()), int((apart < 0).sum())
    p_value = sign_test(won, lost) if is_counted and groups is None else None
    if not is_counted:
        low, high = bootstrap_interval(apart, groups)
    elif groups is None:
        low, high = counted_interval(won, lost, len(apart))
    else:
        low, high = grouped_interval(apart, groups)
    return NetworkGain(
        gain_points=Estimate(100.0 * float(apart.mean()), 100.0 * low, 100.0 * high),
        baseline=one_network(before, groups, lowest=lowest),
        final=one_network(after, groups, lowest=lowest),
        proven=low > 0.0,
        won=won if is_counted else None,
        lost=lost if is_counted else None,
        p_value=p_value,
    )


def counted_interval(won: int, lost: int, images: int) -> tuple[float, float]:
    """Tango's interval, which is stretched to 0 where the exact test does not rule 0 out: the score test alone proves a
    gain of nothing in up to .0262 of the cases instead of .025, where few images differ."""
    low, high = tango_interval(won, lost, images)
    if sign_test(won, lost) > 1.0 - LEVEL:
        return min(low, 0.0), max(high, 0.0)
    return low, high


def sign_test(won: int, lost: int) -> float:
    """Two-sided p of McNemar's exact test: of won + lost discordant images each falls to either side by a coin."""
    return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0


def tango_interval(won: float, lost: float, images: float, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a difference of paired proportions, in [-1, 1] (Tango 1998, Stat. Med. 17, 891).

    won, lost: images that only the second, only the first network has right, of so many. No interval is a point: with
    no discordant image it is +- z^2 / (n + z^2).
    """
    z = float(stats.norm.ppf(0.5 + level / 2.0))
    return _lower(won, lost, images, z), -_lower(lost, won, images, z)


def tango_statistic(won: float, lost: float, images: float, difference: float) -> float:
    """z of the hypothesis that the true difference is this one; McNemar's at 0.

    (won - lost - n d) / sqrt(n (2 q + d (1 - d))), with q the likeliest chance that only the first network is right
    where the difference is d: the larger root of 2n q^2 + b q + c = 0, b = (2n - won + lost) d - won - lost,
    c = -lost d (1 - d) (Tango 1998, equation 8).
    """
    d = difference
    b = (2.0 * images - won + lost) * d - won - lost
    c = -lost * d * (1.0 - d)
    q = (math.sqrt(max(b * b - 8.0 * images * c, 0.0)) - b) / (4.0 * images)
    above, variance = won - lost - images * d, images * (2.0 * q + d * (1.0 - d))
    return above / math.sqrt(variance) if variance > 0.0 else math.copysign(math.inf, above) if above else 0.0


def _lower(won: float, lost: float, images: float, z: float) -> float:
    """The smallest difference that is not rejected; the statistic falls where the difference grows."""

    def excess(difference: float) -> float:
        return min(tango_statistic(won, lost, images, difference), 2.0 * z) - z

    bottom, middle = -1.0 + EDGE, (won - lost) / images
    if middle <= bottom or excess(bottom) <= 0.0:
        return -1.0
    return float(optimize.brentq(excess, bottom, min(middle, 1.0 - EDGE), xtol=1e-10))


def grouped_interval(apart: Floats, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Of the mean of apart (n,), each -1, 0 or 1: Student's t with the cluster-robust variance, in [-1, 1].

    A won and a lost group's worth of images are added for the width alone, as `total_gain.mean_score` does (Agresti and
    Min 2005 add them to images on their own): without them two networks that agree on every image would be said to
    agree on every image there is.
    """
    copies = images_alike(apart, groups)
    guarded = np.concatenate([apart, np.ones(copies), -np.ones(copies)])
    owners = np.concatenate([groups, groups.max() + 1 + np.arange(2 * copies) // copies])
    freedom = degrees_of_freedom(len(apart), groups)
    variance = max(float(image_part(guarded, owners)), float(image_part(apart, groups)))
    half = float(stats.t.ppf(0.5 + LEVEL / 2.0, freedom)) * math.sqrt(variance)
    middle = float(apart.mean())
    return max(middle - half, -1.0), min(middle + half, 1.0)


def bootstrap_interval(apart: Floats, groups: Groups = None, seed: int = 0) -> tuple[float, float]:
    """Of the mean of apart (n,), by resampling images, or whole groups, with both networks' scores kept together.

    Scores of metrics that are no means are value + influence (`metrics`), so that a mean is all that is resampled. The
    quantiles are those of an expanded percentile interval (Hesterberg 2015), Student's t in place of the normal; and it
    is never narrower than Student's, since few images or groups resampled never leave the range of what they are. Of
    one nothing is known. The same scores always give the same interval.
    """
    middle = float(apart.mean())
    sums, sizes = apart, np.ones(len(apart))
    if groups is not None:
        place = np.unique(groups, return_inverse=True)[1]
        sums, sizes = (np.asarray(np.bincount(place, each), np.float64) for each in (sums, sizes))
    units, rng = len(sums), np.random.default_rng(seed)
    if units < 2:
        return -1.0, 1.0
    means = np.empty(RESAMPLES)
    for at in range(0, RESAMPLES, 100):  # a hundred at once: 5,000 images then take 4 MB
        drawn = rng.integers(0, units, (100, units))
        means[at : at + 100] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    freedom = degrees_of_freedom(len(apart), groups)
    reach = -float(stats.t.ppf(SIDE, freedom))
    side = max(float(stats.norm.cdf(-reach * math.sqrt(units / (units - 1)))), 1.0 / RESAMPLES)
    low, high = np.quantile(means, [side, 1.0 - side])
    half = reach * math.sqrt(float(image_part(apart, groups)))
    return min(float(low), middle - half), max(float(high), middle + half)
