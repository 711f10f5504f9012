"""What is known of a data set before any training."""

import numpy as np

from convlift.data.dataset import Dataset
from convlift.study.intervention import Facts


def facts_of(dataset: Dataset) -> Facts:
    """The facts that interventions and diagnoses ask for, from the images and labels that are not sealed."""
    splits, store = dataset.splits, dataset.store
    per_class = np.bincount(dataset.labels[splits.train], minlength=len(dataset.classes))
    sides = np.sort(store.shapes[:, :2], axis=1)
    return Facts(
        training_images=len(splits.train),
        classes=len(dataset.classes),
        channels=3 if dataset.channels == 3 else 1,
        native_resolution=store.native_resolution,
        imbalance=float(per_class.max() / max(1, per_class.min())),
        aspect=float(np.median(sides[:, 1] / sides[:, 0])),
        class_names=dataset.classes,
    )
