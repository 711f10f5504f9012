"""Running images through a frozen backbone and writing down what comes out: one job per view."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.console.mapped import taken
from convlift.data.normalization import of_figures
from convlift.features.files import FeatureWriter, open_features
from convlift.features.folding import fold
from convlift.model.backbone import Backbone, split_at
from convlift.model.pretrained import StageFeatures, as_colour
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.section import without_later_defaults

BATCH = 64
ON_CPU = torch.device("cpu")
VIEW_SEED = 20_190_613
# part of every key: raise it when the numbers that an extraction gives change
VERSION = 3
# part of a GPU's keys, where other kernels give other numbers: depthwise convolutions in plain order (decision 0039)
KERNELS = "plain order"
# part of the keys of views with noise, which was drawn value by value before (decision 0064)
NOISE = "noise from a table"


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a store at the network's resolution.

    pixels: (N, R, R, C) uint8, all images.
    fingerprint: the store's, or one that says which rows, too.
    resize: how the pixels were made, a `Preparation.name`.
    train: row numbers of the training images, which alone get augmented views.
    rows: which of all images these are, where they are not all; `train`, and what is made of them, count in these.
    """

    pixels: NDArray[np.uint8]
    fingerprint: str
    resize: str
    train: NDArray[np.int64]
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.pixels if self.rows is None else self.rows)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of some of them, (n, R, R, C)."""
        return taken(self.pixels, places if self.rows is None else self.rows[places])


@dataclass(frozen=True)
class Extraction:
    """What is computed of them.

    mean, std: per channel, of pixels in [0, 1]; see `normalization.Statistics`.
    views: augmented copies of each training image (none where the augmentation changes nothing).
    stages: also keep the activations below the last `stages` stages.
    pooled: how many of the last stages the features are of.
    made_on: the model of the device that computes it, "" for the CPU: the next one's numbers are others.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...] | None
    augmentation: Augmentation = field(default_factory=Augmentation)
    views: int = 0
    stages: int | None = None
    pooled: int = 1
    made_on: str = ""

    @property
    def distinct_views(self) -> int:
        """The views that differ from the clean images."""
        return self.views if self.augmentation.active else 0


@dataclass(frozen=True, eq=False)
class Job:
    """One view of the images (0: clean, all of them; else augmented, the training images) and where it goes."""

    view: int
    rows: NDArray[np.int64]
    features: Path
    activations: Path | None
    lock: Path

    def missing(self) -> list[Path]:
        """The files that are not there whole."""
        paths = [path for path in (self.features, self.activations) if path]
        return [path for path in paths if (array := open_features(path)) is None or len(array) != len(self.rows)]


def make_jobs(extraction: Extraction, images: Images, backbone: Backbone, folder: Path) -> list[Job]:
    """The clean images, then each view; file names are hashes of everything that decides the numbers inside."""
    clean = {
        "version": VERSION,
        "network": network_fingerprint(backbone),
        "images": [images.fingerprint, images.resize, len(images), *images.pixels.shape[1:]],
        "normalization": [extraction.mean, extraction.std],
    }
    if extraction.pooled > 1:
        clean["pooled"] = extraction.pooled
    if extraction.made_on:
        clean["device"] = [extraction.made_on, KERNELS]
    train = hashlib.sha256(np.ascontiguousarray(images.train, np.int64).data).hexdigest()
    change = [VIEW_SEED, without_later_defaults(extraction.augmentation), train]
    change += [NOISE] if extraction.augmentation.noise else []
    jobs = []
    for view in range(extraction.distinct_views + 1):
        identity = {**clean, "view": [view, *change]} if view else clean
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        jobs.append(
            Job(
                view,
                images.train if view else np.arange(len(images)),
                folder / f"{key}.features.npy",
                folder / f"{key}.last{extraction.stages}.npy" if extraction.stages else None,
                folder / f"{key}.lock",
            )
        )
    return jobs


def network_fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network's structure and of every number in it."""
    digest = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def run_job(
    job: Job, batches: Iterator[Tensor], halves: tuple[nn.Module, nn.Module], go_on: Callable[[int], bool]
) -> bool:
    """Write the missing files of a job; False, with nothing written, where `go_on` gave False.

    batches: inputs (b, 3, R, R) of job.rows in order; halves: the network below the cut, and what its activations
    become features by; go_on: called before every batch with the number of images done.
    """
    lower, upper = halves
    missing = job.missing()
    done = 0
    with ExitStack() as stack, torch.inference_mode():
        writers = {path: stack.enter_context(FeatureWriter(path, len(job.rows))) for path in missing}
        for inputs in batches if missing else ():
            if not go_on(done):
                return False
            middle = lower(inputs)
            if job.features in writers:
                writers[job.features].append(upper(middle).cpu().numpy())
            if job.activations in writers:
                writers[job.activations].append(middle.permute(0, 2, 3, 1).half().cpu().numpy())
            done += len(inputs)
    return True


def inputs(extraction: Extraction, images: Images, job: Job, device: torch.device = ON_CPU) -> Iterator[Tensor]:
    """A job's images as the network reads them: (BATCH or fewer, 3, R, R) float32 in channels-last memory, on the CPU
    as arrays of it, on any other device made there at once."""
    from convlift.augment.batched import augment_batch, normalize_batch
    from convlift.augment.pipeline import augment, normalize
    from convlift.augment.sending import send
    from convlift.augment.streams import Streams

    mean, std = of_figures(extraction.mean, extraction.std)
    streams, change = Streams(VIEW_SEED, job.view), extraction.augmentation
    for first in range(0, len(job.rows), BATCH):
        pixels = images.at(job.rows[first : first + BATCH])
        if device.type != "cpu":
            sent = send(pixels, device)
            changed = augment_batch(sent, change, mean, std, streams) if job.view else normalize_batch(sent, mean, std)
        else:
            batch = augment(pixels, change, mean, std, streams) if job.view else normalize(pixels, mean, std)
            changed = torch.from_numpy(batch).permute(0, 3, 1, 2)
        yield as_colour(changed)


def folded_halves(backbone: Backbone, extraction: Extraction, sample_NCHW: Tensor) -> tuple[nn.Module, nn.Module]:
    """Copies of the backbone below the cut and of what makes features above it, batch norms folded; nothing is below
    where there is no cut.

    sample_NCHW: a few images where the backbone lies, which the folding is checked on. Raises RecipeError where there
    are not so many stages.
    """
    above = StageFeatures(backbone, extraction.pooled, extraction.stages)
    if extraction.stages is None:
        return nn.Identity(), fold(above, sample_NCHW)
    below = fold(split_at(backbone, extraction.stages)[0], sample_NCHW)
    with torch.inference_mode():
        middle = below(sample_NCHW)
    return below, fold(above, middle)


def device_of(network: nn.Module) -> torch.device:
    """Where a network lies."""
    return next(network.parameters()).device
