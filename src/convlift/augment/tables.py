"""What maps every byte of a channel to another one: gamma, equalize, solarize and posterize, together one table.

Written once for numpy and torch, whose functions of these names agree: `xp` is either of them. All but gamma is exact.
"""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 256
NEVER = 256  # a threshold of solarize that no byte reaches

Floats = NDArray[np.float64]
Bytes = NDArray[np.int64]


def gamma_tables(exponents_N: Floats) -> Bytes:
    """(N, 256): the bytes of pixels in [0, 1] raised to an exponent."""
    return np.rint(255 * (np.arange(LEVELS) / 255) ** exponents_N[:, None]).astype(np.int64)


def cut_tables(thresholds_N: Bytes, bits_N: Bytes) -> Bytes:
    """(N, 256): bytes from the threshold upwards inverted, then so many of the lowest bits set to 0."""
    levels = np.arange(LEVELS)
    solarized_NL = np.where(levels >= thresholds_N[:, None], 255 - levels, levels)
    return (solarized_NL >> bits_N[:, None]) << bits_N[:, None]


def stretched(counts: Any, xp: ModuleType) -> Any:
    """Tables that stretch each channel to all of [0, 255], as PIL's `autocontrast`; counts (..., 256), int64: of the
    bytes. One value alone stays."""
    levels = _levels(counts, xp)
    is_there = counts > 0
    lowest = xp.where(is_there, levels, LEVELS).min(-1)
    highest = xp.where(is_there, levels, -1).max(-1)
    lowest, highest = (each if xp is np else each.values for each in (lowest, highest))
    span = (highest - lowest)[..., None]
    found = (255 * (levels - lowest[..., None])) // xp.where(span > 0, span, 1)
    return xp.where(span > 0, xp.clip(found, 0, 255), levels)


def equalized(counts: Any, xp: ModuleType) -> Any:
    """Tables that make each channel's histogram even, as PIL's `equalize`; counts (..., 256), int64: of the bytes.

    As there, images of fewer than 255 pixels beside their brightest value stay as they are."""
    levels = _levels(counts, xp)
    highest = xp.where(counts > 0, levels, -1).max(-1)
    highest = highest if xp is np else highest.values
    at_highest = xp.where(levels == highest[..., None], counts, 0).sum(-1)
    step = ((counts.sum(-1) - at_highest) // 255)[..., None]
    below = xp.cumsum(counts, -1) - counts
    found = (step // 2 + below) // xp.where(step > 0, step, 1)
    return xp.where(step > 0, xp.clip(found, 0, 255), levels)


def part_of_the_way(tables: Any, parts: Any, xp: ModuleType) -> Any:
    """Tables between the identity and others: (..., 256) int64; parts (...), in 1/256."""
    levels = _levels(tables, xp)
    return (levels * (256 - parts[..., None]) + tables * parts[..., None] + 128) // 256


def in_256ths(parts: Floats) -> Any:
    """Parts of the way as `part_of_the_way` takes them, so that bytes follow from whole numbers alone."""
    return np.rint(256 * np.asarray(parts)).astype(np.int64)


def then(first: Any, second: Any, xp: ModuleType) -> Any:
    """One table for two, one after the other: (..., 256) each, of one channel for all or of each."""
    first, second = xp.broadcast_tensors(first, second) if xp is not np else np.broadcast_arrays(first, second)
    return np.take_along_axis(second, first, -1) if xp is np else second.gather(-1, first)


def _levels(like: Any, xp: ModuleType) -> Any:
    return np.arange(LEVELS) if xp is np else xp.arange(LEVELS, device=like.device)
