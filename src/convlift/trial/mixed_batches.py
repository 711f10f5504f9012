"""Batches whose images are made of two: one map of weights an image, whichever way it is mixed.

Every image keeps its own draws, keyed by the epoch; its partner is an image of its batch, now and then itself.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from convlift.augment.sending import send
from convlift.augment.streams import Streams
from convlift.recipe.mixing import Mixing
from convlift.train.batch import Batch

Floats = NDArray[np.float32]


def mixed(batches: Iterable[Batch], mixing: Mixing, classes: int, streams: Streams) -> Iterator[Batch]:
    """The same batches with a share of their images mixed; targets: probabilities_NK.

    batches: inputs_NCHW, or features_ND, with labels_N. Of several views of an image each is mixed alike, with the same
    view of the same partner, so that all of them still show one thing.
    """
    for batch in batches:
        inputs, count = batch.inputs, len(batch.targets)
        keep = keep_maps(mixing, streams, count, tuple(inputs.shape[2:]))
        places_NP = keep.reshape(count, -1)
        partners = send(streams["partner"].permutation(count), inputs.device)
        kept_N1 = send(places_NP.mean(axis=1, keepdims=True), inputs.device)
        whole_N = send(places_NP.min(axis=1) == 1.0, inputs.device)
        onehot_NK = functional.one_hot(batch.targets, classes).float()
        targets_NK = onehot_NK * kept_N1 + onehot_NK[partners] * (1.0 - kept_N1)
        weights = send(keep, inputs.device).to(inputs.dtype)
        shown = [torch.lerp(view[partners], view, weights) for view in inputs.tensor_split(batch.views)]
        yield Batch(shown[0] if len(shown) == 1 else torch.cat(shown), targets_NK, whole_N)


def keep_maps(mixing: Mixing, streams: Streams, count: int, size: tuple[int, ...]) -> Floats:
    """How much of itself each image keeps, everywhere: (N, 1, H, W), or (N, 1) where size is ().

    1 for an image that is not mixed. Of two that are shown through each other at least half; a patch covers what its
    draw says, less what lies beyond the border.
    """
    is_mixed = streams.chance("mixed", mixing.share, count)
    kinds = [kind for kind in ("mixup", "cutmix") if getattr(mixing, kind)]
    is_patch = streams["kind"].random(count) < 0.5 if len(kinds) == 2 else np.full(count, kinds == ["cutmix"])
    through = _betas(streams, "mixup", mixing.mixup, count)
    covered = _betas(streams, "cutmix", mixing.cutmix, count)
    places = streams["place"].random((count, 2))
    if not size:  # there is no place for a patch
        through, is_patch = np.where(is_patch, covered, through), np.zeros(count, bool)
    flat_N = np.where(is_mixed & ~is_patch, np.maximum(through, 1.0 - through), 1.0).astype(np.float32)
    if not size:
        return flat_N[:, None]
    keep_N1HW = np.repeat(flat_N, size[0] * size[1]).reshape(count, 1, *size)
    keep_N1HW[_patches(covered, places, size)[:, None] & (is_mixed & is_patch)[:, None, None, None]] = 0.0
    return keep_N1HW


def _patches(
    covered_N: NDArray[np.float64], places_N2: NDArray[np.float64], size_HW: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(N, H, W): where a rectangle of the image's shape and that part of its area lies, its middle anywhere (Yun et al.
    2019, section 3.1)."""
    spans = []
    for side, place_N in zip(size_HW, places_N2.T, strict=True):
        half_N, middle_N = np.rint(side * np.sqrt(covered_N) / 2), np.floor(place_N * side)
        at = np.arange(side)
        spans.append((at >= (middle_N - half_N)[:, None]) & (at < (middle_N + half_N)[:, None]))
    rows_NH, columns_NW = spans
    found: NDArray[np.bool_] = rows_NH[:, :, None] & columns_NW[:, None, :]
    return found


def _betas(streams: Streams, name: str, strength: float, count: int) -> NDArray[np.float64]:
    """Draws of Beta(strength, strength); zeros where it is off."""
    return streams[name].beta(strength, strength, count) if strength else np.zeros(count)
