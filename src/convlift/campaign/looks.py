"""What is looked at beside the curve of a training: its network on training images, labels, sizes, copies, confidences.

No label of the sealed test is there to be looked at (`Dataset`).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.encode import png_of
from convlift.data.readers.archives import is_archive
from convlift.data.readers.table import is_table
from convlift.evidence.calibration import calibration
from convlift.evidence.temperature import fit_temperature
from convlift.recipe.recipe import Recipe
from convlift.records.evidence_of_checks import (
    AuditSays,
    Confidences,
    DetailLost,
    ImagesInBoth,
    LabelsContradicted,
    PlainAccuracies,
)

if TYPE_CHECKING:
    from convlift.deploy.predict import Model
    from convlift.trial.out_of_fold import Looker, OutOfFold

TRAINING_IMAGES = 1000  # of them, that the network is asked about
DETAIL_IMAGES = 1000  # on which two sizes are compared
SHOWN = 24  # images with doubtful labels
SECONDS_AN_IMAGE = 0.012  # of a look at one, on a core; 0.010 were measured at 96 px
LOADING = 4.0  # seconds until a pretrained network is there
# kinds of finding of `audit/shortcuts.py`
SHORTCUTS = ("format", "mode", "size", "shape", "quality", "border", "mark")
CONFLICT = "label conflict"

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class DoubtedImage:
    """An image that looks like another class. key: its path; given, taken_for: its label, and the class it looks like;
    confidence: in that one, in [0, 1]; part: "training" or "validation"; png: its bytes, as stored,
    b"" for those that are only listed."""

    key: str
    given: str
    taken_for: str
    confidence: float
    part: str
    png: bytes


@dataclass(frozen=True)
class SeenImage:
    """An image as it is stored and as the network gets it, both as PNG bytes."""

    whole: bytes
    shrunk: bytes
    native: int
    seen: int


def plain_accuracies(model: "Model", dataset: Dataset, recipe: Recipe, said: Probabilities) -> PlainAccuracies | None:
    """How the network does on training images as they are, beside validation; None without validation images."""
    from convlift.trial.label_preservation import spread

    side, validation = recipe.data.resolution, dataset.splits.validation
    if side is None or len(said) != len(validation) or not len(validation):
        return None
    rows = np.sort(spread(dataset.splits.train, dataset.labels, TRAINING_IMAGES, 0))
    pixels = dataset.store.pixels(side, recipe.data.preparation)[rows]
    train = float((model.probabilities(list(pixels)).argmax(axis=1) == dataset.labels[rows]).mean())
    held_out = float((said.argmax(axis=1) == dataset.labels[validation]).mean())
    within = 2 * math.hypot(_error(train, len(rows)), _error(held_out, len(validation)))
    return PlainAccuracies(train, held_out, within)


def _error(share: float, images: int) -> float:
    return math.sqrt(max(share * (1 - share), 1e-4) / images)


def contradictions(look: "OutOfFold", dataset: Dataset) -> tuple[LabelsContradicted, tuple[DoubtedImage, ...]]:
    """Labels that a classifier contradicts which never saw them: as surely as it is usually right about that class.

    The surest first. Beside an error of the classifier, a wrong label is contradicted as surely as right ones are
    confirmed: half of them beyond the median (confident learning counts alike, Northcutt, Jiang and Chuang 2021).
    """
    said, labels = look.probabilities, dataset.labels[look.rows]
    taken, sure, classes = said.argmax(axis=1), said.max(axis=1), said.shape[1]
    right = taken == labels
    usual = [right & (taken == k) for k in range(classes)]
    bar = np.array([float(np.median(sure[those])) if those.any() else 1.0 for those in usual])
    doubted = ~right & (sure >= bar[taken])
    found = LabelsContradicted(int(doubted.sum()), int((~right).sum()), len(labels), float(right.mean()))
    given = said[np.arange(len(labels)), labels]
    order = np.flatnonzero(doubted)[np.argsort(given[doubted] - sure[doubted], kind="stable")]
    is_train = np.isin(look.rows, dataset.splits.train)
    names, keys = dataset.classes, dataset.store.keys
    shown = tuple(
        DoubtedImage(
            keys[look.rows[row]],
            names[labels[row]],
            names[taken[row]],
            float(sure[row]),
            "training" if is_train[row] else "validation",
            png_of(dataset.store.image(int(look.rows[row]))) if place < SHOWN else b"",
        )
        for place, row in enumerate(order)
    )
    return found, shown


def detail_lost(looker: "Looker", dataset: Dataset, recipe: Recipe) -> tuple[DetailLost, SeenImage] | None:
    """What a plain classifier loses on images as small as the network sees them; None where they are not much larger
    than that."""
    side, native = recipe.data.resolution, dataset.store.native_resolution
    if side is None or not is_shrunk(side, native) or looker.side < 1.5 * side:
        return None
    from convlift.trial.out_of_fold import chosen_rows

    rows, preparation = chosen_rows(dataset, 0, DETAIL_IMAGES), recipe.data.preparation
    labels = dataset.labels[rows]
    right = [
        (looker.look(rows, preparation, seen_at).probabilities.argmax(axis=1) == labels).astype(float)
        for seen_at in (side, None)
    ]
    within = 2 * float((right[1] - right[0]).std() / math.sqrt(len(rows)))
    first = int(rows[0])
    small = dataset.store.pixels(side, preparation)[first]
    pair = SeenImage(png_of(dataset.store.image(first)), png_of(np.asarray(small)), native, side)
    return DetailLost(side, native, float(right[0].mean()), float(right[1].mean()), within), pair


def is_shrunk(side: int, native: int) -> bool:
    """Whether images have at least twice the pixels a side that the network sees."""
    return native >= 2 * side


def images_in_both(dataset: Dataset, said: Probabilities) -> ImagesInBoth | None:
    """Validation images that are training images too, file formats aside."""
    store, splits = dataset.store, dataset.splits
    if not len(splits.validation):
        return None
    shared = np.isin(store.hashes[splits.validation], store.hashes[splits.train])
    right = np.full(len(shared), np.nan)
    if len(said) == len(shared):
        right = (said.argmax(axis=1) == dataset.labels[splits.validation]).astype(float)
    others = float(right[~shared].mean()) if (~shared).any() else math.nan
    return ImagesInBoth(int(shared.sum()), len(shared), float(right.mean()), others)


def confidences(dataset: Dataset, said: Probabilities) -> Confidences | None:
    """Whether the network's confidences in validation are true; None where it said nothing."""
    validation = dataset.splits.validation
    if len(said) != len(validation) or not len(validation):
        return None
    whole, labels = said.astype(np.float64), dataset.labels[validation]
    sure, right = np.minimum(whole.max(axis=1), 1.0), whole.argmax(axis=1) == labels
    found = calibration(sure, right, dataset.groups_of(validation))
    error, temperature = found.error, fit_temperature(whole, labels, dataset.groups_of(validation))
    return Confidences(error.value, error.low, error.high, float(sure.mean()), float(right.mean()), temperature)


def audit_says(dataset: Dataset, kinds: tuple[str, ...]) -> tuple[AuditSays, ...]:
    """What the audit found of these kinds."""
    return tuple(AuditSays(each.message) for each in dataset.store.findings if each.kind in kinds)


def come_as_files(data: object) -> bool:
    """Whether the images are files: in a folder, or listed by a table, or in an archive."""
    if not isinstance(data, str):
        return False
    path = Path(data)
    return path.is_dir() or is_table(path) or any(is_archive(each) for each in (path, *path.parents))
