"""What a frozen backbone makes of each image, computed once and kept on disk.

Frozen stages in evaluation mode give the same result for the same image every time, so the head, or the last stages,
can be trained on stored results: once they are there, a linear head's trial costs 1/180 of the same trial end to end,
one with 1,024 hidden units 1/23 (benchmarks/features.py). Augmentation is kept by
storing a few augmented copies ("views") of each training image and drawing one of them at each visit (Chollet 2018,
section 5.3, extended by views).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.augment.streams import Streams
from convlift.errors import ConvliftError
from convlift.features.extraction import Extraction, Images, device_of, folded_halves, inputs, make_jobs, run_job
from convlift.features.files import locked, open_features
from convlift.model.backbone import Backbone
from convlift.model.memory import keep_freed_memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Stored:
    """One kind of result, memory-mapped. Features are (D,) float32; activations (h, w, C) float16, as channels-last
    networks read.

    clean: (N, ...) for every image of the store.
    views: for each view (n, ...), rows as in `train`.
    train: the training images' row numbers.
    """

    clean: NDArray[Any]
    views: tuple[NDArray[Any], ...]
    train: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cached:
    """Pooled features, and the activations at the cut where they are needed."""

    features: Stored
    activations: Stored | None


def extract(
    extraction: Extraction,
    backbone: Backbone,
    images: Images,
    folder: Path,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Cached | None:
    """Features (and activations) of all images under a frozen backbone, from `folder` where they are there already.

    The key is everything that decides them: the backbone's structure and weights, the images, resize, resolution and
    normalization; for views the augmentation and the training rows too. Of two processes that want the same, the second
    waits for the first. progress: (images done, images to do), never called when all was there; stop: called at
    every batch. None where it gave True; views complete by then stay for the next time.
    Raises RecipeError where the backbone has not so many stages, ConvliftError where `folder` cannot be written.
    """
    jobs = make_jobs(extraction, images, backbone, folder)
    missing, device = [job for job in jobs if job.missing()], device_of(backbone)
    if missing:
        _make(folder)
        keep_freed_memory()
        halves = folded_halves(backbone, extraction, next(inputs(extraction, images, jobs[0], device))[:2])
    total, before = sum(len(job.rows) for job in missing), 0
    for job in missing:

        def go_on(done: int, before: int = before) -> bool:
            if progress:
                progress(before + done, total)
            return not stop()

        with locked(job.lock, stop) as held:
            if not held or not run_job(job, inputs(extraction, images, job, device), halves, go_on):
                return None
        before += len(job.rows)
    if missing and progress:
        progress(total, total)
    cut = [job.activations for job in jobs if job.activations]
    return Cached(_stored([job.features for job in jobs], images), _stored(cut, images) if cut else None)


def rows(stored: Stored, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """The clean results of some images of the store: (n, D), or (n, h, w, C)."""
    return np.ascontiguousarray(stored.clean[indices], np.float32)


def draw_rows(stored: Stored, positions: NDArray[np.int64], streams: Streams) -> NDArray[np.float32]:
    """Results of some training images, each from its clean image or one of its views, all equally likely.

    positions: into `stored.train`. Shapes as for `rows`.
    """
    chosen = stored.clean[stored.train[positions]]
    versions = draw_versions(stored, len(positions), streams)
    for number, view in enumerate(stored.views, start=1):
        here = versions == number
        chosen[here] = view[positions[here]]
    return np.ascontiguousarray(chosen, np.float32)


def draw_versions(stored: Stored, count: int, streams: Streams) -> NDArray[np.int64]:
    """Which version each of `count` images gives: 0 for the clean one, else the number of its view."""
    return streams["view"].integers(len(stored.views) + 1, size=count)


def _stored(paths: list[Path], images: Images) -> Stored:
    arrays = []
    for path in paths:
        array = open_features(path)
        if array is None:
            raise ConvliftError(f"cached features {path} have gone while they were in use; run again.")
        arrays.append(array)
    return Stored(arrays[0], tuple(arrays[1:]), images.train)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConvliftError(f"cache folder {folder} cannot be made ({error}); name another one.") from error
