"""The time of a training, from some of its steps."""

import math

import pytest
import torch

from convlift.recipe.built_in import built_in
from convlift.recipe.training import SMALLER
from convlift.records.compute_device import CPU
from convlift.trial.calibrate import Sizes, calibrate, seconds_a_step, time_prediction, time_tuning

SIZES = {"images": 200, "held_out": 200, "classes": 5, "channels": 3}


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a hundredth of a second, whatever else the machine does."""
    monkeypatch.setattr("convlift.trial.calibrate.seconds_a_step", lambda *_: 0.01)


@pytest.mark.usefixtures("steady")
def test_longer_trainings_take_longer_and_more_images_too() -> None:
    plain = built_in("plain").at(16)
    extraction, once = calibrate(plain, **SIZES)
    _, longer = calibrate(plain.edit(training={"epochs": 100}), **SIZES)
    _, larger = calibrate(plain, **{**SIZES, "images": 2000, "held_out": 2000})
    assert extraction == 0.0
    assert longer / once == pytest.approx(10)
    assert larger / once == pytest.approx(10, rel=0.1)  # in whole batches


def test_a_step_of_compared_mixes_is_timed_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def watched(network, draw, classes, training, views=1, seconds=0.0):
        seen.append((views, len(draw())))
        return seconds_a_step(network, draw, classes, training, views, seconds)

    monkeypatch.setattr("convlift.trial.calibrate.seconds_a_step", watched)
    mixes = {"data": {"augmentation": {"aug_mix": 3.0}}, "training": {"consistency": 12.0}}
    recipe = built_in("plain").edit(**mixes, architecture={"width": 8}).at(8)
    assert calibrate(recipe, **SIZES)[1] > 0
    tuned = built_in("fine-tune").edit(
        **mixes, architecture={"backbone": "mobilenetv3_small_050", "weights": "/nowhere"}
    )
    tuned = tuned.edit(data={"resolution": 32}, training={"fine_tuning": {"batch_size": 4}})
    assert time_tuning(tuned, Sizes(**SIZES), CPU) > 0
    assert seen == [(3, 3 * recipe.training.batch_size), (3, 12), (3, 12)]  # the full size and the small one


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


def test_fine_tuning_is_timed_with_its_lower_stages_and_its_small_images() -> None:
    recipe = built_in("fine-tune").edit(architecture={"backbone": "mobilenetv3_small_050", "weights": "/nowhere"})
    recipe = recipe.edit(data={"resolution": 64}, training={"fine_tuning": {"batch_size": 8}})
    sizes = Sizes(images=80, held_out=0, classes=5, channels=1)
    before = torch.get_rng_state()
    once = time_tuning(recipe, sizes, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert once > 0
    assert time_tuning(recipe.edit(training={"fine_tuning": {"stages": None}}), sizes, CPU) > 0


def test_fine_tuning_of_more_images_takes_longer_and_small_ones_first_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    # a step takes as long as its images have pixels, whatever else the machine does
    monkeypatch.setattr("convlift.trial.calibrate.seconds_a_step", lambda network, draw, *_: 1e-6 * draw().numel())
    recipe = built_in("fine-tune").edit(architecture={"backbone": "mobilenetv3_small_050", "weights": "/nowhere"})
    recipe = recipe.edit(data={"resolution": 64}, training={"fine_tuning": {"batch_size": 8, "small_first": 0.0}})
    sizes = Sizes(images=80, held_out=0, classes=5, channels=1)
    once, larger = (time_tuning(recipe, sizes._replace(images=count), CPU) for count in (80, 800))
    half = time_tuning(recipe.edit(training={"fine_tuning": {"small_first": 0.5}}), sizes, CPU)
    assert larger / once == pytest.approx(10)
    assert half / once == pytest.approx(1 - 0.5 * (1 - SMALLER**2))


@pytest.mark.parametrize(("name", "backbone"), [("residual", {}), ("frozen", {"backbone": "mobilenetv3_small_050"})])
def test_a_prediction_is_timed_alone_and_without_weights(name: str, backbone: dict[str, str]) -> None:
    recipe = built_in(name).edit(architecture={**backbone, **({"weights": "/nowhere"} if backbone else {})})
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    assert 0 < time_prediction(recipe.at(32), classes=5, channels=1, device=CPU) < math.inf
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
