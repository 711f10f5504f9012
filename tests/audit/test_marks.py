"""A mark in a corner is found where it gives a class away, and nowhere else."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from convlift.audit.marks import corners_of, find_marks, mark_findings

COUNT, SIDE = 40, 64
LABELS = np.repeat([0, 1], COUNT)
SCENES = np.arange(2 * COUNT)


def photos(seed: int = 0) -> NDArray[np.uint8]:
    """Blurred noise over a gradient that they all have, as skies have: (80, 64, 64)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2 * COUNT, SIDE, SIDE))
    smooth = np.stack([cv2.GaussianBlur(each, (0, 0), 3) for each in noise])
    sky = np.linspace(200, 80, SIDE)[:, None]
    return np.clip(sky + 250 * smooth, 0, 255).astype(np.uint8)


def marked(images: NDArray[np.uint8], rows: NDArray[np.int64], size: int, corner: int) -> NDArray[np.uint8]:
    """With a letter of so many pixels, three pixels from the corner."""
    found = images.copy()
    letter = np.zeros((size, size), np.uint8)
    letter[:, : size // 3] = letter[-(size // 3) :] = 255
    top, left = (3 if corner < 2 else SIDE - size - 3), (3 if corner % 2 == 0 else SIDE - size - 3)
    found[rows, top : top + size, left : left + size] = letter
    return found


def corners(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([corners_of(each) for each in images])


@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("size", [6, 12])
def test_a_mark_of_one_class_is_found(corner: int, size: int) -> None:
    rows = np.flatnonzero(LABELS == 1)[::2]
    (mark,) = find_marks(corners(marked(photos(), rows, size, corner)), LABELS, SCENES)
    assert (mark.label, mark.corner, mark.outside) == (1, corner, 0.0)
    assert set(mark.rows) <= set(rows)
    assert mark.inside >= 0.3


def test_photos_without_one_have_none() -> None:
    for seed in range(5):
        assert find_marks(corners(photos(seed)), LABELS, SCENES) == []


def test_a_mark_of_all_classes_gives_none_away() -> None:
    assert find_marks(corners(marked(photos(), SCENES, 12, 0)), LABELS, SCENES) == []


def test_images_of_one_scene_count_once() -> None:
    scenes = np.where((LABELS == 1) & (SCENES < COUNT + 38), COUNT, SCENES)
    assert find_marks(corners(marked(photos(), np.flatnonzero(LABELS == 1), 12, 0)), LABELS, scenes) == []


def test_small_images_and_even_corners_say_nothing() -> None:
    assert not corners_of(np.full((40, 60), 255, np.uint8)).any()
    even = photos()
    even[:, :16, :16] = np.where(LABELS == 1, 255, 0)[:, None, None]  # a border's business
    assert find_marks(corners(even), LABELS, SCENES) == []


def test_what_is_said() -> None:
    images = corners(marked(photos(), np.flatnonzero(LABELS == 1), 12, 3))
    keys = [f"{row}.png" for row in SCENES]
    (found,) = mark_findings(images, LABELS, SCENES, keys, ("cat", "dog"))
    assert found.message == (
        "a mark tells the class: 100% of 'dog' show the same in the lower right corner, 0% of the others."
    )
    assert set(found.items) == set(keys[COUNT:])
    assert mark_findings(images, np.zeros(2 * COUNT, np.int64), SCENES, keys, ("cat",)) == []
