"""What a model folder keeps of its training images, to tell others from them by."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.deploy.folder_additions import add_file
from convlift.deploy.likeness import contrasts, fit_likeness, likeness_bytes
from convlift.deploy.model_folder import LIKENESS
from convlift.deploy.predict import load
from convlift.errors import ConvliftError
from convlift.model.spatial_layer import Place, last_maps
from convlift.model.together import Together
from convlift.records.compute_device import CPU, Device

MOST_IMAGES = 250  # of each kind: of more the distances tell hardly more, and these are 4 s of a slow core

Squares = NDArray[np.uint8]
Places = NDArray[np.int64]


def learn_likeness(
    folder: Path, pixels_NRRC: Squares, training: Places, held_out: Places, device: Device = CPU
) -> bool:
    """Add `likeness.safetensors` to a model folder; False where its network or these images give no ground for it.

    pixels_NRRC: images as the network sees them; training, held_out: which of them are of training, and which were held
    out. Up to MOST_IMAGES of each, spread evenly, are looked at.
    Raises ConvliftError where the folder cannot be read or written.
    """
    model = load(folder, device)
    known, others = ([pixels_NRRC[row] for row in _spread(rows)] for rows in (training, held_out))
    if not known or not others:
        return False
    network, inside = model.network, ""
    if isinstance(network, Together):
        network, inside = network.networks[0], "networks.0."
    with model.speaking():
        found = last_maps(network, model.inputs(known[:1]))
    if found is None:
        return False
    place = Place(f"{inside}{found.module}".removesuffix("."), found.call)
    likeness = fit_likeness(
        place, (model.features(known, place), contrasts(known)), (model.features(others, place), contrasts(others))
    )
    if likeness is not None:
        add_file(folder, LIKENESS, likeness_bytes(likeness))
    return likeness is not None


def learn_likeness_if_possible(
    folder: Path, pixels_NRRC: Squares, training: Places, held_out: Places, device: Device = CPU
) -> None:
    """The same; where somebody's own network, or the device's memory, does not bear it, there is none."""
    try:
        learn_likeness(folder, pixels_NRRC, training, held_out, device)
    except (ConvliftError, RuntimeError):
        return


def _spread(rows: Places) -> Places:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_IMAGES)).astype(np.int64))]
