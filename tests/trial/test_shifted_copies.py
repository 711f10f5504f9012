"""Corrupted copies of the validation images: the same for every trial, and predicted by the network that is saved."""

from dataclasses import replace
from pathlib import Path

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file

from convlift.data.dataset import Dataset
from convlift.data.normalization import of_figures
from convlift.data.square import square
from convlift.model.build import build_network
from convlift.model.checkpoint import saved_normalization
from convlift.recipe.combination import Combination
from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.goal import ShiftedCopies
from convlift.robustness.corruptions import corrupt
from convlift.robustness.dealing import dealt
from convlift.trial.combine_networks import combine_networks
from convlift.trial.from_scratch import predict_squares
from convlift.trial.run_trial import run_trial
from convlift.trial.shifted_copies import shifted_squares

SQUASHED = Preparation()
COPIES = ShiftedCopies(("fog", "gaussian_noise", "pixelate"), 2, 3)


@pytest.fixture(scope="module")
def shifted(digits: Dataset) -> Dataset:
    return replace(digits, copies=COPIES)


def test_they_are_those_that_were_dealt(shifted: Dataset) -> None:
    validation = shifted.splits.validation
    found = shifted_squares(shifted, 16, SQUASHED)
    deal = dealt(COPIES.corruptions, len(validation), 2, 3)
    assert len(found) == 2 * len(validation) == shifted.number_of_copies
    for row, copy in ((0, 0), (5, 1), (len(validation) - 1, 1)):
        pixels = corrupt(shifted.store.image(int(validation[row])), *deal[row][copy])
        assert_array_equal(found[copy * len(validation) + row], square(pixels, 1, 16, SQUASHED))


def test_they_are_made_once_and_others_for_another_deal(shifted: Dataset) -> None:
    def files() -> set[Path]:
        return set(shifted.store.folder.glob("shifted-*-squash-12.npy"))

    shifted_squares(shifted, 12, SQUASHED)
    (first,) = files()
    before = first.stat().st_mtime_ns
    shifted_squares(shifted, 12, SQUASHED)
    assert first.stat().st_mtime_ns == before
    for other in (replace(COPIES, seed=4), replace(COPIES, each=1), replace(COPIES, corruptions=("fog", "snow"))):
        shifted_squares(replace(shifted, copies=other), 12, SQUASHED)
    assert len(files()) == 4


def test_without_copies_there_are_none(digits: Dataset, shifted: Dataset) -> None:
    assert len(shifted_squares(digits, 8, SQUASHED)) == digits.number_of_copies == 0
    assert shifted.with_validation_to_train().copies is None  # what it learned from measures nothing


SCRATCH = Recipe().edit(data={"resolution": 8}, architecture={"width": 8}, training={"epochs": 1})
BACKBONE = {"kind": "pretrained", "backbone": "mobilenetv3_small_050", "head_units": 16}
TUNED = {"epochs": 1, "stages": 1, "learning_rate": 0.001}


def recipe_of(kind: str, weights: Path) -> Recipe:
    if kind == "from scratch":
        return SCRATCH
    data = {"resolution": 32, "normalization": "pretrained"}
    frozen = Recipe().edit(data=data, architecture={**BACKBONE, "weights": str(weights)}, training={"epochs": 1})
    if kind == "frozen":
        return frozen
    tuned = frozen.edit(training={"fine_tuning": TUNED})
    if kind == "stored activations":
        return tuned
    afresh = tuned.edit(data={"augmentation": {"rotation": 0.2}})
    return {
        "views": afresh.edit(data={"views": 1}),
        "frozen stages": afresh,
        "whole network": afresh.edit(training={"fine_tuning": {**TUNED, "stages": None}}),
    }[kind]


KINDS = ("from scratch", "frozen", "stored activations", "views", "frozen stages", "whole network")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_predicts_them_with_the_network_that_it_saves(
    kind: str, shifted: Dataset, digits: Dataset, backbone_file: Path, features: Path, tmp_path: Path
) -> None:
    recipe, save_to = recipe_of(kind, backbone_file), tmp_path / "network.safetensors"
    found = run_trial(TrialSpec(recipe, 0), shifted, features, limits=Limits(save_to=str(save_to)))
    classes, side = len(digits.classes), recipe.data.resolution
    network = build_network(recipe.architecture, classes=classes, channels=1, resolution=side or 0)
    network.load_state_dict(load_file(save_to))
    normal = of_figures(*saved_normalization(save_to))
    squares = shifted_squares(shifted, side or 0, recipe.data.preparation)
    wanted = predict_squares(network, squares, normal, place=next(network.parameters()).device)
    assert found.shifted_probabilities.shape == (shifted.number_of_copies, classes)
    assert_allclose(found.shifted_probabilities, wanted, atol=2e-3)  # activations are stored with half the digits
    plain = run_trial(TrialSpec(recipe, 0), digits, features)
    assert_array_equal(plain.validation_probabilities, found.validation_probabilities)
    assert_array_equal(plain.test_probabilities, found.test_probabilities)
    assert not len(plain.shifted_probabilities)


def test_a_refit_and_what_is_made_with_one_leave_none(shifted: Dataset, features: Path, tmp_path: Path) -> None:
    save_to = tmp_path / "refit.safetensors"
    refit = run_trial(TrialSpec(SCRATCH, 0, refit=True), shifted, features, limits=Limits(save_to=str(save_to)))
    assert not len(refit.shifted_probabilities)
    for least, rows in ((None, shifted.number_of_copies), (0.0, 0)):
        asked = Combination((str(save_to),), least=least)
        made = combine_networks(TrialSpec(SCRATCH, 1), asked, shifted, Limits())
        assert len(made.shifted_probabilities) == rows
