"""How like the images of training an image is: its distance from them in what the network's last maps say of it.

A network names a class for whatever it is given, and is often sure of it (Hendrycks and Gimpel 2017). What its last
maps hold tells more: their means and deviations over all positions, as vectors of length one (Sun et al. 2022, section
4.1, find the length misleading; here it is one more number), under a Gaussian of the training images' own (Lee et al.
2018, section 2.1), along their main directions and with one variance for all others (Tipping and Bishop 1999, section
3.2). What was compared: docs/decisions/0048.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from convlift.errors import ConvliftError
from convlift.model.spatial_layer import Place

MOST_BYTES = 2**24
ENTRY = "convlift"  # of the file's metadata
DIRECTIONS = 32  # main directions; half or twice as many tell as much
QUANTILE = 0.99  # of held-out images, of the same kind, one in a hundred is flagged
FEWEST_TRAINING, FEWEST_HELD_OUT = 40, 20  # images below which nothing can be said
TINY = 1e-12
SHORTEST = 1e-6  # length of a vector of zeros
FLAT = 100.0  # distance of an image that shows nothing

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Likeness:
    """The training images' features as a Gaussian, and how far from it an image may be.

    place: where the network's maps are read. centre (D,), directions (D, k): float16, as they are stored; deviations
    (k,): along the directions; other: along all others. most: the distance that QUANTILE of the held-out images keep;
    contrast: of the flattest image that was known.
    """

    place: Place
    centre: NDArray[np.float16]
    directions: NDArray[np.float16]
    deviations: Rows
    other: float
    most: float = 1.0
    contrast: float = 0.0

    def distances(self, features_ND: Rows, contrasts_N: Rows) -> NDArray[np.float64]:
        """(N,): of each image from those of training, over `most`: above 1 it is unlike them. One with less than half
        of the contrast that any of them had is so whatever its features are: an image of one colour has none."""
        rest = features_ND.astype(np.float64) - self.centre
        along = rest @ self.directions.astype(np.float64)
        across = np.maximum((rest**2).sum(1) - (along**2).sum(1), 0.0)
        squares = ((along / self.deviations) ** 2).sum(1) + across / self.other**2
        flatness = self.contrast / (2.0 * np.maximum(contrasts_N, TINY * self.contrast + TINY))
        found: NDArray[np.float64] = np.sqrt(squares) / self.most
        return np.where(flatness > 1.0, np.maximum(FLAT, found), found)


def map_features(maps_NCHW: Tensor) -> Tensor:
    """(N, 2C + 2): mean and deviation of each channel over all positions, both vectors of length one, and the
    logarithms of their lengths."""
    found = []
    for values_NC in (maps_NCHW.float().mean((2, 3)), maps_NCHW.float().std((2, 3))):
        lengths = values_NC.square().sum(1, keepdim=True).sqrt() + SHORTEST
        found += [values_NC / lengths, lengths.log()]
    return torch.cat(found, dim=1)


def features_of(maps_NCHW: Tensor) -> Rows:
    """The same in the processor's memory."""
    found: Rows = map_features(maps_NCHW).cpu().numpy()
    return found


def contrasts(squares: Sequence[NDArray[np.uint8]]) -> Rows:
    """(N,): of each image (R, R, C) the deviation of its pixels, in the channel where it is largest, in 0 to 255."""
    return np.array([each.std(axis=(0, 1), dtype=np.float32).max() for each in squares], np.float32)


def fit_likeness(place: Place, training: tuple[Rows, Rows], held_out: tuple[Rows, Rows]) -> Likeness | None:
    """From features and contrasts of training images, and of images that were held out; None of too few, or where all
    are alike."""
    (training_ND, flat_N), (held_out_ND, flat_M) = training, held_out
    if len(training_ND) < FEWEST_TRAINING or len(held_out_ND) < FEWEST_HELD_OUT:
        return None
    centre = training_ND.mean(0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(training_ND - centre, full_matrices=False)
    variances = lengths**2 / len(training_ND)
    count = min(DIRECTIONS, len(training_ND) // 4, training_ND.shape[1] - 1)
    other = variances[count:].sum() / (training_ND.shape[1] - count)
    if not np.isfinite(variances).all() or other <= TINY:
        return None
    known = Likeness(
        place,
        centre.astype(np.float16),
        axes[:count].T.astype(np.float16),
        np.sqrt(variances[:count]).astype(np.float32),
        float(np.sqrt(other)),
        contrast=float(min(flat_N.min(), flat_M.min())),
    )
    most = np.quantile(known.distances(held_out_ND, flat_M), QUANTILE, method="higher")
    return replace(known, most=float(most))


def likeness_bytes(likeness: Likeness) -> bytes:
    """As a safetensors file."""
    described = {
        "module": likeness.place.module,
        "call": likeness.place.call,
        "other": likeness.other,
        "most": likeness.most,
        "contrast": likeness.contrast,
    }
    arrays = {"centre": likeness.centre, "directions": likeness.directions, "deviations": likeness.deviations}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {ENTRY: json.dumps(described)})


def read_likeness(path: str) -> Likeness:
    """What `likeness_bytes` made. Raises ConvliftError where the file is something else."""
    try:
        with safe_open(path, "np") as file:
            told = json.loads(file.metadata()[ENTRY])
            centre, directions, deviations = (file.get_tensor(n) for n in ("centre", "directions", "deviations"))
        place = Place(str(told["module"]), int(told["call"]))
        numbers = [float(told[name]) for name in ("other", "most", "contrast")]
        found = Likeness(place, centre, directions, deviations, *numbers)
        fits = directions.shape == (*centre.shape, *deviations.shape) and np.isfinite(numbers).all()
        if not (fits and deviations.min() > 0 and min(found.other, found.most) > 0 <= found.contrast):
            raise ValueError("its arrays do not fit one another")
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise ConvliftError(
            f"{path} is damaged ({' '.join(str(error).split())[:200]}); copy the folder again."
        ) from error
    return found
