"""Images that come as arrays: .npz in MedMNIST's layout, and IDX files as MNIST and Fashion-MNIST have them."""

import bisect
import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from convlift.data.depth import Range
from convlift.data.readers.array_pixels import Known, are_deep, array_findings, as_uint8
from convlift.data.readers.source import Item, Source, Split, printable, validation_as_test
from convlift.errors import DataError
from convlift.records.finding import Finding

Parts = Mapping[Split | None, tuple[NDArray[Any], NDArray[Any]]]
_NPZ_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
MAX_BYTES = 8_000_000_000  # of one array: arrays are held in memory whole
_IDX_SPLITS: dict[str, Split] = {"train": "train", "t10k": "test"}


# what NumPy and zipfile raise on broken archives, which is nearly anything
_BROKEN = (
    *(OSError, ValueError, EOFError, AttributeError, TypeError, KeyError, IndexError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, SyntaxError, struct.error),
)


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Images held in memory.

    parts: (n, H, W) or (n, H, W, C), one a split; uint8, or as they were given.
    ends: their running totals.
    value_range: the value that became 255, where the arrays were deeper than bytes; of each band where there are such.
    """

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    parts: tuple[NDArray[Any], ...]
    ends: tuple[int, ...]
    value_range: Range = None

    def read(self, index: int) -> NDArray[Any]:
        """Pixels of one image, (H, W) or (H, W, C)."""
        part = bisect.bisect_right(self.ends, index)
        image: NDArray[Any] = self.parts[part][index - (self.ends[part - 1] if part else 0)]
        return image


def array_source(
    name: str, parts: Parts, classes: tuple[str, ...] | None, *, as_they_are: bool = False, known: Known = None
) -> ArraySource:
    """A source from arrays. parts: split -> (images (n, H, W) or (n, H, W, C), labels (n,) or (n, 1)).

    classes: names of the labels 0, 1, ...; None names each class after its label, in sorted order.
    as_they_are: whether values of more than 8 bits are left to whoever reads them, instead of being scaled here;
    known: see `as_uint8`.
    Raises DataError where shapes, types or ranges do not fit.
    """
    finding = validation_as_test(set(parts), name)
    renamed = {("test" if finding and split == "validation" else split): part for split, part in parts.items()}
    flat = {split: _flat_labels(labels, len(images), name) for split, (images, labels) in renamed.items()}
    values = np.unique(np.concatenate(list(flat.values())))
    if classes is None:
        classes = tuple(printable(str(value)) for value in values)
        flat = {split: np.searchsorted(values, labels) for split, labels in flat.items()}
    elif values.size and not (values[0] >= 0 and values[-1] < len(classes)):
        raise DataError(f"{name} has labels {values[0]} to {values[-1]}; they must lie in 0 to {len(classes) - 1}.")
    items = tuple(
        Item(f"{split or 'image'}/{row}", int(label), split)
        for split, labels in flat.items()
        for row, label in enumerate(labels)
    )
    arrays = {split: images for split, (images, _) in renamed.items()}
    is_left = as_they_are and are_deep(arrays, name)
    pixels, value_range = (tuple(arrays.values()), None) if is_left else as_uint8(arrays, name, known)
    ends = tuple(int(end) for end in np.cumsum([len(part) for part in pixels]))
    findings = [finding] if finding else []
    findings += array_findings({split: images for split, images in arrays.items() if images.size}, value_range, name)
    return ArraySource(name, classes, items, tuple(findings), pixels, ends, value_range)


def by_bits(source: Source) -> Source:
    """The source as it is read without a scale of the user's own, where its arrays were left as they are; or a source
    that is made of one. Raises DataError where they cannot be read so."""
    whole = getattr(source, "whole", source)
    if not isinstance(whole, ArraySource) or all(part.dtype == np.uint8 for part in whole.parts):
        return source
    splits = dict.fromkeys(item.split for item in whole.items)
    filled = [part for part in whole.parts if len(part)]
    pixels, value_range = as_uint8(dict(zip(splits, filled, strict=True)), whole.name)
    ends = tuple(int(end) for end in np.cumsum([len(part) for part in pixels]))
    scaled = replace(whole, parts=pixels, ends=ends, value_range=value_range)
    return scaled if whole is source else replace(source, whole=scaled)  # type: ignore[type-var]


def _flat_labels(labels: NDArray[Any], n: int, name: str) -> NDArray[Any]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    labels = _plain(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise DataError(
            f"{name} has labels of shape {labels.shape} and type {labels.dtype}; "
            "one whole number (or name) an image is needed, as (N,) or (N, 1)."
        )
    if len(labels) != n:
        raise DataError(f"{name} has {n} images but {len(labels)} labels in one part; the numbers must agree.")
    return labels


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Names that are Python objects, as pandas keeps them, as text; whole numbers that are kept as floats as integers;
    anything else as it is."""
    if labels.dtype.kind == "O" and labels.size and all(isinstance(each, str) for each in labels.flat):
        return labels.astype(str)
    if labels.dtype.kind == "O" and labels.size and all(type(each) is int for each in labels.flat):
        return labels.astype(np.int64)
    if labels.dtype.kind == "f" and np.isfinite(labels).all():
        values = labels.astype(np.float64)
        is_whole = (np.abs(values) < 2**53).all() and (values == np.rint(values)).all()
        return values.astype(np.int64) if is_whole else labels
    return labels


def open_npz(path: Path, *, as_they_are: bool = False, known: Known = None) -> ArraySource:
    """MedMNIST's layout: train_images, train_labels, and if present val_images, val_labels, test_images, test_labels.

    The arrays are read into memory whole, each of at most MAX_BYTES. as_they_are, known: see `array_source`. Raises
    DataError naming the array at fault; never unpickles an object.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            parts: dict[Split | None, tuple[NDArray[Any], NDArray[Any]]] = {}
            for prefix, split in _NPZ_SPLITS.items():
                if f"{prefix}_images" in archive and len(images := _array(archive, f"{prefix}_images", path)):
                    parts[split] = images, _array(archive, f"{prefix}_labels", path)
            names = sorted(archive)
    except _BROKEN as error:
        raise DataError(
            f"{path} cannot be read as an .npz file ({' '.join(str(error).split())}); save it anew."
        ) from error
    if "train" not in parts:
        found = ", ".join(printable(name) for name in names) or "nothing"
        raise DataError(f"{path} has no train_images; it holds {found}. Name the arrays as MedMNIST does.")
    only_train: Parts = {None: parts["train"]}
    given = parts if len(parts) > 1 else only_train
    return array_source(printable(path.stem), given, classes=None, as_they_are=as_they_are, known=known)


def _array(archive: Any, key: str, path: Path) -> NDArray[Any]:
    if key not in archive:
        raise DataError(f"{path} has no array {key}; every *_images needs its *_labels.")
    try:
        _check_size(archive.zip, f"{key}.npy", path)
        array: NDArray[Any] = archive[key]
    except _BROKEN as error:
        raise DataError(
            f"array {key} in {path} cannot be read ({' '.join(str(error).split())}); "
            "plain numbers are needed, Python objects are never loaded."
        ) from error
    if array.ndim == 0:
        raise DataError(f"array {key} in {path} is a single value; one entry an image is needed.")
    return array


def _check_size(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Raise DataError where an array is larger than MAX_BYTES, ValueError where its header lies about its size.

    NumPy takes as much memory as the header promises.
    """
    if name not in archive.namelist():
        return
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size, left = math.prod(shape) * dtype.itemsize, archive.getinfo(name).file_size - file.tell()
    if size > MAX_BYTES:
        raise DataError(
            f"{name} in {path} takes {size / 1e9:.1f} GB; at most {MAX_BYTES / 1e9:g} GB are read into memory. "
            "Save the images as files in class folders."
        )
    if not dtype.hasobject and size != left:
        raise ValueError(f"its header promises {size} bytes, but {left} are there")


def open_idx(name: str, folder: Path, classes: tuple[str, ...] | None) -> ArraySource:
    """IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., gzipped or not (LeCun's MNIST format)."""
    parts: dict[Split | None, tuple[NDArray[Any], NDArray[Any]]] = {
        split: (_idx(folder, f"{prefix}-images-idx3-ubyte"), _idx(folder, f"{prefix}-labels-idx1-ubyte"))
        for prefix, split in _IDX_SPLITS.items()
    }
    return array_source(printable(name), parts, classes)


def _read(file: BinaryIO | gzip.GzipFile, most: int) -> bytes:
    """At most so many bytes, for which memory is taken as they come."""
    parts, left = [], most
    while left and (part := file.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _idx(folder: Path, name: str) -> NDArray[np.uint8]:
    zipped, plain = folder / f"{name}.gz", folder / name
    path = zipped if zipped.is_file() else plain
    try:
        with gzip.open(path) if path == zipped else path.open("rb") as file:
            head = file.read(4)
            # two zero bytes, the type (8: unsigned byte), the number of dimensions; then each, big-endian, 32 bits
            shape = np.frombuffer(file.read(4 * head[3] if len(head) == 4 else 0), ">u4").tolist()
            size = math.prod(shape)
            if size > MAX_BYTES:
                raise DataError(
                    f"{path} holds {size / 1e9:.1f} GB by its header; at most {MAX_BYTES / 1e9:g} GB are read into "
                    "memory. Save the images as files in class folders."
                )
            content = _read(file, size + 1)
    except FileNotFoundError as error:
        raise DataError(f"{folder} has no {name}.gz; the four IDX files of the data set are needed.") from error
    except (OSError, EOFError, ValueError, MemoryError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); download it again.") from error
    if head[:3] != b"\0\0\x08" or not shape or len(shape) != head[3] or len(content) != size:
        raise DataError(f"{path} is not a whole IDX file of bytes; download it again.")
    return np.frombuffer(content, np.uint8).reshape(shape)
