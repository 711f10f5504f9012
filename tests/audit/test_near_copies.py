"""Changed copies of an image are found, and images that are merely of one kind are not."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from convlift.audit.near_copies import near_copies
from convlift.audit.pictures import picture_of


def as_jpeg(image, quality=60):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


def cropped(image, share):
    rows = round(share * len(image))
    return image[rows:-rows, rows:-rows]


CHANGES = {
    "as it is": lambda image: image,
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "saved anew": as_jpeg,
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned": lambda image: np.rot90(image),
    "turned back and mirrored": lambda image: np.rot90(image[:, ::-1], 3),
    "brighter": lambda image: np.clip(image * 1.2 + 10, 0, 255).astype(np.uint8),
    "darker": lambda image: (image * 0.6).astype(np.uint8),
    "cropped by 3% a side": lambda image: cropped(image, 0.03),
    "cropped by 8% a side": lambda image: cropped(image, 0.08),
    "grey": lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None],
}


def found_in(images, labels=None):
    greys = np.stack([picture_of(np.ascontiguousarray(image)).grey for image in images])
    given = np.zeros(len(images), np.int64) if labels is None else labels
    return near_copies(greys, given, np.arange(len(images)))


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(photos, change):
    originals = list(photos(80))
    copied = found_in([*originals, *(CHANGES[change](image) for image in originals[:40])])
    assert sorted(map(tuple, copied.pairs.tolist())) == [(row, 80 + row) for row in range(40)]
    assert copied.likeness.min() > 0.9
    assert len(np.unique(copied.scenes)) == 80


def test_images_of_one_kind_are_not_copies(photos):
    """As X-rays: much is the same in all of them, and what differs is small."""
    kind, own = photos(1, 1)[0].astype(float), photos(200, 2).astype(float)
    alike = [np.clip(0.8 * kind + 0.2 * each, 0, 255).astype(np.uint8) for each in own]
    assert not len(found_in(alike).pairs)
    assert found_in([*alike, as_jpeg(alike[7], 90)]).pairs.tolist() == [[7, 200]]


def test_many_frames_of_one_scene_take_one_link_each(photos):
    rng = np.random.default_rng(0)
    still = photos(1, 3)[0].astype(float)
    frames = [np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8) for _ in range(150)]
    others = list(photos(150, 4))
    found = found_in([*frames, *others])
    assert len(found.pairs) == 149
    assert len(np.unique(found.scenes)) == 151
    assert len(np.unique(found.scenes[:150])) == 1


def test_copies_of_copies_are_one_scene(photos):
    first = photos(60)
    small = CHANGES["half the size"](first[0])
    found = found_in([*first, small, as_jpeg(small), small[:, ::-1]])
    assert len(set(found.scenes[[0, 60, 61, 62]].tolist())) == 1
    assert len(found.pairs) == 3


def test_what_shows_nothing_is_no_copy(photos):
    flat = [np.full((64, 64, 3), level, np.uint8) for level in (0, 3, 128, 255)]
    assert not len(found_in([*flat, *photos(40)]).pairs)


def test_a_crop_is_found_whichever_of_the_two_comes_first(photos):
    images = list(photos(60))
    for pair in ([cropped(images[0], 0.04), images[0]], [images[0], cropped(images[0], 0.04)]):
        found = found_in([*images[1:], *pair])
        assert sorted(found.pairs[0].tolist()) == [59, 60]
        assert len(found.pairs) == 1


def cell(rng, side=64):
    """A light tile with one cell on it, an ellipse of its own with a nucleus somewhere in it."""
    down, across = np.mgrid[:side, :side]
    (y, x), radius, turn = rng.uniform(12, side - 12, 2), rng.uniform(5, 8), rng.uniform(0, np.pi)
    u, v = across - x, down - y
    u, v = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    longer, (aside, below) = rng.uniform(0.8, 1.25), rng.normal(0, 1.2, 2)
    light = np.full((side, side), 230.0)
    for distance, dark in (
        (np.hypot(u / longer, v * longer) / radius, 80),
        (np.hypot(u - aside, v - below) / radius / rng.uniform(0.35, 0.5), 60),
    ):
        light -= dark / (1 + np.exp(((distance - 1) * 10).clip(max=50)))
    return np.stack([light.astype(np.uint8)] * 3, axis=2)


def test_a_cell_on_an_empty_tile_is_no_copy_of_every_cell_near_its_place():
    rng = np.random.default_rng(0)
    tiles = [cell(rng) for _ in range(400)]
    assert len(found_in(tiles).pairs) <= 4  # by a correlation of .9 alone nearly all 400 are tied
    copied = found_in([*tiles, *(as_jpeg(tile, 80) for tile in tiles[:20]), tiles[20][:, ::-1]])
    assert (copied.scenes[400:] == copied.scenes[:21]).all()


def test_images_that_are_not_looked_at_stand_alone(photos):
    images = [*photos(50), photos(50)[0]]
    greys = np.stack([picture_of(image).grey for image in images])
    found = near_copies(greys, np.zeros(51, np.int64), np.arange(50))
    assert found.scenes.tolist() == [*range(51)]
    assert not len(near_copies(greys[:0], np.zeros(0, np.int64), np.arange(0)).pairs)
