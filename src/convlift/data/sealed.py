"""The sealed test: labels that open once, whoever asks."""

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.splits import Splits
from convlift.data.store import ImageStore
from convlift.errors import LedgerError


class SealedLabels:
    """The test labels (nt,), which can be read exactly once. Owns the one thing that must not be looked at early."""

    def __init__(self, labels_nt: NDArray[np.int64]) -> None:
        self._labels: NDArray[np.int64] | None = labels_nt.copy()

    def open(self) -> NDArray[np.int64]:
        """The labels, in the order of `Splits.test`. Raises LedgerError at the second call."""
        if self._labels is None:
            raise LedgerError(
                "the sealed test was opened already and is scored only once; start a new campaign to score again."
            )
        labels, self._labels = self._labels, None
        return labels


def seal(store: ImageStore, splits: Splits, groups: NDArray[np.int64] | None = None) -> tuple[Dataset, SealedLabels]:
    """The data set that trials may see, and the test labels, to be opened once."""
    return Dataset(store, splits, groups), SealedLabels(store.labels[splits.test])
