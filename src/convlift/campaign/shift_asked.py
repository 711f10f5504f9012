"""What is asked of shifted images: that it can be answered, and the time that it takes, before anything is trained."""

import math
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.request import Request
from convlift.data.dataset import Dataset
from convlift.data.decode import decode
from convlift.data.intake import pixel_hash
from convlift.data.readers.recognize import open_images
from convlift.data.readers.source import Source
from convlift.errors import DataError, UnreadableImage

MOST_COPIES = 4000  # of all test images together: their interval is as wide as the images make it
SECONDS = 0.02  # a copy takes, classified by two networks on a core (measured: 3 ms to make one, 5 ms each)
SHARE = 0.05  # of the budget at most, unless one copy of each image takes more


def copies_each(request: Request, images: int, names: int) -> int:
    """How many corrupted copies every test image gets: as many as corruptions, or fewer where images are many."""
    if not names or not images:
        return 0
    affordable = request.budget_seconds * SHARE / SECONDS
    most = MOST_COPIES if math.isinf(affordable) else min(MOST_COPIES, affordable)
    return int(min(max(most // images, 1), names))


def shift_seconds(request: Request, images: int) -> float:
    """What classifying shifted images takes after the search, of so many test images."""
    copies = copies_each(request, images, len(request.shift)) * images
    folder = len(_open(request.shift_data).items) if request.shift_data else 0
    return SECONDS * (copies + folder)


def check_shift_data(request: Request, dataset: Dataset) -> None:
    """Raise DataError where the folder of shifted images has a class that the data have not, or no image."""
    if request.shift_data is None:
        return
    source = _open(request.shift_data)
    unknown = sorted({source.classes[item.label] for item in source.items} - set(dataset.classes))
    if unknown or not source.items:
        what = f"images of class '{unknown[0]}', which {dataset.name} has not" if unknown else "no image"
        raise DataError(
            f"--shift-data {request.shift_data} has {what}; give folders named like the classes "
            f"({', '.join(dataset.classes[:10])}{', ...' if len(dataset.classes) > 10 else ''})."
        )


def images_of(folder: Path, dataset: Dataset) -> tuple[Source, NDArray[np.int64], int]:
    """The shifted images, the places of those that count, and how many do not: what shows just what a training or
    validation image shows, and what cannot be read."""
    source, splits = _open(folder), dataset.splits
    known = set(dataset.store.hashes[np.concatenate([splits.train, splits.validation])].tolist())
    read = partial(decode, value_range=dataset.store.value_range, alpha=dataset.store.alpha)
    kept, copied = [], 0
    for place in range(len(source.items)):
        try:
            content = source.read(place)
            digest = pixel_hash(read(content)) if isinstance(content, bytes) else ""
        except (UnreadableImage, OSError):
            continue
        if digest in known:
            copied += 1
        else:
            kept.append(place)
    return source, np.array(kept, np.int64), copied


def _open(folder: Path | None) -> Source:
    return open_images(str(folder))
