"""One network on images and on corrupted copies of the same images. The image is the unit, with all its copies.

Copies of one image are alike for a network, so that the number of copies makes no interval narrower than the images do:
each image counts once, with the mean over its copies.
"""

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups
from convlift.evidence.network_gain import bootstrap_interval, compare_networks
from convlift.evidence.score_intervals import known
from convlift.evidence.total_gain import one_network
from convlift.records.result import Estimate
from convlift.records.shift import CorruptionScore, ShiftScores

Floats = NDArray[np.float64]
Cell = tuple[str, int]  # a corruption and its severity


def shift_scores(
    model: str, clean_n: NDArray[np.bool_], copies_Dn: NDArray[np.bool_], cells_D: list[Cell], groups: Groups = None
) -> ShiftScores:
    """clean_n: which images are right; copies_Dn: which are under each corruption and severity; groups (n,)."""
    clean, copies = clean_n.astype(np.float64), copies_Dn.astype(np.float64)
    mean = copies.mean(axis=0)
    names = list(dict.fromkeys(name for name, _ in cells_D))
    of_name = {name: [place for place, cell in enumerate(cells_D) if cell[0] == name] for name in names}
    return ShiftScores(
        model,
        known(one_network(clean, groups)),
        known(one_network(mean, groups)),
        compare_networks(clean, mean, groups).gain_points,
        kept_share(clean, mean, groups),
        tuple(
            CorruptionScore(name, severity, known(one_network(row, groups)))
            for (name, severity), row in zip(cells_D, copies, strict=True)
        ),
        tuple(
            CorruptionScore(name, 0, known(one_network(copies[places].mean(axis=0), groups)))
            for name, places in of_name.items()
        ),
    )


def kept_share(clean_n: Floats, shifted_n: Floats, groups: Groups = None) -> Estimate | None:
    """The mean of one score over that of another, on the same images, with its 95% interval; None over 0.

    By the delta method: the ratio r plus (shifted - r clean) / mean clean is every image's value + influence, whose
    mean is resampled.
    """
    base = float(clean_n.mean())
    if base <= 0.0:
        return None
    ratio = float(shifted_n.mean()) / base
    low, high = bootstrap_interval(ratio + (shifted_n - ratio * clean_n) / base, groups)
    return Estimate(ratio, max(low, 0.0), high)
