"""The scores that a campaign can be judged by, each broken down to single images.

A metric gives every image a number so that their mean is the score, and their variance by the number of images is the
score's variance over other images of the same kind. For accuracy that is right (1) or wrong (0). A metric that is no
mean over images gets value + influence: what the score would change by if a little more of this image were there (the
delta method; Hampel 1974, The influence curve). With it everything that is known of accuracies holds for every metric.

Every score is at most 1, higher is better, and a point is a hundredth. Classes that a split holds no image of are left
out of averages over classes, for nothing is measured on them.

Suffixes: N images, K classes. groups (N,): which images belong together, None where each stands alone. A class that
comes from one group or two does not show how such groups differ: see `_references`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from convlift.errors import ConvliftError
from convlift.evidence.image_variance import LEAST_VARIANCE, Groups

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_PROBABILITY = 0.001  # one confident mistake costs as much as 10 / log2(K) guesses: without a floor it could
# outweigh a thousand other images, and no interval from a few hundred images would hold
FEW_GROUPS = 3  # of a class: with fewer its own mean is no measure of what its groups differ by (simulated)
UNITS = (0.25, 4.0)  # a ratio beyond that is that of a handful of mistakes


@dataclass(frozen=True)
class Metric:
    """One score.

    name: as a command or a recipe names it.
    title: as it is shown.
    meaning: one sentence for whoever reads a result.
    per_image: (probabilities_NK, labels_N, groups_N) -> (N,), whose mean is the score.
    lowest: the worst score there is.
    least_images: of a class, from which on the score's own interval covers 92%; the gain's does with any number
        (simulated, benchmarks/metrics.py).
    pooled: whether one score can be made of several networks' predictions, each for images of its own; not where images
        are ranked, since another network has another scale (Forman and Scholz 2010).
    of_confidence: whether it judges how sure a network is, which its temperature changes.
    of_classes: whether it is the share that is right within each class, averaged over the classes, so that a rare one
        counts as much as a common one.
    """

    name: str
    title: str
    meaning: str
    per_image: Callable[[Floats, Labels, Groups], Floats]
    lowest: float = 0.0
    least_images: int = 0
    pooled: bool = True
    of_confidence: bool = False
    of_classes: bool = False

    def score(self, probabilities_NK: NDArray[np.floating], labels_N: Labels) -> float:
        """The score of one run, 1 at best; NaN without images."""
        return float(self.points(probabilities_NK, labels_N).mean()) / 100.0 if len(labels_N) else float("nan")

    def points(self, probabilities_NK: NDArray[np.floating], labels_N: Labels, groups_N: Groups = None) -> Floats:
        """(N,): per-image scores in points."""
        return 100.0 * self.per_image(np.asarray(probabilities_NK, np.float64), labels_N, groups_N)

    def matrix(self, runs: Sequence[NDArray[np.floating]], labels_N: Labels, groups_N: Groups = None) -> Floats:
        """(R, N): per-image scores in points of every run's probabilities (N, K)."""
        points = [self.points(run, labels_N, groups_N) for run in runs]
        return np.array(points, np.float64).reshape(len(runs), len(labels_N))

    def unit(self, runs: Sequence[NDArray[np.floating]], labels_N: Labels) -> float:
        """How many points of this metric one point of accuracy is worth, in noise: 1 for accuracy and without a run.

        The constants of the evidence (how much seeds differ, how large effects are) were measured in points of
        accuracy. Another metric is stretched or squeezed: Cohen's kappa of two even classes doubles every difference,
        AUROC shrinks most. So they are multiplied by the ratio of the two scores' standard deviations over images.
        """
        if self is ACCURACY or not len(runs):
            return 1.0
        own, plain = (float(m.matrix(runs, labels_N).var(axis=1).mean()) for m in (self, ACCURACY))
        return float(np.clip(np.sqrt(max(own, LEAST_VARIANCE) / max(plain, LEAST_VARIANCE)), *UNITS))


def typical_run(labels_N: Labels, classes: int, accuracy: float = 0.9) -> Floats:
    """(N, K): calibrated probabilities of a made-up network of about this accuracy, to plan with before any training.

    Normal noise of unit variance on every class, the true one lifted; the same labels always give the same network.
    """
    noise = np.random.default_rng(0).normal(size=(len(labels_N), classes))
    true = np.arange(classes) == labels_N[:, None]
    rivals = np.where(true, -np.inf, noise).max(axis=1)
    lift = max(float(np.quantile(rivals - noise[true], accuracy)), 0.1)
    return np.asarray(softmax(lift * (noise + lift * true), axis=1), np.float64)


def metric_named(name: str) -> Metric:
    """The metric of this name. Raises ConvliftError with the valid ones."""
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise ConvliftError(f"there is no metric {name!r}; choose one of {', '.join(metric.name for metric in METRICS)}.")


def title_of(name: str) -> str:
    """How a metric of this name is shown."""
    return next((metric.title for metric in METRICS if metric.name == name), name)


def _references(values_C: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """What each class's images are compared with, (C,): the class's own value; where a class has fewer than three
    groups, the mean of such classes (of all, where there are fewer than three such classes).

    With one group a class, and its own value taken off, nothing is left of what groups differ by: the gain was covered
    by .75 to .86 instead of .95 (43 signs, one track of each; simulated). The mean over all images stays the score,
    since what is taken off adds up to the same. values_C, and the result, in the order of the classes present.
    """
    if groups_N is None:
        return values_C
    place = np.unique(labels_N, return_inverse=True)[1]
    few = _independent_counts(place, groups_N) < FEW_GROUPS
    if few.any() and few.sum() < FEW_GROUPS:
        few[:] = True
    return np.where(few, values_C[few].mean() if few.any() else 0.0, values_C)


def _independent_counts(place_N: NDArray[np.int64], groups_N: Groups) -> NDArray[np.int64]:
    """How many images, or groups, each class has (C,); place_N: the class of every image, counted from 0."""
    if groups_N is None:
        return np.bincount(place_N)
    return np.bincount(np.unique(np.stack([place_N, groups_N]), axis=1)[0])


def _stretch(values_C: Floats, references_C: Floats, counts_C: NDArray[np.int64]) -> Floats:
    """sqrt(n / (n - 1)) of a class's n images or groups, where they are compared with their own mean; else 1."""
    own = values_C == references_C
    return np.where(own, np.sqrt(counts_C / np.maximum(counts_C - 1, 1)), 1.0)


def _accuracy(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups = None) -> Floats:
    right: Floats = (probabilities_NK.argmax(axis=1) == labels_N).astype(np.float64)
    return right


def _balanced_accuracy(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """Mean recall over the classes, S. On an image of class c: S + (n / (C n_c)) (right - recall_c), C classes present.

    Not right * n / (C n_c), whose mean is the same: that would count how many images each class happens to have as
    noise, several times as much as there is where classes are uneven. Deviations within a class are stretched by
    sqrt(n_c / (n_c - 1)), which makes the variance unbiased where classes are small. In groups: see `_references`.
    """
    right = _accuracy(probabilities_NK, labels_N)
    present, place, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    recall = np.bincount(place, right) / counts
    reference = _references(recall, labels_N, groups_N)
    stretch = _stretch(recall, reference, _independent_counts(place, groups_N))
    weight = stretch * len(labels_N) / (len(present) * counts)
    scores: Floats = recall.mean() + weight[place] * (right - reference[place])
    return scores


def _macro_f1(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """Mean over classes of F_c = 2a / (b + t), with b, t the shares of images that are predicted c and that are c, a
    that of images that are both. Influence on F_c: (2 [both] - F_c ([predicted c] + [is c])) / (b + t).
    In groups: see `_references`."""
    present = np.unique(labels_N)
    predicted = probabilities_NK.argmax(axis=1)[:, None] == present
    is_class = labels_N[:, None] == present
    either = predicted.astype(np.float64) + is_class
    share = either.mean(axis=0)
    f1 = 2.0 * (predicted & is_class).mean(axis=0) / share
    influence = (2.0 * (predicted & is_class) - _references(f1, labels_N, groups_N) * either) / share
    scores: Floats = f1.mean() + influence.mean(axis=1)
    return scores


def _log_loss_skill(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """1 - log loss / ln K: 1 for certainty that is right, 0 for a guess that gives every class 1/K, negative below."""
    given = np.clip(probabilities_NK[np.arange(len(labels_N)), labels_N], LEAST_PROBABILITY, 1.0)
    scores: Floats = 1.0 + np.log(given) / np.log(probabilities_NK.shape[1])
    return scores


def _auroc(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """Mean over classes of the chance that an image of the class gets more of its probability than one of the rest.

    With two classes both are the same, the usual AUROC. Placements (DeLong et al. 1988): an image's share of images of
    the other kind that stand on their right side, half for ties; their variances within both kinds are the AUROC's.
    1/2 where a split holds one class only. In groups: see `_references`, for more than two classes.
    """
    n, present = len(labels_N), np.unique(labels_N)
    if len(present) < 2:
        return np.full(n, 0.5)
    if probabilities_NK.shape[1] == 2:
        present = present[-1:]
    placements = [_placements(probabilities_NK[:, label], labels_N == label) for label in present]
    areas = np.array([each[labels_N == label].mean() for label, each in zip(present, placements, strict=True)])
    references = areas if len(present) == 1 else _references(areas, labels_N, groups_N)
    scores = np.zeros(n)
    for label, placement, area, reference in zip(present, placements, areas, references, strict=True):
        positive = labels_N == label
        for kind, middle in ((positive, reference), (~positive, area)):
            count = int(kind.sum())
            weight = (np.sqrt(count / max(count - 1, 1)) if middle == area else 1.0) * n / count
            scores[kind] += area + weight * (placement[kind] - middle)
    return scores / len(present)


def _placements(scores_N: Floats, positive_N: NDArray[np.bool_]) -> Floats:
    """(N,): of each image the share of images of the other kind that stand on their right side of it, half for ties."""
    placement = np.empty(len(scores_N))
    for kind in (positive_N, ~positive_N):
        own, others = scores_N[kind], np.sort(scores_N[~kind])
        below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
        placement[kind] = below / (2 * len(others))
    placement[~positive_N] = 1.0 - placement[~positive_N]
    return placement


def _kappa(probabilities_NK: Floats, labels_N: Labels, groups_N: Groups) -> Floats:
    """(o - e) / (1 - e), o the agreement with the labels, e = sum_c b_c t_c what chance would give for these shares of
    classes predicted and true. Influence of an image predicted p that is t: on o: [p = t] - o; on e: t_p + b_t - 2e.
    0 where a split holds one class and nothing else is predicted: then chance explains everything."""
    classes = probabilities_NK.shape[1]
    predicted, n = probabilities_NK.argmax(axis=1), len(labels_N)
    predicted_share, true_share = (np.bincount(which, minlength=classes) / n for which in (predicted, labels_N))
    agreement, chance = float((predicted == labels_N).mean()), float(predicted_share @ true_share)
    if chance >= 1.0:
        return np.zeros(n)
    on_agreement = (predicted == labels_N) - agreement
    on_chance = true_share[predicted] + predicted_share[labels_N] - 2.0 * chance
    value = (agreement - chance) / (1.0 - chance)
    scores: Floats = value + on_agreement / (1.0 - chance) - on_chance * (1.0 - agreement) / (1.0 - chance) ** 2
    return scores


ACCURACY = Metric("accuracy", "accuracy", "the share of images that are classified correctly", _accuracy)
AUROC = Metric(
    "auroc",
    "AUROC",
    "the chance that an image of a class gets more of its probability than one of another class, averaged over the "
    "classes",
    _auroc,
    pooled=False,
)
METRICS = (
    ACCURACY,
    Metric(
        "balanced-accuracy",
        "balanced accuracy",
        "the share of images classified correctly within each class, averaged over the classes",
        _balanced_accuracy,
        least_images=20,
        of_classes=True,
    ),
    Metric("macro-f1", "macro F1", "the F1 score of each class, averaged over the classes", _macro_f1),
    Metric(
        "log-loss",
        "log-loss skill",
        "1 - log loss / ln(number of classes): 1 is certain and right, 0 is guessing; probabilities under 0.001 count "
        "as 0.001",
        _log_loss_skill,
        lowest=-9.0,
        of_confidence=True,
    ),
    AUROC,
    Metric(
        "kappa",
        "Cohen's kappa",
        "agreement with the labels beyond what chance would give; 0 is chance, 1 is perfect",
        _kappa,
        lowest=-1.0,
    ),
)
