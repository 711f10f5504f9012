"""Probable label errors by confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
Uncertainty in Dataset Labels"), from probabilities by a classifier that never saw the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


SUREST = 0.1  # of the images taken for a class, whose labels say how many are wrong at least
KNOWS = 0.5  # of the way from the share of the largest class to 1
FEWEST = 20  # images taken for a class, or its surest tenth says nothing


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """order: rows of probable errors, the surest first; suggested: the class that each looks like, in that order.

    confidence (N,): of every image the probability of its label: the lower, the more doubtful.
    least, most: the share of wrong labels is probably between them; right: the classifier's accuracy on given labels.
    knows: whether it knows the classes well enough to tell wrong labels from images that are hard for it.
    """

    order: Indices
    suggested: Indices
    confidence: Floats
    least: float
    most: float
    right: float
    knows: bool = True


def find_label_errors(probabilities: Floats, labels: Indices) -> LabelErrors:
    """Images whose label is probably wrong, by probabilities (N, K) of each from a fit that left it out.

    An image counts as of class k where its probability of k is at least the mean probability of k among images labelled
    k (of several such classes, the likeliest): that is the confident joint (section 3.1). Those off its diagonal are
    flagged, and ranked by self-confidence (section 3.2).
    most: what lies off the diagonal of the joint, its rows scaled to the images of each label (equation 3): an
    estimate of the wrong labels to which a weak classifier adds its own errors. least: the labels that the classifier
    contradicts among the images that it is surest of, where it makes hardly an error of its own; people mislabel
    plain images less often than others, so there are more. That holds of a classifier that is half of the way from
    naming the largest class always to being always right; of others, least is 0, for what they contradict may be hard
    for them (simulated on clean labels: decision 0052).
    """
    n, classes = probabilities.shape
    taken = confident_class(probabilities, labels)
    joint = confident_joint(taken, labels, classes)
    given = probabilities[np.arange(n), labels]
    flagged = np.flatnonzero((taken >= 0) & (taken != labels))
    order = flagged[np.argsort(given[flagged], kind="stable")]
    right = float((probabilities.argmax(axis=1) == labels).mean())
    most = float(1.0 - np.trace(joint))
    largest = float(np.bincount(labels).max()) / n
    knows = right >= largest + KNOWS * (1.0 - largest)
    least = min(most, _among_surest(probabilities, labels)) if knows else 0.0
    return LabelErrors(order, taken[order], given, least, most, right, knows)


def _among_surest(probabilities: Floats, labels: Indices) -> float:
    """The share of labels that are contradicted among the surest tenth of each class's images; 0 where all classes are
    too small to tell."""
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = weight = 0.0
    for k in np.unique(said):
        members = np.flatnonzero(said == k)
        if len(members) >= FEWEST:
            surest = members[np.argsort(-sure[members], kind="stable")][: round(SUREST * len(members))]
            wrong += len(members) * float((labels[surest] != k).mean())
            weight += len(members)
    return wrong / weight if weight else 0.0


def confident_class(probabilities: Floats, labels: Indices) -> Indices:
    """(N,): the class that each image is confidently of, -1 where it is of none."""
    classes = probabilities.shape[1]
    bars = np.array([
        probabilities[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(classes)
    ])  # fmt: skip
    above = np.where(probabilities >= bars - 1e-12, probabilities, -1.0)
    found: Indices = np.where(above.max(axis=1) >= 0, above.argmax(axis=1), -1).astype(np.int64)
    return found


def confident_joint(taken: Indices, labels: Indices, classes: int) -> Floats:
    """(K, K): the estimated joint of given and true labels, which sums to 1; rows are given labels."""
    counts = np.zeros((classes, classes))
    is_counted = taken >= 0
    np.add.at(counts, (labels[is_counted], taken[is_counted]), 1.0)
    empty = counts.sum(axis=1) == 0  # a class none of whose images is confidently of any
    counts[empty, empty] = 1.0
    sizes = np.bincount(labels, minlength=classes)
    scaled = counts / counts.sum(axis=1, keepdims=True) * sizes[:, None]
    joint: Floats = scaled / scaled.sum()
    return joint
