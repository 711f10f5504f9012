"""One model out of several networks: the average of their weights, or all of them together, with mirror images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file, save_file

from convlift.data.dataset import Dataset
from convlift.data.normalization import of_figures
from convlift.deploy.model_folder import ModelConfig, write_model_folder
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, Diverged
from convlift.model.build import build_network
from convlift.model.checkpoint import METADATA, saved_normalization
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import unchanged
from convlift.trial.combine_networks import combine_networks
from convlift.trial.run_trial import run_trial


@pytest.fixture(scope="module")
def recipe(backbone_file: Path) -> Recipe:
    tuned = {"epochs": 1, "stages": 1, "learning_rate": 0.001, "batch_norm": "update"}
    network = {"kind": "pretrained", "backbone": "mobilenetv3_small_050", "head_units": 0}
    return Recipe().edit(
        data={"resolution": 32, "normalization": "pretrained"},
        architecture={**network, "weights": str(backbone_file)},
        training={"epochs": 2, "learning_rate": 0.01, "fine_tuning": tuned},
    )


@pytest.fixture(scope="module")
def trained(recipe: Recipe, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("networks")
    return [
        run_trial(TrialSpec(recipe, seed), digits, folder, limits=Limits(save_to=str(folder / f"{seed}.safetensors")))
        for seed in range(2)
    ]


def average(recipe: Recipe, digits: Dataset, trained: list[Outcome], to: Path) -> Outcome:
    asked = Combination(tuple(outcome.weights for outcome in trained), averaged=True)
    return combine_networks(TrialSpec(recipe, 5), asked, digits, Limits(save_to=str(to)))


def test_of_one_network_it_is_that_network(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path
) -> None:
    found = average(recipe, digits, trained[:1], tmp_path / "average.safetensors")
    # a trial predicts from activations that it stored with half the digits
    assert found.status == "finished"
    assert_allclose(found.validation_probabilities, trained[0].validation_probabilities, atol=5e-4)
    assert_allclose(found.test_probabilities, trained[0].test_probabilities, atol=5e-4)


def test_it_has_the_mean_of_all_weights_and_statistics(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path
) -> None:
    found = average(recipe, digits, trained, tmp_path / "average.safetensors")
    one, other = (load_file(outcome.weights) for outcome in trained)
    saved = load_file(found.weights)
    assert saved.keys() == one.keys()
    for name, tensor in saved.items():
        if tensor.is_floating_point() and not name.startswith("head"):
            torch.testing.assert_close(tensor, (one[name] + other[name]) / 2)
    scales = torch.cat([(saved[name] / (one[name] + other[name])).flatten() for name in one if name[:4] == "head"])
    torch.testing.assert_close(scales, scales[:1].expand(len(scales)), rtol=1e-3, atol=0)  # one number for all logits
    assert any(not torch.equal(one[name], other[name]) for name in one if "running_mean" in name)
    assert saved_normalization(Path(found.weights)) == saved_normalization(Path(trained[0].weights))
    assert len(found.validation_probabilities) == len(digits.splits.validation)
    assert_allclose(found.test_probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_it_is_as_sure_of_training_images_as_its_members_are(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path
) -> None:
    found = average(recipe, digits, trained, tmp_path / "average.safetensors")
    normal = of_figures(*saved_normalization(Path(found.weights)))
    images = unchanged(digits.store.pixels(32, recipe.data.preparation), digits.splits.train, normal)

    def says(weights: str, scale: float = 1.0) -> np.ndarray:
        network = build_network(recipe.architecture, classes=10, channels=1, resolution=32)
        network.load_state_dict({n: t * scale if n.startswith("head") else t for n, t in load_file(weights).items()})
        return predict_probabilities(network, images())

    wanted = np.mean([says(outcome.weights) for outcome in trained], axis=0)

    def surprise(scale: float) -> float:
        return float(-(wanted * np.log(says(found.weights, scale))).sum(axis=1).mean())

    as_made = surprise(1.0)
    assert surprise(0.7) > as_made
    assert surprise(1.4) > as_made


def test_the_same_networks_give_the_same_average(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path
) -> None:
    first, again = (average(recipe, digits, trained, tmp_path / f"{n}.safetensors") for n in range(2))
    assert_array_equal(first.test_probabilities, again.test_probabilities)
    assert Path(first.weights).read_bytes() == Path(again.weights).read_bytes()
    assert not np.array_equal(first.test_probabilities, trained[0].test_probabilities)


@pytest.mark.parametrize("mirrored", [False, True])
def test_together_their_probabilities_are_averaged(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path, mirrored: bool
) -> None:
    asked = Combination(tuple(outcome.weights for outcome in trained), mirrored=mirrored)
    to = tmp_path / "together.safetensors"
    found = combine_networks(TrialSpec(recipe, 5), asked, digits, Limits(save_to=str(to)))
    mean = sum(outcome.test_probabilities for outcome in trained) / len(trained)
    assert asked.cost == (4 if mirrored else 2)
    assert (abs(found.test_probabilities - mean).max() < 5e-4) != mirrored
    assert_allclose(found.test_probabilities.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("asked", [{}, {"averaged": True, "mirrored": True}, {"mirrored": True}])
def test_what_it_saves_predicts_what_it_predicted(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path, asked: dict[str, bool]
) -> None:
    """Through the model folder, as a user has it."""
    to = tmp_path / "made.safetensors"
    combination = Combination(tuple(outcome.weights for outcome in trained), **asked)
    found = combine_networks(TrialSpec(recipe, 5), combination, digits, Limits(save_to=str(to)))
    mean, std = saved_normalization(to)
    config = ModelConfig(digits.classes, digits.channels, 32, recipe.data.resize, mean, std, {})
    write_model_folder(tmp_path / "model", to, recipe, config)
    squares = digits.store.pixels(32, recipe.data.preparation)[digits.splits.test]
    assert_allclose(load(tmp_path / "model").probabilities(list(squares)), found.test_probabilities, atol=1e-5)


def test_a_file_that_says_it_holds_more_networks_than_it_does_is_refused_before_they_are_built(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "many.safetensors"
    described = {"mean": [0.5], "std": [0.5], "padding": "", "networks": 10**9, "mirrored": False}
    save_file(load_file(trained[0].weights), weights, {METADATA: json.dumps(described)})
    config = ModelConfig(digits.classes, digits.channels, 32, recipe.data.resize, (0.5,), (0.5,), {})
    write_model_folder(tmp_path / "model", weights, recipe, config)
    with pytest.raises(ConvliftError, match="1000000000 networks"):
        load(tmp_path / "model")
    save_file(load_file(trained[0].weights), weights, {METADATA: json.dumps(described | {"networks": 64})})
    write_model_folder(tmp_path / "model", weights, recipe, config)
    built = []
    monkeypatch.setattr(
        "convlift.deploy.rebuild.build_network", lambda *a, **k: built.append(a) or build_network(*a, **k)
    )
    with pytest.raises(ConvliftError, match="does not fit"):
        load(tmp_path / "model")
    assert len(built) == 1


def test_of_networks_that_learned_from_validation_images_none_of_these_measure_anything(
    recipe: Recipe, digits: Dataset, trained: list[Outcome], tmp_path: Path
) -> None:
    asked = Combination(tuple(outcome.weights for outcome in trained), averaged=True, least=0.0)
    found = combine_networks(TrialSpec(recipe, 5), asked, digits, Limits(save_to=str(tmp_path / "a.safetensors")))
    plain = average(recipe, digits, trained, tmp_path / "b.safetensors")
    assert found.validation_probabilities.size == 0
    assert_array_equal(found.test_probabilities, plain.test_probabilities)
    asked = replace(asked, least=1.0)
    with pytest.raises(Diverged, match=r"together they classify 0\.\d+ of the validation images correctly, each alone"):
        combine_networks(TrialSpec(recipe, 5), asked, digits, Limits(save_to=str(tmp_path / "c.safetensors")))
    assert not (tmp_path / "c.safetensors").exists()
