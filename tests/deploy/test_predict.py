"""What a loaded model says is what the trial said, and every file gets what its pixels say or a clear refusal."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from convlift.data.decode import decode
from convlift.deploy.predict import load
from convlift.errors import UnreadableImage
from convlift.recipe.data import Preparation
from stand_in import STAND_IN, StandIn

ORIENTATION = 0x0112
MOBILENET = Path(__file__).parents[2] / "../shared/data/weights/mobilenetv2_100_imagenet.safetensors"


def rows(predictions):
    return np.array([list(prediction.probabilities.values()) for prediction in predictions], np.float32)


@pytest.fixture(scope="module")
def colour_model(colour):
    return load(colour.folder)


@pytest.fixture
def picture(colour):
    """A colour image (16, 8, 3), and a file of it: picture.save("name.png")."""
    return Image.fromarray(colour.images[0])


@pytest.mark.parametrize("network", ["grey", "colour"])
def test_arrays_and_files_get_the_trials_own_probabilities(request, network, tmp_path):
    trained = request.getfixturevalue(network)
    model = load(trained.folder)
    held_out = trained.held_out()
    paths = [tmp_path / f"{number}.png" for number in range(len(held_out))]
    for path, pixels in zip(paths, held_out, strict=True):
        Image.fromarray(pixels).save(path)
    assert_array_equal(rows(model.predict(list(held_out))), trained.outcome.validation_probabilities)
    assert_array_equal(rows(model.predict([str(path) for path in paths])), trained.outcome.validation_probabilities)


@pytest.mark.parametrize("network", ["grey", "colour"])
def test_on_another_device_the_same_network_says_the_same(request, network):
    trained = request.getfixturevalue(network)
    with StandIn():
        found = load(trained.folder, STAND_IN).predict(list(trained.held_out()))
    assert_allclose(rows(found), trained.outcome.validation_probabilities, atol=1e-5)


def test_squares_get_the_same_whatever_else_is_in_the_batch(grey):
    model = load(grey.folder)
    pixels = grey.dataset.store.pixels(8, Preparation("squash"))
    every = model.probabilities(list(pixels))
    assert_array_equal(every[grey.dataset.splits.validation], grey.outcome.validation_probabilities)
    assert_allclose(model.probabilities([pixels[7]]), every[[7]], atol=1e-6)
    assert model.probabilities([]).shape == (0, 10)
    assert model.predict([]) == []


def test_a_prediction_says_label_confidence_and_all_classes(grey, tmp_path):
    path = tmp_path / "digit.png"
    Image.fromarray(grey.images[0]).save(path)
    from_path, from_array = load(grey.folder).predict([path, grey.images[0]])
    assert (from_path.image, from_array.image) == (str(path), "array 1")
    assert from_path.probabilities == from_array.probabilities
    assert list(from_path.probabilities) == list("0123456789")
    assert from_path.confidence == max(from_path.probabilities.values()) == from_path.probabilities[from_path.label]
    assert sum(from_path.probabilities.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (7, Image.Transpose.TRANSVERSE)],
)
def test_an_image_is_turned_upright(colour_model, colour, picture, tmp_path, orientation, undo):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture.transpose(undo).save(tmp_path / "turned.png", exif=exif)
    picture.transpose(undo).save(tmp_path / "flat.png")
    upright, turned, flat = colour_model.predict([colour.images[0], tmp_path / "turned.png", tmp_path / "flat.png"])
    assert turned.probabilities == upright.probabilities != flat.probabilities


def test_grey_palette_and_transparent_images_are_accepted(colour_model, picture, tmp_path):
    red = Image.new("RGB", picture.size, (200, 30, 30))
    hole = red.convert("RGBA")
    hole.paste((0, 0, 0, 0), (0, 0, 4, 8))
    on_white = red.copy()
    on_white.paste((255, 255, 255), (0, 0, 4, 8))
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE)
    bilevel = picture.convert("1")
    cases = {
        "grey": (picture.convert("L"), picture.convert("L").convert("RGB")),
        "alpha": (hole, on_white),
        "palette": (palette, palette.convert("RGB")),
        "bilevel": (bilevel, bilevel.convert("RGB")),
    }
    for name, (image, same) in cases.items():
        image.save(tmp_path / f"{name}.png")
        found, expected = colour_model.predict([tmp_path / f"{name}.png", np.asarray(same)])
        assert found.probabilities == expected.probabilities, name


def test_a_colour_jpeg_is_accepted_where_training_saw_grey(grey, picture, tmp_path):
    picture.save(tmp_path / "colour.jpg")
    pixels = decode((tmp_path / "colour.jpg").read_bytes()).pixels
    found, expected = load(grey.folder).predict(
        [tmp_path / "colour.jpg", np.asarray(Image.fromarray(pixels).convert("L"))]
    )
    assert found.probabilities == expected.probabilities


def test_arrays_may_be_grey_with_or_without_a_channel(colour_model, picture):
    flat = np.asarray(picture.convert("L"))
    shapes = colour_model.predict([flat, flat[:, :, None], np.repeat(flat[:, :, None], 3, axis=2)])
    assert len({tuple(found.probabilities.values()) for found in shapes}) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.jpg", b"<html>gone</html>", "HTML page"),
        ("empty.png", b"", "empty file"),
        ("cut.png", None, "broken PNG"),
    ],
)
def test_an_unreadable_file_is_named_with_its_fault(colour_model, picture, tmp_path, name, content, words):
    path = tmp_path / name
    if content is None:
        picture.save(path)
        content = path.read_bytes()[:90]
    path.write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        colour_model.predict([path])
    assert str(caught.value).startswith(f"{path} cannot be read ({words}")
    assert str(caught.value).endswith("repair it or leave it out.")


def test_a_file_that_is_not_there_is_named(colour_model, tmp_path):
    with pytest.raises(UnreadableImage, match=r"nix\.png cannot be read \(No such file.*give the path of an image"):
        colour_model.predict([tmp_path / "nix.png"])
    with pytest.raises(UnreadableImage, match="directory"):
        colour_model.predict([tmp_path])


def test_a_folder_and_a_pattern_are_several_images(colour_model, colour, tmp_path):
    for number in range(3):
        Image.fromarray(colour.images[number]).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("hello")
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert colour_model.predict(tmp_path) == colour_model.predict(paths)
    assert colour_model.predict(str(tmp_path / "[01].png")) == colour_model.predict(paths[:2])
    Image.fromarray(colour.images[2]).save(tmp_path / "[01].png")  # now it is a file
    expected = colour_model.predict(paths[2]).probabilities
    assert colour_model.predict(str(tmp_path / "[01].png")).probabilities == expected
    with pytest.raises(UnreadableImage, match=r"\*\.gif: no file has a name like this; check the pattern\."):
        colour_model.predict(str(tmp_path / "*.gif"))


def test_the_plain_network_gives_logits_of_normalized_images(grey):
    model = load(grey.folder)
    squares = list(grey.dataset.store.pixels(8, Preparation("squash"))[:5])
    inputs = model.inputs(squares)
    by_hand = (np.stack(squares) / 255 - model.config.mean) / model.config.std
    assert_allclose(inputs.numpy(), by_hand.transpose(0, 3, 1, 2), atol=1e-5)
    assert not model.network.training
    found = model.network(inputs).softmax(1).detach().numpy()
    assert_allclose(found, model.probabilities(squares), atol=1e-6)


def test_loading_a_model_loads_what_predicts_and_no_more(grey):
    code = f"""
import sys
import convlift
convlift.load({str(grey.folder)!r})
rooms = {{name.split(".")[1] for name in sys.modules if name.startswith("convlift.")}}
print(*sorted(rooms & {{"campaign", "search", "report", "evidence", "ledger", "execute", "trial", "catalogue"}}))
print(*[name for name in ("scipy", "sklearn", "timm", "torch._dynamo", "matplotlib") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "\n\n"


@pytest.mark.parametrize("fine_tuning", [None, {"epochs": 1, "stages": 1}], ids=["frozen", "fine-tuned"])
def test_a_pretrained_network_needs_no_file_but_its_folder(train, digits, tmp_path, fine_tuning):
    trained = train(
        *digits,
        tmp_path,
        data={"resolution": 32, "normalization": "pretrained"},
        architecture={
            "kind": "pretrained",
            "backbone": "mobilenetv3_small_050",
            "weights": "random",
            "head_units": 16,
        },
        training={"epochs": 1, "fine_tuning": fine_tuning},
    )
    recipe = trained.folder / "model" / "recipe.yaml"
    assert "weights: random" in recipe.read_text()
    # stored activations are float16
    found = rows(load(trained.folder).predict(list(trained.held_out())))
    assert_allclose(found, trained.outcome.validation_probabilities, atol=1e-5 if fine_tuning is None else 1e-3)


@pytest.mark.skipif(not MOBILENET.is_file(), reason="shared/data/weights is not there")
def test_a_backbone_whose_weights_ask_for_another_padding_keeps_it(train, digits, tmp_path):
    weights = tmp_path / "theirs.safetensors"
    weights.write_bytes(MOBILENET.read_bytes())
    trained = train(
        *digits,
        tmp_path,
        data={"resolution": 32, "normalization": "pretrained"},
        architecture={"kind": "pretrained", "backbone": "mobilenetv2_100", "weights": str(weights), "head_units": 0},
        training={"epochs": 2},
    )
    weights.unlink()
    found = rows(load(trained.folder).predict(list(trained.held_out())))
    assert_allclose(found, trained.outcome.validation_probabilities, atol=1e-5)
