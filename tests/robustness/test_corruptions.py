"""The fifteen corruptions: a contract for all, and for each a closed form or another way to the same pixels."""

import colorsys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from convlift.errors import ConvliftError
from convlift.robustness import blur, digital, ice_and_light, noise
from convlift.robustness.corruptions import CORRUPTIONS, corrupt, framed
from convlift.robustness.names import NAMES, named_corruptions
from convlift.robustness.strengths import LARGE, SEVERITIES, SMALL, strength

# pixel by pixel the published strengths do not always grow: the first elastic ones bend the whole image, the others
# tear it; more frost lets less of the image through; large flakes of snow are few; a blur before pixels move hides that
NOT_BY_PIXELS = {32: {"elastic_transform", "frost", "glass_blur"}, 128: {"elastic_transform", "frost", "snow"}}


def photos(side: int) -> list[np.ndarray]:
    """Eight parts of two photos, square."""
    found = []
    for name in ("china.jpg", "flower.jpg"):
        whole = Image.fromarray(load_sample_image(name))
        for left in (0, 160, 320, 420):
            box = (left, 100, left + 220, 320)
            found.append(np.asarray(whole.resize((side, side), Image.Resampling.BOX, box=box)))
    return found


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def random_image(height: int = 24, width: int = 31, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, channels))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 5, 1), (8, 8, 1), (33, 32, 3), (70, 200, 3), (90, 64, 1)])
def test_any_size_gives_bytes_of_that_size(name: str, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    for severity in SEVERITIES:
        found = corrupt(image, name, severity)
        assert found.shape == shape
        assert found.dtype == np.uint8


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_copy_depends_on_seed_image_name_and_severity_alone(name: str) -> None:
    one, other = photos(40)[:2]
    first = corrupt(one, name, 3, seed=1)
    corrupt(other, name, 3, seed=1)
    assert (corrupt(one.copy(), name, 3, seed=1) == first).all()
    if name in {"gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "snow", "frost", "fog"}:
        assert (corrupt(one, name, 3, seed=2) != first).any()


@pytest.mark.parametrize("side", [32, 128])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_harms_photos_and_the_last_more_than_the_first(name: str, side: int) -> None:
    def decibels(severity: int) -> float:
        apart = [np.square(corrupt(each, name, severity).astype(float) - each).mean() for each in photos(side)]
        return float(10.0 * np.log10(255.0**2 / max(np.mean(apart), 1e-9)))

    found = [decibels(severity) for severity in SEVERITIES]
    assert max(found) < 45.0
    if name not in NOT_BY_PIXELS[side]:
        assert found == sorted(found, reverse=True)
    elif name != "elastic_transform":
        assert found[-1] < found[0]


def test_strengths_are_those_of_the_published_code() -> None:
    assert set(LARGE) == set(SMALL) == set(CORRUPTIONS)
    assert all(len(each) == len(SEVERITIES) for table in (LARGE, SMALL) for each in table.values())
    assert strength("gaussian_noise", 5, 64) == 0.38
    assert strength("gaussian_noise", 5, 63) == 0.10
    assert len(strength("zoom_blur", 1, 224)) == 12  # numpy's arange rounds beyond its end, there too


def test_gaussian_noise_has_its_deviation_and_no_mean() -> None:
    apart = noise.gaussian_noise(np.full((200, 200, 3), 0.5), 0.08, rng()) - 0.5
    assert apart.std() == pytest.approx(0.08, rel=0.01)
    assert apart.mean() == pytest.approx(0.0, abs=0.001)


def test_shot_noise_has_the_mean_of_the_image_and_poissons_variance() -> None:
    found = noise.shot_noise(np.full((200, 200, 3), 0.4), 12, rng())
    assert found.mean() == pytest.approx(0.4, rel=0.01)
    assert found.var() == pytest.approx(0.4 / 12, rel=0.02)


def test_impulse_noise_hits_its_share_half_of_it_white() -> None:
    found = noise.impulse_noise(np.full((200, 200, 3), 0.5), 0.27, rng())
    assert (found != 0.5).mean() == pytest.approx(0.27, abs=0.005)
    assert (found == 1.0).sum() == pytest.approx((found == 0.0).sum(), rel=0.03)


def test_the_kernel_of_defocus_is_a_disk_of_that_area() -> None:
    kernel = blur.disk_kernel(6, 0.01)
    assert kernel.sum() == pytest.approx(1.0)
    assert (kernel > kernel.max() / 2).sum() == pytest.approx(np.pi * 36, rel=0.05)
    image = random_image()
    expected = np.stack([ndimage.correlate(image[..., c], kernel, mode="mirror") for c in range(3)], axis=2)
    np.testing.assert_allclose(blur.defocus_blur(image, (6, 0.01), rng()), expected, atol=1e-9)


def test_glass_blur_moves_pixels_and_loses_none() -> None:
    """With a blur of nothing every pixel of the image is somewhere, at most rounds times its reach away."""
    image = np.arange(20 * 20, dtype=np.float64).reshape(20, 20, 1) / 255.0
    found = blur.glass_blur(image, (1e-9, 2, 1), rng())
    assert sorted((found * 255).round().ravel()) == sorted((image * 255).ravel())
    assert (found[0] == image[0]).all()
    assert (found[10] != image[10]).any()


def test_motion_blur_is_half_a_gaussian_along_the_line() -> None:
    kernel = blur.motion_kernel(5, 2.0, 0.0)
    row = kernel[10]
    weights = np.exp(-(np.arange(11) ** 2) / 8.0)
    np.testing.assert_allclose(row[10:], weights / weights.sum())
    assert row[:10].sum() == 0.0
    downwards = blur.motion_kernel(5, 2.0, 90.0)
    np.testing.assert_allclose(downwards[10:, 10], row[10:])
    image = random_image(channels=1)
    expected = ndimage.correlate(image[..., 0], kernel, mode="nearest")
    np.testing.assert_allclose(blur.moved(image, (5, 2.0), 0.0)[..., 0], expected, atol=1e-9)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.1, 1.24])
def test_magnification_is_scipys_zoom_of_the_centre(factor: float) -> None:
    image = random_image(40, 40)
    kept = int(np.ceil(40 / factor))
    first = (40 - kept) // 2
    zoomed = ndimage.zoom(image[first : first + kept, first : first + kept], (factor, factor, 1), order=1)
    trim = (zoomed.shape[0] - 40) // 2
    np.testing.assert_allclose(blur.magnified(image, factor), zoomed[trim : trim + 40, trim : trim + 40], atol=1e-9)


def test_zoom_blur_of_one_factor_is_the_mean_of_two() -> None:
    image = random_image()
    found = blur.zoom_blur(image, np.array([1.2]), rng())
    np.testing.assert_allclose(found, (image + blur.magnified(image, 1.2)) / 2)


def test_brightness_raises_the_value_and_leaves_hue_and_saturation() -> None:
    image = random_image(6, 7)
    image[0, 0] = 0.0
    found = ice_and_light.brightness(image, 0.3, rng())
    for before, after in zip(image.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        np.testing.assert_allclose(after, colorsys.hsv_to_rgb(hue, saturation, min(value + 0.3, 1.0)), atol=1e-9)


def test_contrast_keeps_the_mean_and_shrinks_the_deviation() -> None:
    image = random_image()
    found = digital.contrast(image, 0.4, rng())
    np.testing.assert_allclose(found.mean((0, 1)), image.mean((0, 1)))
    np.testing.assert_allclose(found.std((0, 1)), 0.4 * image.std((0, 1)))


def test_fog_darkens_to_the_brightest_value_and_plasma_fills_zero_to_one() -> None:
    layer = ice_and_light.plasma(128, 128, 2.0, rng())
    assert layer.min() == 0.0
    assert layer.max() == 1.0
    near, far = (np.abs(layer - np.roll(layer, shift, axis=0)).mean() for shift in (1, 40))
    assert near < far / 3
    image = np.full((128, 128, 3), 0.5)
    found = ice_and_light.fog(image, (2.0, 2.0), rng())
    assert found.max() <= 0.5 + 1e-9
    np.testing.assert_allclose(found[..., 0], (0.5 + 2.0 * layer) * 0.5 / 2.5)


def test_snow_is_flakes_over_a_paler_image() -> None:
    image = np.full((64, 64, 3), 0.3)
    none = ice_and_light.snow(image, (0.0, 1e-9, 1, 0.5, 10, 4, 0.8), rng())
    np.testing.assert_allclose(none, 0.8 * 0.3 + 0.2 * (1.5 * 0.3 + 0.5))
    some = ice_and_light.snow(image, (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55), rng())
    assert some.mean() > ice_and_light.snow(image, (0.55, 0.3, 2.5, 5.0, 12, 12, 0.55), rng()).mean()


def test_frost_is_the_weighted_image_and_ice() -> None:
    image = random_image(64, 64)
    ice = ice_and_light.crystals(64, 64, rng())[..., None] * ice_and_light.ICE
    np.testing.assert_allclose(ice_and_light.frost(image, (0.7, 0.7), rng()), 0.7 * image + 0.7 * ice)
    means = [ice_and_light.crystals(96, 96, np.random.default_rng(each)).mean() for each in range(8)]
    assert np.mean(means) == pytest.approx(ice_and_light.MEAN_ICE, abs=0.05)


def test_elastic_transform_of_no_strength_changes_nothing_and_its_field_is_a_gaussians() -> None:
    image = random_image(32, 48)
    np.testing.assert_allclose(digital.elastic_transform(image, (0, 0, 0), rng()), image, atol=1e-5)
    white = rng().uniform(-1.0, 1.0, (32, 48))
    expected = ndimage.gaussian_filter(white, 6.4, mode="reflect", truncate=3)
    np.testing.assert_allclose(digital._smooth_noise(32, 48, 6.4, rng()), expected, atol=1e-12)


def test_pixelate_of_a_whole_fraction_is_means_over_blocks() -> None:
    image = np.round(255.0 * random_image(32, 48)) / 255.0
    found = digital.pixelate(image, 0.25, rng())
    blocks = image.reshape(8, 4, 12, 4, 3).mean((1, 3))
    np.testing.assert_allclose(found, blocks.repeat(4, 0).repeat(4, 1), atol=1.01 / 255)


def test_jpeg_is_a_file_of_that_quality(tmp_path: Path) -> None:
    image = photos(64)[0]
    Image.fromarray(image).save(tmp_path / "saved.jpg", quality=10)
    assert (corrupt(image, "jpeg_compression", 4) == np.asarray(Image.open(tmp_path / "saved.jpg"))).all()


def test_large_images_are_shrunk_before_and_others_left() -> None:
    photo = load_sample_image("china.jpg")
    assert framed(photo).shape == (224, 336, 3)
    assert framed(photo)[:, :, :1].shape == framed(photo[:, :, :1].copy()).shape
    small = photos(100)[0]
    assert framed(small) is small


def test_names_are_checked() -> None:
    assert named_corruptions("all") == tuple(CORRUPTIONS) == NAMES
    assert named_corruptions("snow, fog") == ("snow", "fog")
    assert named_corruptions("snow,fog,fog") == named_corruptions(["fog", "snow"]) == ("snow", "fog")
    assert named_corruptions(" all") == NAMES
    assert named_corruptions("gaussian noise") == ("gaussian_noise",)
    for wrong, said in (("fogg", "there is no corruption 'fogg'"), ("", "there is no"), ("fog,all", "stands alone")):
        with pytest.raises(ConvliftError, match=said):
            named_corruptions(wrong)
    with pytest.raises(ConvliftError, match="severity 6"):
        corrupt(photos(8)[0], "fog", 6)
