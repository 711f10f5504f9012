"""The trained network that a user gives with its code: read, scaled, compared with."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from command_line import convlift
from convlift import api
from convlift.campaign.network_given import weights_given
from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.normalization import statistics
from convlift.errors import ConvliftError, RecipeError, WeightsError
from convlift.ledger.ledger import read_ledger
from convlift.model.build import build_network
from convlift.model.given_weights import as_given, given_network
from convlift.recipe.built_in import OWN
from convlift.recipe.data import Preparation
from convlift.records.given_network import GivenNetwork
from convlift.report.wording.before_training import given_network as in_words
from convlift.search.given import given_recipe
from convlift.trial.read_given import read_given
from own_networks import ADAPTIVE, NONE_ALLOWED, TUTORIAL, few_digits, write

SHORT = OWN.edit(training={"epochs": 8, "learning_rate": 0.01})


class Trained:
    """A network of the user's own that was trained to the first half of some digits: its code and the weights."""

    def __init__(self, place: Path) -> None:
        self.place, self.data = place, few_digits(place / "few-digits.npz")
        write(place, {"net.py": ADAPTIVE, "tutorial.py": TUTORIAL})
        recipe, self.dataset = self.recipe_for(model="net.py:make")
        torch.manual_seed(0)
        self.network = build_network(recipe.architecture, classes=3, channels=1, resolution=32)
        self.pixels = self.dataset.store.pixels(32, Preparation("squash"))
        train = self.dataset.splits.train
        self.normal = statistics("standardize", self.pixels[train])
        inputs, labels = self.inputs(train), torch.from_numpy(self.dataset.labels[train])
        optimizer = torch.optim.Adam(self.network.parameters(), 0.01)
        for _ in range(12):
            torch.nn.functional.cross_entropy(self.network(inputs), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
        self.state = self.network.state_dict()
        self.file = place / "trained.pt"
        torch.save(self.state, self.file)

    def recipe_for(self, **options):
        request = request_of(self.data, "1m", self.place / "cache", **options)
        dataset, _ = open_data(request, Session())
        return recipe_of(request, dataset)[0], dataset

    def inputs(self, part):
        mean, std = self.normal
        images = (self.pixels[part].astype(np.float32) / 255 - mean) / std
        return torch.from_numpy(images).permute(0, 3, 1, 2)

    def read(self, path, **options):
        recipe, dataset = self.recipe_for(model="net.py:make")
        own = as_given(recipe.architecture)
        return given_network(own, path, classes=3, channels=dataset.channels, resolution=32, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("CONVLIFT_CACHE", str(place / "cache"))
        patch.setenv(*NONE_ALLOWED)
        patch.setattr(sys, "path", [*sys.path])
        yield Trained(place)


# --- the file ---


def as_lightning(state):
    return {"state_dict": {"net.model." + key: each for key, each in state.items()} | {"loss.weight": torch.ones(3)}}


def as_averaged(state):
    return {"n_averaged": torch.tensor(5)} | {"module." + key: each for key, each in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model_state_dict": state, "epoch": 12},
        lambda state: {"model": {"_orig_mod." + key: each for key, each in state.items()}},
        as_lightning,
        as_averaged,
    ],
    ids=["plain", "tutorial", "compiled", "lightning", "averaged"],
)
def test_weights_are_found_as_trainers_save_them(trained, tmp_path, wrap):
    torch.save(wrap(trained.state), tmp_path / "weights.ckpt")
    images = trained.inputs(trained.dataset.splits.validation)
    network = trained.read(tmp_path / "weights.ckpt").eval()
    torch.testing.assert_close(network(images), trained.network.eval()(images))


def test_safetensors_are_read(trained, tmp_path):
    save_file({key: each.contiguous() for key, each in trained.state.items()}, tmp_path / "weights.safetensors")
    found = trained.read(tmp_path / "weights.safetensors").state_dict()
    assert all(torch.equal(found[key], each) for key, each in trained.state.items())


def without(state, key):
    return {name: each for name, each in state.items() if name != key}


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("w.pt", lambda state: without(state, "6.bias"), r"lack '6\.bias': they are of another network"),
        ("w.pt", lambda state: state | {"9.weight": torch.ones(1)}, r"hold '9\.weight', which the network does not"),
        ("w.pt", lambda state: state | {"6.bias": torch.ones(9)}, r"'6\.bias' has shape \(9,\), the network's \(3,\)"),
        ("w.pt", lambda state: {"x": Path}, "is not opened"),
        ("w.onnx", lambda state: state, "must be a file of weights: .safetensors"),
        ("w.h5", lambda state: state, r"are of a Keras model, and network 'net\.py:make' is none"),
    ],
    ids=["missing", "strange", "shape", "pickle", "ending", "keras"],
)
def test_what_does_not_fit_is_refused(trained, tmp_path, name, change, words):
    torch.save(change(trained.state), tmp_path / name)
    with pytest.raises(WeightsError, match=words):
        trained.read(tmp_path / name)
    with pytest.raises(WeightsError, match="there is no such file"):
        trained.read(tmp_path / f"gone-{name}".replace("onnx", "pt"))


def test_they_belong_to_a_network_of_ones_own_with_these_classes(trained):
    plain, dataset = trained.recipe_for(current="plain")
    request = request_of(trained.data, "1m", trained.place / "cache", model_weights=trained.file)
    with pytest.raises(ConvliftError, match=r"name its code with --model, such as --model net\.py:Net"):
        weights_given(request, plain, dataset)
    other, dataset = trained.recipe_for(model="tutorial.py:Net")
    with pytest.raises(RecipeError, match=r"the last layer of 'tutorial\.py:Net', fc3, does not give as many scores"):
        weights_given(request, other, dataset)


def test_neither_folds_nor_an_ab_test_take_them(trained):
    for more in ({"cv": 3}, {}):
        with pytest.raises(ConvliftError, match=r"leave out (--)?model.weights"):
            (api.improve if more else api.aa)(
                trained.data, model="net.py:make", model_weights=trained.file, quiet=True, **more
            )


# --- how its inputs are scaled ---


def test_the_scaling_that_it_was_trained_with_is_found(trained, tmp_path):
    recipe, dataset = trained.recipe_for(model="net.py:make")
    found = read_given(given_recipe(recipe), trained.file, dataset, tmp_path / "given.safetensors", chosen=True)
    known = np.concatenate([dataset.splits.train, dataset.splits.validation])
    right = (trained.network.eval()(trained.inputs(known)).argmax(1).numpy() == dataset.labels[known]).mean()
    chance = np.bincount(dataset.labels[known]).max() / len(known)
    assert found == GivenNetwork("standardize", 5, pytest.approx(right), pytest.approx(chance), may_know_test=False)
    assert right > 0.9
    by_recipe = read_given(given_recipe(recipe), trained.file, dataset, tmp_path / "given.safetensors", chosen=False)
    assert (by_recipe.scaling, by_recipe.tried) == ("its recipe's", 1)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (GivenNetwork("unit", 5, 0.9, 0.3, True), r"from 0 to 1, which fits best of 5 usual ways\. If it learned from"),
        (GivenNetwork("bytes", 5, 0.3, 0.3, True), r"It gets only 30% .* alphabetical order\.$"),
        (GivenNetwork("its recipe's", 1, 0.9, 0.3, False), r"Its pixels are scaled as its recipe says\.$"),
    ],
)
def test_it_has_words(found, words):
    assert in_words(found).startswith("The baseline's network is your own, with the weights that you gave. ")
    assert re.search(words, in_words(found))


# --- a campaign ---


@pytest.fixture(scope="module")
def campaign(trained):
    return api.improve(
        trained.data, current=SHORT, model="net.py:make", model_weights=trained.file, keep_network=True, trainings=4,
        workers=1, out=trained.place / "run", quiet=True,
    )  # fmt: skip


def test_what_ships_is_compared_with_it(campaign, trained):
    with read_ledger(campaign.folder) as ledger:
        (given,) = ledger.trials("given")
    with np.load(trained.data) as opened:
        labels = opened["test_labels"]
    # its recipe says how its inputs are scaled; that is not what it was trained with, and it is read all the same
    right = (given.outcome.test_probabilities.argmax(1) == labels).mean()
    network = campaign.result.claim
    if campaign.result.judged:
        assert network.baseline.value == pytest.approx(right)
    else:
        assert campaign.result.ships == "baseline"
    assert any(isinstance(note, GivenNetwork) for note in campaign.result.notes)
    assert "your own, with the weights that you gave" in campaign.report.read_text()


def test_a_new_training_of_the_same_recipe_ships_where_it_is_better(trained, tmp_path):
    torch.save({key: torch.randn_like(each) for key, each in trained.state.items()}, tmp_path / "untrained.pt")
    found = api.improve(
        trained.data, current=SHORT, model="net.py:make", model_weights=tmp_path / "untrained.pt", keep_network=True,
        trainings=4, workers=1, out=trained.place / "again", quiet=True,
    ).result  # fmt: skip
    assert found.judged
    assert found.claim.final.value > found.claim.baseline.value + 0.1
    assert not found.is_better  # over a network that never learned anything nothing is proven


def test_other_weights_are_another_campaign(campaign, trained, tmp_path):
    torch.save({key: 2 * each for key, each in trained.state.items()}, tmp_path / "other.pt")
    said = convlift(
        "improve", trained.data, "--model", "net.py:make", "--keep-network", "--model-weights", tmp_path / "other.pt",
        "--trainings", 4, "--out", campaign.folder,
    )  # fmt: skip
    assert said.code == 2
    assert "belongs to another campaign" in said.err
