"""What a plain classifier makes of every image, fitted without that image: whether labels, or sharper images, say more
than the network that was trained.

Features of the packaged pretrained network, frozen, and a ridge regression on them for each fold. It has learned no
label of the image that it is asked about, as a network has that was trained on it, and costs a pass over the images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from convlift.augment.pipeline import normalize
from convlift.console.mapped import taken
from convlift.data.dataset import Dataset
from convlift.data.normalization import statistics
from convlift.model.backbone import backbone_statistics, create_backbone
from convlift.model.memory import keep_freed_memory
from convlift.model.placement import lay_on
from convlift.model.pretrained import StageFeatures, as_colour
from convlift.recipe.architecture import Pretrained
from convlift.recipe.data import Preparation
from convlift.records.compute_device import CPU, Device
from convlift.trial.batches import to_tensor
from convlift.trial.label_preservation import spread

FOLDS = 5
MOST_IMAGES = 2000  # looked at: a core makes features of some 100 images a second
SMALLEST, LARGEST = 64, 96  # pixels a side: the network was made for 224, and takes as long as there are pixels
POOLED = 3  # stages that features are of, as in the recipe `frozen`
COMPONENTS = 200  # of the features that are kept: more than images in a fold say nothing
PENALTIES = (0.003, 0.03, 0.3)  # of the ridge, as a share of the mean variance of the components
SHARPEST = (1.0, 2.0, 4.0, 8.0, 16.0)  # factors by which scores become logits
BATCH = 64
TINY = 1e-300  # a variance that changes no other sum
BLOCK = 1024  # rows of features that are turned into components at a time

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """rows (n,): of the images in the store; probabilities (n, K): of each by a fit that left it out."""

    rows: Indices
    probabilities: Floats


class Looker:
    """Owns the pretrained network that looks at the images of a data set."""

    def __init__(self, dataset: Dataset, device: Device = CPU, backbone: Pretrained | None = None) -> None:
        """backbone: in place of the packaged one. Raises WeightsError where its weights are not there."""
        keep_freed_memory()
        self._dataset, self._place = dataset, torch.device(device.place)
        architecture = backbone or Pretrained()
        made = create_backbone(architecture.backbone, architecture.weights, dataset.channels)
        self._network = lay_on(StageFeatures(made, min(POOLED, made.stages)).eval(), self._place)
        self._known = backbone_statistics(architecture.backbone, architecture.weights)

    @property
    def side(self) -> int:
        """Pixels a side at which it looks."""
        return int(np.clip(self._dataset.store.native_resolution, SMALLEST, LARGEST))

    def look(self, rows: Indices, preparation: Preparation, seen_at: int | None = None) -> OutOfFold:
        """Classify images that are not sealed. seen_at: shrunk to that side first, as a network sees them."""
        pixels = self._pixels(rows, preparation, seen_at)
        features = components(np.concatenate([self._features(part) for part in _batches(pixels)]))
        classes = len(self._dataset.classes)
        return OutOfFold(rows, out_of_fold(features, self._dataset.labels[rows], classes, self._units(rows)))

    def _pixels(self, rows: Indices, preparation: Preparation, seen_at: int | None) -> Pixels:
        store = self._dataset.store
        if seen_at is None:
            return np.ascontiguousarray(store.pixels(self.side, preparation)[rows])
        import cv2

        small, side = store.pixels(seen_at, preparation)[rows], self.side
        large = np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR) for image in small])
        return np.asarray(large.reshape(len(rows), side, side, -1), np.uint8)

    def _features(self, pixels: Pixels) -> NDArray[np.float32]:
        inputs = normalize(pixels, *statistics("pretrained", pixels, self._known))
        with torch.inference_mode():
            found: NDArray[np.float32] = self._network(as_colour(to_tensor(inputs, self._place))).cpu().numpy()
        return found

    def _units(self, rows: Indices) -> Indices:
        """Which images no fold may cut: copies and near copies of one, and those of one group."""
        groups = self._dataset.groups_of(rows)
        of = self._dataset.store.scenes[rows] if groups is None else groups
        return np.asarray(np.unique(of, return_inverse=True)[1], np.int64)


def chosen_rows(dataset: Dataset, seed: int, most: int = MOST_IMAGES) -> Indices:
    """At most so many images for training and validation, all classes by their share, in the order of the store."""
    both = np.concatenate([dataset.splits.train, dataset.splits.validation])
    return np.sort(spread(both, dataset.labels, most, seed))


def out_of_fold(features_NF: Floats, labels_N: Indices, classes: int, units_N: Indices) -> Floats:
    """(N, K) probabilities of each image by a ridge regression on class membership (Hoerl and Kennard 1970) that was
    fitted without it and its unit; penalty and sharpness are those that fit best out of fold."""
    folds = np.random.default_rng(len(labels_N)).permutation(int(units_N.max()) + 1)[units_N] % FOLDS
    best, found = np.inf, np.full((len(labels_N), classes), 1.0 / classes)
    scores_PNK = np.zeros((len(PENALTIES), len(labels_N), classes))
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        if outside.any() and inside.any():
            scores_PNK[:, outside] = _ridges(features_NF[inside], labels_N[inside], classes, features_NF[outside])
    for scores in scores_PNK:
        for factor in SHARPEST:
            probabilities = _softmax(factor * scores)
            given = np.clip(probabilities[np.arange(len(labels_N)), labels_N], 1e-6, 1.0)
            if (loss := float(-np.log(given).mean())) < best:
                best, found = loss, probabilities
    return found


def _ridges(given_NF: Floats, labels_N: Indices, classes: int, asked_MF: Floats) -> Floats:
    """(P, M, K): the scores with each penalty. given_NF is centred where it lies."""
    mean, targets = given_NF.mean(axis=0), np.eye(classes)[labels_N]
    given_NF -= mean
    asked, base = asked_MF - mean, targets.mean(axis=0)
    products, wanted = given_NF.T @ given_NF, given_NF.T @ (targets - base)
    # more than 0, where all images look the same
    variance, unit = max(float(np.trace(products)) / len(products), TINY), np.eye(len(products))
    weights = [np.linalg.solve(products + penalty * variance * unit, wanted) for penalty in PENALTIES]
    return np.stack([asked @ each + base for each in weights])


def components(features_NF: NDArray[np.float32], most: int = COMPONENTS) -> Floats:
    """The principal components that vary most, at most so many and a third of the images; labels are not seen.

    In blocks of rows: of 10,000 images all in float64 took 8 times what the components of them take.
    """
    n, width = features_NF.shape
    mean = sum(block.sum(axis=0) for block in blocks_of(features_NF)) / n
    spread = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for block in blocks_of(features_NF)) / n) + 1e-6
    kept = max(1, min(most, n // 3, width))
    if width > n:  # more features than images: the few images at once
        centred = np.concatenate([(block - mean) / spread for block in blocks_of(features_NF)])
        axes = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, -kept:]
    else:
        products = np.zeros((width, width))
        for block in blocks_of(features_NF):
            centred = (block - mean) / spread
            products += centred.T @ centred
        axes = np.linalg.eigh(products)[1][:, -kept:]
    axes /= np.linalg.norm(axes, axis=0) + 1e-12
    found = np.empty((n, kept))
    for first, block in zip(range(0, n, BLOCK), blocks_of(features_NF), strict=True):
        found[first : first + BLOCK] = ((block - mean) / spread) @ axes
    return found


def blocks_of(features_NF: NDArray[np.float32]) -> Iterator[Floats]:
    """Some rows after the others, in float64; of a map no page stays behind."""
    for first in range(0, len(features_NF), BLOCK):
        yield taken(features_NF, slice(first, first + BLOCK)).astype(np.float64)


def _softmax(logits_NK: Floats) -> Floats:
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    found: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return found


def _batches(pixels: Pixels) -> list[Pixels]:
    return [pixels[first : first + BATCH] for first in range(0, len(pixels), BATCH)]
