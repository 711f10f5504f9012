"""The time of a training, from some of its steps."""

import math

import pytest
import torch

from convlift.recipe.built_in import built_in
from convlift.trial.calibrate import calibrate

SIZES = {"images": 200, "held_out": 200, "classes": 5, "channels": 3}


def test_longer_trainings_take_longer_and_more_images_too() -> None:
    plain = built_in("plain").at(16)
    extraction, once = calibrate(plain, **SIZES)
    _, longer = calibrate(plain.edit(training={"epochs": 100}), **SIZES)
    _, larger = calibrate(plain, **{**SIZES, "images": 2000, "held_out": 2000})
    assert extraction == 0.0
    assert 4 < longer / once < 25  # ten, on a machine where nothing else runs
    assert 4 < larger / once < 25


def test_a_pretrained_network_is_timed_without_its_weights() -> None:
    recipe = built_in("transfer").edit(architecture={"backbone": "mobilenetv3_small_050", "weights": "/nowhere"})
    extraction, epochs = calibrate(recipe.at(32), **SIZES)
    frozen = recipe.edit(training={"fine_tuning": None})
    assert extraction > 0
    assert epochs > calibrate(frozen.at(32), **SIZES)[1]


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_nothing_of_the_process_is_changed(name: str) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    seconds = sum(calibrate(built_in(name).at(16), **SIZES))
    assert math.isfinite(seconds)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
