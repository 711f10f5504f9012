"""One image in, one answer out: whatever holds the image, the answer is that of its file, or one sentence."""

import io
import pickle
import struct
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from convlift.deploy.images import ACCEPTED
from convlift.deploy.predict import Prediction, Unreadable, load
from convlift.errors import UnreadableImage

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def model(colour):
    return load(colour.folder)


@pytest.fixture(scope="module")
def pixels(colour):
    """A colour image (16, 8, 3)."""
    return colour.images[0]


@pytest.fixture(scope="module")
def path(pixels, tmp_path_factory):
    found = tmp_path_factory.mktemp("one") / "picture.png"
    Image.fromarray(pixels).save(found)
    return found


def near(probabilities):
    """What else is in a batch moves the last digits."""
    return pytest.approx(probabilities, abs=1e-6)


@pytest.fixture(scope="module")
def right(model, path):
    """The probabilities of the file."""
    (found,) = model.predict([path])
    return found.probabilities


class Fetched:
    """Something with bytes in it, as the entry of an archive or a bucket is."""

    def __init__(self, path):
        self.read_bytes = path.read_bytes


ONE = {
    "str": str,
    "Path": lambda path: path,
    "numpy's str": lambda path: np.array([str(path)])[0],
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "something with read_bytes": Fetched,
    "Pillow, opened": Image.open,
    "Pillow, in memory": lambda path: Image.open(path).copy(),
    "Pillow, RGBA": lambda path: Image.open(path).convert("RGBA"),
    "Pillow, CMYK-free YCbCr": lambda path: Image.merge("RGB", Image.open(path).split()),
    "array HWC": lambda path: np.asarray(Image.open(path)),
    "array with alpha": lambda path: np.asarray(Image.open(path).convert("RGBA")),
    "array of strange strides": lambda path: np.asfortranarray(np.asarray(Image.open(path))),
    "read-only array": lambda path: np.frombuffer(Image.open(path).tobytes(), np.uint8).reshape(16, 8, 3),
    "int64": lambda path: np.asarray(Image.open(path)).astype(np.int64),
    "float32 in 0 to 255": lambda path: np.asarray(Image.open(path)).astype(np.float32),
    "float32 in 0 to 1": lambda path: np.asarray(Image.open(path)).astype(np.float32) / 255,
    "float16 in 0 to 1": lambda path: (np.asarray(Image.open(path)) / 255).astype(np.float16),
    "tensor, channels first": lambda path: torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1),
    "tensor, channels last": lambda path: torch.from_numpy(np.array(Image.open(path))),
    "tensor with gradient": lambda path: (
        torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255
    ).requires_grad_(),
    "tensor of bfloat16": lambda path: torch.from_numpy(np.array(Image.open(path))).bfloat16(),
}


@pytest.mark.parametrize("hold", ONE.values(), ids=ONE)
def test_one_image_gives_one_answer_that_of_its_file(model, path, right, hold):
    found = model.predict(hold(path))
    assert isinstance(found, Prediction)
    assert found.probabilities == right
    assert found.notes == ()
    assert "object at 0x" not in found.image


@pytest.mark.parametrize(
    "many",
    [
        list,
        tuple,
        deque,
        iter,
        lambda images: (image for image in images),
        lambda images: dict(enumerate(images)).values(),
        lambda images: np.array([*images, None], dtype=object)[:-1],
    ],
    ids=["list", "tuple", "deque", "iterator", "generator", "dict values", "object array"],
)
def test_any_iterable_gives_a_list_of_answers(model, path, pixels, right, many):
    found = model.predict(many([path, str(path), pixels, Image.open(path), path.read_bytes()]))
    assert [each.probabilities for each in found] == [near(right)] * 5
    assert [each.image for each in found[:4]] == [str(path), str(path), "array 2", str(path)]


def test_several_of_one_kind(model, path, pixels, right):
    squares = np.stack([pixels, pixels])
    for many in (squares, torch.from_numpy(squares).permute(0, 3, 1, 2), np.array([str(path)] * 2), {path}):
        found = model.predict(many)
        assert [each.probabilities for each in found] == [near(right)] * len(many)
    assert model.predict(squares[:0]) == model.predict([]) == model.predict(iter(())) == []


def test_a_grey_image_is_one_image_and_not_its_rows(model, pixels):
    grey = pixels[:, :, 0]
    one, with_channel, tripled = (
        model.predict(image) for image in (grey, grey[:, :, None], np.repeat(grey[:, :, None], 3, axis=2))
    )
    assert one.probabilities == with_channel.probabilities == tripled.probabilities


def test_numbers_of_a_signed_byte_are_read(model):
    small = np.arange(64, dtype=np.int8).reshape(8, 8)
    assert model.predict(small).probabilities == model.predict(small.astype(np.uint8)).probabilities


def test_booleans_are_black_and_white(model):
    checks = np.indices((16, 8)).sum(axis=0) % 2 == 1
    assert model.predict(checks).probabilities == model.predict(checks.astype(np.uint8) * 255).probabilities


def test_a_turned_pillow_image_is_turned_upright(model, path, right, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = tmp_path / "turned.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    assert model.predict(Image.open(turned)).probabilities == right


def test_what_alpha_hides_is_white_in_arrays_as_in_files(model, pixels, tmp_path):
    alpha = np.full((16, 8, 1), 255, np.uint8)
    alpha[:, :4] = 0
    hidden = np.dstack([pixels, alpha])
    Image.fromarray(hidden).save(tmp_path / "alpha.png")
    expected = model.predict(tmp_path / "alpha.png").probabilities
    assert model.predict(hidden).probabilities == model.predict(Image.fromarray(hidden)).probabilities == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F"])
def test_every_mode_of_pillow_is_named(model, mode):
    assert isinstance(model.predict(Image.new(mode, (8, 16))), Prediction)


def test_sixteen_bits_are_said_where_training_saw_eight(model, pixels):
    deep = pixels.astype(np.uint16) * 257
    found = model.predict(deep)
    assert found.probabilities == model.predict(pixels).probabilities
    assert found.notes == ("16 bit, read as 0 to 65535, but training saw images of 8 bits only",)


NO_IMAGE = {
    "None": None,
    "number": 7,
    "numpy's number": np.float64(0.5),
    "dict": {"image": "x.jpg"},
    "object": object(),
    "class": Path,
    "vector": np.zeros(8, np.uint8),
    "no dimension": np.array(3),
    "no rows": np.zeros((0, 8), np.uint8),
    "five dimensions": np.zeros((1, 1, 8, 8, 3), np.uint8),
    "13 bands": np.zeros((8, 8, 13), np.uint8),
    "channels first": np.zeros((3, 8, 8), np.uint8),
    "NaN": np.full((8, 8), np.nan),
    "infinity": np.full((8, 8), np.inf),
    "negative": np.full((8, 8), -1.0),
    "normalized": np.random.default_rng(0).normal(size=(8, 8, 3)),
    "too large": np.full((8, 8), 70_000),
    "float over 255": np.full((8, 8), 300.0),
    "complex": np.zeros((8, 8), complex),
    "dates": np.zeros((8, 8), "datetime64[s]"),
    "objects": np.full((8, 8), None),
    "sparse tensor": torch.eye(8).to_sparse(),
    "empty bytes": b"",
    "text as bytes": b"hello",
    "pickle": pickle.dumps([1, 2, 3]),
    "empty file": io.BytesIO(),
    "text file": io.StringIO("hello"),
    "web address": "https://example.org/cat.jpg",
    "data address": "data:image/png;base64,iVBORw0KGgo=",
    "empty name": "",
    "zero byte": "a\0b.png",
    "far too long": "x" * 100_000,
    "not there": Path("nowhere.png"),
    "folder": Path(),
    "device": "/dev/zero",
}


@pytest.mark.parametrize("image", NO_IMAGE.values(), ids=NO_IMAGE)
@pytest.mark.parametrize("among_others", [False, True], ids=["alone", "in a list"])
def test_what_is_no_image_gets_one_sentence(model, pixels, image, among_others, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an empty folder
    with pytest.raises(UnreadableImage) as caught:
        model.predict([pixels, image] if among_others else image)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert "object at 0x" not in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((3, 8, 9), np.uint8), "give array.transpose(1, 2, 0)"),
        (np.zeros((5, 8, 9), np.uint8), "if these are 5 grey images, give array[..., None]; of 9 bands choose"),
        (np.full((8, 8), -1.0), "values from -1 to -1; floats lie in 0 to 1 or 0 to 255"),
        (io.StringIO("hello"), 'it gives text, not bytes); open it with mode "rb"'),
        ("https://example.org/cat.jpg", "a web address, and nothing is downloaded); save the image"),
        ([Path()], "(Is a directory); give it alone, not in a list, or the paths of the images in it"),
        (None, f"a NoneType is no image; {ACCEPTED}"),
        ({}, "a dict is neither an image nor a list of images; give its values"),
    ],
)
def test_the_sentence_says_what_to_do(model, image, words):
    with pytest.raises(UnreadableImage) as caught:
        model.predict(image)
    assert words in str(caught.value)


def test_a_file_that_was_read_already_is_told_from_an_empty_one(model, path, right):
    with path.open("rb") as file:
        assert model.predict(file).probabilities == right
        with pytest.raises(UnreadableImage, match=r"picture\.png cannot be read \(nothing is left.*seek\(0\)"):
            model.predict(file)
    with pytest.raises(UnreadableImage, match="closed file"):
        model.predict(file)


def test_a_list_of_lists_is_no_list_of_images(model):
    with pytest.raises(UnreadableImage, match=r"image 0 cannot be read \(a list is no image\)"):
        model.predict([[1, 2], [3, 4]])


def test_answers_go_on_after_what_cannot_be_read(model, path, right):
    given = [path, "nowhere.png", path, None, path]
    found = list(model.answers(iter(given), batch=2))
    assert [isinstance(each, Unreadable) for each in found] == [False, True, False, True, False]
    assert [each.image for each in found] == [str(path), "nowhere.png", str(path), "image 3", str(path)]
    assert all(each.probabilities == near(right) for each in found[::2])


def test_answers_come_before_the_last_image_is_asked_for(model, path):
    asked = []

    def images():
        for number in range(6):
            asked.append(number)
            yield path

    answers = model.answers(images(), batch=2)
    next(answers)
    assert asked == [0, 1]


NUMBERS = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
    npst.complex_number_dtypes(),
    npst.datetime64_dtypes(),
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(npst.arrays(NUMBERS, SHAPES))
def test_any_array_gets_an_answer_or_one_sentence(model, array):
    said = "."
    try:
        found = model.predict(array)
        answers = found if isinstance(found, list) else [found]
        assert len(answers) == (len(array) if array.ndim == 4 else 1)
        assert all(0 <= each.confidence <= 1 for each in answers)
    except UnreadableImage as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert " at 0x" not in said


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM"]), st.data())
def test_any_damaged_content_gets_an_answer_or_one_sentence(model, pixels, kind, data):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    content = buffer.getvalue()
    where = data.draw(st.integers(0, len(content)))
    put, less = data.draw(st.binary(max_size=6)), data.draw(st.integers(0, 40))
    said = "."
    try:
        model.predict(content[:where] + put + content[where + less :])
    except UnreadableImage as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert " at 0x" not in said


def of_bands(count):
    """A TIFF of 8 x 8 pixels with so many bands of 8 bits, as satellites have them and Pillow does not write them."""
    values, bits = bytes(range(64)) * count, struct.pack("<H", 8) * count
    rows = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, count, 0), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0)]
    rows += [(277, 3, 1, count), (278, 3, 1, 8), (279, 4, 1, len(values))]
    end = 8 + 2 + 12 * len(rows) + 4
    places = {258: end, 273: end + len(bits)}
    entries = b"".join(struct.pack("<HHII", tag, kind, n, places.get(tag, value)) for tag, kind, n, value in rows)
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + entries + bytes(4) + bits + values


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (5, "is of 5 bands, and the model was trained on images that are in colour"),
        (13, "is of 13 bands, and the model was"),
        (224, r"cannot be read \(TIFF with 224 bands; at most 16 are read\)"),
    ],
)
def test_bands_are_counted_where_they_cannot_be_used(model, tmp_path, count, words):
    (tmp_path / "bands.tif").write_bytes(of_bands(count))
    for image in (tmp_path / "bands.tif", of_bands(count)):
        with pytest.raises(UnreadableImage, match=words) as caught:
            model.predict(image)
        assert " at 0x" not in str(caught.value)
