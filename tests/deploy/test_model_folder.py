"""A model folder holds all that a prediction needs, and says in one sentence when it does not."""

import hashlib
import json
import pickle
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from convlift.deploy.model_folder import read_model_folder, write_model_folder
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, DiskError, RecipeError
from convlift.records.confidence import Confidence, Threshold

FILES = ["SHA256SUMS", "config.json", "model.safetensors", "recipe.yaml"]


@pytest.fixture
def folder(grey, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(grey.folder, tmp_path / "run") / "model"


def sign(folder):
    """Make the checksums right again, as one who tampers would."""
    names = ["model.safetensors", "recipe.yaml", "config.json"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def refusal(folder):
    """The sentence with which the folder is refused: one line."""
    with pytest.raises(ConvliftError) as caught:
        load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_what_is_written_is_read(grey):
    weights, recipe, config = read_model_folder(grey.folder)
    assert weights == grey.folder / "model" / "model.safetensors"
    assert (recipe.architecture.width, recipe.data.resolution) == (8, 8)
    assert config.classes == tuple("0123456789")
    assert (config.channels, config.resolution, config.resize) == (1, 8, "squash")
    assert 0.1 < config.mean[0] < 0.5 < 1 / config.std[0]
    assert read_model_folder(grey.folder / "model") == (weights, recipe, config)


def test_the_folder_holds_these_files_and_nothing_half_written(grey):
    assert sorted(path.name for path in (grey.folder / "model").iterdir()) == FILES


def test_the_checksums_are_those_of_the_files(grey):
    folder = grey.folder / "model"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    found = dict(reversed(line.split("  ")) for line in lines)
    assert sorted(found) == [name for name in FILES if name != "SHA256SUMS"]
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in found.items())


def test_the_card_may_be_edited(folder, grey):
    (folder / "README.md").write_text("Ours.")
    assert load(folder).classes == load(grey.folder).classes


def test_a_folder_written_over_another_is_whole(colour, folder):
    weights, recipe, config = read_model_folder(colour.folder)
    write_model_folder(folder, weights, recipe, config)
    assert read_model_folder(folder)[1:] == (recipe, config)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    load(folder)


def test_a_disk_that_fills_leaves_the_old_model_as_it_was(colour, folder):
    weights, recipe, config = read_model_folder(colour.folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (weights.stat().st_size - 1, hard))  # Python ignores the signal
    try:
        with pytest.raises(DiskError, match=r"model cannot be written: the disk at /.* is full \(File too large"):
            write_model_folder(folder, weights, recipe, config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_config_tells_other_programs_how_to_prepare_an_image(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["schema_version"] == 1
    assert config["preprocessing"].keys() == {
        *("channels", "resolution", "resize", "mean", "std", "orientation", "transparency", "value_range", "most_side"),
        *("grey", "contrast"),
    }


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    said = refusal(folder.parent)
    assert f"{name} is missing" in said
    assert "give a run folder or its model folder" in said


def test_a_path_that_is_not_there_is_named(tmp_path):
    assert f"{tmp_path / 'nowhere'} holds no model" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.yaml", "config.json"])
def test_a_damaged_file_is_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-20] ^= 1
    (folder / name).write_bytes(content)
    said = refusal(folder)
    assert f"{name} does not match its checksum" in said
    assert "copy the folder again" in said


def test_a_list_of_checksums_that_leaves_a_file_out_vouches_for_nothing(folder):
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(line for line in lines if "model.safetensors" not in line))
    assert "model.safetensors does not match" in refusal(folder)
    (folder / "SHA256SUMS").write_bytes(b"\xff\x00 nonsense")
    assert "does not match" in refusal(folder)


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_pickle_is_refused_and_never_opened(folder, tmp_path, dump):
    with (folder / "model.safetensors").open("wb") as file:
        dump(Trap(tmp_path / "owned"), file)
    sign(folder)
    assert "model.safetensors is no weights file" in refusal(folder)
    assert not (tmp_path / "owned").exists()


def test_weights_of_somebody_else_are_refused(folder):
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    sign(folder)
    assert "model.safetensors is no weights file of convlift" in refusal(folder)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [("width: 8", "width: 16", "features.0.weight"), ("blocks: 1", "blocks: 2", "features.3.weight")],
)
def test_a_recipe_of_another_network_is_refused(folder, old, new, key):
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace(old, new))
    sign(folder)
    said = refusal(folder)
    assert f"does not fit recipe.yaml and config.json beside it (they differ in '{key}')" in said
    assert "take all three from the same training" in said


def test_a_recipe_with_a_typo_gets_the_nearest_key(folder):
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("head_units", "head_unit"))
    sign(folder)
    with pytest.raises(RecipeError, match=r"recipe\.yaml: unknown key 'architecture\.head_unit'.*'head_units'"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"classes": ["0"]}', "null"])
def test_a_config_that_is_none_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    sign(folder)
    assert "config.json is damaged" in refusal(folder)


def test_a_temperature_changes_probabilities_and_no_label(folder, grey):
    before = load(grey.folder)
    weights, recipe, config = read_model_folder(grey.folder)
    confidence = Confidence(2.0, "validation", (Threshold("3", "Youden's J", 0.25),))
    write_model_folder(folder, weights, recipe, replace(config, confidence=confidence))
    after = load(folder)
    assert after.config.confidence == confidence
    images = list(grey.held_out()[:20])
    plain, mended = before.predict(images), after.predict(images)
    assert [each.label for each in plain] == [each.label for each in mended]
    of_before = before.config.confidence.temperature
    for one, other in zip(plain, mended, strict=True):
        logits = of_before * np.log(np.array(list(one.probabilities.values())))
        expected = np.exp(logits / 2.0) / np.exp(logits / 2.0).sum()
        np.testing.assert_allclose(list(other.probabilities.values()), expected, atol=1e-5)


def test_an_older_folder_has_a_temperature_of_one(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["confidence"]
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)
    assert load(folder).config.confidence == Confidence()


@pytest.mark.parametrize("value", [0, -1.0, 1e9, "1", None])
def test_a_temperature_that_none_can_have_is_refused(folder, value):
    config = json.loads((folder / "config.json").read_text())
    config["confidence"]["temperature"] = value
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)
    assert "config.json is damaged (confidence.temperature" in refusal(folder)
