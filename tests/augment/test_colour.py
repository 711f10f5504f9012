"""One colour matrix per image: what each change does to a pixel, and how they compose with normalization."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlift.augment.colour import YIQ_FROM_RGB, colour, draw_colours, normalized, recolour
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

RGB = np.random.default_rng(0).random((50, 3))
LUMA = YIQ_FROM_RGB[0]


def changed(**change: float) -> np.ndarray:
    colour_CC, offset_C = colour(3, **change)
    return RGB @ colour_CC.T + offset_C


@pytest.mark.parametrize("channels", [1, 3])
def test_no_change_is_exactly_the_identity(channels: int) -> None:
    colour_CC, offset_C = colour(channels)
    np.testing.assert_array_equal(colour_CC, np.eye(channels))
    np.testing.assert_array_equal(offset_C, np.zeros(channels))


def test_brightness_is_added() -> None:
    np.testing.assert_allclose(changed(brightness=0.2), RGB + 0.2)


def test_contrast_scales_distances_from_mid_grey() -> None:
    np.testing.assert_allclose(changed(contrast=1.5) - 0.5, 1.5 * (RGB - 0.5))


@given(saturation=st.floats(0, 2))
def test_saturation_blends_with_the_grey_image(saturation: float) -> None:
    grey = (RGB @ LUMA)[:, None]
    np.testing.assert_allclose(changed(saturation=saturation), grey + saturation * (RGB - grey), atol=1e-12)


@given(hue=st.floats(-0.5, 0.5))
def test_hue_keeps_luma_chroma_length_and_greys(hue: float) -> None:
    turned = changed(hue=hue)
    np.testing.assert_allclose(turned @ LUMA, RGB @ LUMA, atol=1e-12)
    before, after = (np.linalg.norm(pixels @ YIQ_FROM_RGB[1:].T, axis=1) for pixels in (RGB, turned))
    np.testing.assert_allclose(after, before, atol=1e-12)
    np.testing.assert_allclose(colour(3, hue=hue)[0].sum(axis=1), 1, atol=1e-12)


def test_a_full_turn_of_hue_is_the_identity_and_half_turns_add_up() -> None:
    np.testing.assert_allclose(changed(hue=1.0), RGB, atol=1e-12)
    half = colour(3, hue=0.5)[0]
    np.testing.assert_allclose(half @ half, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(("turn", "strongest"), [(0.0, 0), (1 / 3, 1), (2 / 3, 2)])
def test_hue_turns_red_to_green_to_blue(turn: float, strongest: int) -> None:
    assert np.argmax(colour(3, hue=turn)[0] @ [1, 0, 0]) == strongest


def test_one_channel_has_neither_saturation_nor_hue() -> None:
    colour_CC, offset_C = colour(1, brightness=0.1, contrast=2.0, saturation=0.0, hue=0.3)
    np.testing.assert_allclose((colour_CC, offset_C[:, None]), [[[2.0]], [[-0.4]]])


def test_arrays_and_scalars_mix() -> None:
    colour_NCC, offset_NC = colour(3, contrast=1.5, hue=[0.1, 0.2])
    assert (colour_NCC.shape, offset_NC.shape) == ((2, 3, 3), (2, 3))
    np.testing.assert_array_equal(colour_NCC[1], colour(3, contrast=1.5, hue=0.2)[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16)])
def test_one_matrix_equals_the_steps_one_after_another(channels: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)
    mean, std = np.float32([0.5, 0.4, 0.3])[:channels], np.float32([0.2, 0.3, 0.25])[:channels]
    colour_CC, offset_C = colour(channels, brightness=0.1, contrast=0.7, saturation=1.3, hue=0.05)
    by_steps = ((image / 255) @ colour_CC.T + offset_C - mean) / std
    into = np.full(image.shape, np.nan, np.float32)
    recolour(image, normalized(colour_CC, offset_C, mean, std), np.empty_like(into), into)
    np.testing.assert_allclose(into, by_steps, atol=2e-6)


def test_draws_fill_their_ranges() -> None:
    strengths = Augmentation(brightness=0.3, contrast=0.4)
    colour_NCC, offset_NC = draw_colours(strengths, Streams(0), 20_000, 1)
    factor, added = colour_NCC[:, 0, 0], offset_NC[:, 0] - 0.5 + 0.5 * colour_NCC[:, 0, 0]
    assert (factor.min(), factor.max()) == pytest.approx((0.6, 1.4), abs=0.001)
    assert (added.min(), added.max()) == pytest.approx((-0.3, 0.3), abs=0.001)
    assert (factor.mean(), added.mean()) == pytest.approx((1.0, 0.0), abs=0.01)
    assert abs(np.corrcoef(factor, added)[0, 1]) < 0.03
