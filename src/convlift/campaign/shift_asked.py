"""What is asked of shifted images: that it can be answered, and the time that it takes, before anything is trained."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from convlift.campaign.request import Request
from convlift.data.bands import bands_of, bands_or_none, kind_of
from convlift.data.dataset import Dataset
from convlift.data.decode import decode, from_array
from convlift.data.depth import Deep
from convlift.data.groups import check_number, find_groups
from convlift.data.intake import pixel_hash
from convlift.data.readers.array_pixels import known_of
from convlift.data.readers.recognize import open_images
from convlift.data.readers.source import Source
from convlift.data.stretch import BITS, Stretch
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.evidence.image_variance import Groups

MOST_COPIES = 4000  # of all test images together: their interval is as wide as the images make it
MAKING = 0.0005, 0.012  # seconds of a core for a copy of a pixel, and of FRAME pixels (11.5 ms were measured)
CLASSIFYING = 0.017  # seconds of a core for two networks' predictions (5 ms each were measured), and for those of
CLASSIFYING_LARGE = 0.054  # images of LARGE pixels and more: which networks these will be is not known beforehand
FRAME, LARGE = 224, 160  # pixels of the shorter side
ADAPTING = 1.75  # times as long: what ships, if it has batch norms, is asked again with adapted ones
SHARE = 0.05  # of the budget at most, unless one copy of each image takes more


class ShiftedImages(NamedTuple):
    """The images of a folder. places (n,): of those that count, in the source; groups (n,): which belong together, None
    where each stands for itself; copied: how many do not count, as the campaign knew the same image; ungrouped: whether
    groups were named, but not of every image, so that none count."""

    source: Source
    places: NDArray[np.int64]
    groups: Groups
    copied: int
    ungrouped: bool


def seconds_each(native: int) -> float:
    """Of a core, for one copy and what two networks say of it. native: pixels of the images' shorter side."""
    least, most = MAKING
    making = least + (most - least) * (min(native, FRAME) / FRAME) ** 2
    return making + (CLASSIFYING_LARGE if native >= LARGE else CLASSIFYING)


def copies_each(request: Request, images: int, names: int, native: int) -> int:
    """How many corrupted copies every test image gets: as many as corruptions, or fewer where images are many, or as
    large as to take long. native: see `seconds_each`."""
    if not names or not images:
        return 0
    affordable = request.budget_seconds * SHARE / seconds_each(native)
    most = MOST_COPIES if math.isinf(affordable) else min(MOST_COPIES, affordable)
    return int(min(max(most // images, 1), names))


def shift_seconds(request: Request, images: int, native: int) -> float:
    """What classifying shifted images is expected to take after the search, of so many test images, before it is
    measured (`time_shift.py`)."""
    copies = copies_each(request, images, len(request.shift), native) * images
    folder = len(open_folder_of(request).items) if request.shift_data else 0
    return ADAPTING * seconds_each(native) * (copies + folder)


def check_shift_data(request: Request, dataset: Dataset) -> None:
    """Raise DataError where the folder of shifted images has a class that the data have not, or no image, or such as no
    network of these data can be asked about: of other bands, or arrays on another scale."""
    if request.shift_data is None:
        return
    source = open_folder_of(request, dataset)
    unknown = sorted({source.classes[item.label] for item in source.items} - set(dataset.classes))
    if unknown or not source.items:
        what = f"images of class '{unknown[0]}', which {dataset.name} has not" if unknown else "no image"
        raise DataError(
            f"--shift-data {request.shift_data} has {what}; give folders named like the classes "
            f"({', '.join(dataset.classes[:10])}{', ...' if len(dataset.classes) > 10 else ''})."
        )
    if source.value_range is not None and source.value_range != dataset.store.value_range:
        raise DataError(
            f"--shift-data {request.shift_data} holds arrays on another scale than {dataset.name}; save them on that "
            "scale, as bytes or as image files."
        )
    wanted = bands_or_none(dataset.channels)
    bands = bands_of(source)
    if bands and wanted not in bands:
        raise DataError(
            f"--shift-data {request.shift_data} has images that are {kind_of(min(bands))}, and those of {dataset.name} "
            f"are {kind_of(wanted)}; give images of the same bands."
        )


def images_of(folder: Path, dataset: Dataset, group_from: str | None) -> ShiftedImages:
    """The shifted images without those that show just what an image of training, validation or the sealed test shows,
    and those that cannot be read.

    Exact copies belong together; so do images of one group, where group_from names one for each of them, or the folder
    does itself. Raises DataError where all are of one group.
    """
    is_stretched = isinstance(dataset.store.value_range, Stretch)
    source, splits = _open_folder(folder, dataset, as_they_are=is_stretched), dataset.splits
    known = set(dataset.store.hashes[np.concatenate([splits.train, splits.validation, splits.test])].tolist())
    places, hashes, copied = [], [], 0
    for place in range(len(source.items)):
        try:
            digest = hash_of(source.read(place), dataset)
        except (UnreadableImage, OSError):
            continue
        if digest in known:
            copied += 1
        else:
            places.append(place)
            hashes.append(digest)
    groups, is_lost = _groups(source, group_from, places, hashes)
    return ShiftedImages(source, np.array(places, np.int64), groups, copied, is_lost)


def hash_of(content: bytes | Deep, dataset: Dataset) -> str:
    """What tells whether two images show the same, as the campaign's own images have it. Raises UnreadableImage."""
    store = dataset.store
    if isinstance(content, bytes):
        return pixel_hash(decode(content, store.value_range, store.alpha), store.value_range)
    return pixel_hash(from_array(content, store.value_range), store.value_range)


def _groups(
    source: Source, group_from: str | None, places: Sequence[int], hashes: Sequence[str]
) -> tuple[Groups, bool]:
    """Which images belong together, by their names or as copies, None where none do; and whether the names were lost,
    as some image has none."""
    copies = np.unique(np.array(hashes, "U64"), return_inverse=True)[1]
    is_lost = False
    try:
        named = find_groups(source, group_from, [source.items[place].key for place in places])
    except ConvliftError:  # written for the paths of the campaign's own images
        named, is_lost = None, True
    if named is None:
        return None if len(np.unique(copies)) == len(copies) else copies, is_lost
    names = np.unique(named, return_inverse=True)[1] + len(copies)
    links = coo_array((np.ones(len(copies)), (copies, names)), shape=(2 * len(copies),) * 2)
    groups = np.asarray(connected_components(links, directed=False)[1][copies], np.int64)
    if len(groups):
        check_number(source.name, groups)
    return groups, False


def open_folder_of(request: Request, dataset: Dataset | None = None) -> Source:
    """The images of `--shift-data`; of bands on the ranges of a data set, where it is told."""
    return _open_folder(request.shift_data, dataset, as_they_are=request.value_range != BITS)


def _open_folder(folder: Path | None, dataset: Dataset | None, *, as_they_are: bool) -> Source:
    """The images of such a folder, as `open_images` reads them."""
    known = known_of(dataset.store.value_range) if dataset else None
    return open_images(str(folder), as_they_are=as_they_are, known=known)
