"""Weather: its laws in closed form, what it does to a scene, and the rules that it keeps."""

import numpy as np
import pytest

from convlift.augment.effects import affected, draw_effects
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import NAMES, SCALES, draw_weather, weathered
from convlift.recipe.augmentation import Augmentation

EVERY_KIND = pytest.mark.parametrize("name", NAMES)
EVERY_CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def scene(channels: int = 3, side: int = 32) -> np.ndarray:
    rows, columns = np.indices((side, side)) / side
    ramps = [40 + 150 * rows, 30 + 120 * columns, 60 + 80 * rows * columns]
    return np.stack(ramps, -1).astype(np.uint8)[..., :channels]


def under(image: np.ndarray, name: str, strength: float, count: int = 12, seed: int = 0) -> np.ndarray:
    changes = Augmentation(**{name: strength, "effect_chance": 1.0})
    effects = draw_effects(changes, Streams(seed), count, image.shape[:2])
    return np.stack([affected(image, index, effects, Streams(0)) for index in range(count)]).astype(int)


def exactly(image: np.ndarray, name: str, strength: float, shapes: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    weather = draw_weather(Augmentation(**{name: 1.0}), Streams(0), 1)
    weather.strengths[name][:] = strength
    weather.shapes[name][:] = shapes
    return weathered(image[None].astype(np.float32) / 255, name, weather, np.array([0]), np, np.float32)[0]


@EVERY_KIND
@EVERY_CHANNELS
def test_next_to_no_weather_leaves_an_image_as_it_is(name, channels):
    image = scene(channels)
    assert np.abs(under(image, name, 1e-4) - image).max() <= 1
    np.testing.assert_allclose(exactly(image, name, 0.0), image / 255, atol=1e-5)


@EVERY_KIND
@EVERY_CHANNELS
def test_more_is_stronger_and_every_draw_is_its_own(name, channels):
    image = scene(channels)
    weak, strong = (np.abs(under(image, name, each) - image).mean() for each in (0.2, 1.0))
    assert 1.5 * weak < strong
    assert strong > 5
    assert len(np.unique(under(image, name, 1.0), axis=0)) == 12


def test_haze_is_koschmieders_law():
    image = scene()
    through = np.exp(-1.5 * 0.6)
    expected = image / 255 * through + np.array([0.78, 0.84, 0.90]) * (1 - through)
    np.testing.assert_allclose(exactly(image, "haze", 0.6), expected, atol=1e-6)
    flat = np.full((32, 32, 3), 60, np.uint8)
    deeper = exactly(flat, "haze", 0.6, (1.0, 0.0))
    assert (np.diff(deeper.mean(axis=(1, 2))) < 0).all(), "the top is farther away"


@pytest.mark.parametrize("name", ["haze", "fog"])
def test_air_takes_contrast_and_saturation(name):
    image = scene().astype(float)
    seen = under(scene(), name, 1.0)
    assert seen.std(axis=(1, 2)).mean() < 0.6 * image.std(axis=(0, 1)).mean()
    assert np.ptp(seen, axis=3).mean() < 0.7 * np.ptp(image, axis=2).mean()


def test_a_shade_darkens_a_part_alone_and_clouds_lighten_one():
    dark = np.full((48, 48, 3), 100, np.uint8)
    shaded, clouded = under(dark, "cloud_shadow", 1.0, 40), under(dark, "clouds", 0.7, 40)
    assert shaded.max() <= 100 <= clouded.min()
    assert (clouded.max(axis=(1, 2, 3)) > 200).mean() > 0.9
    for seen in (shaded, clouded):
        untouched = (seen == 100).all(axis=3).mean(axis=(1, 2))
        assert 0.1 < untouched.mean() < 0.8


def test_clouds_cover_more_the_stronger_they_are():
    dark = np.full((48, 48, 3), 60, np.uint8)
    covered = [np.mean(under(dark, "clouds", each, 60) > 150) for each in (0.2, 0.5, 1.0)]
    assert covered[0] < 0.15 < covered[1] < covered[2]
    assert covered[2] == pytest.approx(0.55, abs=0.15)


def test_a_low_sun_is_warm_in_the_light_and_night_is_dark_and_blue():
    light = np.full((32, 32, 3), 190, np.uint8)
    warm, night = under(light, "low_sun", 1.0), under(light, "night", 1.0)
    red, green, blue = warm.mean(axis=(0, 1, 2))
    assert red > green > blue
    red, green, blue = night.mean(axis=(0, 1, 2))
    assert red < green < blue < 0.6 * 190
    light[:, :16] = 60
    lit = under(light, "low_sun", 1.0, 100).mean(axis=(0, 1, 3))
    assert lit[16:].mean() / lit[:16].mean() > 1.5 * 190 / 60, "more contrast"


def test_fields_have_no_mean_and_a_variance_of_one():
    from convlift.augment.weather_and_light import _field

    for name in SCALES:
        weather = draw_weather(Augmentation(**{name: 1.0}), Streams(1), 20)
        fields = _field(weather.noise[name], np.arange(20), (40, 56), np.float32, name)
        assert fields.shape == (20, 40, 56, 1)
        np.testing.assert_allclose(fields.mean(axis=(1, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(fields.std(axis=(1, 2, 3)), 1, atol=0.01)
        assert np.abs(np.diff(fields, axis=1)).max() < 1.0, "smooth"


def test_strengths_lie_between_half_the_levers_and_all_of_it():
    strengths = draw_weather(Augmentation(haze=0.8, effect_chance=1.0), Streams(0), 2000).strengths["haze"]
    assert (strengths.min(), strengths.max()) == pytest.approx((0.4, 0.8), abs=0.01)


@pytest.mark.parametrize("chance", [0.2, 0.9])
def test_a_chance_is_a_chance_for_each_kind_apart(chance):
    drawn = draw_weather(Augmentation(haze=1, night=1, effect_chance=chance), Streams(0), 3000).strengths
    haze, night = drawn["haze"] > 0, drawn["night"] > 0
    assert (haze.mean(), night.mean()) == pytest.approx((chance, chance), abs=0.03)
    assert abs(np.corrcoef(haze, night)[0, 1]) < 0.06


@EVERY_KIND
@EVERY_CHANNELS
@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
def test_the_smallest_images_keep_their_form(name, channels, size):
    image = np.full((*size, channels), 90, np.uint8)
    assert under(image, name, 1.0, 3).shape == (3, *size, channels)
