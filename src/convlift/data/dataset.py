"""What a trial sees: images, splits, and labels without those of the sealed test."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.data.splits import Splits
from convlift.data.store import ImageStore
from convlift.data.tones import tones_of
from convlift.records.facts import Facts
from convlift.records.goal import ShiftedCopies

SEALED = -1
LOOKED_AT = 64  # training images, by which it is told how bright and contrasty all are
_STREAM = 0xFE3  # sets the draw of fewer images apart from other draws


@dataclass(frozen=True, eq=False)
class Dataset:
    """A store and its splits; the labels of test images are -1 from the moment it is made, in the store too.

    groups (N,): which images belong together, None where each stands alone; refit: whether the validation images are
    among the training images, so that they measure nothing; copies: of the validation images, predicted beside them.
    """

    store: ImageStore
    splits: Splits
    groups: NDArray[np.int64] | None = None
    refit: bool = False
    copies: ShiftedCopies | None = None

    def __post_init__(self) -> None:
        masked = self.store.labels.copy()
        masked[self.splits.test] = SEALED
        object.__setattr__(self, "store", replace(self.store, labels=masked))

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), -1 where the image is in the test."""
        return self.store.labels

    def groups_of(self, part: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Groups of the images of one split, such as `splits.test`."""
        return None if self.groups is None else self.groups[part]

    @property
    def number_of_copies(self) -> int:
        """Of validation images, that are predicted beside these."""
        return self.copies.each * len(self.splits.validation) if self.copies else 0

    def with_fewer(self, share: float) -> "Dataset":
        """The same with a share of each class's training images, at least one; always the same ones."""
        if share >= 1.0:
            return self
        order = np.random.default_rng(_STREAM).permutation(len(self.store.labels))
        train = self.splits.train[np.argsort(order[self.splits.train], kind="stable")]
        labels = self.labels[train]
        kept = [train[labels == label][: max(1, round(share * (labels == label).sum()))] for label in np.unique(labels)]
        return replace(self, splits=replace(self.splits, train=np.sort(np.concatenate(kept))))

    def with_validation_to_train(self) -> "Dataset":
        """The same with the validation images among the training images; the test stays what it is."""
        train = np.sort(np.concatenate([self.splits.train, self.splits.validation]))
        return replace(self, splits=replace(self.splits, train=train), refit=True, copies=None)

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.store.classes

    @property
    def channels(self) -> int:
        return self.store.channels


def facts_of(dataset: Dataset, *, classes_alike: bool = False) -> Facts:
    """The facts that interventions and diagnoses need, from the images and labels that are not sealed.

    classes_alike: whether the score counts every class alike."""
    splits, store = dataset.splits, dataset.store
    per_class = np.bincount(dataset.labels[splits.train], minlength=len(dataset.classes))
    sides = np.sort(store.shapes[:, :2], axis=1)
    return Facts(
        training_images=len(splits.train),
        classes=len(dataset.classes),
        channels=dataset.channels,
        native_resolution=store.native_resolution,
        imbalance=float(per_class.max() / max(1, per_class.min())),
        aspect=float(np.median(sides[:, 1] / sides[:, 0])),
        class_names=dataset.classes,
        classes_alike=classes_alike,
        tones=tones_of(store.images(splits.train[:: max(1, len(splits.train) // LOOKED_AT)][:LOOKED_AT].tolist())),
    )
