"""What a scale that the user chose makes of values of more than 8 bits: what it cuts, and how few levels it leaves."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.audit.told_ranges import told_ranges
from convlift.errors import DataError
from convlift.records.finding import Finding

EXPECTED = 4.0  # per cent of all values: as many as the usual percentiles cut (QGIS's 2 and 98)
SLACK = 1.0  # more, since percentiles are of a sample, and of no test part
MOST = 50.0  # per cent, of which it hardly matters how far apart the two values are
FEW = 16  # of 256 levels: as `range_findings` has it
_LISTED = 100  # keys

Ends = Sequence[float]


def stretch_findings(
    scale: tuple[Ends, Ends],
    percentiles: tuple[float, float] | None,
    cuts: Mapping[str, tuple[Sequence[int], Sequence[int], int]],
    levels: Mapping[str, Sequence[int]],
) -> list[Finding]:
    """How values were scaled, and a warning where more was cut than one would expect, or few levels are left.

    scale: what became 0, and what became 255; one each for all channels, or for every band. percentiles: that they are,
    None where the user gave the values. cuts: of each image of more than 8 bits, by key, how many values of each
    channel lie below and above, of how many pixels; levels: from the darkest to the brightest byte of each channel.
    """
    if not cuts:
        return []
    below, above, worst = _shares(cuts)
    expected = EXPECTED if percentiles is None else percentiles[0] + 100 - percentiles[1]
    message = _message(scale, percentiles, len(cuts))
    message += f" {_per_cent(below)} of the values lie below and {_per_cent(above)} above"
    keys = [*cuts]
    if worst[1] > expected + SLACK:
        message += f"{worst[0]}, more than the {expected:g}% which one would expect to be cut."
        remedy = "Give values further apart with --value-range, if what was cut tells classes apart."
        if worst[1] > MOST:
            remedy = "Most of them are lost: give values between which they lie, or --value-range percentiles."
        return [Finding("value range", "warning", message, _most_cut(cuts), remedy)]
    if few := _few_levels(levels):
        message += f". {few}"
        remedy = f"Give values closer together{', or --value-range percentiles' if percentiles is None else ''}."
        return [Finding("value range", "warning", message, tuple(keys[:_LISTED]), remedy)]
    return [Finding("value range", "note", f"{message}.", _most_cut(cuts), "Prediction applies this scale too.")]


def check_shows(name: str, asked: str, greys: NDArray[np.uint8], notes: Sequence[tuple[str, ...]]) -> None:
    """Raise DataError where a scale leaves nothing of a data set: all images are the same flat colour.

    asked: the words of `--value-range`; greys (N, 32, 32), notes: of each image as it was decoded.
    """
    if all("flat" in each for each in notes) and (greys == greys[0, 0, 0]).all():
        raise DataError(
            f"--value-range {asked} makes one flat colour of all {len(notes)} images of {name}; give values between "
            "which theirs lie, or --value-range percentiles."
        )


def _shares(cuts: Mapping[str, tuple[Sequence[int], Sequence[int], int]]) -> tuple[float, float, tuple[str, float]]:
    """Per cent of all values that lie below and above; and the words for the band of which most is cut, with its per
    cent, or of all values where these are grey or colour."""
    counted = [(len(each[0]) * each[2], sum(each[0]), sum(each[1])) for each in cuts.values()]
    values, below, above = np.array(counted, np.float64).sum(axis=0)
    low, high = 100 * below / values, 100 * above / values
    channels = {len(each[0]) for each in cuts.values()}
    if channels <= {1, 3}:
        return low, high, ("", low + high)
    outside = np.array([np.add(each[0], each[1]) for each in cuts.values()], np.float64).sum(axis=0)
    each_band = 100 * outside / sum(each[2] for each in cuts.values())
    most = int(each_band.argmax())
    return low, high, (f", in band {most + 1} {_per_cent(each_band[most])} in all", float(each_band[most]))


def _per_cent(share: float) -> str:
    """Two digits, and never as a power of ten."""
    return "under 0.001%" if 0 < share < 0.001 else f"{float(f'{share:.2g}'):g}%"


def _most_cut(cuts: Mapping[str, tuple[Sequence[int], Sequence[int], int]]) -> tuple[str, ...]:
    shares = {key: (sum(each[0]) + sum(each[1])) / (len(each[0]) * each[2]) for key, each in cuts.items()}
    return tuple(key for key in sorted(shares, key=lambda key: -shares[key])[:_LISTED] if shares[key] > 0)


def _message(scale: tuple[Ends, Ends], percentiles: tuple[float, float] | None, images: int) -> str:
    ranges = told_ranges(*scale)
    by = "as --value-range says" if percentiles is None else f"percentiles {percentiles[0]:g} and {percentiles[1]:g}"
    more = "" if percentiles is None else " of all values outside an official test part"
    return f"{images} images have more than 8 bits: {ranges} became 0 to 255 in all of them ({by}{more})."


def _few_levels(levels: Mapping[str, Sequence[int]]) -> str:
    """A sentence where half of the images span few levels, else ""."""
    by_channels: dict[int, list[Sequence[int]]] = {}
    for each in levels.values():
        by_channels.setdefault(len(each), []).append(each)
    most = max(by_channels.values(), key=len)
    middles = np.median(np.array(most), axis=0)
    dim = [band for band, middle in enumerate(middles) if middle < FEW]
    if not dim:
        return ""
    where = f" in band {dim[0] + 1}" if len(middles) not in (1, 3) else ""
    return f"Half of them span {middles[dim[0]]:.0f} of 256 levels or fewer{where}."
