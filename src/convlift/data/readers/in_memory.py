"""Data sets that a Python program holds: torchvision's and the like, pairs of arrays, parts of these."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.bands import has_channels_first
from convlift.data.encode import encoded
from convlift.data.readers.array_pixels import Known
from convlift.data.readers.arrays import array_source
from convlift.data.readers.hugging_face import is_hugging_face, open_hugging_face
from convlift.data.readers.joined import join
from convlift.data.readers.part_names import part_of
from convlift.data.readers.source import Item, Source, Split, in_order, printable
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.recipe.data import MOST_BANDS

_ACCEPTED = (
    "a path or a name, a data set of (image, label) pairs as torchvision has them, (images, labels), a data set of "
    'Hugging Face, or a dictionary of these such as {"train": ..., "test": ...}'
)
_LABELS_LOOKED_AT = 100  # an image of each
_LOOKED_AT = 3  # images that are read twice, to see whether they stay the same


@dataclass(frozen=True, eq=False)
class PairSource:
    """Pairs of an image and a label, of which one is asked for at a time."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    pairs: Any
    findings: tuple[()] = ()
    value_range: None = None
    lock: Any = field(default_factory=threading.Lock)

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """See `Source`. Raises OSError where the data set fails to give the image, or gives something else."""
        with self.lock:  # nobody promises that it may be asked by two threads
            try:
                image = self.pairs[index][0]
            except Exception as error:  # whatever the caller's code raises
                raise OSError(_reason(error)) from error
            return _content(image)


@dataclass(frozen=True, eq=False)
class _Zipped:
    images: Sequence[Any]
    labels: Sequence[Any]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.labels[index]


def open_in_memory(
    data: object, columns: str | None = None, *, as_they_are: bool = False, known: Known = None
) -> Source:
    """A data set that is no path.

    data: a sequence of (image, label) pairs, images of Pillow or uint8 (H, W) or (H, W, C), of which four channels are
    colour and alpha, and labels whole numbers (indices into its `classes`, if it has these) or names; a tuple (images
    (N, H, W) or (N, H, W, C), labels (N,)), or of two lists; a data set of Hugging Face; or a dictionary of these by
    part. columns: of one of Hugging Face. as_they_are, known: of arrays, see `array_source`.
    Raises ConvliftError where it is none of these, DataError where labels and images do not fit.
    """
    if isinstance(data, Mapping):
        return _of_parts(data, columns, as_they_are, known)
    if is_hugging_face(data):
        return open_hugging_face(data, columns)
    if columns is not None:
        raise ConvliftError("columns are of a table or of a data set of Hugging Face; leave them out.")
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        if hasattr(images, "shape"):
            both = _array(images), _array(labels)
            return array_source("arrays", {None: both}, classes=None, as_they_are=as_they_are, known=known)
        if not (hasattr(images, "__len__") and hasattr(labels, "__len__")):
            raise ConvliftError("images and labels are read more than once; give lists or arrays, not iterators.")
        if len(images) != len(labels):
            raise DataError(f"there are {len(images)} images but {len(labels)} labels; the numbers must agree.")
        return _of_pairs("images", _Zipped(images, labels), list(labels))
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")) or isinstance(data, str | bytes):
        raise ConvliftError(f"a {type(data).__name__} is no data set; give {_ACCEPTED}.")
    name = "images" if isinstance(data, list | tuple) else type(data).__name__
    return _of_pairs(name, data, None)


def _of_parts(parts: Mapping[Any, Any], columns: str | None, as_they_are: bool, ranges: Known) -> Source:
    named: dict[Split, Any] = {}
    for key, part in parts.items():
        known = part_of(str(key))
        if known is None or known[0] in named:
            raise ConvliftError(
                f"'{printable(str(key))}' is no part of a data set, or one that is there twice; give train, validation "
                "and test."
            )
        named[known[0]] = part
    if not named:
        raise ConvliftError(f"an empty dictionary is no data set; give {_ACCEPTED}.")
    if all(isinstance(part, tuple) and len(part) == 2 and hasattr(part[0], "shape") for part in named.values()):
        arrays: dict[Split | None, Any] = {split: (_array(x), _array(y)) for split, (x, y) in named.items()}
        # together, for they share one range of values
        return array_source("arrays", arrays, classes=None, as_they_are=as_they_are, known=ranges)
    return join(
        {split: open_in_memory(part, columns, as_they_are=as_they_are, known=ranges) for split, part in named.items()}
    )


def _array(given: Any) -> NDArray[Any]:
    """Raises ConvliftError where numpy has no such array, as of numbers in half precision or of rows of lengths."""
    try:
        return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    except Exception as error:
        raise ConvliftError(
            f"a {type(given).__name__} cannot be made an array ({_reason(error)}); give one of numpy."
        ) from error


def _of_pairs(name: str, pairs: Any, labels: list[Any] | None) -> PairSource:
    try:
        is_empty = not len(pairs)
    except Exception as error:  # whatever the caller's code raises
        raise ConvliftError(f"{name} does not say how many images it has ({_reason(error)}); mend it.") from error
    if is_empty:
        raise DataError(f"{name} is empty; at least one image is needed.")
    for index in range(min(_LOOKED_AT, len(pairs))):
        _check_pair(name, pairs, index)
    found = [_label(each, name) for each in (_labels(name, pairs) if labels is None else labels)]
    known = _classes(pairs, found)
    if len({type(each) for each in found}) > 1:
        raise DataError(f"{name} has labels that are partly names, partly numbers; give one kind.")
    if isinstance(found[0], str):
        classes = in_order(map(str, found))
    else:
        numbers = sorted({cast(int, label) for label in found})
        if known is not None and not 0 <= numbers[0] <= numbers[-1] < len(known):
            raise DataError(f"{name} has labels {numbers[0]} to {numbers[-1]}, and {len(known)} classes.")
        classes = tuple(map(str, numbers)) if known is None else known
        found = [known[cast(int, label)] for label in found] if known is not None else [str(label) for label in found]
    place = {each: number for number, each in enumerate(classes)}
    items = tuple(Item(f"image/{row}", place[cast(str, label)], None) for row, label in enumerate(found))
    return PairSource(printable(name), tuple(map(printable, classes)), items, pairs)


def _check_pair(name: str, pairs: Any, index: int) -> None:
    """Raise ConvliftError where there is no image and label, or the image is another one each time it is asked for."""
    one, two = _pair(name, pairs, index), _pair(name, pairs, index)
    try:
        same = _as_bytes(one[0]) == _as_bytes(two[0])
    except OSError as error:
        raise ConvliftError(f"image {index} of {name} is {error}.") from error
    if not same:
        raise ConvliftError(
            f"image {index} of {name} is another one each time; give the data set without augmentation, which is "
            "part of a recipe."
        )


def _pair(name: str, pairs: Any, index: int) -> Sequence[Any]:
    """An image and its label. Raises ConvliftError where the data set fails to give them, or gives something else."""
    try:
        found = pairs[index]
        is_pair = isinstance(found, tuple | list) and len(found) == 2
    except Exception as error:  # whatever the caller's code raises
        raise ConvliftError(f"image {index} of {name} cannot be had ({_reason(error)}); mend the data set.") from error
    if not is_pair:
        where = f" at {index}" if index else ""
        raise ConvliftError(
            f"{name} gives a {type(found).__name__}{where}, not a pair of an image and its label; give {_ACCEPTED}."
        )
    return found  # type: ignore[no-any-return]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(printable(str(error)).split())}"


def _as_bytes(image: Any) -> bytes:
    content = _content(image)
    return content if isinstance(content, bytes) else content.tobytes()


def _content(image: Any) -> bytes | NDArray[np.uint8]:
    """The image's pixels, or a file of it. Raises OSError that says what it is instead."""
    if isinstance(image, Image.Image):
        try:
            return encoded(image)
        except UnreadableImage as error:
            raise OSError(str(error)) from error
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        if not image.size:
            raise OSError(f"of shape {image.shape}, an image without pixels; leave it out")
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3)):
            return image
        if image.ndim == 3 and image.shape[2] == 4:
            return _content(Image.fromarray(image))
        if image.ndim == 3 and 1 < image.shape[2] <= MOST_BANDS and not has_channels_first(image.shape):
            return image
    what = f"of shape {tuple(image.shape)} and type {image.dtype}" if hasattr(image, "dtype") else type(image).__name__
    raise OSError(
        f"{what}, no image of Pillow nor uint8 (H, W) or (H, W, C); give the data set without a transform to tensors"
    )


def _classes(pairs: Any, labels: Sequence[int | str]) -> tuple[str, ...] | None:
    """The names of its labels; None where it has none, or makes other labels of those that they are of, as a data set
    that wraps another one may: an image of each label is looked at."""
    places = {place: place for place in _first_of_each(labels)}  # where they lie in the data set that is wrapped
    try:
        while pairs is not None and getattr(pairs, "target_transform", None) is None:
            known, kept = getattr(pairs, "classes", None), _kept_labels(pairs)
            if isinstance(known, list | tuple) and known:
                same = kept is None or all(_is_label(kept[at], labels[place]) for place, at in places.items())
                return tuple(map(str, known)) if same else None
            indices, pairs = getattr(pairs, "indices", None), getattr(pairs, "dataset", None)
            if indices is not None:  # torch.utils.data.Subset
                places = {place: int(indices[at]) for place, at in places.items()}
            if pairs is not None and not all(_is_label(pairs[at][1], labels[place]) for place, at in places.items()):
                return None
    except Exception:  # whatever the caller's code raises: it wraps in another way
        return None
    return None


def _first_of_each(labels: Sequence[int | str]) -> list[int]:
    """Where each label stands first, of at most so many labels as are looked at."""
    first: dict[int | str, int] = {}
    for place, label in enumerate(labels):
        first.setdefault(label, place)
    return sorted({*first.values()})[:_LABELS_LOOKED_AT]


def _is_label(given: Any, label: int | str) -> bool:
    return str(given) == str(label) or (not isinstance(given, str) and float(given) == label)


def _kept_labels(pairs: Any) -> NDArray[Any] | None:
    """The labels that a data set keeps in a list."""
    kept = getattr(pairs, "targets", getattr(pairs, "labels", None))
    if kept is None or not hasattr(kept, "__len__") or len(kept) != len(pairs):
        return None
    listed = _array(kept)
    return listed if listed.ndim == 1 else None


def _labels(name: str, pairs: Any) -> Iterator[Any]:
    """All labels: those that the data set keeps in a list, if its pairs have the same, one of each label, else of
    every pair. Raises ConvliftError as `_pair` does."""
    kept = _listed_labels(pairs)
    if kept is not None:
        looked_at = sorted({*range(min(_LOOKED_AT, len(pairs))), *_first_of_each(kept)})
        if all(str(_pair(name, pairs, place)[1]) == str(kept[place]) for place in looked_at):
            return iter(kept)
    return (_pair(name, pairs, index)[1] for index in range(len(pairs)))


def _listed_labels(pairs: Any) -> list[Any] | None:
    """The labels that a data set keeps in a list, numbers or names; None where it has none, or something else."""
    if getattr(pairs, "target_transform", None) is not None:
        return None
    try:
        kept = _kept_labels(pairs)
    except Exception:  # whatever the caller's code raises; its pairs are asked instead
        return None
    listed = None if kept is None else kept.tolist()
    return listed if listed is not None and all(isinstance(each, int | float | str) for each in listed) else None


def _label(given: Any, name: str) -> int | str:
    if isinstance(given, str) and given.strip():
        return given
    try:
        if float(given) == int(given):
            return int(given)
    except Exception:  # whatever the caller's own type raises
        pass
    raise DataError(f"{name} has the label {printable(repr(given))[:80]}; a whole number or a name an image is needed.")
