"""What is said of a draw is what was drawn."""

import numpy as np
import pytest

from convlift.augment.moves import draw_moves
from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.augment.told import drawn_levers
from convlift.recipe.augmentation import Augmentation


def told(count: int = 64, channels: int = 3, **strengths: float):
    return drawn_levers(Augmentation(**strengths), Streams(5), count, (20, 20), channels)


def seen(images: np.ndarray, **strengths: float) -> np.ndarray:
    channels = images.shape[3]
    still = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    return 255 * augment(images, Augmentation(**strengths), *still, Streams(5))


def test_of_what_is_off_nothing_is_told():
    assert told(3) == [{}, {}, {}]


def test_every_lever_that_is_known_is_told_of_some_image():
    strengths = {
        "horizontal_flip": 0.5, "vertical_flip": 0.5, "rotation": 0.1, "zoom": 0.2, "translation": 0.1,
        "brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1, "noise": 0.1, "quarter_turns": 0.5,
        "aspect": 0.2, "shear": 0.1, "crop": 0.5, "perspective": 0.1, "elastic": 0.03, "erase": 0.3, "cutout": 0.3,
        "gamma": 0.3, "channel_gain": 0.2, "greyscale": 0.3, "equalize": 1.0, "solarize": 0.5, "posterize": 4.0,
        "sharpness": 0.5, "blur": 0.05, "shot_noise": 0.1, "jpeg": 0.5,
        "haze": 0.5, "fog": 0.5, "clouds": 0.5, "cloud_shadow": 0.5, "low_sun": 0.5, "night": 0.5,
        "rand_augment": 9.0, "trivial_augment": 0.5, "aug_mix": 3.0,
    }  # fmt: skip
    assert set().union(*told(**strengths)) == set(strengths) == set(Augmentation().strengths)
    assert not {"hue", "greyscale"} & set().union(*told(channels=1, **strengths))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_can_be_read_off_the_images(channels):
    flat = np.full((64, 20, 20, channels), 100, np.uint8)
    bright = seen(flat, brightness=0.2)
    for image, levers in zip(bright, told(channels=channels, brightness=0.2), strict=True):
        assert image.mean() == pytest.approx(100 + 255 * levers["brightness"][0], abs=0.01)


def test_what_is_erased_is_the_share_that_is_told():
    every = np.random.default_rng(0).integers(0, 256, (64, 20, 20, 3), dtype=np.uint8)  # hardly a colour twice
    shares = [each.get("erase", (0.0,))[0] for each in told(erase=0.3)]
    for image, share in zip(seen(every, erase=0.3), shares, strict=True):
        most = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)[1].max()
        assert share == pytest.approx(most / 400 if most > 2 else 0.0)
    assert min(shares) == 0 < max(shares)


def test_mirrors_and_turns_are_those_of_the_draw():
    moves = draw_moves(Augmentation(horizontal_flip=0.5, quarter_turns=0.75), Streams(5), 64, (20, 20))
    for index, levers in enumerate(told(horizontal_flip=0.5, quarter_turns=0.75)):
        assert ("horizontal_flip" in levers) == moves.flips[index, 0]
        assert levers.get("quarter_turns", (0.0,))[0] == moves.quarters[index]
