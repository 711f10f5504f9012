"""An exported file tells images unlike those of training as the model does."""

import json
import shutil

import numpy as np
import pytest

from command_line import convlift
from convlift.deploy.learn_likeness import learn_likeness
from convlift.deploy.onnx_classifier import DISTANCES, PROBABILITIES, load_onnx
from convlift.deploy.predict import load
from convlift.interchange import parity
from convlift.interchange.export import export_onnx
from convlift.recipe.data import Preparation


@pytest.fixture(scope="module")
def known(grey, tmp_path_factory):
    """A run folder whose model knows its training images."""
    run = shutil.copytree(grey.folder, tmp_path_factory.mktemp("known") / "run")
    splits = grey.dataset.splits
    assert learn_likeness(
        run / "model", grey.dataset.store.pixels(8, Preparation("squash")), splits.train, splits.validation
    )
    return run


@pytest.fixture(scope="module")
def exported(known):
    return export_onnx(known).file


def others():
    """What is no digit: noise, and images of one colour."""
    rng = np.random.default_rng(0)
    return [
        *rng.integers(0, 256, (5, 8, 8), dtype=np.uint8),
        np.zeros((8, 8), np.uint8),
        np.full((8, 8), 200, np.uint8),
    ]


def outputs(file):
    return [each.name for each in load_onnx(file)._session.get_outputs()]


def test_distances_are_those_of_the_model(known, exported, grey):
    images = [*grey.held_out()[:40], *others()]
    ours, theirs = load(known).predict(images), load_onnx(exported).predict(images)
    assert outputs(exported) == [PROBABILITIES, DISTANCES]
    assert [each.distance for each in theirs] == pytest.approx([each.distance for each in ours], rel=1e-4)
    assert [each.unlike for each in theirs] == [each.unlike for each in ours]
    assert all(each.unlike for each in theirs[40:])
    assert np.mean([each.unlike for each in theirs[:40]]) < 0.2


def test_the_command_marks_them(known, exported, tmp_path):
    from PIL import Image

    Image.fromarray(others()[0]).save(tmp_path / "noise.png")
    said = convlift("predict", str(exported), str(tmp_path / "noise.png"), "--json", "--quiet")
    (found,) = json.loads(said.out)["predictions"]
    assert found["unlike"] is True
    assert found["distance"] > 1


def test_a_model_that_does_not_know_gives_a_file_that_does_not_tell(grey, tmp_path):
    made = export_onnx(grey.folder, tmp_path / "plain.onnx").file
    assert outputs(made) == [PROBABILITIES]
    assert load_onnx(made).predict(grey.held_out()[0]).unlike is None


def test_where_the_two_do_not_agree_the_file_is_written_without(known, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "NEAR", -1.0)
    made = export_onnx(known, tmp_path / "plain.onnx").file
    assert outputs(made) == [PROBABILITIES]


def test_half_precision_does_not_tell(known, tmp_path):
    made = export_onnx(known, tmp_path / "half.onnx", precision="float16").file
    assert outputs(made) == [PROBABILITIES]
