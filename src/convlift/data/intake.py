"""Every image of a source decoded once, in threads and in order, with what makes it the image that it is."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.audit.pictures import Picture, picture_of
from convlift.audit.traits import Traits, frame_of
from convlift.data.bands import Highs, bands_or_none, number_of_bands, range_over
from convlift.data.decode import LONGER, SHORTER_SIDE, Alpha, Decoded, decode, from_array
from convlift.data.deep_files import deep_maximum, is_deep, stretched_values
from convlift.data.depth import Deep, Range, is_unit, range_of
from convlift.data.in_batches import Progress, in_order
from convlift.data.percentiles import find_stretch
from convlift.data.readers.source import Source
from convlift.data.stretch import BITS, Cut, Stretch, cut_by
from convlift.errors import DataError, UnreadableImage
from convlift.recipe.data import is_bands


class Way(NamedTuple):
    """How images are read. alpha, side: see `decode`; value_range: what makes bytes of values of more than 8 bits, as
    `stretch.asked_range` spells it."""

    alpha: Alpha = "white"
    side: int = SHORTER_SIDE
    value_range: str = BITS

    @property
    def is_stretched(self) -> bool:
        """Whether the user chose a scale, in place of the fewest bits that hold the values."""
        return self.value_range != BITS


class Stretching(NamedTuple):
    """What a scale that the user chose makes of an image. levels: from the least byte of a channel to its largest."""

    cut: Cut
    levels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Taken:
    """What is kept of an image beside its pixels.

    digest: see `pixel_hash`.
    traits: None of an array.
    picture: the image in small.
    stretching: where it has more than 8 bits and the user chose a scale.
    """

    shape: tuple[int, ...]
    digest: str
    notes: tuple[str, ...]
    traits: Traits | None
    picture: Picture
    stretching: Stretching | None = None


@dataclass(frozen=True, eq=False)
class Intake:
    """Which images could be read, and what is known of them.

    kept: their indices.
    taken: what is known of each.
    unreadable: "key: reason" of the rest.
    value_range: the value that became 255 in files of more than 8 bits, of each band where there are such; None where
        there are none; or the scale that the user chose.
    maxima: the largest value of each of those files, or of each of its bands, by index; {} with a chosen scale.
    """

    kept: list[int]
    taken: list[Taken]
    unreadable: list[str]
    value_range: Range
    maxima: dict[int, float | Highs]


@dataclass(frozen=True, eq=False)
class Contents:
    """What the files of a data set hold, before they are decoded.

    hashes (N,): SHA-256 of each image's bytes as they lie there, "" where it cannot be read.
    deep: the indices of the files whose headers give more than 8 bits a value, and of arrays of such.
    bands (N,): how many each image has, 0 of grey and colour, and of what cannot be read.
    """

    hashes: NDArray[np.str_]
    deep: list[int]
    bands: NDArray[np.int64]

    @property
    def kind(self) -> int:
        """The number of bands that most images have, which all must have; 0 where most are grey or colour. Of two that
        as many have it is the smaller one."""
        counts = Counter(number for number, found in zip(self.bands.tolist(), self.hashes, strict=True) if found)
        return max(sorted(counts), key=lambda number: counts[number], default=0)


def survey(source: Source, *, is_stretched: bool = False) -> Contents:
    """Read every image once, without decoding any. is_stretched: see `is_deep`."""
    hashes, deep, bands = [], [], []
    for index in range(len(source.items)):
        try:
            content = source.read(index)
        except OSError:
            hashes.append("")
            bands.append(0)
            continue
        hashes.append(sha256(content))
        bands.append(number_of_bands(content))
        if is_deep(content, is_stretched=is_stretched):
            deep.append(index)
    return Contents(np.array(hashes, dtype="U64"), deep, np.array(bands, np.int64))


def sha256(content: bytes | Deep) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()


def pixel_hash(decoded: Decoded, value_range: Range = None) -> str:
    """SHA-256 of what an image shows: the same for the same picture in another file format. decoded: as kept usually,
    whatever is kept of it: splits follow from these hashes, and who keeps more must not have another sealed test.
    value_range: by which it was scaled.

    Of images of more than 8 bits the values before scaling count, so that no other image changes it, nor the scale that
    a user chose; where 8 bits would hold them exactly, they are taken as such.
    """
    pixels: NDArray[np.generic] = decoded.pixels
    if isinstance(value_range, Stretch) and decoded.deep is not None and is_unit(decoded.deep):
        pixels = from_array(decoded.deep).pixels
    if (deep := decoded.deep) is not None and not is_unit(deep):
        pixels = deep
        is_opaque = deep.ndim == 2 or deep.shape[2] == 3 or is_bands(pixels.shape[2])
        if deep.dtype.kind in "iu" and is_opaque:
            is_whole_bytes = deep.min() >= 0 and (deep.max() <= 255 or not (deep % 257).any())
            narrow = None if not is_whole_bytes else deep if deep.max() <= 255 else deep // 257
            pixels = deep if narrow is None else from_array(narrow.astype(np.uint8)).pixels
        if pixels is deep:
            pixels = deep.astype("<f4" if deep.dtype.kind == "f" else "<u4")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def take_in(path: Path, source: Source, contents: Contents, way: Way, progress: Progress | None) -> Intake:
    """Decode all images and write their pixels to `path`, one after the other.

    contents: as `survey` gave them; a file that has changed since then raises DataError, and a scale for values of more
    than 8 bits where there are none ConvliftError.
    """
    kind, total = contents.kind, len(contents.hashes)
    deep = [index for index in contents.deep if contents.bands[index] == kind]
    maxima = {} if way.is_stretched else _maxima(source, deep)
    if way.is_stretched:
        value_range: Range = find_stretch(source, deep, way.value_range, progress)
    else:
        value_range = source.value_range or _range(maxima)
    kept: list[int] = []
    taken: list[Taken] = []
    unreadable: list[str] = []

    def take(index: int) -> tuple[NDArray[np.uint8], Taken] | str:
        found = _take(source, index, contents.hashes[index], value_range, way)
        return found if isinstance(found, str) else _other_kind(found[0].shape[2], kind) or found

    def decode_batch(batch: range) -> list[tuple[NDArray[np.uint8], Taken] | str]:
        return [take(index) for index in batch]

    # Pillow warns of odd metadata; what matters of it, the pixels, is checked by decoding them all
    with path.open("wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for batch, results in in_order(decode_batch, total):
            for index, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    unreadable.append(f"{source.items[index].key}: {result}")
                    continue
                file.write(np.ascontiguousarray(result[0]).data)
                kept.append(index)
                taken.append(result[1])
            if progress:
                progress(batch.stop, total)
    return Intake(kept, taken, unreadable, value_range, maxima)


def _range(maxima: Mapping[int, float | Highs]) -> Range:
    """The value that becomes 255, of images with these largest values."""
    plain = [high for high in maxima.values() if isinstance(high, float)]
    return range_over([highs for highs in maxima.values() if isinstance(highs, Highs)]) or range_of(plain)


def _other_kind(channels: int, kind: int) -> str:
    """Why an image of so many channels is none of a data set of this kind; "" where it is one."""
    own = bands_or_none(channels)
    if own == kind:
        return ""
    named = [f"{each} bands" if each else "grey or colour" for each in (own, kind)]
    return f"{named[0]}, but most images are {'of ' if kind else ''}{named[1]}, and all must have the same bands"


def _take(
    source: Source, index: int, content_hash: str, value_range: Range, way: Way
) -> tuple[NDArray[np.uint8], Taken] | str:
    """An image and what is known of it, or the reason why there is none."""
    try:
        content = source.read(index)
        if sha256(content) != content_hash:
            raise DataError(f"{source.items[index].key} changed while it was read; start again when copying is done.")
        decoded = _decoded(content, value_range, way)
    except UnreadableImage as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    pixels = decoded.pixels
    usual = _as_usual(decoded, content, value_range, way)
    traits = replace(usual.traits, frame=frame_of(usual.pixels)) if usual.traits else None
    picture, stretching = picture_of(usual.pixels), _stretching(decoded, value_range)
    return pixels, Taken(pixels.shape, pixel_hash(usual, value_range), usual.notes, traits, picture, stretching)


def _decoded(content: bytes | Deep, value_range: Range, way: Way) -> Decoded:
    if isinstance(content, bytes):
        return decode(content, value_range, way.alpha, side=way.side)
    return from_array(content, value_range, way.side)


def _stretching(decoded: Decoded, value_range: Range) -> Stretching | None:
    if not isinstance(value_range, Stretch) or (values := stretched_values(decoded)) is None:
        return None
    pixels = decoded.pixels
    levels = pixels.max(axis=(0, 1)).astype(int) - pixels.min(axis=(0, 1))
    return Stretching(cut_by(value_range, values), tuple(levels.tolist()))


def _as_usual(decoded: Decoded, content: bytes | Deep, value_range: Range, way: Way) -> Decoded:
    """An image of which more is kept, as it is kept usually: what makes it the image that it is does not depend on what
    a recipe sees of it."""
    shorter, longer = sorted(decoded.pixels.shape[:2])
    if shorter <= SHORTER_SIDE and longer <= LONGER * SHORTER_SIDE:
        return decoded
    return _decoded(content, value_range, way._replace(side=SHORTER_SIDE))


def _maxima(source: Source, deep: Sequence[int]) -> dict[int, float | Highs]:
    """The largest value of each file of more than 8 bits, by index."""

    def measure(batch: range) -> list[float | Highs | None]:
        return [_maximum(source, deep[place]) for place in batch]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [high for _, highs in in_order(measure, len(deep)) for high in highs]
    return {index: high for index, high in zip(deep, found, strict=True) if high is not None}


def _maximum(source: Source, index: int) -> float | Highs | None:
    try:
        content = source.read(index)
    except OSError:
        return None
    return deep_maximum(content) if isinstance(content, bytes) else None
