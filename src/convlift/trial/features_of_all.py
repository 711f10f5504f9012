"""What the packaged pretrained network, frozen, makes of a data set's images: features that no label went into."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convlift.data.normalization import figures_of, statistics
from convlift.data.store import ImageStore
from convlift.features.cached import Progress, extract
from convlift.features.extraction import Extraction, Images
from convlift.model.backbone import backbone_statistics, create_backbone
from convlift.model.memory import keep_freed_memory
from convlift.model.placement import lay_on
from convlift.recipe.architecture import Pretrained
from convlift.recipe.data import Preparation
from convlift.records.compute_device import CPU, Device

PREPARATION = Preparation("squash")  # all of an image counts, whatever its shape
SMALLEST, LARGEST = 96, 128  # pixels a side: CIFAR-10 at 96 is told better than at 64 (decision 0052)
POOLED = 3  # stages that features are of, as in the recipe `frozen`


class Watch(NamedTuple):
    """Who is told of (images done, images in all), and who may stop it."""

    progress: Progress | None
    stop: Callable[[], bool]


UNWATCHED = Watch(None, lambda: False)


def features_of(
    store: ImageStore,
    rows: NDArray[np.int64],
    cache: Path,
    watch: Watch = UNWATCHED,
    device: Device = CPU,
    backbone: Pretrained | None = None,
) -> NDArray[np.float32] | None:
    """Features (n, D) of these images, a read-only memory map, from `cache` where they are there already; None where
    `watch` stopped it. rows: in order.

    backbone: in place of the packaged one. Raises WeightsError where its weights are not there, ConvliftError where
    `cache` cannot be written.
    """
    keep_freed_memory()
    architecture = backbone or Pretrained()
    side = int(np.clip(store.native_resolution, SMALLEST, LARGEST))
    pixels, fingerprint = store.pixels(side, PREPARATION), store.fingerprint
    some = rows if len(rows) < len(pixels) else None
    if some is not None:
        fingerprint = hashlib.sha256(fingerprint.encode() + rows.tobytes()).hexdigest()
    known = backbone_statistics(architecture.backbone, architecture.weights)
    mean, std = figures_of(statistics("pretrained", pixels, known, some))
    made = create_backbone(architecture.backbone, architecture.weights, store.channels)
    network = lay_on(made, torch.device(device.place)).eval()
    extraction = Extraction(
        mean,
        std,
        pooled=min(POOLED, made.stages),
        made_on=device.model,
    )
    images = Images(pixels, fingerprint, PREPARATION.name, np.zeros(0, np.int64), some)
    cached = extract(extraction, network, images, cache / "features", progress=watch.progress, stop=watch.stop)
    return None if cached is None else np.asarray(cached.features.clean)
