"""A batch changed all at once is the batch that is changed image by image."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlift.augment import geometry
from convlift.augment.batched import LEVELS as LEVELS_OF_OPENCV_5
from convlift.augment.batched import augment_batch, normalize_batch, warp_batch
from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import NAMES as WEATHER
from convlift.recipe.augmentation import OF_COLOURS, Augmentation

# OpenCV 4 rounds places to 1/32 of a pixel: up to 1/64 on either axis, of a step of 255
LEVELS = LEVELS_OF_OPENCV_5 if int(cv2.__version__.split(".")[0]) >= 5 else 9
ROUNDING = 2e-5  # of float32, in units of one deviation
EXACT = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "translation": 0.2,
    "brightness": 0.3,
    "contrast": 0.4,
    "saturation": 0.8,
    "hue": 0.2,
    "noise": 0.1,
    "quarter_turns": 0.75,
    "erase": 0.4,
    "cutout": 0.5,
    "gamma": 0.5,
    "channel_gain": 0.3,
    "greyscale": 0.5,
    "equalize": 1.0,
    "solarize": 0.6,
    "posterize": 6.0,
    "shot_noise": 0.2,
    "jpeg": 0.8,
}
TABLES = ("gamma", "equalize", "solarize", "posterize", "shot_noise", "jpeg")  # a level more may become many
ROUNDED = {"sharpness": 0.9, "blur": 0.1} | dict.fromkeys(WEATHER, 0.9)  # to a byte, where one half may go either way
INTERPOLATED = {"rotation": 0.2, "zoom": 0.3, "aspect": 0.3, "shear": 0.2, "crop": 0.6}
POLICIES = {"rand_augment": 20.0, "trivial_augment": 1.0, "aug_mix": 8.0}
BENT = {"perspective": 0.15, "elastic": 0.05}
CHANNELS = (1, 3, 4)


def statistics(channels: int) -> tuple[np.ndarray, np.ndarray]:
    return np.float32([0.48, 0.45, 0.41, 0.5])[:channels], np.float32([0.23, 0.22, 0.21, 0.24])[:channels]


def of(channels: int, strengths: dict[str, float]) -> dict[str, float]:
    """Those that images of so many channels can have."""
    return {name: value for name, value in strengths.items() if channels in (1, 3) or name not in OF_COLOURS}


def images(count: int = 12, height: int = 18, width: int = 18, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def both(pixels: np.ndarray, **strengths: float | str) -> tuple[np.ndarray, np.ndarray]:
    """What the two ways make of the same images with the same draws, over two batches: NHWC."""
    one, other = Streams(3), Streams(3)
    normal, changes, half = statistics(pixels.shape[3]), Augmentation.model_validate(strengths), len(pixels) // 2
    parts = pixels[:half], pixels[half:]
    slowly = np.concatenate([augment(part, changes, *normal, one) for part in parts])
    at_once = torch.cat([augment_batch(torch.from_numpy(part), changes, *normal, other) for part in parts])
    return slowly, at_once.permute(0, 2, 3, 1).numpy()


def test_every_lever_is_compared() -> None:
    assert {*EXACT, *ROUNDED, *INTERPOLATED, *BENT, *POLICIES} == set(Augmentation().strengths)


@pytest.mark.parametrize(
    ("channels", "lever"), [(channels, name) for channels in CHANNELS for name in of(channels, EXACT)]
)
def test_a_lever_that_interpolates_nothing_gives_the_same_numbers(lever: str, channels: int) -> None:
    slowly, at_once = both(images(channels=channels), **{lever: EXACT[lever]})
    np.testing.assert_allclose(at_once, slowly, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("channels", "lever"), [(channels, name) for channels in CHANNELS for name in of(channels, ROUNDED)]
)
@pytest.mark.parametrize("size", [(12, 12), (9, 40), (2, 3), (1, 7), (1, 1)])
def test_what_is_smoothed_differs_by_a_level_at_most(lever: str, size: tuple[int, int], channels: int) -> None:
    slowly, at_once = both(images(10, *size, channels), **{lever: ROUNDED[lever]}, effect_chance=1.0)
    np.testing.assert_allclose(at_once, slowly, rtol=0, atol=1.01 / 255 / 0.21)
    assert np.mean(np.abs(at_once - slowly) > ROUNDING) < 0.01


@pytest.mark.parametrize("size", [(12, 12), (9, 16), (33, 8)])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("bent", [{}, {"perspective": 0.15}, {"elastic": 0.05}, BENT])
@pytest.mark.parametrize("fill_mode", ["reflect", "edge", "constant"])
def test_all_levers_together_differ_by_a_level_at_most(
    size: tuple[int, int], channels: int, bent: dict[str, float], fill_mode: str
) -> None:
    linear = {name: value for name, value in of(channels, EXACT).items() if name not in TABLES}
    slowly, at_once = both(images(10, *size, channels), **linear, **INTERPOLATED, **bent, fill_mode=fill_mode)
    # the most that colour makes of a level: contrast and saturation enlarge it
    largest = LEVELS / 255 / 0.21 * (1 + EXACT["contrast"]) * (1 + EXACT["saturation"]) * 1.3 * 1.5
    np.testing.assert_allclose(at_once, slowly, rtol=0, atol=largest)
    # the mean that is erased with follows a level of any pixel, a little
    assert np.mean(np.abs(at_once - slowly) > 0.5 / 255) < (0.01 if LEVELS == 1 else 1.0)


@pytest.mark.parametrize("policy", [*POLICIES, "both"])
@pytest.mark.parametrize("channels", CHANNELS)
def test_a_policy_is_the_same_but_where_a_level_decides(policy: str, channels: int) -> None:
    """A level of interpolation may be sixteen after posterize, or the other side of solarize."""
    given = POLICIES if policy == "both" else {policy: POLICIES[policy]}
    slowly, at_once = both(images(60, channels=channels), **given)
    assert np.mean(np.abs(at_once - slowly) > 2.2 * LEVELS / 255 / 0.21) < (0.01 if LEVELS == 1 else 0.2)


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(2, 20), st.integers(2, 20)),
    rotation=st.floats(-1, 1),
    scale=st.floats(0.3, 3),
    shift=st.integers(-30, 30),
)
def test_one_map_is_one_resampling(size: tuple[int, int], rotation: float, scale: float, shift: int) -> None:
    pixels = images(2, *size)
    maps = geometry.affine(size, rotation=[rotation, 0.0], scale=[scale, 1.0], shift_xy=[[shift, 0], [0, shift]])
    found = warp_batch(torch.from_numpy(pixels), maps).numpy().astype(int)
    expected = geometry.warp(pixels, maps).astype(int)
    assert np.abs(found - expected)[0].max() <= LEVELS
    np.testing.assert_array_equal(found[1], expected[1])  # shifted by whole pixels


def test_without_levers_images_are_normalized_alone() -> None:
    pixels, normal = images(), statistics(3)
    found = normalize_batch(torch.from_numpy(pixels), *normal)
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), normalize(pixels, *normal), rtol=0, atol=ROUNDING)
    assert torch.equal(augment_batch(torch.from_numpy(pixels), Augmentation(), *normal, Streams(0)), found)
