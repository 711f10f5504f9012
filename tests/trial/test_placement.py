"""Everything that a trial computes lies on its device, tried with a stand-in: whole trials, no mixing, no waiting."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torch import nn

from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.train.batch import Batch
from convlift.train.fit import fit
from convlift.train.objectives import CrossEntropy
from convlift.trial import batches, from_scratch, transfer
from convlift.trial.calibrate import calibrate
from convlift.trial.label_preservation import open_label_checker
from convlift.trial.run_trial import run_trial
from stand_in import PLACE, STAND_IN, Mixed, StandIn

SCRATCH = Recipe().edit(
    data={"augmentation": {"horizontal_flip": 0.5, "rotation": 0.1, "brightness": 0.1, "noise": 0.05}},
    architecture={"width": 8, "normalization": "batch", "squeeze_excitation": True, "self_attention": True},
    training={"epochs": 3, "batch_size": 32, "class_balance": 1.0, "label_smoothing": 0.1, "patience": 2},
)
# three views of each image, mixed with those of another one, and each standardized by itself
COMPARED = SCRATCH.edit(
    data={"normalization": "image", "augmentation": {"aug_mix": 3.0, "erase": 0.3}, "mixing": {"cutmix": 1.0}},
    training={"consistency": 12.0},
)
BACKBONE = {"kind": "pretrained", "backbone": "mobilenetv3_small_050", "head_units": 16}


@pytest.fixture(scope="module")
def recipes(backbone_file):
    frozen = Recipe().edit(
        data={"resolution": 32, "normalization": "pretrained"},
        architecture={**BACKBONE, "weights": str(backbone_file)},
        training={"epochs": 2, "learning_rate": 0.01},
    )
    tuned = frozen.edit(training={"fine_tuning": {"epochs": 1, "stages": 1, "batch_norm": "update"}})
    afresh = tuned.edit(data={"augmentation": {"rotation": 0.2}})
    return {
        "from scratch": SCRATCH,
        "frozen": frozen,
        "fine-tuned": tuned,
        "augmented afresh": afresh,
        "views": afresh.edit(data={"views": 1}),
        "mixed": afresh.edit(data={"mixing": {"mixup": 0.4, "cutmix": 1.0}}),
        "mixed features": frozen.edit(data={"mixing": {"mixup": 0.4}}),
        "all of it": afresh.edit(training={"fine_tuning": {"stages": None}}),
        "compared": COMPARED,
    }


NAMES = (
    "from scratch", "frozen", "fine-tuned", "augmented afresh", "views", "mixed", "mixed features", "all of it",
    "compared",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_trial_runs_on_the_device_and_leaves_weights_for_any(recipes, name, digits, tmp_path):
    limits = Limits(seconds=600.0, save_to=str(tmp_path / "there.safetensors"))
    with StandIn():
        outcome = run_trial(TrialSpec(recipes[name], 0), digits, tmp_path / "there", limits=limits, device=STAND_IN)
    assert outcome.status == "finished"
    limits = Limits(seconds=600.0, save_to=str(tmp_path / "here.safetensors"))
    here = run_trial(TrialSpec(recipes[name], 0), digits, tmp_path / "here", limits=limits)
    assert_allclose(outcome.test_probabilities, here.test_probabilities, atol=0.05)
    there, here = load_file(tmp_path / "there.safetensors"), load_file(tmp_path / "here.safetensors")
    assert {key: tensor.dtype for key, tensor in there.items()} == {key: tensor.dtype for key, tensor in here.items()}


@pytest.mark.parametrize("recipe", ["from scratch", "frozen", "fine-tuned", "augmented afresh"])
def test_no_step_waits_for_the_device(recipes, recipe, digits, tmp_path):
    waits = []
    for size in (64, 16):
        changed = recipes[recipe].edit(training={"batch_size": size})
        if changed.training.fine_tuning:
            changed = changed.edit(training={"fine_tuning": {"batch_size": size}})
        with StandIn() as mode:  # the first time its features are stored, which waits for every batch of them
            run_trial(TrialSpec(changed, 0), digits, tmp_path, device=STAND_IN)
            mode.waited.clear()
            outcome = run_trial(TrialSpec(changed, 0), digits, tmp_path, device=STAND_IN)
        assert outcome.status == "finished"
        waits.append(len(mode.waited))
    assert waits[0] == waits[1]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda net, there, here: net(here),
        lambda net, there, here: net(there) - here.mean((1, 2, 3), keepdim=True)[..., 0, 0],
        lambda net, there, here: there[torch.tensor([0, 1])],
        lambda net, there, here: torch.cat([there, here]),
        lambda net, there, here: torch.where(here > 0, there, there),
        lambda net, there, here: here.add_(there),
    ],
)
def test_a_planted_mistake_is_found(mistake):
    with StandIn():
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).to(PLACE)
        here = torch.randn(5, 1, 4, 4)
        with pytest.raises(Mixed):
            mistake(network, here.to(PLACE), here)


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("from scratch", from_scratch, "to_tensor"),  # the labels
        ("from scratch", from_scratch, "image_draw"),
        ("from scratch", from_scratch, "unchanged"),
        ("frozen", transfer, "to_tensor"),
        ("frozen", transfer, "stored_draw"),
        ("frozen", transfer, "stored_inputs"),
        ("augmented afresh", transfer, "image_draw"),
        ("augmented afresh", transfer, "unchanged"),
    ],
)
def test_a_line_of_a_trial_that_forgets_the_device_is_found(
    recipes, monkeypatch, digits, tmp_path, name, module, function
):
    right = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *arguments, **others: right(*arguments[:-1], **others))
    with StandIn(), pytest.raises(Mixed):
        run_trial(TrialSpec(recipes[name], 0), digits, tmp_path, device=STAND_IN)


def test_a_batch_left_on_the_cpu_is_found():
    with StandIn():
        network = nn.Linear(3, 2).to(PLACE)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        wrong = [Batch(torch.randn(4, 3).to(PLACE), torch.zeros(4, dtype=torch.int64))]
        with pytest.raises(Mixed):
            list(fit(network, lambda epoch: wrong, CrossEntropy(), optimizer, lambda step: 1.0, epochs=1))


def test_numbers_on_the_device_are_those_of_the_cpu():
    def trained(place):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).to(
            place
        )
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        given = [Batch(torch.randn(8, 1, 4, 4).to(place), torch.randint(0, 3, (8,)).to(place)) for _ in range(4)]
        return [r.train_loss for r in fit(network, lambda _: given, CrossEntropy(), optimizer, lambda _: 1.0, epochs=3)]

    with StandIn():
        there = trained(PLACE)
    assert there == trained(torch.device("cpu"))


@pytest.mark.parametrize("held", [True, False])
def test_images_lie_on_the_device_where_they_fit_and_are_sent_where_not(monkeypatch, held, digits):
    monkeypatch.setattr(batches, "HELD", 0.25 if held else 0.0)
    pixels = digits.store.pixels(8, Preparation("squash"))
    part, normal = digits.splits.validation, (np.float32([0.5]), np.float32([0.3]))
    with StandIn():
        found = [each.cpu() for each in batches.unchanged(pixels, part, normal, PLACE)()]
    assert_allclose(torch.cat(found), torch.cat(list(batches.unchanged(pixels, part, normal)())), atol=2e-5)


@pytest.mark.parametrize("name", ["from scratch", "fine-tuned"])
def test_a_training_is_timed_on_the_device(recipes, name):
    sizes = {"images": 100, "held_out": 50, "classes": 3, "channels": 1}
    with StandIn():
        seconds = calibrate(recipes[name].at(32), **sizes, device=STAND_IN)
    assert seconds[1] > 0


def test_augmentations_are_checked_on_the_device(digits, tmp_path):
    recipe, weights = SCRATCH.at(8), tmp_path / "weights.safetensors"
    run_trial(TrialSpec(recipe, 0), digits, tmp_path, limits=Limits(save_to=str(weights)))
    changes = recipe.data.augmentation.model_copy(update={"rotation": 0.5})
    with StandIn():
        there = open_label_checker(digits, 0, weights, recipe, device=STAND_IN)
        there.look_at(40)
        found = there.check(changes)
    here = open_label_checker(digits, 0, weights, recipe)
    here.look_at(40)
    assert found.accuracy == pytest.approx(here.check(changes).accuracy, abs=0.05)
