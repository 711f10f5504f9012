"""Images of bands that are neither grey nor colour: read, scaled band by band, kept and resized."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from convlift.data.bands import bytes_of_bands, number_of_bands, open_bands, range_of_band
from convlift.data.decode import MAX_PIXELS, decode, from_array
from convlift.data.encode import shown_of
from convlift.data.intake import pixel_hash
from convlift.data.normalization import IMAGENET_MEAN, IMAGENET_STD, statistics
from convlift.data.readers.recognize import open_source
from convlift.data.square import square
from convlift.data.store import ImageStore, open_store
from convlift.data.tones import luma_of, toned, tones_of
from convlift.errors import DataError, RecipeError, UnreadableImage
from convlift.recipe.data import Data, Preparation, letterbox_fill, refuse_tones_of_bands
from convlift.records.finding import Finding
from tiff_files import Way, tiff_of

Encode = Callable[..., bytes]
DEEP = np.array([1, 16, 16, 1, 257, 4], np.uint16)  # what each band is multiplied by, so that their ranges differ


def scenes(count: int = 24, bands: int = 6, side: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images of which only the fifth band tells the class, (count, side, side, bands), and their labels."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 2
    images = rng.integers(0, 120, (count, side, side, bands), dtype=np.uint8)
    images[labels == 1, ..., min(4, bands - 1)] += 130
    images[:, 0, 0] = 255  # so that every band fills its range
    return images, labels


def arrays(path: Path, images: NDArray[Any], labels: NDArray[np.int64]) -> str:
    np.savez(path, train_images=images, train_labels=labels)
    return str(path)


def folder(root: Path, files: list[bytes], labels: NDArray[np.int64], ending: str = "tif") -> str:
    for number, (content, label) in enumerate(zip(files, labels.tolist(), strict=True)):
        (root / str(label)).mkdir(parents=True, exist_ok=True)
        (root / str(label) / f"{number:03}.{ending}").write_bytes(content)
    return str(root)


def opened(where: object, cache: Path) -> ImageStore:
    return open_store(open_source(where), cache)


def as_pages(image: NDArray[Any]) -> bytes:
    return tiff_of(*np.moveaxis(image, 2, 0))


def found(store: ImageStore, kind: str) -> Finding:
    (one,) = [finding for finding in store.findings if finding.kind == kind]
    return one


def by_hash(store: ImageStore) -> dict[str, bytes]:
    return {value: store.image(row).tobytes() for row, value in enumerate(store.hashes.tolist())}


def test_arrays_and_both_kinds_of_file_hold_the_same(tmp_path: Path) -> None:
    images, labels = scenes()
    stores = [
        opened(arrays(tmp_path / "a.npz", images, labels), tmp_path / "cache"),
        opened((images, labels), tmp_path / "cache"),
        opened([(image, int(label)) for image, label in zip(images, labels, strict=True)], tmp_path / "cache"),
        opened(folder(tmp_path / "pages", [as_pages(each) for each in images], labels), tmp_path / "cache"),
        opened(folder(tmp_path / "bands", [tiff_of(each) for each in images], labels), tmp_path / "cache"),
    ]
    for store in stores:
        assert (store.channels, store.value_range, store.native_resolution) == (6, None, 16)
        assert by_hash(store) == by_hash(stores[0])
        assert "6 bands, of which pictures show the first three as red, green and blue" in found(store, "bands").message
    assert_array_equal(np.stack([stores[0].image(row) for row in range(24)]), images)


def test_deep_bands_have_a_range_each(tmp_path: Path) -> None:
    images, labels = scenes()
    deep = images * DEEP
    ranges = (255.0, 4095.0, 4095.0, 255.0, 65535.0, 1023.0)
    files = {
        "npz": arrays(tmp_path / "a.npz", deep, labels),
        "pages": folder(tmp_path / "pages", [as_pages(each) for each in deep], labels),
        "bands": folder(
            tmp_path / "bands", [tiff_of(each.astype(np.int32), way=Way(compression=8)) for each in deep], labels
        ),
        "floats": folder(tmp_path / "floats", [tiff_of(each.astype(np.float32)) for each in deep], labels),
    }
    for where in files.values():
        store = opened(where, tmp_path / "cache")
        assert store.value_range == ranges
        order = np.argsort([int(key.split("/")[1].split(".")[0]) for key in store.keys], kind="stable")
        for row, image in zip(order, deep, strict=True):
            assert_array_equal(store.image(row), np.rint(image * (255 / np.array(ranges))))
        said = found(store, "value range").message
        assert "0 to 255 (band 1), 0 to 4095 (bands 2 to 3), 0 to 255 (band 4), 0 to 65535 (band 5)" in said


def test_a_band_that_few_images_fill_is_a_warning(tmp_path: Path) -> None:
    images, labels = scenes()
    deep = images.astype(np.uint16)
    deep[3, 0, 0, 2] = 30_000
    store = opened(folder(tmp_path / "dim", [tiff_of(each) for each in deep], labels), tmp_path / "cache")
    said = found(store, "value range")
    assert said.severity == "warning"
    assert "In band 3 half of them stay under a sixteenth of it" in said.message
    assert said.items[0] == "1/003.tif"
    assert store.value_range == (255.0, 255.0, 32767.0, 255.0, 255.0, 255.0)


@pytest.mark.parametrize(
    ("high", "is_float", "value_range"),
    [
        (0, False, 255), (1, False, 255), (255, False, 255), (256, False, 511), (10_000, False, 16383),
        (0, True, 1), (0.3, True, 1), (1, True, 1), (1.2, True, 2), (9.5, True, 16), (17, True, 255), (310.5, True, 511)
    ],
)  # fmt: skip
def test_a_range_is_whole_bits_or_of_small_floats_a_power_of_two(high: float, is_float: bool, value_range: int) -> None:
    assert range_of_band(high, is_float) == value_range


def test_reflectance_beyond_one_keeps_its_levels(tmp_path: Path) -> None:
    """Thermal bands in kelvins beside reflectance, of which clouds have more than 1."""
    images, labels = scenes()
    values = (images / 255).astype(np.float32)
    values[..., 5] = 250 + 60 * values[..., 5]
    values[7, 3, 3, 0] = 1.4
    store = opened(folder(tmp_path / "floats", [tiff_of(each) for each in values], labels), tmp_path / "cache")
    assert store.value_range == (2.0, 1.0, 1.0, 1.0, 1.0, 511.0)
    assert_array_equal(store.image(0)[..., 1], images[0, ..., 1])
    unit = opened(folder(tmp_path / "unit", [tiff_of(each[..., :5]) for each in values * 0.5], labels), tmp_path)
    assert unit.value_range is None
    assert_array_equal(unit.image(1), np.rint((values[2, ..., :5] * 0.5).astype(np.float64) * 255))


def test_floats_without_a_range_of_their_data_set() -> None:
    unit = np.full((8, 8, 5), 0.5, np.float32)
    assert (bytes_of_bands(unit, None, 65535.0)[0] == 128).all()
    assert bytes_of_bands(unit, (4095.0,) * 5, 65535.0)[1] == ("float", "unit float")
    assert (bytes_of_bands(unit, (1.0, 2.0, 4.0, 255.0, 511.0), 65535.0)[0][0, 0] == [128, 64, 32, 0, 0]).all()
    with pytest.raises(UnreadableImage, match="bands of floats with values up to 3; 0 to 1 is needed"):
        bytes_of_bands(unit * 6, None, 65535.0)
    with pytest.raises(UnreadableImage, match="band 2 has values from -1 to -1"):
        bytes_of_bands(np.zeros((8, 8, 5), np.int16) - np.array([0, 1, 0, 0, 0], np.int16), None, 65535.0)
    with pytest.raises(UnreadableImage, match="band 3 has values from nan to nan"):
        bytes_of_bands(unit * np.array([1, 1, np.nan, 1, 1]), None, 65535.0)


def test_images_of_other_bands_are_listed_and_left_out(tmp_path: Path, encode: Encode) -> None:
    images, labels = scenes(60)
    files = [tiff_of(each) for each in images]
    files[4], files[9] = tiff_of(images[4][..., :5]), encode(images[9][..., :3])
    store = opened(folder(tmp_path / "mixed", files, labels), tmp_path / "cache")
    assert (store.channels, len(store.keys)) == (6, 58)
    assert found(store, "unreadable").items == (
        "0/004.tif: 5 bands, but most images are of 6 bands, and all must have the same bands",
        "1/009.tif: grey or colour, but most images are of 6 bands, and all must have the same bands",
    )


def test_bands_among_photos_are_left_out(tmp_path: Path, encode: Encode) -> None:
    images, labels = scenes(60)
    files = [encode(each[..., :3]) for each in images]
    files[4] = tiff_of((images[4] * DEEP)[..., :5])
    store = opened(folder(tmp_path / "photos", files, labels), tmp_path / "cache")
    assert (store.channels, len(store.keys), store.value_range) == (3, 59, None)
    assert "0/004.tif: 5 bands, but most images are grey or colour" in found(store, "unreadable").items[0]
    half = [encode(each[..., :3]) if row < 30 else tiff_of(each) for row, each in enumerate(images)]
    with pytest.raises(DataError, match=r"30 of 60 images of half cannot be read.*most images are grey or colour"):
        opened(folder(tmp_path / "half", half, labels), tmp_path / "cache")


def test_what_is_an_image_of_bands() -> None:
    page = np.zeros((9, 8), np.uint8)
    cube = np.zeros((9, 8, 13), np.uint8)
    assert number_of_bands(tiff_of(page)) == 0
    assert number_of_bands(tiff_of(page, page)) == 2
    assert number_of_bands(tiff_of(page, page, page)) == 0  # red, green and blue
    assert number_of_bands(tiff_of(*[page] * 16)) == 16
    assert number_of_bands(tiff_of(*[page] * 17)) == 0  # a film, of which the first frame is taken
    assert number_of_bands(tiff_of(page, page[:, :4])) == 0
    assert number_of_bands(tiff_of(page, page.astype(np.uint16))) == 0
    assert number_of_bands(tiff_of(page, page, way=Way(subfile=1))) == 0
    assert number_of_bands(tiff_of(cube[..., :3], cube[..., :3], way=Way(photometric=2))) == 0
    assert number_of_bands(tiff_of(cube)) == 13
    assert number_of_bands(tiff_of(cube[..., :2])) == 2
    assert number_of_bands(tiff_of(cube[..., :2], way=Way(extra=(2,)))) == 0  # grey with alpha
    assert number_of_bands(tiff_of(cube[..., :4], way=Way(photometric=2, extra=(0,)))) == 4
    assert number_of_bands(tiff_of(cube[..., :4], way=Way(photometric=2))) == 4
    assert number_of_bands(tiff_of(cube[..., :4], way=Way(photometric=2, extra=(2,)))) == 0  # colour with alpha
    assert number_of_bands(tiff_of(cube[..., :4], way=Way(photometric=5))) == 0  # CMYK


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("writer", ["opencv", "pillow"])
def test_pages_as_other_programs_write_them_are_bands(writer: str, dtype: Any) -> None:
    """OpenCV marks each as a page of several, and packs it with LZW and a predictor; Pillow marks nothing."""
    values = (200 * np.random.default_rng(0).random((12, 9, 6))).astype(dtype)
    pages = [np.ascontiguousarray(values[:, :, band]) for band in range(6)]
    if writer == "opencv":
        content = cv2.imencodemulti(".tif", pages)[1].tobytes()
    else:
        file, (first, *others) = io.BytesIO(), [Image.fromarray(page) for page in pages]
        first.save(file, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
        content = file.getvalue()
    assert number_of_bands(content) == 6
    read = open_bands(content, MAX_PIXELS)
    assert read is not None
    assert_array_equal(read.values, values)


def test_faxes_and_scanned_documents_keep_their_first_page(encode: Encode) -> None:
    page = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8))
    for pages, packed in (([page.convert("1")] * 2, "group4"), ([page] * 2, "jpeg")):
        content = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=packed)
        assert number_of_bands(content) == 0
        assert "first frame" in decode(content).notes


def test_pages_of_red_green_and_blue_are_colour() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    assert_array_equal(decode(as_pages(colour)).pixels, colour)
    deep = decode(as_pages(colour.astype(np.uint16) * 16), 4095.0)
    assert_array_equal(deep.pixels, np.rint(colour * (16 * 255 / 4095)))


def test_alpha_is_never_a_band(tmp_path: Path, encode: Encode) -> None:
    images, labels = scenes(12, 4)
    images[..., 3] = 255
    pngs = opened(folder(tmp_path / "png", [encode(each) for each in images], labels, "png"), tmp_path)
    pairs = opened([(image, int(label)) for image, label in zip(images, labels, strict=True)], tmp_path)
    assert (pngs.channels, pairs.channels) == (3, 3)
    store = opened((images, labels), tmp_path)
    assert store.channels == 4
    said = found(store, "four bands")
    assert "nothing says what the fourth is, so all four are used" in said.message
    assert "images[..., :3]" in said.remedy


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((12, 24, 24, 17), r"shape \(12, 24, 24, 17\) \(17 bands\)"),
        ((12, 6, 24, 24), r"Transpose channels to the end"),
        ((12, 6, 16, 16), r"Transpose channels to the end"),
        ((12, 24, 24, 0), r"C at most 16"),
    ],
)
def test_what_is_no_image_of_bands_is_refused(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source((np.zeros(shape, np.uint8), np.arange(12) % 2))


@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("bands", [2, 4, 5, 13])
def test_each_band_is_resized_as_it_would_be_alone(bands: int, policy: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, bands), dtype=np.uint8)
    found = square(pixels, bands, 24, Preparation(policy))
    assert found.shape == (24, 24, bands)
    for band in range(bands):
        alone = square(np.ascontiguousarray(pixels[:, :, band : band + 1]), 1, 24, Preparation(policy))
        assert_array_equal(found[:, :, band : band + 1], alone)


def test_large_images_are_kept_smaller_band_by_band() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 700, 4), dtype=np.uint8)
    kept = from_array(pixels).pixels
    assert kept.shape == (256, 299, 4)
    colour = from_array(np.ascontiguousarray(pixels[..., :3])).pixels
    assert_array_equal(kept[..., :3], colour)


def test_the_same_picture_has_one_hash_whatever_type_holds_it() -> None:
    image = scenes(1)[0][0]
    one = pixel_hash(decode(tiff_of(image)))
    assert pixel_hash(decode(as_pages(image.astype(np.uint16)), (255.0,) * 6)) == one
    assert pixel_hash(decode(tiff_of(image.astype(np.uint16) * 257), (65535.0,) * 6)) == one
    assert pixel_hash(decode(tiff_of(image[..., ::-1]))) != one


def test_bands_have_the_means_of_their_training_images_in_place_of_published_ones() -> None:
    pixels = scenes()[0]
    own = statistics("standardize", pixels)
    for kind in ("imagenet", "pretrained"):
        for one, other in zip(statistics(kind, pixels, (IMAGENET_MEAN, IMAGENET_STD)), own, strict=True):
            assert_array_equal(one, other)
    mean, std = own
    assert std is not None
    assert np.allclose(mean, pixels.reshape(-1, 6).mean(axis=0) / 255, atol=1e-6)
    assert np.allclose(std, pixels.reshape(-1, 6).std(axis=0) / 255, atol=1e-6)
    assert statistics("unit", pixels)[0].shape == (6,)
    assert statistics("image", pixels)[1] is None
    with pytest.raises(RecipeError, match="no pretrained backbone"):
        statistics("pretrained", pixels, None)


def test_grey_of_bands_is_their_mean_and_a_picture_shows_three() -> None:
    image = scenes(1)[0][0]
    assert np.abs(luma_of(image) - image.mean(axis=2)).max() <= 0.5
    assert tones_of([image]).brightness == pytest.approx(image.mean() / 255, abs=0.01)
    assert_array_equal(shown_of(image), image[..., :3])
    assert_array_equal(shown_of(image[..., :2]), image[..., :1])
    assert letterbox_fill(6) == (118,) * 6


def test_grey_and_contrast_of_bands_are_refused() -> None:
    for data, said in ((Data(grey=True), "data.grey is true"), (Data(contrast="clahe"), "data.contrast is 'clahe'")):
        with pytest.raises(RecipeError, match=f"{said} and the images have 6 bands.* Leave them out"):
            refuse_tones_of_bands(data, 6)
        refuse_tones_of_bands(data, 3)
    refuse_tones_of_bands(Data(), 6)
    image = scenes(1)[0][0]
    assert toned(image, grey=False, contrast="none") is image


def test_the_audit_looks_at_bands(tmp_path: Path) -> None:
    """Dark, blurred and copied images are found among others of six bands."""
    rng, labels = np.random.default_rng(1), np.arange(60) % 2
    gains = np.array([1, 0.9, 0.8, 1, 0.7, 0.95])  # bands of one scene go together
    coarse = (rng.integers(0, 256, (60, 12, 12, 1)) * gains).astype(np.uint8)
    images = np.stack([square(each, 6, 64, Preparation()) for each in coarse])
    images = np.clip(images.astype(int) + rng.integers(-60, 60, images.shape), 0, 255).astype(np.uint8)
    images[7] //= 12
    small = np.stack([np.asarray(Image.fromarray(images[11, ..., band]).resize((5, 5))) for band in range(6)], axis=2)
    images[11] = square(small, 6, 64, Preparation())
    images[20] = images[22]
    images[30] = images[32, ::-1]
    store = opened(folder(tmp_path / "cubes", [tiff_of(each) for each in images], labels), tmp_path / "cache")
    assert found(store, "dark").items == ("1/007.tif",)
    assert found(store, "blurred").items == ("1/011.tif",)
    assert [set(row) for row in found(store, "duplicate").rows] == [{"0/020.tif", "0/022.tif"}]
    assert {"0/030.tif", "0/032.tif"} <= set(found(store, "near copies").rows[0])


def as_npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_arrays_one_a_file_are_images_where_there_are_no_others(tmp_path: Path, encode: Encode) -> None:
    images, labels = scenes()
    first = np.moveaxis(images, 3, 1)
    files = [
        as_npy(one if number % 3 else other) for number, (one, other) in enumerate(zip(images, first, strict=True))
    ]
    store = opened(folder(tmp_path / "npy", files, labels, "npy"), tmp_path / "cache")
    whole = opened(arrays(tmp_path / "a.npz", images, labels), tmp_path / "cache")
    assert by_hash(store) == by_hash(whole)
    deep = [as_npy(each * DEEP) for each in images]
    store = opened(folder(tmp_path / "deep", deep, labels, "npy"), tmp_path / "cache")
    assert store.value_range == (255.0, 4095.0, 4095.0, 255.0, 65535.0, 1023.0)
    photos = folder(tmp_path / "photos", [encode(each[..., :3]) for each in images], labels, "png")
    folder(tmp_path / "photos", deep, labels, "npy")
    assert len(opened(photos, tmp_path / "cache").keys) == 24


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (as_npy(np.zeros((6, 40, 6), np.uint8)), "whose bands cannot be told from its sides; save it as"),
        (as_npy(np.zeros((40, 40, 17), np.uint8)), "whose bands cannot be told"),
        (as_npy(np.zeros((2, 40, 40, 6), np.uint8)), "one image a file is read"),
        (as_npy(np.full((40, 40, 6), "a")), "whole numbers or floats are needed"),
        (as_npy(np.zeros((40, 40, 6), np.uint8))[:-1], "broken NumPy array: its header promises"),
        (b"\x93NUMPY\1\0", "broken NumPy array: its header makes no sense"),
        (as_npy(np.full((40, 40, 6), None)), "an array of type object"),
        (as_npy(np.full((40, 40, 6), -1.0)), "band 1 has values from -1 to -1"),
    ],
)
def test_arrays_that_are_no_image_are_refused(content: bytes, said: str) -> None:
    assert number_of_bands(content) in (0, 6)
    with pytest.raises(UnreadableImage, match=said):
        decode(content)


@pytest.mark.parametrize("values", [np.uint8(7), np.uint16(700), np.float32(0.5), np.bool_(True), np.int8(7)])
def test_grey_and_colour_arrays_are_read_as_all_others(values: Any) -> None:
    image = np.full((12, 10, 3), values)
    image[3] = 0
    found, expected = decode(as_npy(image), 1023.0), from_array(image, 1023.0) if image.dtype != np.int8 else None
    if expected is None:
        assert_array_equal(found.pixels, image[..., :1].astype(np.uint8))
    else:
        assert_array_equal(found.pixels, expected.pixels)


def test_what_a_file_marks_as_missing_is_told(tmp_path: Path) -> None:
    images, labels = scenes(bands=5)
    images[0, 3, 3] = 254
    marked = Way(order=">", missing=b"254\0")
    files = [
        tiff_of(image.clip(1), way=marked if row < 2 else Way(missing=b"none")) for row, image in enumerate(images)
    ]
    missing = found(opened(folder(tmp_path / "data", files, labels), tmp_path / "cache"), "missing")
    assert missing.items == ("0/000.tif",)
    assert missing.message == (
        "1 of 24 images has pixels of the value that marks what is missing (GDAL_NODATA), which was read as any other "
        "value."
    )


def test_bands_with_one_that_is_marked_as_alpha_are_refused_with_what_to_do() -> None:
    five = scenes(1, 5)[0][0]
    for way in (Way(photometric=2, extra=(0, 2)), Way(extra=(0, 0, 0, 1))):
        with pytest.raises(UnreadableImage, match=r"5 bands .* one of them is marked as alpha, leave it out"):
            decode(tiff_of(five, way=way))
