"""Whole batches: the contract that every lever keeps, what each lever does, and that draws are independent."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import NAMES as WEATHER
from convlift.recipe.augmentation import Augmentation

STRENGTHS = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "rotation": 0.2,
    "zoom": 0.3,
    "translation": 0.2,
    "brightness": 0.3,
    "contrast": 0.4,
    "saturation": 0.8,
    "hue": 0.2,
    "noise": 0.1,
    "quarter_turns": 0.75,
    "aspect": 0.3,
    "shear": 0.2,
    "crop": 0.6,
    "perspective": 0.15,
    "elastic": 0.05,
    "erase": 0.4,
    "cutout": 0.5,
    "gamma": 0.5,
    "channel_gain": 0.3,
    "greyscale": 0.5,
    "equalize": 1.0,
    "solarize": 0.6,
    "posterize": 6.0,
    "sharpness": 0.9,
    "blur": 0.1,
    "shot_noise": 0.2,
    "jpeg": 0.8,
    "haze": 0.8,
    "fog": 0.8,
    "clouds": 0.8,
    "cloud_shadow": 0.8,
    "low_sun": 0.8,
    "night": 0.8,
    "rand_augment": 20.0,
    "trivial_augment": 1.0,
    "aug_mix": 8.0,
}
POLICIES = ("rand_augment", "trivial_augment", "aug_mix")
COLOUR_ALONE = ("saturation", "hue", "greyscale")  # of grey images they change nothing
EFFECTS = ("gamma", "equalize", "solarize", "posterize", "sharpness", "blur", "shot_noise", "jpeg", *WEATHER)
GEOMETRY = (
    "horizontal_flip", "vertical_flip", "rotation", "zoom", "translation",
    "quarter_turns", "aspect", "shear", "crop", "perspective", "elastic",
)  # fmt: skip
ERASING = ("erase", "cutout")
EVERY_LEVER = pytest.mark.parametrize("lever", STRENGTHS)
EVERY_CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def statistics(channels: int) -> tuple[np.ndarray, np.ndarray]:
    return np.float32([0.48, 0.45, 0.41])[:channels], np.float32([0.23, 0.22, 0.21])[:channels]


def random_images(count: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def augmented(images: np.ndarray, seed: int = 0, **strengths: float) -> np.ndarray:
    return augment(images, Augmentation(**strengths), *statistics(images.shape[3]), Streams(seed))


def in_pixels(images: np.ndarray, **strengths: float) -> np.ndarray:
    """Augmented, with the normalization taken back."""
    mean, std = statistics(images.shape[3])
    return augmented(images, **strengths) * std + mean


# The contract of every lever


def test_the_contract_covers_every_lever() -> None:
    assert list(STRENGTHS) == list(Augmentation().strengths)


@EVERY_LEVER
@EVERY_CHANNELS
def test_a_lever_changes_images_and_keeps_their_form(lever: str, channels: int) -> None:
    images = random_images(16, 18, channels)
    before = images.copy()
    changed, plain = (
        augmented(images, **{lever: STRENGTHS[lever]}),
        normalize(images, *statistics(channels)),
    )
    assert (changed.shape, changed.dtype) == (images.shape, np.float32)
    assert changed.flags.c_contiguous
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(images, before)
    assert np.array_equal(changed, plain) == (channels == 1 and lever in COLOUR_ALONE)


@EVERY_LEVER
@EVERY_CHANNELS
def test_a_lever_is_deterministic_and_follows_its_seed(lever: str, channels: int) -> None:
    images, strength = random_images(16, 18, channels), {lever: STRENGTHS[lever]}
    first = augmented(images, seed=1, **strength)
    np.testing.assert_array_equal(first, augmented(images, seed=1, **strength))
    if channels == 3:
        assert not np.array_equal(first, augmented(images, seed=2, **strength))


class Moved(Streams):
    """The same streams, but for one that gives other numbers."""

    def __init__(self, moved: str) -> None:
        super().__init__(0)
        self._moved, self._other = moved, Streams(1)

    def __getitem__(self, name: str) -> np.random.Generator:
        return self._other[name] if name == self._moved else super().__getitem__(name)


@EVERY_LEVER
def test_a_lever_draws_from_the_stream_of_its_name_alone(lever: str) -> None:
    images, strength = random_images(16, 18, 3), Augmentation(**{lever: STRENGTHS[lever]})
    still = augment(images, strength, *statistics(3), Streams(0))
    moved = [
        name for name in STRENGTHS if not np.array_equal(augment(images, strength, *statistics(3), Moved(name)), still)
    ]
    assert moved == [lever]


@EVERY_LEVER
def test_switching_a_lever_on_leaves_the_streams_of_the_others_where_they_were(lever: str) -> None:
    images, others = random_images(4, 8, 3), {name: value for name, value in STRENGTHS.items() if name != lever}
    states = []
    for strengths in (others, STRENGTHS):
        streams = Streams(0)
        for _ in range(2):  # batches
            augment(images, Augmentation(**strengths), *statistics(3), streams)
        states.append([streams[name].bit_generator.state for name in others])
    np.testing.assert_equal(*states)


def test_a_lever_that_is_new_leaves_the_images_of_the_others_as_they_were() -> None:
    images, strengths, streams = random_images(4, 8, 3), Augmentation(**STRENGTHS), Streams(0)
    expected = Streams(0)
    for _ in range(2):  # batches
        streams["a lever of next year"].random((4, 3))
        changed = augment(images, strengths, *statistics(3), streams)
        np.testing.assert_array_equal(changed, augment(images, strengths, *statistics(3), expected))


def test_an_images_draws_do_not_depend_on_the_size_of_batches() -> None:
    images, strengths, streams = random_images(7, 8, 3), Augmentation(**STRENGTHS), Streams(0)
    parts = [augment(part, strengths, *statistics(3), streams) for part in np.split(images, [3, 4])]
    np.testing.assert_array_equal(np.concatenate(parts), augment(images, strengths, *statistics(3), Streams(0)))


def test_an_image_does_not_depend_on_what_else_is_in_its_batch() -> None:
    images = random_images(7, 20, 3)
    others = 255 - images
    others[3] = images[3]
    np.testing.assert_array_equal(augmented(images, **STRENGTHS)[3], augmented(others, **STRENGTHS)[3])


@EVERY_LEVER
def test_a_lever_leaves_what_can_be_seen_of_the_others(lever: str) -> None:
    """On flat grey images geometry shows nothing, so each colour lever's own offset can be read off and compared;
    on the corner of a fixed pattern, each mirror's.
    """
    other = {lever: STRENGTHS[lever]}
    if lever in (*EFFECTS, *POLICIES):  # what they make of bytes is no sum: see test_effects
        return
    if lever in (*GEOMETRY, *ERASING, *COLOUR_ALONE):
        grey = np.full((16, 8, 8, 3), 200, np.uint8)
        for name in ("brightness", "contrast", *(() if lever in ERASING else ("noise",))):
            alone, both = augmented(grey, **{name: 0.3}), augmented(grey, **{name: 0.3} | other)
            np.testing.assert_allclose(both, alone, atol=1e-4)
    else:
        pattern = np.tile(np.uint8([[0, 0], [0, 255]])[:, :, None], (16, 1, 1, 3))
        for name in ("horizontal_flip", "vertical_flip"):
            alone, both = augmented(pattern, **{name: 0.5}), augmented(pattern, **{name: 0.5} | other)
            brightest = [batch.mean(axis=3).reshape(16, 4).argmax(axis=1) for batch in (alone, both)]
            np.testing.assert_array_equal(*brightest)


@EVERY_LEVER
def test_a_lever_draws_for_every_image(lever: str) -> None:
    same = np.repeat(random_images(1, 18, 3), 8, axis=0)
    assert len(np.unique(augmented(same, **{lever: STRENGTHS[lever]}), axis=0)) > 1


# What each lever does; its map and its matrix are tested with geometry and colour


@EVERY_CHANNELS
def test_with_all_levers_off_augment_is_normalize(channels: int) -> None:
    images = random_images(5, 9, channels)
    np.testing.assert_array_equal(augmented(images), normalize(images, *statistics(channels)))


@EVERY_CHANNELS
def test_normalize_is_its_formula(channels: int) -> None:
    images, (mean, std) = random_images(5, 9, channels), statistics(channels)
    expected = (images / 255 - mean.astype(np.float64)) / std
    np.testing.assert_allclose(normalize(images, mean, std), expected, atol=1e-6)


def test_certain_mirrors_are_reversed_slices() -> None:
    images = random_images(5, 9, 3)
    plain = normalize(images, *statistics(3))
    np.testing.assert_allclose(augmented(images, horizontal_flip=1), plain[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(augmented(images, vertical_flip=1), plain[:, ::-1], atol=1e-6)
    both = augmented(images, horizontal_flip=1, vertical_flip=1)
    np.testing.assert_allclose(both, plain[:, ::-1, ::-1], atol=1e-6)


def test_mirrors_alone_are_the_mirrors_of_the_affine_path() -> None:
    images = np.repeat(random_images(32, 4, 3), 8, axis=2).repeat(8, axis=1)
    flips = {"horizontal_flip": 0.5, "vertical_flip": 0.5}
    # a rotation too small to move any pixel
    np.testing.assert_allclose(augmented(images, **flips), augmented(images, **flips, rotation=1e-9), atol=1e-6)


def test_quarter_turns_and_mirrors_are_the_eight_symmetries_equally_often() -> None:
    image = random_images(1, 5, 3)
    plain = normalize(image, *statistics(3))[0]
    turned = [np.rot90(each, quarters) for each in (plain, plain[:, ::-1]) for quarters in range(4)]
    found = augmented(image.repeat(4000, axis=0), horizontal_flip=0.5, quarter_turns=0.75)
    counts = [np.sum((found == each).all(axis=(1, 2, 3))) for each in turned]
    assert sum(counts) == 4000
    assert min(counts) > 400


def test_quarter_turns_alone_are_those_of_the_affine_path() -> None:
    images = np.repeat(random_images(32, 4, 3), 8, axis=2).repeat(8, axis=1)
    symmetries = {"horizontal_flip": 0.5, "vertical_flip": 0.5, "quarter_turns": 0.7}
    # a rotation too small to move any pixel
    moved = augmented(images, **symmetries, rotation=1e-9)
    np.testing.assert_allclose(augmented(images, **symmetries), moved, atol=1e-6)


@pytest.mark.parametrize("lever", ["elastic", "perspective", "aspect", "shear", "crop"])
def test_at_next_to_no_strength_an_image_stays_what_it_is(lever: str) -> None:
    images = random_images(6, 32, 3)
    np.testing.assert_allclose(in_pixels(images, **{lever: 1e-7}), images / 255, atol=1e-6)


@pytest.mark.parametrize("fill_mode", ["reflect", "edge", "constant"])
@pytest.mark.parametrize("lever", ["rotation", "perspective", "elastic"])
def test_the_fill_mode_decides_what_lies_beyond_the_border(lever: str, fill_mode: str) -> None:
    flat = np.full((8, 16, 16, 1), 200, np.uint8)
    changes = Augmentation.model_validate({lever: STRENGTHS[lever], "fill_mode": fill_mode})
    seen = augment(flat, changes, np.zeros(1, np.float32), np.ones(1, np.float32), Streams(0))
    assert (seen.min() < 0.1) == (fill_mode == "constant")


def test_rotation_and_zoom_and_translation_keep_a_flat_image_flat() -> None:
    flat = np.full((16, 11, 11, 3), 77, np.uint8)
    changed = in_pixels(flat, rotation=0.5, zoom=0.9, translation=0.5)
    np.testing.assert_allclose(changed, 77 / 255, atol=1e-6)


def test_brightness_shifts_the_mean_and_nothing_else() -> None:
    images = random_images(2000, 4, 3)
    shift = in_pixels(images, brightness=0.3) - images / 255
    assert np.ptp(shift, axis=(1, 2, 3)).max() < 1e-5
    amounts = shift.mean(axis=(1, 2, 3))
    assert (amounts.min(), amounts.max()) == pytest.approx((-0.3, 0.3), abs=0.01)


def test_contrast_scales_the_deviation() -> None:
    images = random_images(2000, 4, 3)
    ratios = in_pixels(images, contrast=0.4).std(axis=(1, 2, 3)) / (images / 255).std(axis=(1, 2, 3))
    assert (ratios.min(), ratios.max()) == pytest.approx((0.6, 1.4), abs=0.01)


def test_saturation_and_hue_keep_luma_and_change_chroma() -> None:
    images = random_images(16, 8, 3)
    changed = in_pixels(images, saturation=0.9, hue=0.5)
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(changed @ luma, images / 255 @ luma, atol=1e-5)
    assert np.abs(changed - images / 255).mean() > 0.1


def test_noise_is_gaussian_with_its_deviation_in_pixel_units() -> None:
    images = np.full((40, 32, 32, 3), 128, np.uint8)
    noise = (in_pixels(images, noise=0.1) - 128 / 255) / 0.1
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std(axis=(0, 1, 2)) == pytest.approx([1, 1, 1], abs=0.02)
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)
    flat = noise.reshape(40, -1)
    neighbours = np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.01
    assert abs(np.corrcoef(flat[0], flat[1])[0, 1]) < 0.06


def test_values_are_not_clipped() -> None:
    bright = np.full((64, 4, 4, 3), 250, np.uint8)
    assert in_pixels(bright, brightness=0.5).max() > 1.2


# Any batch


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 5),
    height=st.integers(1, 64),
    width=st.integers(1, 64),
    channels=st.sampled_from([1, 3]),
    scale=st.floats(0, 1),
    chosen=st.sets(st.sampled_from(list(STRENGTHS))),
)
def test_any_batch_comes_out_finite_and_whole(
    count: int, height: int, width: int, channels: int, scale: float, chosen: set[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    changed = augmented(images, **{name: scale * STRENGTHS[name] for name in chosen})
    assert (changed.shape, changed.dtype) == (images.shape, np.float32)
    assert np.isfinite(changed).all()


@EVERY_CHANNELS
@pytest.mark.parametrize("part", [np.s_[::2], np.s_[[3, 1, 1]], np.s_[::-1, ::2, ::-1], np.s_[:, 1:9, 2:10]])
def test_a_slice_of_a_memory_map_is_as_good_as_a_copy(tmp_path: Path, channels: int, part: object) -> None:
    stored = np.lib.format.open_memmap(tmp_path / "store.npy", "w+", np.uint8, (6, 12, 12, channels))
    stored[:] = random_images(6, 12, channels)
    view = np.load(tmp_path / "store.npy", mmap_mode="r")[part]
    copy = np.array(view)
    np.testing.assert_array_equal(augmented(view, **STRENGTHS), augmented(copy, **STRENGTHS))
    np.testing.assert_array_equal(normalize(view, *statistics(channels)), normalize(copy, *statistics(channels)))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "NHWC"),
        (np.zeros((1, 4, 4, 3), np.float32), "uint8"),
        (np.zeros((1, 4, 4, 17), np.uint8), "1 to 16"),
    ],
)
def test_what_is_not_a_batch_of_byte_images_is_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        normalize(images, *statistics(3))
