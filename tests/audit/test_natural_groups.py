"""Names that say which images belong together are read, and mere counting is not."""

import re

import numpy as np
import pytest

from convlift.audit.natural_groups import group_findings
from convlift.audit.pictures import picture_of

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def in_scenes(photos):
    """Greys of 120 images, six of each of 20 scenes, and of 120 that have nothing to do with one another."""
    scenes, own = photos(20, 5).astype(float), photos(120, 6)
    frames = [
        np.clip(0.6 * scenes[row // 6] + 0.4 * own[row].astype(float), 0, 255).astype(np.uint8) for row in range(120)
    ]
    return np.stack([picture_of(each).grey for each in frames]), np.stack([picture_of(each).grey for each in own])


LABELS = np.arange(120) // 60


def found_of(name, greys, official=""):
    """name(row, scene): of an image's file."""
    keys = [f"{CLASSES[label]}/{name(row, row // 6)}" for row, label in enumerate(LABELS.tolist())]
    return keys, group_findings(keys, LABELS, np.full(120, official, "U10"), greys)


ALIKE = {
    "tracks": lambda row, scene: f"{scene:05d}_{row % 6:05d}.ppm",
    "crops": lambda row, scene: f"IMG_{scene:04d}_crop{row % 6}.png",
    "days": lambda row, scene: f"2023-05-{scene:02d}_{row % 6:03d}.jpg",
    "folders": lambda row, scene: f"walk{'abcdefghijklmnopqrst'[scene]}/{row:03d}.jpg",
    "tracks counted anew in every class": lambda row, scene: f"{scene % 10:05d}_{row % 6:05d}.ppm",
}


@pytest.mark.parametrize("name", ALIKE)
def test_numbered_groups_of_images_that_are_alike_are_a_warning(name, in_scenes):
    keys, (finding,) = found_of(ALIKE[name], in_scenes[0])
    assert finding.kind == "natural groups"
    assert "20 groups, 20 of them of 2 to 6 images" in finding.message
    expression = re.search(r"--group-from '(.+)'", finding.remedy)[1]
    groups = [re.search(expression, key)[1] for key in keys]
    assert [groups.index(group) // 6 for group in groups] == [row // 6 for row in range(120)]


@pytest.mark.parametrize("name", ALIKE)
def test_they_are_none_where_images_are_not_alike(name, in_scenes):
    assert not found_of(ALIKE[name], in_scenes[1])[1]


PLAIN = {
    "a number each": lambda row, scene: f"img_{row:04d}.jpg",
    "a bare number": lambda row, scene: f"{row}.png",
    "a number each, of a batch": lambda row, scene: f"batch1_{row:04d}.jpg",
    "a patient each": lambda row, scene: f"patient{row:03d}.png",
    "numbers of a photo site": lambda row, scene: f"{3 * row + 10**9}_{row * 7919 + 10**8:x}_n.jpg",
    "no number": lambda row, scene: f"{'abcdefghijklmnopqrstuvwxyz'[row % 26]}{'xyz'[row // 60]}{'uvw'[row % 3]}.jpg",
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("alike", [0, 1])
def test_images_that_are_merely_counted_are_no_groups(name, alike, in_scenes):
    assert not found_of(PLAIN[name], in_scenes[alike])[1]


def test_a_word_says_it_though_images_are_not_alike(in_scenes):
    keys, (finding,) = found_of(lambda row, scene: f"patient{scene:03d}_left_{row % 6}.png", in_scenes[1])
    assert "The file names say" in finding.message
    expression = re.search(r"--group-from '(.+)'", finding.remedy)[1]
    assert re.search(expression, keys[7])[1] == "patient001"


def test_groups_that_official_parts_cut_are_counted(in_scenes):
    keys = [f"{CLASSES[label]}/patient{row // 6}_{row % 6}.png" for row, label in enumerate(LABELS.tolist())]
    official = np.array(["train", "train", "test"] * 40, "U10")
    (finding,) = group_findings(keys, LABELS, official, in_scenes[1])
    assert "20 of them lie in more than one official part" in finding.message
