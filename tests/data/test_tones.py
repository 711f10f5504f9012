"""Grey and contrast: equal to what others make of the same image, and nothing at all where they are off."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from convlift.data.readers.arrays import array_source
from convlift.data.square import square
from convlift.data.store import open_store
from convlift.data.tones import equalized_luma, luma_of, toned, tones_of, with_limited_contrast
from convlift.recipe.data import LETTERBOX_FILL, Data, Preparation
from convlift.recipe.recipe import Recipe

PHOTO = np.asarray(Image.fromarray(load_sample_image("china.jpg")).resize((160, 128)))
GREY = np.asarray(Image.fromarray(PHOTO).convert("L"))


def zuiderveld(grey_HW: np.ndarray, limit: float, tiles: int) -> np.ndarray:
    """The algorithm step by step: histograms of tiles, clipped, their excess dealt out, and the four tiles around each
    pixel blended. For sides that the tiles divide."""
    height, width = (side // tiles for side in grey_HW.shape)
    area = height * width
    most = max(1, int(limit * area / 256))
    tables = np.empty((tiles, tiles, 256))
    for row in range(tiles):
        for column in range(tiles):
            tile = grey_HW[row * height : (row + 1) * height, column * width : (column + 1) * width]
            counts = np.bincount(tile.ravel(), minlength=256)
            excess = int((counts - counts.clip(max=most)).sum())
            counts = counts.clip(max=most) + excess // 256
            left = excess % 256
            if left:
                counts[:: max(256 // left, 1)][:left] += 1
            tables[row, column] = np.rint(np.cumsum(counts) * 255 / area).clip(0, 255)
    places = []
    for side, length in zip(grey_HW.shape, (height, width), strict=True):
        at = np.arange(side) / length - 0.5
        first = np.floor(at)
        places.append((first.clip(0).astype(int), (first + 1).clip(max=tiles - 1).astype(int), at - first))
    (up, down, by_row), (left_, right, by_column) = places
    rows = by_row[:, None]

    def at_tile(vertical: np.ndarray, across: np.ndarray) -> np.ndarray:
        return tables[vertical[:, None], across[None, :], grey_HW]

    above = at_tile(up, left_) * (1 - by_column) + at_tile(up, right) * by_column
    below = at_tile(down, left_) * (1 - by_column) + at_tile(down, right) * by_column
    return np.rint(above * (1 - rows) + below * rows)


def test_clahe_is_zuidervelds_with_a_limit_of_2_and_8_tiles_a_side() -> None:
    found = with_limited_contrast(GREY)
    assert np.abs(found - zuiderveld(GREY, 2.0, 8)).max() <= 1  # a sum may lie half-way
    assert (found != zuiderveld(GREY, 40.0, 8)).mean() > 0.5


@pytest.mark.parametrize(("side", "tiles"), [(8, 1), (32, 2), (100, 6), (300, 8)])
def test_tiles_have_16_pixels_a_side_at_least(side: int, tiles: int) -> None:
    image = np.random.default_rng(0).integers(60, 120, (side, side), dtype=np.uint8)
    assert (with_limited_contrast(image) == cv2.createCLAHE(2.0, (tiles, tiles)).apply(image)).all()


def test_no_contrast_is_more_than_tripled() -> None:
    """A faint pattern stays faint where plain equalization makes it black and white."""
    faint = np.random.default_rng(1).integers(100, 104, (128, 128), dtype=np.uint8)
    assert np.ptp(with_limited_contrast(faint).astype(int)) <= 3 * np.ptp(faint.astype(int)) + 1
    assert np.ptp(equalized_luma(faint).astype(int)) > 150


def test_a_grey_image_is_equalized_as_pillow_does() -> None:
    expected = np.asarray(ImageOps.equalize(Image.fromarray(GREY)))
    assert (toned(GREY[:, :, None], False, "equalize")[:, :, 0] == expected).all()


@pytest.mark.parametrize("contrast", ["equalize", "clahe"])
def test_colours_keep_their_chroma(contrast: str) -> None:
    found = toned(PHOTO, False, contrast).astype(int)
    moved = found - PHOTO
    uncut = ((found > 0) & (found < 255)).all(axis=2)
    assert uncut.mean() > 0.5
    assert (moved[uncut] == moved[uncut][:, :1]).all()
    assert np.abs(moved).max() > 10
    whole = {"equalize": equalized_luma, "clahe": with_limited_contrast}[contrast](GREY)
    assert np.abs(luma_of(found.astype(np.uint8))[uncut].astype(int) - whole[uncut]).max() <= 1


def test_grey_is_pillows_luma_in_as_many_channels() -> None:
    found = toned(PHOTO, True, "none")
    assert found.shape == PHOTO.shape
    assert (found == GREY[:, :, None]).all()
    assert (toned(GREY[:, :, None], True, "none")[:, :, 0] == GREY).all()
    assert (toned(PHOTO, True, "clahe") == with_limited_contrast(GREY)[:, :, None]).all()


def test_what_is_off_changes_nothing_and_has_no_name_of_its_own() -> None:
    assert toned(PHOTO, False, "none") is PHOTO
    assert Data().preparation.name == "squash"
    assert Preparation("crop", True, "clahe").name == "crop-grey-clahe"
    assert not {"grey", "contrast"} & Recipe().identity()["data"].keys()
    assert Recipe().fingerprint() != Recipe().edit(data={"grey": True}).fingerprint()


def test_what_letterbox_fills_is_no_part_of_the_histogram() -> None:
    wide = PHOTO[:64]
    found = square(wide, 3, 160, Preparation("letterbox", False, "equalize"))
    assert (found[48:112] == toned(wide, False, "equalize")).all()
    assert (found[:48] == LETTERBOX_FILL[3]).all()
    grey = square(wide, 3, 160, Preparation("letterbox", True))
    assert (grey == grey[:, :, :1]).all()
    assert (grey[48:112] == toned(wide, True, "none")).all()


def test_a_store_has_a_copy_of_each_made_once(tmp_path) -> None:
    images = np.stack([PHOTO[:64, :64], PHOTO[64:, 64:128]] * 6) // np.arange(1, 13, dtype=np.uint8).reshape(
        12, 1, 1, 1
    )
    store = open_store(array_source("photos", {None: (images, np.arange(12) % 2)}, ("a", "b")), tmp_path)
    for preparation in (Preparation(), Preparation(grey=True), Preparation(contrast="clahe")):
        squares = store.pixels(32, preparation)
        assert all((squares[i] == square(images[i], 3, 32, preparation)).all() for i in range(12))
    made = sorted(path.name for path in store.folder.glob("*.npy"))
    assert made == ["squash-32.npy", "squash-clahe-32.npy", "squash-grey-32.npy"]


def test_tones_tell_photos_from_dark_ones_and_from_drawings() -> None:
    photo, dark = tones_of([PHOTO]), tones_of([(PHOTO * 0.3).astype(np.uint8)])
    assert photo.brightness == pytest.approx(GREY.mean() / 255)
    assert photo.spread == pytest.approx(GREY.std() / 255)
    assert dark.brightness == pytest.approx(0.3 * photo.brightness, abs=0.01)
    drawing = np.full((40, 40, 1), 255, np.uint8)
    drawing[10:14] = 0
    assert tones_of([drawing]).even == 0.9
