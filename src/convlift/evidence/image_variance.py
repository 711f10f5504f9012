"""What images contribute to the noise of a score, also where they come in groups (patients, cameras, days).

Suffixes: R runs, n images, G groups. groups (n,): the group's number of every image, None where each stands alone.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Groups = NDArray[np.int64] | None

LEAST_VARIANCE = 100.0**2 * 0.995 * 0.005  # points squared: a perfect run on these images may be wrong on the next
UNSEEN_VARIANCE = 100.0**2 * 0.8 * 0.2  # before anything was trained: an accuracy of .8
WITHIN_GROUPS = 0.2  # correlation of two recipes' difference between images of one group, assumed until it is measured


def accuracy_variance(accuracy: float) -> float:
    """Variance over images of one run's right (100 points) or wrong (0), in points squared.

    accuracy: in [0, 1], kept between .05 and .995: a perfect run on these images may be wrong on the next.
    """
    inside = float(np.clip(accuracy, 0.05, 0.995))
    return 100.0**2 * inside * (1.0 - inside)


def run_variance(points_Rn: Floats) -> float:
    """Variance over images of one run's per-image score, points squared, averaged over runs; for accuracy A about
    100^2 A(1-A). At least that of an accuracy of .995, and that of .8 where there is no run."""
    points = np.asarray(points_Rn, np.float64)
    return max(float(points.var(axis=-1).mean()), LEAST_VARIANCE) if points.size else UNSEEN_VARIANCE


def image_part(points_n: Floats, groups: Groups = None) -> Floats:
    """Variance of the mean of per-image points (..., n) over other images of the same kind: (...,).

    With u_g the sum over a group's m_g images of what they differ by from the mean, sum_g u_g^2 / (n^2 (1 - m_g/n)):
    cluster-robust, with the small-sample correction of Bell and McCaffrey 2002 (CR2), which makes it unbiased where the
    groups are of one size and independent. Where every image is a group of its own it is the usual var / n.
    """
    points = np.asarray(points_n, np.float64)
    n = points.shape[-1]
    apart = points - points.mean(axis=-1, keepdims=True)
    if groups is None:
        alone: Floats = np.sum(apart**2, axis=-1) / (n * max(n - 1, 1))
        return alone
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(starts, append=n)
    sums = np.add.reduceat(apart[..., order], starts, axis=-1)
    together: Floats = np.sum(sums**2 / np.maximum(1.0 - sizes / n, 1.0 / n), axis=-1) / n**2
    return together


def degrees_of_freedom(n: int, groups: Groups = None) -> float:
    """Of `image_part`: n - 1, or the number of groups less one, counted as (sum m)^2 / sum m^2 (Kish 1965) because
    one large group among small ones tells no more than it alone; at least 1."""
    if groups is None:
        return max(n - 1.0, 1.0)
    sizes = np.unique(groups, return_counts=True)[1]
    return float(max(n**2 / np.sum(sizes**2) - 1.0, 1.0))


def design_effect(points_Rn: Floats, groups: Groups = None) -> float:
    """By how much groups widen the variance of a difference between runs on the same images; at least 1.

    The ratio of the grouped to the ungrouped `image_part`, summed over runs, of what each run differs by from all runs'
    mean; of the run itself where there is one only, which also holds what makes images hard for every run and so errs
    on the wide side.
    """
    points = np.asarray(points_Rn, np.float64)
    if groups is None or not points.size:
        return 1.0
    apart = points - points.mean(axis=0) if len(points) > 1 else points
    alone = float(image_part(apart).sum())
    return max(float(image_part(apart, groups).sum()) / alone, 1.0) if alone > 0 else 1.0


def images_alike(points_n: Floats, groups: Groups = None) -> int:
    """How many images of one group tell as much as one image that stands alone: the design effect of their mean, at
    most the number of images in a group."""
    if groups is None:
        return 1
    alone = float(image_part(points_n))
    size = len(points_n) / (degrees_of_freedom(len(points_n), groups) + 1.0)
    if alone <= 0:
        return max(round(size), 1)
    return round(min(max(float(image_part(points_n, groups)) / alone, 1.0), max(size, 1.0)))


def assumed_design_effect(n: int, groups: Groups = None) -> float:
    """The design effect before anything was trained: 1 + (m - 1) .2, m = sum m_g^2 / n (Kish 1965)."""
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1]
    return float(1.0 + (np.sum(sizes**2) / n - 1.0) * WITHIN_GROUPS)


def effective_number(points_Rn: Floats, groups: Groups = None) -> float:
    """As how many independent images these n count: n / design effect; at least 2. points_Rn: (R, n), R may be 0."""
    n = np.shape(points_Rn)[-1]
    effect = design_effect(points_Rn, groups) if np.size(points_Rn) else assumed_design_effect(n, groups)
    return max(float(n) / effect, 2.0)
