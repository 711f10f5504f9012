"""Effects, each against PIL, OpenCV, scipy or a closed form, and the rules that all of them keep."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats

from convlift.augment import shot_noise, tables
from convlift.augment.effects import NAMES, affected, blurred, draw_effects, sharpened, through_jpeg
from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

STRONGEST = {
    "gamma": 0.9, "equalize": 1.0, "solarize": 1.0, "posterize": 7.0, "sharpness": 1.0, "blur": 0.1, "shot_noise": 0.5,
    "jpeg": 0.99,
}  # fmt: skip
EVERY_EFFECT = pytest.mark.parametrize("lever", STRONGEST)
EVERY_CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def photo(channels: int = 3, side: int = 48) -> np.ndarray:
    """Something smooth with an edge, a little noise, and not all of the range."""
    rows, columns = np.indices((side, side)) / side
    ramps = [40 + 150 * rows, 30 + 120 * columns, 60 + 80 * rows * columns]
    image = np.stack(ramps, -1) + np.random.default_rng(0).normal(0, 6, (side, side, 3))
    image[side // 3 : side // 2, side // 4 :] += 50
    return image.clip(0, 255).astype(np.uint8)[..., :channels]


def as_pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def drawn(count: int = 400, **strengths: float):
    return draw_effects(Augmentation(**strengths), Streams(0), count, (100, 200))


def alone(image: np.ndarray, **neutral_but: object) -> np.ndarray:
    """The image with one effect, exactly so strong."""
    whole = {"solarize", "posterize", "jpeg"}
    effects = draw_effects(Augmentation(gamma=0.5), Streams(0), 1, image.shape[:2])
    given = {name: np.array([value]) for name, value in neutral_but.items() if name != "deviation"}
    still = {name: value.astype(int) for name, value in given.items() if name in whole}
    extra = {"deviation": neutral_but["deviation"]} if "deviation" in neutral_but else {}
    return affected(image, 0, effects._replace(**{"gamma": np.ones(1)} | given | still | extra), Streams(0))


def test_every_effect_is_here():
    assert set(STRONGEST) == set(NAMES)


# Against others


@EVERY_CHANNELS
def test_equalize_is_that_of_pil(channels):
    image = photo(channels)
    expected = np.asarray(ImageOps.equalize(as_pil(image))).reshape(image.shape)
    np.testing.assert_array_equal(alone(image, equalize=1.0), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_stretching_is_that_of_pil_but_for_a_level(channels):
    image = photo(channels)
    expected = np.asarray(ImageOps.autocontrast(as_pil(image))).reshape(image.shape)
    found = alone(image, stretched=True)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("threshold", [0, 100, 128, 256])
def test_solarize_is_that_of_pil(threshold):
    image = photo()
    expected = np.asarray(ImageOps.solarize(as_pil(image), threshold))
    np.testing.assert_array_equal(alone(image, solarize=threshold), expected)


@pytest.mark.parametrize("bits", [0, 1, 4, 7])
def test_posterize_is_that_of_pil(bits):
    image = photo()
    np.testing.assert_array_equal(alone(image, posterize=bits), np.asarray(ImageOps.posterize(as_pil(image), 8 - bits)))


@pytest.mark.parametrize("factor", [0.1, 0.6, 1.5, 1.9])
@EVERY_CHANNELS
def test_sharpness_is_that_of_pil_but_for_its_rounding(factor, channels):
    image = photo(channels)
    expected = np.asarray(ImageEnhance.Sharpness(as_pil(image)).enhance(factor)).reshape(image.shape)
    # PIL rounds the smoothed image to bytes and cuts off what the blend has behind the point
    assert np.abs(sharpened(image, factor).astype(int) - expected).max() <= 1 + round(abs(1 - factor))


@pytest.mark.parametrize("deviation", [0.3, 1.0, 3.7])
@EVERY_CHANNELS
def test_a_blur_is_that_of_scipy(deviation, channels):
    image = photo(channels)
    radius = int(np.ceil(3 * deviation))
    expected = ndimage.gaussian_filter(
        image.astype(float), (deviation, deviation, 0), mode="mirror", radius=(radius, radius, 0)
    )
    assert np.abs(blurred(image, deviation) - expected).max() < 0.51


@pytest.mark.parametrize("quality", [5, 40, 90, 100])
@EVERY_CHANNELS
def test_jpeg_is_that_of_pil(quality, channels):
    image, file = photo(channels), io.BytesIO()
    as_pil(image).save(file, "JPEG", quality=quality)
    expected = np.asarray(Image.open(file)).reshape(image.shape).astype(int)
    # two builds of the library may differ by how they round a transform
    assert np.abs(through_jpeg(image, quality).astype(int) - expected).mean() < 0.5


@pytest.mark.parametrize("exponent", [0.4, 2.5])
def test_gamma_is_its_formula(exponent):
    image = photo()
    assert np.abs(alone(image, gamma=exponent) - 255 * (image / 255) ** exponent).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("level", [0, 3, 60, 200])
def test_shot_noise_is_poisson(level):
    deviation = 0.1  # 100 photons at white
    counts = np.rint(shot_noise.quantiles(deviation).reshape(256, -1)[level] / 255 * 100)
    mean = 100 * level / 255
    kept = counts[counts < 100]
    below = [np.mean(counts <= each) for each in range(100)]
    np.testing.assert_allclose(below, stats.poisson.cdf(range(100), mean), atol=1e-3)
    assert len(kept)
    if level < 100:  # far from white, where it is cut off
        assert (counts.mean(), counts.var()) == pytest.approx((mean, mean), rel=0.02, abs=1e-9)


def test_shot_noise_of_an_image_has_its_deviation_and_no_neighbours():
    flat = np.full((200, 200, 3), 128, np.uint8)
    noise = alone(flat, noisy=True, deviation=0.05) / 255 - 128 / 255
    assert noise.std() == pytest.approx(0.05 * (128 / 255) ** 0.5, rel=0.05)
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02


def test_gains_multiply_channels_and_grey_is_pils():
    zero, one, image = np.zeros(3, np.float32), np.ones(3, np.float32), photo()
    gained = augment(image[None].repeat(200, 0), Augmentation(channel_gain=0.3), zero, one, Streams(0))
    factors = (gained * 255 / image.clip(1)).mean(axis=(1, 2))
    np.testing.assert_allclose(gained[7] * 255, image * factors[7], atol=1.0)
    assert (factors.min(), factors.max()) == pytest.approx((0.7, 1.3), abs=0.02)
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.2
    grey = 255 * augment(image[None], Augmentation(greyscale=1.0), zero, one, Streams(0))[0]
    expected = np.asarray(as_pil(image).convert("L"))[..., None]
    assert np.abs(grey - expected).max() < 1


# What every one keeps


@EVERY_EFFECT
@EVERY_CHANNELS
def test_next_to_no_strength_changes_next_to_nothing(lever, channels):
    image = photo(channels)
    tiny = Augmentation(**{lever: 1e-6, "effect_chance": 1.0})
    if lever == "posterize":  # whole bits, of which the first is a level
        tiny = tiny.model_copy(update={"posterize": 1.0})
    effects = draw_effects(tiny, Streams(0), 4, image.shape[:2])
    for index in range(4):
        found = affected(image, index, effects, Streams(0)).astype(int)
        # JPEG of the best quality still has the colours, and so their noise, at half the resolution
        assert np.abs(found - image).mean() <= {"posterize": 1.0, "jpeg": 4.0}.get(lever, 0.02)


@EVERY_EFFECT
def test_what_is_off_is_none_and_a_chance_is_a_chance(lever):
    assert draw_effects(Augmentation(effect_chance=1.0), Streams(0), 3, (8, 8)) is None
    if lever == "gamma":  # of every image
        assert (drawn(gamma=0.3).gamma != 1).all()
        return
    neutral = draw_effects(Augmentation(gamma=0.1), Streams(0), 1, (8, 8))
    field = "noisy" if lever == "shot_noise" else lever
    for chance in (0.2, 1.0):
        found = getattr(drawn(**{lever: STRONGEST[lever], "effect_chance": chance}), field)
        assert np.mean(found != getattr(neutral, field)[0]) == pytest.approx(chance, abs=0.06)


def test_strengths_are_drawn_from_none_to_the_levers_own():
    full = drawn(4000, **STRONGEST | {"gamma": 0.5, "jpeg": 0.8, "posterize": 3.0, "effect_chance": 1.0})
    assert np.exp(np.abs(np.log(full.gamma))).max() == pytest.approx(2.0, abs=0.01)
    assert (full.equalize.min(), full.equalize.max()) == pytest.approx((0, 1), abs=0.01)
    assert (full.solarize.min(), full.solarize.max()) == pytest.approx((0, 255), abs=1)
    np.testing.assert_array_equal(np.unique(full.posterize), [1, 2, 3])
    assert (full.sharpness.min(), full.sharpness.max()) == pytest.approx((0, 2), abs=0.01)
    assert full.blur.max() == pytest.approx(10, abs=0.05)  # of the shorter side of 100
    assert (full.jpeg.min(), full.jpeg.max()) == (20, 100)


@EVERY_EFFECT
def test_an_image_that_is_not_drawn_is_not_touched(lever):
    effects = drawn(50, **{lever: STRONGEST[lever]})
    image, streams = photo(), Streams(0)
    same = [affected(image, index, effects, streams) is image for index in range(50)]
    assert any(same) == (lever != "gamma")
    assert not all(same)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 5)])
@EVERY_EFFECT
@EVERY_CHANNELS
def test_the_smallest_images_keep_their_form(size, lever, channels):
    images = np.random.default_rng(0).integers(0, 256, (6, *size, channels), dtype=np.uint8)
    effects = draw_effects(Augmentation(**{lever: STRONGEST[lever], "effect_chance": 1.0}), Streams(0), 6, size)
    for index, image in enumerate(images):
        found = affected(image, index, effects, Streams(0))
        assert (found.shape, found.dtype) == (image.shape, np.uint8)
        assert found.flags.c_contiguous


@pytest.mark.parametrize("table", [tables.equalized, tables.stretched])
def test_one_value_alone_stays(table):
    counts = np.zeros((1, 256), int)
    counts[0, 77] = 500
    assert table(counts, np)[0, 77] == 77


def test_opencv_still_reads_colours_in_this_order():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert through_jpeg(red, 95)[8, 8, 0] > 190
    assert cv2.cvtColor(red, cv2.COLOR_RGB2BGR)[0, 0, 2] == 200
