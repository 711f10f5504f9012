"""AugMix: what is drawn how often, its ranges, and its mixes against scipy's moves and Pillow's tones."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy import ndimage

from convlift.augment.aug_mix import CHAINS, DEPTH, MIXES, NAMES, PLACES, chain_amounts, draw_aug_mix
from convlift.augment.batched import augment_batch
from convlift.augment.pipeline import augment, normalize
from convlift.augment.policies import Drawn
from convlift.augment.streams import Streams
from convlift.augment.tables import NEVER
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.published_policies import OPERATIONS

ZERO, ONE = np.zeros(3, np.float32), np.ones(3, np.float32)
SIDE = 30


def photo() -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    ramps = [40 + 150 * rows, 30 + 120 * columns, 60 + 80 * rows * columns]
    return np.stack(ramps, -1).astype(np.uint8)


def mixes(count: int, severity: float = 3.0, **others: float | str) -> np.ndarray:
    """(3, count, H, W, C) in 255ths: the image as it is and its two mixes."""
    changes = Augmentation.model_validate({"aug_mix": severity, "fill_mode": "constant", **others})
    seen = augment(photo()[None].repeat(count, axis=0), changes, ZERO, ONE, Streams(0), compared=True)
    return 255 * seen.reshape(3, count, SIDE, SIDE, 3)


TONES = ("stretch", "equalize", "solarize", "posterize")


def toned(image: Image.Image, name: str, level: float) -> Image.Image:
    """One operation as the authors' `augmentations.py` has it; level: in [0, 1]."""
    if name == "stretch":
        return ImageOps.autocontrast(image)
    if name == "equalize":
        return ImageOps.equalize(image)
    if name == "solarize":
        return ImageOps.solarize(image, 256 - int(256 * level))
    return ImageOps.posterize(image, 4 - int(4 * level))


def move(name: str, level: float) -> np.ndarray:
    """From a place of the result, (x, y, 1) from the middle of the image, to one of the source; level: in [-1, 1]."""
    slope, pixels, angle = 0.3 * level, int(level * SIDE / 3), np.deg2rad(int(30 * level))
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array(
        {
            "rotate": [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]],
            "shear x": [[1, slope, 0], [0, 1, 0], [0, 0, 1]],
            "shear y": [[1, 0, 0], [slope, 1, 0], [0, 0, 1]],
            "shift x": [[1, 0, -pixels], [0, 1, 0], [0, 0, 1]],
            "shift y": [[1, 0, 0], [0, 1, -pixels], [0, 0, 1]],
        }[name]
    )


def moved(whole: np.ndarray) -> np.ndarray:
    """The photo by a map, as scipy does it."""
    half = (SIDE - 1) / 2
    linear, constant = whole[:2, :2][::-1, ::-1], whole[:2, 2][::-1]  # rows come before columns
    offset = half + constant - linear @ [half, half]
    channels = [
        ndimage.affine_transform(channel.astype(float), linear, offset, order=1, mode="grid-constant")
        for channel in np.moveaxis(photo(), -1, 0)
    ]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def by_hand(part: float, weights_K: np.ndarray, operations_KD: np.ndarray, levels_KD: np.ndarray) -> np.ndarray:
    """A mix: of every chain its moves in one map, then its tones one after the other."""
    mix = np.zeros((SIDE, SIDE, 3))
    for weight, places, levels in zip(weights_K, operations_KD, levels_KD, strict=True):
        chain = [(OPERATIONS[place], level) for place, level in zip(places, levels, strict=True) if place]
        whole = np.eye(3)
        for name in ("shear x", "shear y", "rotate", "shift x", "shift y"):
            for level in (level for other, level in chain if other == name):
                whole = whole @ move(name, level)
        copy = Image.fromarray(moved(whole))
        for name in TONES:
            of_it = [level for other, level in chain if other == name]
            for level in of_it[:1] if name in ("stretch", "equalize") else of_it:
                copy = toned(copy, name, level)
        mix += weight * np.asarray(copy)
    return (1 - part) * photo() + part * mix


def test_a_mix_is_that_of_scipys_moves_and_pillows_tones() -> None:
    count = 150
    drawn, found = draw_aug_mix(Augmentation(aug_mix=3.0), Streams(0), count), mixes(count)
    np.testing.assert_allclose(found[0], photo()[None].repeat(count, axis=0), atol=1e-4)
    for mix in range(MIXES):
        for index in range(count):
            expected = by_hand(*(each[index, mix] for each in drawn))
            # two shears one after the other are not quite the two at once, and a byte may be rounded the other way
            assert np.abs(found[1 + mix, index] - expected).mean() < 0.1


def test_parts_weights_and_depths_follow_their_laws() -> None:
    drawn = draw_aug_mix(Augmentation(aug_mix=3.0), Streams(0), 4000)
    assert drawn.weights.shape == (4000, MIXES, CHAINS)
    np.testing.assert_allclose(drawn.weights.sum(axis=2), 1)
    np.testing.assert_allclose(drawn.weights.mean(axis=(0, 1)), 1 / 3, atol=0.01)
    assert drawn.weights.var() == pytest.approx(1 / 18, rel=0.05)  # of Dirichlet(1, 1, 1)
    assert np.sort(drawn.parts.ravel())[[800, 4000, 7200]] == pytest.approx([0.1, 0.5, 0.9], abs=0.02)
    depths = (drawn.operations > 0).sum(axis=3)
    np.testing.assert_allclose(
        np.bincount(depths.ravel(), minlength=4) / depths.size, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.02
    )
    counts = np.bincount(drawn.operations.ravel(), minlength=14)[PLACES]
    np.testing.assert_allclose(counts, counts.sum() / 9, rtol=0.05)
    assert counts.sum() == (drawn.operations > 0).sum(), "none of those that resemble a corruption"
    levels = np.abs(drawn.levels)
    assert (levels.min(), levels.max()) == (pytest.approx(0.01, abs=1e-3), pytest.approx(0.3, abs=1e-3))
    correlation = np.corrcoef(drawn.parts.T)[0, 1]
    assert abs(correlation) < 0.06, "two mixes of an image are drawn apart"


def test_ranges_are_those_published() -> None:
    def single(name: str, level: float):
        return chain_amounts(Drawn(np.array([[OPERATIONS.index(name)]]), np.array([[level]])), (30, 45))

    assert single("rotate", -0.29).rotation[0] == pytest.approx(-8 / 360)  # of 30 degrees, in whole ones
    np.testing.assert_allclose(single("shear y", 0.3).slopes, [[0, 0.09]])
    np.testing.assert_allclose(single("shift x", -0.3).shifts, [[-4, 0]])  # of 15 pixels, in whole ones
    np.testing.assert_allclose(single("shift y", 0.3).shifts, [[0, 3]])
    assert [single("solarize", level).solarize[0] for level in (0.3, 0.01)] == [180, 254]
    assert [single("posterize", level).posterize[0] for level in (0.1, 0.25, 1.0)] == [4, 5, 8]
    nothing = single("identity", 1.0)
    assert (nothing.solarize[0], nothing.posterize[0], nothing.rotation[0]) == (NEVER, 0, 0)
    assert not nothing.stretched[0]
    assert not nothing.equalized[0]
    assert len(NAMES) == 9
    assert DEPTH == CHAINS == 3


@pytest.mark.parametrize("compared", [False, True])
def test_at_a_severity_of_0_images_are_as_they_are(compared: bool) -> None:
    images = photo()[None].repeat(4, axis=0)
    found = augment(images, Augmentation(aug_mix=0.0), ZERO, ONE, Streams(0), compared=compared)
    np.testing.assert_array_equal(found, normalize(images, ZERO, ONE))


def test_what_is_shown_alone_is_the_first_mix() -> None:
    images, changes = (
        photo()[None].repeat(6, axis=0),
        Augmentation(aug_mix=3.0, horizontal_flip=0.5, noise=0.1, erase=0.3),
    )
    three = augment(images, changes, ZERO, ONE, Streams(4), compared=True)
    plain = augment(images, changes.model_copy(update={"aug_mix": 0.0}), ZERO, ONE, Streams(4))
    np.testing.assert_array_equal(three[:6], plain)
    np.testing.assert_array_equal(three[6:12], augment(images, changes, ZERO, ONE, Streams(4)))
    assert np.abs(three[12:] - three[6:12]).max() > 0.1


def test_views_of_an_image_share_all_that_the_other_levers_drew() -> None:
    """Between a stronger and a weaker part of the mix the image itself, its noise and what is erased are the same."""
    flat = np.full((5, 8, 8, 3), 120, np.uint8)  # of which no move, and no tone but posterize and solarize, shows
    changes = Augmentation(aug_mix=0.1, noise=0.2, erase=0.3, brightness=0.3)
    one, first, second = augment(flat, changes, ZERO, ONE, Streams(2), compared=True).reshape(3, 5, -1)
    for mix in (first, second):
        apart = mix - one
        assert (apart.max(axis=1) - apart.min(axis=1)).max() < 0.02


@pytest.mark.parametrize("compared", [False, True])
def test_mixes_do_not_depend_on_the_size_of_batches_and_are_the_same_at_once(compared: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 12, 12, 3), dtype=np.uint8)
    changes = Augmentation(aug_mix=3.0, horizontal_flip=0.5, noise=0.1, cutout=0.3, contrast=0.2)

    def views(inputs_NHWC: np.ndarray) -> np.ndarray:
        return inputs_NHWC.reshape(3 if compared else 1, -1, *images.shape[1:])

    whole = views(augment(images, changes, ZERO, ONE, Streams(1), compared=compared))
    streams, tensors = Streams(1), Streams(1)
    parts = np.split(images, [2, 3])
    apart = [views(augment(part, changes, ZERO, ONE, streams, compared=compared)) for part in parts]
    np.testing.assert_array_equal(np.concatenate(apart, axis=1), whole)
    at_once = [augment_batch(torch.from_numpy(part), changes, ZERO, ONE, tensors, compared=compared) for part in parts]
    found = np.concatenate([views(each.permute(0, 2, 3, 1).numpy()) for each in at_once], axis=1)
    assert np.mean(np.abs(found - whole) > 2 / 255) < 0.01
