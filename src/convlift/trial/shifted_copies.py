"""Corrupted copies of the validation images, at a network's resolution: made once, and predicted by every trial."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.in_batches import in_order
from convlift.data.square import square
from convlift.features.files import FeatureWriter, locked, open_features
from convlift.recipe.data import Preparation
from convlift.robustness.corruptions import corrupt, framed
from convlift.robustness.dealing import dealt

VERSION = 1  # part of every key: raise it when what a corruption makes changes


def shifted_squares(
    dataset: Dataset, resolution: int, preparation: Preparation, stop: Callable[[], bool] = lambda: False
) -> NDArray[np.uint8]:
    """(D * n, R, R, C) uint8: the first copy of each of the n validation images, then the second of each, and so on;
    without rows where the data set has no copies, or `stop` gave True while another process made them.

    They are corrupted as they are for the second score, before a network's own resizing, and kept beside the store: of
    two processes that want the same, the second waits for the first. Raises ConvliftError where the disk is full.
    """
    none = np.zeros((0, resolution, resolution, dataset.channels), np.uint8)
    if dataset.copies is None:
        return none
    path = dataset.store.folder / f"shifted-{copies_key(dataset)}-{preparation.name}-{resolution}.npy"
    if (found := open_features(path)) is not None:
        return found
    with locked(path.with_suffix(".lock"), stop) as held:
        if held and open_features(path) is None:
            _write(dataset, path.name, resolution, preparation)
    found = open_features(path)
    return none if found is None else found


def copies_key(dataset: Dataset) -> str:
    """What decides which copies these are, beside the store: the images, the corruptions, the deal."""
    copies, validation = dataset.copies, np.ascontiguousarray(dataset.splits.validation, np.int64)
    assert copies is not None, "only where there are some"
    known = [VERSION, copies.corruptions, copies.each, copies.seed, hashlib.sha256(validation.data).hexdigest()]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _write(dataset: Dataset, name: str, resolution: int, preparation: Preparation) -> None:
    copies, validation = dataset.copies, dataset.splits.validation
    assert copies is not None, "shifted_squares() looked"
    deal = dealt(copies.corruptions, len(validation), copies.each, copies.seed)
    rows = [(row, copy) for copy in range(copies.each) for row in range(len(validation))]

    def fill(batch: range) -> NDArray[np.uint8]:
        squares = np.empty((len(batch), resolution, resolution, dataset.channels), np.uint8)
        for place, (row, copy) in enumerate(rows[batch.start : batch.stop]):
            pixels = corrupt(framed(dataset.store.image(int(validation[row]))), *deal[row][copy])
            squares[place] = square(pixels, dataset.channels, resolution, preparation)
        return squares

    with FeatureWriter(dataset.store.folder / name, len(rows)) as writer:
        for _, squares in in_order(fill, len(rows)):
            writer.append(squares)
