"""Intervals of one network's scores that hold on few images too, near 1 and with a rare class.

The plain interval of a mean, `total_gain.one_network`, is symmetric and takes its width from the images at hand: with
one mistake among 50 images, or five images of a class, it is too narrow and lies too high (simulated,
benchmarks/evaluate.py). So each kind of score gets one of the shape that it has.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.evidence.image_variance import Groups, degrees_of_freedom, image_part
from convlift.evidence.metrics import Metric
from convlift.evidence.total_gain import independent_images, one_network, wilson
from convlift.records.result import Estimate

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_FREEDOM = 2.0
LEAST_SHARE = 0.5  # below it a kappa does not behave like a share: it may be negative
BETWEEN_CLASSES = ("auroc", "kappa")  # which images of one class alone say nothing of
Z = float(stats.norm.ppf(0.975))


def score_interval(
    metric: Metric, probabilities_NK: NDArray[np.floating], labels_N: Labels, groups_N: Groups = None
) -> Estimate:
    """A score with its 95% interval over images, or groups of them; at least one image.

    Accuracy: Wilson's. Log-loss: see `_of_losses`. The others: Wilson's for as many images as would give a share their
    variance, with Student's t; of balanced accuracy no narrower than the recalls' own intervals leave it
    (`_of_recalls`), of the AUROC no narrower than so few images allow (`_least_error`).
    Kappa below one half has Student's. Where all images are of one class, kappa and AUROC are not known at all.
    """
    probabilities = np.asarray(probabilities_NK, np.float64)
    scores = metric.per_image(probabilities, labels_N, groups_N)
    if metric.name == "accuracy":
        return known(one_network(scores, groups_N))
    if metric.of_confidence:
        return _of_losses(scores, labels_N, groups_N, metric.lowest)
    if metric.name in BETWEEN_CLASSES and len(np.unique(labels_N)) < 2:
        return Estimate(float(scores.mean()), metric.lowest, 1.0)
    found = _like_a_share(metric, scores, labels_N, groups_N)
    found = Estimate(found.value, min(found.low, found.value), max(found.high, found.value))  # rounding
    if metric.name != "balanced-accuracy":
        return found
    recalls = _of_recalls(probabilities.argmax(axis=1) == labels_N, labels_N, groups_N)
    return Estimate(found.value, min(found.low, recalls.low), max(found.high, recalls.high))


def _like_a_share(metric: Metric, scores_N: Floats, labels_N: Labels, groups_N: Groups) -> Estimate:
    value = float(scores_N.mean())
    # groups that happen to agree say no more than as many images that stand alone
    error = math.sqrt(max(float(image_part(scores_N, groups_N)), float(image_part(scores_N))))
    counts = np.unique(labels_N, return_counts=True)[1]
    half = float(stats.t.ppf(0.975, _freedom(scores_N, labels_N, groups_N))) * error
    if metric.name == "auroc" and 0.0 < value < 1.0:
        alone = groups_N is None and len(counts) > 2
        half = max(half, Z * _least_error(value, counts) / (math.sqrt(len(counts)) if alone else 1.0))
    if metric.lowest < 0.0 and value < LEAST_SHARE and math.isfinite(half):
        return Estimate(value, max(value - half, metric.lowest), min(value + half, 1.0))
    if not 0.0 < value < 1.0 or half == 0.0:
        fewest = _fewest(labels_N, groups_N) if value >= 1.0 else _alike(len(scores_N), groups_N)
        extreme = wilson(min(max(value, 0.0), 1.0), fewest)
        return Estimate(value, min(metric.lowest, extreme.low) if value <= 0.0 else extreme.low, extreme.high)
    return wilson(value, max(value * (1.0 - value) / (half / Z) ** 2, 2.0))


def _fewest(labels_N: Labels, groups_N: Groups) -> float:
    """As how many images the class counts that has the fewest, where all score the same."""
    parts = [None if groups_N is None else groups_N[labels_N == label] for label in np.unique(labels_N)]
    counts = np.unique(labels_N, return_counts=True)[1].tolist()
    return min(_alike(count, part) for count, part in zip(counts, parts, strict=True))


def _alike(number: int, groups_N: Groups) -> float:
    """As how many images so many count which all score the same: in groups, as many as these."""
    return independent_images(np.ones(number), groups_N)


def _least_error(area: float, counts_C: Labels) -> float:
    """Standard error of an AUROC of classes with so many images, each against the rest, on average (Hanley and McNeil
    1982, equation 1, with their exponential scores): what the images at hand show may be less by chance. The mean of C
    classes has that over sqrt(C) where their errors are independent, as those of images that stand alone nearly are."""
    errors = []
    for own, other in ((float(count), float(counts_C.sum() - count)) for count in counts_C if count < counts_C.sum()):
        more = (own - 1.0) * (1.0 - area) / (2.0 - area) + (other - 1.0) * area / (1.0 + area)
        errors.append(math.sqrt(area * (1.0 - area) * (1.0 + more) / (own * other)))
    return float(np.mean(errors)) if errors else 0.0


def share_of(which_N: NDArray[np.bool_], of_N: NDArray[np.bool_], groups_N: Groups = None) -> Estimate | None:
    """The share of the images `of_N` that are also `which_N`, with its 95% interval (Wilson 1927; in groups on as many
    as are independent); None where there are none."""
    if not of_N.any():
        return None
    own = None if groups_N is None else groups_N[of_N]
    found = one_network(which_N[of_N].astype(np.float64), own)
    # one group does not show how groups differ
    return Estimate(found.value, 0.0, 1.0) if own is not None and len(np.unique(own)) < 2 else known(found)


def known(found: Estimate, lowest: float = 0.0) -> Estimate:
    """The estimate; where images that all score the same say nothing of others, all that is possible."""
    low = max(found.low, lowest) if math.isfinite(found.low) else lowest
    return Estimate(found.value, low, found.high if math.isfinite(found.high) else 1.0)


def _of_recalls(right_N: NDArray[np.bool_], labels_N: Labels, groups_N: Groups) -> Estimate:
    """Of the mean of C recalls, from each one's own interval: the distances to their ends, squared, are added up (Zou
    and Donner 2008, "Construction of confidence limits about effect measures", equation 2)."""
    recalls = [share_of(right_N, labels_N == label, groups_N) for label in np.unique(labels_N)]
    found = [each for each in recalls if each is not None]
    value = float(np.mean([each.value for each in found]))
    below = math.sqrt(sum((each.value - each.low) ** 2 for each in found)) / len(found)
    above = math.sqrt(sum((each.high - each.value) ** 2 for each in found)) / len(found)
    return Estimate(value, max(value - below, 0.0), min(value + above, 1.0))


def _of_losses(scores_N: Floats, labels_N: Labels, groups_N: Groups, lowest: float) -> Estimate:
    """Of a skill 1 - loss, on the logarithm's scale, as losses are positive and a few are large. The lower end is that
    with one more image, as wrong as the worst of them and guessed at least (a loss of 1): few images hold no such
    mistake where one in hundreds is.

    In groups the image counts as a group; near copies of it would add nothing.
    """
    value = float(scores_N.mean())
    more = np.append(scores_N, min(0.0, float(scores_N.min()))), np.append(labels_N, labels_N[0])
    groups = None if groups_N is None else np.append(groups_N, groups_N.max() + 1)
    low, _ = _around_losses(more[0], more[1], groups)
    _, high = _around_losses(scores_N, labels_N, groups_N)
    return Estimate(value, min(value, max(low, lowest)), max(value, high))


def _around_losses(scores_N: Floats, labels_N: Labels, groups_N: Groups) -> tuple[float, float]:
    loss, error = 1.0 - float(scores_N.mean()), math.sqrt(float(image_part(scores_N, groups_N)))
    if loss <= 0.0 or len(scores_N) < 2:
        return -math.inf, 1.0
    factor = math.exp(min(float(stats.t.ppf(0.975, _freedom(scores_N, labels_N, groups_N))) * error / loss, 50.0))
    return 1.0 - loss * factor, 1.0 - loss / factor


def _freedom(scores_N: Floats, labels_N: Labels, groups_N: Groups) -> float:
    """Degrees of freedom of the scores' variance, by Satterthwaite over the classes: where most of it comes from the
    few images of one class, it is known no better than these tell. In groups no more than they allow."""
    parts, freedoms = [], []
    for label in np.unique(labels_N):
        own = scores_N[labels_N == label]
        parts.append(float(np.sum((own - scores_N.mean()) ** 2)))
        freedoms.append(max(len(own) - 1.0, 1.0))
    uncertain = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    own_freedom = sum(parts) ** 2 / uncertain if uncertain > 0.0 else len(scores_N) - 1.0
    return max(min(own_freedom, degrees_of_freedom(len(scores_N), groups_N)), LEAST_FREEDOM)
