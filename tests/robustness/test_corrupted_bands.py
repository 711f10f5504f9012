"""Corruptions of images of bands: what each band gets, and which are of colours alone."""

import numpy as np
import pytest

from convlift.errors import ConvliftError
from convlift.robustness.corruptions import CORRUPTIONS, corrupt, framed
from convlift.robustness.names import NAMES, OF_COLOURS, names_for
from convlift.robustness.strengths import strength

# those of which every band gets the same draws, and each for itself
APART = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "contrast", "elastic_transform", "pixelate")


def tile(bands: int, height: int = 24, width: int = 31) -> np.ndarray:
    return np.random.default_rng(bands).integers(0, 256, (height, width, bands), dtype=np.uint8)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_COLOURS])
@pytest.mark.parametrize("shape", [(1, 1, 2), (24, 31, 6), (70, 64, 13)])
def test_a_corruption_that_bands_can_have_gives_bytes(name: str, shape: tuple[int, int, int]) -> None:
    found = corrupt(tile(shape[2], *shape[:2]), name, 3)
    assert (found.shape, found.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize("bands", [2, 4, 6, 13])
def test_a_band_among_others_is_what_it_is_alone(name: str, bands: int) -> None:
    image, strong = tile(bands) / 255, strength(name, 4, 24)
    together = CORRUPTIONS[name](image, strong, np.random.default_rng(3))
    for band in range(bands):
        alone = CORRUPTIONS[name](image[..., band : band + 1], strong, np.random.default_rng(3))
        np.testing.assert_allclose(together[..., band], alone[..., 0], rtol=0, atol=1e-6)


def test_a_large_tile_is_shrunk_band_by_band() -> None:
    image = tile(6, 300, 500)
    small = framed(image)
    assert small.shape == (224, 373, 6)
    np.testing.assert_array_equal(small[..., 4:5], framed(image[..., 4:5]))


@pytest.mark.parametrize("name", OF_COLOURS)
def test_a_corruption_of_colours_is_refused_and_left_out_of_all(name: str) -> None:
    with pytest.raises(ConvliftError, match=rf"corruption '{name}' is of colours, and the images have 6 bands; name"):
        corrupt(tile(6), name, 3)
    with pytest.raises(ConvliftError, match="is of colours"):
        names_for(("brightness", name), 4)
    assert names_for((name,), 3) == (name,)
    assert names_for(NAMES, 3) == NAMES
    assert names_for(NAMES, 4) == tuple(each for each in NAMES if each not in OF_COLOURS)
