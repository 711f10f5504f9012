"""One network, or two, on images and corrupted copies of the same images. The image is the unit, with all its copies.

Copies of one image are alike for a network, so that the number of copies makes no interval narrower than the images do:
the copies of an image are a group (`image_variance`), or belong to the group that the image is in.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import Metric
from convlift.evidence.network_gain import bootstrap_interval, compare_networks
from convlift.evidence.score_intervals import known
from convlift.evidence.temperature import at_temperature, fit_temperature
from convlift.evidence.total_gain import one_network
from convlift.records.result import Estimate, NetworkGain
from convlift.records.shift import CorruptionScore, ShiftScores

Floats = NDArray[np.float64]
Right = NDArray[np.bool_]
Probabilities = NDArray[np.floating]
Cell = tuple[str, int]  # a corruption and its severity


def shift_scores(
    model: str, clean_n: Right, copies_Dn: Right, cells_D: list[Cell], groups: Groups = None
) -> ShiftScores:
    """clean_n: which images are right; copies_Dn: which are under each corruption and severity; groups (n,)."""
    clean, copies = clean_n.astype(np.float64), copies_Dn.astype(np.float64)
    as_often = np.broadcast_to(clean, copies.shape)
    lost = compare_copies(as_often, copies, groups).gain_points
    names = list(dict.fromkeys(name for name, _ in cells_D))
    of_name = {name: [place for place, cell in enumerate(cells_D) if cell[0] == name] for name in names}
    return ShiftScores(
        model,
        known(one_network(clean, groups)),
        score_of_copies(copies, groups),
        lost,
        _kept_share(clean, copies.mean(axis=0), lost, groups),
        tuple(
            CorruptionScore(name, severity, known(one_network(row, groups)))
            for (name, severity), row in zip(cells_D, copies, strict=True)
        ),
        tuple(CorruptionScore(name, 0, score_of_copies(copies[places], groups)) for name, places in of_name.items()),
    )


def points_of_copies(
    metric: Metric,
    shifted_DnK: Probabilities,
    clean_nK: Probabilities,
    labels_n: NDArray[np.int64],
    groups: Groups = None,
) -> Floats:
    """(n,): the mean score of D corrupted copies of every validation image, in points.

    shifted (D * n, K): the first copy of each, then the second; clean: of the images as they are, which give the
    temperature where the metric judges how sure a network is, as it would ship."""
    temperature = fit_temperature(clean_nK, labels_n, groups) if metric.of_confidence else 1.0
    rows = at_temperature(shifted_DnK, temperature).reshape(-1, len(labels_n), shifted_DnK.shape[1])
    return np.asarray(np.mean([metric.points(row, labels_n) for row in rows], axis=0), np.float64)


def score_of_copies(scores_Dn: Floats, groups: Groups = None) -> Estimate:
    """The mean of D scores of n images each, with its 95% interval over images, or groups of them."""
    if len(scores_Dn) > 1 and np.isin(scores_Dn, (0.0, 1.0)).all():
        return known(one_network(scores_Dn.ravel(), _groups_of_copies(scores_Dn, groups)))
    return known(one_network(scores_Dn.mean(axis=0), groups))


def compare_copies(before_Dn: Floats, after_Dn: Floats, groups: Groups = None, *, lowest: float = 0.0) -> NetworkGain:
    """What D copies of n images say of two networks; see `network_gain.compare_networks`, which it is for one copy.

    Right and wrong is counted in groups of an image's copies, whose interval is no point even where two networks agree
    on all of them; other scores are means over an image's copies.
    """
    if len(before_Dn) > 1 and np.isin([before_Dn, after_Dn], (0.0, 1.0)).all():
        together = _groups_of_copies(before_Dn, groups)
        found = compare_networks(before_Dn.ravel(), after_Dn.ravel(), together, lowest=lowest)
    else:
        found = compare_networks(before_Dn.mean(axis=0), after_Dn.mean(axis=0), groups, lowest=lowest)
    return found if len(before_Dn) == 1 else replace(found, won=None, lost=None, p_value=None)


def _groups_of_copies(scores_Dn: Floats, groups: Groups) -> NDArray[np.int64]:
    number, images = scores_Dn.shape
    return np.tile(np.arange(images) if groups is None else groups, number)


def _kept_share(clean_n: Floats, shifted_n: Floats, lost: Estimate, groups: Groups) -> Estimate | None:
    """The mean of one score over that of another, on the same images, with its 95% interval; None over 0.

    By the delta method: the ratio r plus (shifted - r clean) / mean clean is every image's value + influence, whose
    mean is resampled. lost: of the difference in points, which tells where all images are alike.
    """
    base = float(clean_n.mean())
    if base <= 0.0:
        return None
    ratio = float(shifted_n.mean()) / base
    low, high = bootstrap_interval(ratio + (shifted_n - ratio * clean_n) / base, groups)
    if low == high:
        low, high = (1.0 + points / (100.0 * base) for points in (lost.low, lost.high))
    return Estimate(ratio, max(low, 0.0), high)
