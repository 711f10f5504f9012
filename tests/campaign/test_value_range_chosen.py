"""A scale that the user chose goes from the option to store, model, exported file, server and plan."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from command_line import convlift
from convlift import api, use
from convlift.campaign.look_at_plan import look_at_plan
from convlift.campaign.open_data import read_images
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.campaign.shift_asked import images_of
from convlift.data.dataset import Dataset
from convlift.data.plan_file import read_plan
from convlift.data.readers.recognize import open_source
from convlift.data.splits import make_splits
from convlift.data.square import square
from convlift.data.store import data_fingerprint
from convlift.data.stretch import Stretch
from convlift.deploy.images import Origin, read_image
from convlift.deploy.model_folder import CONFIG, parse_config
from convlift.deploy.onnx_classifier import load_onnx
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, UnreadableImage
from convlift.recipe.recipe import Recipe
from convlift.report.wording.remedies import _command
from convlift.serve.decoder import TOLD, Steps, _answer
from tiff_files import tiff_of

TINY = Recipe().edit(architecture={"width": 8, "head_units": 16}, training={"epochs": 1})
DIGITS = load_digits()
CHOSEN = np.flatnonzero(DIGITS.target < 2)[:120]
UNITS = (np.kron(DIGITS.images[CHOSEN], np.ones((2, 2))) * 100 - 1000).astype(np.int16)  # -1000 to 600
UNITS += np.random.default_rng(0).integers(0, 200, UNITS.shape, dtype=np.int16)
LABELS = DIGITS.target[CHOSEN]


@pytest.fixture(scope="module")
def place(place):
    """It is the working folder, too."""
    with contextlib.chdir(place):
        yield place


@pytest.fixture(scope="module")
def folder(place):
    """Files of 16 bits with a sign."""
    for number, (values, label) in enumerate(zip(UNITS, LABELS, strict=True)):
        (place / "scans" / f"c{label}").mkdir(parents=True, exist_ok=True)
        (place / "scans" / f"c{label}" / f"{number}.tif").write_bytes(tiff_of(values))
    return place / "scans"


@pytest.fixture(scope="module")
def run(folder, place):
    return api.train(folder, TINY, out=place / "run", value_range="percentiles", quiet=True).folder


def store_of(data, place, asked="percentiles"):
    return read_images(request_of(data, None, place / "cache", value_range=asked), Session())[0]


def test_what_training_saw_is_what_prediction_sees_to_the_last_byte(run, folder, place):
    store, model = store_of(folder, place), load(run)
    known = store.value_range
    assert model.config.value_range == known
    assert known.low[0] < 0 < known.high[0]
    for row in (0, 3, 100):
        path = folder / store.keys[row]
        values = UNITS[int(path.stem)]
        for same in (str(path), path.read_bytes(), values, values.astype(np.float64), values[..., None]):
            seen = read_image(same, "a", model.config.origin)
            assert_array_equal(seen.pixels, store.image(row))
            assert seen.notes == ()


def test_the_folder_keeps_the_scale_and_one_without_a_lowest_value_is_read(run):
    text = (run / "model" / CONFIG).read_text()
    written = json.loads(text)["preprocessing"]["value_range"]
    known = load(run).config.value_range
    assert written == {"low": list(known.low), "high": list(known.high), "asked": "percentiles"}
    assert parse_config(text, Path(CONFIG)).value_range == known
    for old, read in ((None, None), (4095.0, 4095.0), ([4095.0], (4095.0,))):
        document = json.loads(text)
        document["preprocessing"]["value_range"] = old
        assert parse_config(json.dumps(document), Path(CONFIG)).value_range == read
    wrong = ({"low": [1.0], "high": [1.0], "asked": ""}, {"low": [], "high": [], "asked": ""},
             {"low": [1.0, 2.0], "high": [2.0, 3.0], "asked": ""}, {"low": [1.0], "high": [2.0, 3.0], "asked": ""},
             {"low": ["0"], "high": [1.0], "asked": ""}, {"high": [1.0]})  # fmt: skip
    for each in wrong:
        document["preprocessing"]["value_range"] = each
        with pytest.raises(ConvliftError, match="value_range"):
            parse_config(json.dumps(document), Path(CONFIG))


def test_an_exported_file_predicts_the_same(run, folder):
    use.export(run)
    exported, model = load_onnx(run / "model" / "model.onnx"), load(run)
    assert exported.config.value_range == model.config.value_range
    for image in (folder / "c1" / "1.tif", UNITS[0], UNITS[5] * 2):
        found, expected = exported.predict(image), model.predict(image)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert found.notes == expected.notes


def test_a_server_decodes_what_predict_reads(run):
    made = load(run).config
    steps = Steps(made.channels, 16, made.preparation, made.value_range, made.alpha, made.side, 10**6)
    assert Steps.of_json(steps.to_json()) == steps
    told = io.BytesIO()
    _answer(told, steps, "a.tif", tiff_of(UNITS[0]))
    seen = read_image(UNITS[0], "a", made.origin).pixels
    assert told.getvalue()[TOLD.size + 2 :] == square(seen, made.channels, 16, made.preparation).tobytes()


def test_an_image_of_which_little_is_left_has_a_note():
    origin = Origin(Stretch((0.0,), (100.0,), "0:100"), channels=1)
    values = np.full((10, 10), 50, np.int32)
    values[:6] = 400
    assert read_image(values, "a", origin).notes == (
        "0% of the values lie below the scale of training and 60% above it; they are cut",
    )
    values[:6] = [[-5]]
    (note,) = read_image(tiff_of(values.astype(np.float32)), "a", origin).notes
    assert note.startswith("60% of the values lie below the scale of training")
    values[:2] = 50
    assert read_image(values, "a", origin).notes == ()
    assert read_image(np.full((8, 8), 200, np.uint8), "a", origin).pixels.max() == 200  # bytes are pixels
    assert read_image(np.ones((8, 8), bool), "a", origin).pixels.min() == 255
    for bad in (np.full((8, 8), np.nan), np.full((8, 8), -1e10)):
        with pytest.raises(UnreadableImage, match=r"a has values from .* they must be finite numbers"):
            read_image(bad, "a", origin)


def test_an_image_that_becomes_one_colour_has_a_note():
    origin = Origin(Stretch((0.0,), (10000.0,), "0:10000"), channels=1)
    reflectance = np.linspace(0, 0.4, 100).reshape(10, 10)
    assert read_image(reflectance, "a", origin).notes == (
        "values from 0 to 0.4 are one colour on the scale of training",
    )
    assert read_image(tiff_of(reflectance), "a", origin).notes != ()
    for same in (reflectance * 10000, np.full((8, 8), 0.4), np.full((8, 8), 3, np.uint8)):
        assert read_image(same, "a", origin).notes == ()


def test_an_evaluation_reads_arrays_and_files_on_the_scale_of_the_model(run, folder, place):
    names = np.array([f"c{label}" for label in LABELS])
    of_files = use.evaluate(run, folder, quiet=True)
    of_arrays = use.evaluate(run, (UNITS, names), quiet=True)
    assert of_files.learned_from == (str(run),)
    confident = [sorted(round(each.confidence, 5) for each in one.answers) for one in (of_files, of_arrays)]
    assert confident[0] == confident[1]


def test_arrays_left_as_they_are_are_known_again_by_a_model_and_a_plan_of_bits(place):
    whole, names = (UNITS.astype(np.int32) + 1000).astype(np.uint16), np.array([f"c{label}" for label in LABELS])
    by_bits = api.train((whole, names), TINY, out=place / "by_bits", quiet=True).folder
    scaled = api.train((whole, names), TINY, out=place / "scaled", value_range="0:1800", quiet=True).folder
    for one, other in ((by_bits, scaled), (scaled, by_bits)):
        found = use.evaluate(one, (whole, names), against=other, quiet=True)
        assert set(found.learned_from) == {str(by_bits), str(scaled)}
    assert data_fingerprint(open_source((UNITS, names), as_they_are=True)) == ""
    np.savez(place / "whole.npz", train_images=whole, train_labels=LABELS)
    path = place / "plan_of_bits.yaml"
    api.audit(place / "whole.npz", fix=path, label_errors=False, quiet=True)
    read_images(request_of(place / "whole.npz", None, place / "cache", plan=path, value_range="0:1800"), Session())


def test_shifted_images_are_told_on_the_same_scale(folder, place, tmp_path):
    store = store_of(folder, place)
    dataset = Dataset(store, make_splits(store, 0))
    for label in ("c0", "c1"):
        (tmp_path / "shifted" / label).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "shifted" / label / f"{number}.tif").write_bytes(tiff_of(UNITS[number] + np.int16(3)))
    (tmp_path / "shifted" / "c0" / "copy.tif").write_bytes((folder / store.keys[0]).read_bytes())
    found = images_of(tmp_path / "shifted", dataset, None)
    assert (found.copied, len(found.places)) == (1, 8)


def test_a_plan_knows_the_scale_of_its_data(folder, place):
    path = place / "plan.yaml"
    api.audit(folder, fix=path, value_range="-1000:400", label_errors=False, quiet=True)
    assert read_plan(path).reading["value_range"] == "-1000:400"
    assert look_at_plan(path, None, place / "cache", Session()).store.value_range == Stretch(
        (-1000.0,), (400.0,), "-1000:400"
    )
    request = request_of(folder, None, place / "cache", value_range="-1000:400", plan=path)
    store, _ = read_images(request, Session())
    assert store.plan.origin["value_range"] == "-1000:400"


def test_the_command_line_says_what_is_wrong_in_one_sentence(folder, place):
    for command in ("train", "audit", "improve", "preview", "diagnose", "aa"):
        said = convlift(command, folder, "--value-range", "9:3", "--quiet")
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("convlift: --value-range '9:3' is no scale; give bits, percentiles, two values")
    said = convlift("train", "digits", "--value-range", "percentiles", "--quiet")
    assert said.code == 2
    assert "is for values of more than 8 bits, and no image of digits has such; leave it out." in said.err
    # a number below 0 is no option
    said = convlift("audit", folder, "--value-range", "-1000:400", "--no-label-errors", "--json", "--quiet")
    assert said.code == 0
    assert "-1000 to 400 became 0 to 255" in said.out


def test_a_command_that_is_proposed_reads_the_data_as_they_were_read(place):
    asked = request_of("scans", None, place, value_range="0:9000")
    assert "--value-range 0:9000" in _command("train", "--recipe", Path("a.yaml"), asked)
    assert "--value-range" not in _command("train", "--recipe", Path("a.yaml"), request_of("scans", None, place))
