"""Images of bands at prediction: the same steps as in training, and one sentence where the bands are others."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from convlift.data.decode import decode
from convlift.data.readers.recognize import open_images
from convlift.data.square import square
from convlift.deploy.evaluate_model import Named, check_fit, choose_images
from convlift.deploy.image_paths import list_images
from convlift.deploy.images import Origin, read_image, several
from convlift.deploy.model_folder import ModelConfig, parse_config, read_model_folder, write_model_folder
from convlift.deploy.predict import Model
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.model.build import build_network
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU
from convlift.serve.decoder import TOLD, Steps, _answer
from tiff_files import tiff_of

RANGES = (255.0, 4095.0, 4095.0, 1023.0, 65535.0, 1.0)
RNG = np.random.default_rng(0)
PLAIN = RNG.integers(0, 256, (20, 24, 6), dtype=np.uint8)
DEEP = np.concatenate([RNG.integers(0, 256, (20, 24, 5)), np.zeros((20, 24, 1), int)], axis=2).astype(np.uint16)
BANDS, OF_BYTES = Origin(RANGES, channels=6), Origin(channels=6)
EXPECTED = np.rint(DEEP * (255 / np.array(RANGES))).astype(np.uint8)


def config(channels: int, **changes: Any) -> ModelConfig:
    figures = (0.5,) * channels
    return ModelConfig(("ant", "bee"), channels, 16, "squash", figures, figures, {}, **changes)


@pytest.mark.parametrize(
    "same",
    [
        DEEP,
        DEEP.astype(np.int64),
        DEEP.astype(np.float32),
        tiff_of(DEEP),
        tiff_of(*np.moveaxis(DEEP, 2, 0)),
        io.BytesIO(tiff_of(DEEP.astype(np.float32))),
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(DEEP.astype(np.int32), 2, 0))),
    ],
    ids=["uint16", "int64", "float32", "TIFF", "pages", "open file of floats", "tensor"],
)
def test_each_band_has_the_range_of_training(same: Any) -> None:
    seen = read_image(same, "a", BANDS)
    assert_array_equal(seen.pixels, EXPECTED)
    assert seen.notes == ()


def test_bytes_are_pixels_and_of_four_bands_none_is_alpha() -> None:
    for given in (PLAIN, tiff_of(PLAIN)):
        assert_array_equal(read_image(given, "a", OF_BYTES).pixels, PLAIN)
    four = np.ascontiguousarray(PLAIN[..., :4])
    assert_array_equal(read_image(four, "a", Origin(channels=4)).pixels, four)
    assert read_image(four, "a", Origin(channels=3)).pixels.shape == (20, 24, 3)  # for others it is colour with alpha
    assert_array_equal(read_image(four[..., :2], "a", Origin(channels=2)).pixels, four[..., :2])


def test_values_beyond_the_range_are_cut_and_said() -> None:
    beyond = DEEP.copy()
    beyond[0, 0] = [300, 5000, 10, 10, 10, 0]
    seen = read_image(tiff_of(beyond), "a", BANDS)
    assert seen.notes == (
        "values up to 300 in band 1, but training saw none above 255 there, nor such in 1 other band; what is above is "
        "cut",
    )
    assert seen.pixels[0, 0, :2].tolist() == [255, 255]


@pytest.mark.parametrize(
    ("given", "origin", "said"),
    [
        (PLAIN[..., :5], OF_BYTES, "a is of 5 bands, and the model was trained on images that are of 6 bands"),
        (tiff_of(PLAIN[..., :5]), OF_BYTES, "a is of 5 bands, and the model was trained on images that are of 6 bands"),
        (PLAIN, Origin(channels=3), "a is of 6 bands, and the model was trained on images that are in colour"),
        (tiff_of(PLAIN), Origin(channels=1), "a is of 6 bands, and the model was trained on images that are grey"),
        (PLAIN[..., 0], OF_BYTES, "a is grey, and the model was trained on images that are of 6 bands"),
        (Image.fromarray(PLAIN[..., :3]), OF_BYTES, "a is in colour, and the model was trained on images"),
        (np.moveaxis(PLAIN, 2, 0), OF_BYTES, r"an image is \(H, W, 6\); here the channels come first: give array"),
        (np.zeros((20, 24, 17)), OF_BYTES, r"a has shape \(20, 24, 17\)"),
        (np.full((20, 24, 6), np.nan), BANDS, "a has values from nan to nan"),
    ],
)
def test_images_of_other_bands_get_one_sentence(given: Any, origin: Origin, said: str) -> None:
    with pytest.raises(UnreadableImage, match=said) as caught:
        read_image(given, "a", origin)
    assert str(caught.value).endswith(".")


def test_a_stack_of_arrays_is_several_images() -> None:
    found = several(np.stack([PLAIN, PLAIN]))
    assert found is not None
    assert [np.shape(each) for each in found] == [(20, 24, 6)] * 2


def test_a_model_folder_holds_the_range_of_each_band(tmp_path: Path) -> None:
    (tmp_path / "trained").write_bytes(b"weights")
    write_model_folder(tmp_path / "model", tmp_path / "trained", Recipe(), config(6, value_range=RANGES))
    found = read_model_folder(tmp_path)[2]
    assert (found.channels, found.value_range, found.origin) == (6, RANGES, BANDS)
    text = (tmp_path / "model" / "config.json").read_text()
    assert json.loads(text)["preprocessing"]["value_range"] == list(RANGES)
    for wrong, said in ((list(RANGES[:5]), "value_range needs 6 numbers"), ([0.0, *RANGES[1:]], "value_range")):
        document = json.loads(text)
        document["preprocessing"]["value_range"] = wrong
        with pytest.raises(ConvliftError, match=said):
            parse_config(json.dumps(document), Path("config.json"))
    document["preprocessing"] |= {"value_range": 4095.0, "channels": 17}
    with pytest.raises(ConvliftError, match="channels are 1 to 16"):
        parse_config(json.dumps(document), Path("config.json"))


def test_a_server_decodes_what_predict_reads() -> None:
    made = config(6, value_range=RANGES)
    steps = Steps(6, 16, made.preparation, made.value_range, made.alpha, made.side, 10**6)
    assert Steps.of_json(steps.to_json()) == steps
    told = io.BytesIO()
    _answer(told, steps, "a.tif", tiff_of(DEEP))
    expected = square(decode(tiff_of(DEEP), RANGES).pixels, 6, 16, made.preparation)
    assert told.getvalue()[TOLD.size + 2 :] == expected.tobytes()
    told = io.BytesIO()
    _answer(told, steps, "b.tif", tiff_of(DEEP[..., :4]))
    assert b"b.tif is of 4 bands, and the model was trained on images that are of 6 bands" in told.getvalue()
    told = io.BytesIO()
    _answer(told, Steps(*[*vars(steps).values()][:-1], 500), "c.tif", tiff_of(DEEP))
    assert b"over 0.0015 million values, the most read" in told.getvalue()


def test_a_folder_of_arrays_is_listed_where_it_holds_no_image(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("b.npy", "a.npy", "more/c.npy"):
        np.save(tmp_path / name, PLAIN)
    (tmp_path / "notes.txt").write_text("six bands", encoding="utf-8")
    for named in (str(tmp_path), f"{tmp_path}/**"):
        listed = [each for each in list_images([named], None) if not each.passed_over]
        assert {each.path for each in listed} >= {str(tmp_path / name) for name in ("a.npy", "b.npy", "more/c.npy")}
        assert all(each.path.endswith(".npy") and not each.fault for each in listed)
    for image in listed:
        assert_array_equal(read_image(image.path, image.path, OF_BYTES).pixels, PLAIN)
    Image.fromarray(PLAIN[..., :3]).save(tmp_path / "photo.png")
    assert [each.path for each in list_images([str(tmp_path)], None) if not each.passed_over] == [
        str(tmp_path / "photo.png")
    ]


def test_floats_of_bands_somewhat_beyond_one_are_not_read_as_if_255_were_white() -> None:
    shares = PLAIN.astype(np.float32) / 200
    with pytest.raises(
        UnreadableImage, match=r"a has bands of floats with values up to 1\.275; give them in 0 to 1, or"
    ):
        read_image(shares, "a", OF_BYTES)
    assert_array_equal(read_image((PLAIN // 16).astype(np.float32), "a", OF_BYTES).pixels, PLAIN // 16)
    assert_array_equal(read_image(PLAIN.astype(np.float32), "a", OF_BYTES).pixels, PLAIN)


def model(channels: int, **changes: Any) -> Named:
    made = config(channels, **changes)
    network = build_network(Recipe().architecture, classes=2, channels=channels, resolution=16)
    return Named("m", Model(network, Recipe(), made, CPU))


def arrays(values: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    return np.stack([values, values // 2]), ["ant", "bee"]


def test_arrays_are_evaluated_on_the_ranges_of_training() -> None:
    """Darker ones, whose own ranges would be others; with a value beyond they are refused, and nothing is cut."""
    dark, six = np.minimum(DEEP, 200), model(6, value_range=RANGES)
    for values in (dark, dark / 200):
        images, labels = arrays(values.astype(np.float64))
        source = open_images((images, np.array(labels)), known=RANGES)
        assert source.value_range == RANGES
        assert_array_equal(source.read(0), np.rint(values * (255 / np.array(RANGES))).astype(np.uint8))
        check_fit(six, choose_images(source, None, None))
    beyond = DEEP.copy()
    beyond[0, 0, 3] = 5000
    images, labels = arrays(beyond)
    with pytest.raises(
        DataError, match=r"holds arrays of which .* is white, and m learned from images of which 255, 4095"
    ):
        check_fit(six, choose_images(open_images((images, np.array(labels)), known=RANGES), None, None))


def test_images_of_other_bands_are_not_evaluated() -> None:
    images, labels = arrays(PLAIN[..., :4])
    four = choose_images(open_images((images, np.array(labels))), None, None)
    check_fit(model(4), four)
    with pytest.raises(
        DataError, match="of 4 bands, and m learned from images that are grey or in colour; give images of"
    ):
        check_fit(model(3), four)  # where one image alone would be colour with alpha
