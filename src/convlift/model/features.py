"""What a frozen backbone makes of each image, computed once and kept on disk.

Frozen stages in evaluation mode give the same result for the same image every time, so the head, or the last stages,
can be trained on stored results: a head trial then costs 1/860 of the same trial end to end, and tuning the last
two of seven stages a sixth. Augmentation is kept by storing a few augmented copies ("views") of each training image
and drawing one of them at each visit (Chollet 2018, section 5.3, extended by views).
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.augment.config import Augmentation
from convlift.model.arrays import ArrayWriter, locked, open_array
from convlift.model.backbone import Backbone, split_at
from convlift.model.folding import fold
from convlift.model.pretrained import as_colour, pool

BATCH = 64
VIEW_SEED = 20_190_613
# part of every key: raise it when the numbers that an extraction gives change
VERSION = 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Images:
    """The images of a store as the network's input size.

    pixels_NHWC: uint8, all images; fingerprint: the store's; resize: how the pixels were made; train: row numbers of the
    training images, which alone get augmented views.
    """

    pixels_NHWC: NDArray[np.uint8]
    fingerprint: str
    resize: str
    train: NDArray[np.int64]


@dataclass(frozen=True)
class Extraction:
    """What is computed of them.

    mean, std: per channel, of pixels in [0, 1]; views: augmented copies of each training image (none where the
    augmentation changes nothing); stages: also keep the activations below the last `stages` stages.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation = Augmentation()
    views: int = 0
    stages: int | None = None

    @property
    def distinct_views(self) -> int:
        """The views that differ from the clean images."""
        return self.views if self.augmentation.active else 0


@dataclass(frozen=True)
class Stored:
    """One kind of result, memory-mapped.

    clean: (N, ...) for every image of the store; views: for each view (n, ...), rows as in `train`, the training images'
    row numbers. Features are (D,) float32; activations (h, w, C) float16, channels last, as the network reads them.
    """

    clean: NDArray[Any]
    views: tuple[NDArray[Any], ...]
    train: NDArray[np.int64]


@dataclass(frozen=True)
class Cached:
    """Pooled features, and the activations at the cut where they were asked for."""

    features: Stored
    activations: Stored | None


def extract(
    extraction: Extraction,
    backbone: Backbone,
    images: Images,
    folder: Path,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Cached | None:
    """Features (and activations) of all images under a frozen backbone, from `folder` where they are there already.

    The key is everything that decides them: the backbone's structure and weights, the images, resize, resolution and
    normalization; for views the augmentation and the training rows too. Two processes that want the same wait for each
    other. progress: (images done, images to do), never called when all was there; stop: asked at every batch.
    None where `stop` said so: views complete by then stay for the next time.
    Raises RecipeError where the backbone has not so many stages, ConvliftError where `folder` cannot be written.
    """
    stop = stop or (lambda: False)
    folder.mkdir(parents=True, exist_ok=True)
    network = network_fingerprint(backbone)
    jobs = [_Job(extraction, images, network, view, folder) for view in range(extraction.distinct_views + 1)]
    missing = [job for job in jobs if job.missing()]
    if missing:
        counter = _Counter(sum(job.rows for job in missing), progress, stop)
        lower, upper = _folded(backbone, extraction.stages, images.pixels_NHWC)
        for job in missing:
            with locked(folder / f"{job.key}.lock", stop) as held:
                if not held or not job.run(lower, upper, counter):
                    return None
    return Cached(
        _stored([job.path("features") for job in jobs], images.train),
        _stored([job.path("activations") for job in jobs], images.train) if extraction.stages else None,
    )
