"""What is found of images of bands that are neither grey nor colour."""

from collections.abc import Mapping, Sequence

import numpy as np

from convlift.audit.told_ranges import CHOOSE, told_ranges
from convlift.records.finding import Finding

_LISTED = 100  # keys


def band_range_findings(
    ranges: Sequence[float], highs: Mapping[str, Sequence[float]], what: str = "files"
) -> list[Finding]:
    """How bands of more than 8 bits were scaled, each by its own range. highs: the largest values of each of those
    files (or arrays), a band each, by key.

    A warning where half of the files stay under a sixteenth of a band's range, so that few levels are left of it.
    """
    if not highs:
        return []
    middles = np.median(np.array([*highs.values()]), axis=0)
    message = (
        f"{len(highs)} {what} of more than 8 bits have {len(ranges)} bands, each of which has a range of its own, the "
        f"same for all images: {told_ranges([0.0] * len(ranges), ranges)} became 0 to 255."
    )
    dim = [band for band, (middle, top) in enumerate(zip(middles, ranges, strict=True)) if middle < top / 16]
    if not dim:
        items = tuple([*highs][:_LISTED])
        return [Finding("value range", "note", message, items, "Prediction applies these ranges too.")]
    named = f"band {dim[0] + 1}" if len(dim) == 1 else f"{len(dim)} bands, such as band {dim[0] + 1},"
    message += f" In {named} half of them stay under a sixteenth of it, so few levels are left."
    bright = sorted(highs, key=lambda key: -highs[key][dim[0]])
    remedy = "If the brightest hold markers or dead pixels, mend them, and the range follows."
    if what == "files":  # as in `range_findings`
        remedy += CHOOSE
    return [Finding("value range", "warning", message, tuple(bright[:_LISTED]), remedy)]


def bands_finding(bands: int) -> Finding:
    """A note on what pictures show of the images, which have so many bands."""
    shown = "the first three as red, green and blue" if bands >= 3 else "the first as grey"
    message = (
        f"All images have {bands} bands, of which pictures show {shown}, as they are stored, whatever colours they are."
    )
    return Finding("bands", "note", message)


def four_bands_finding(name: str) -> Finding:
    """A note on arrays of four bands, which may have been meant as colour with alpha."""
    return Finding(
        "four bands",
        "note",
        f"the images of {name} have four bands, and nothing says what the fourth is, so all four are used as they are.",
        (),
        "If it is transparency, hand over the first three alone: images[..., :3].",
    )
