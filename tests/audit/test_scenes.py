"""Near copies share a scene, which no split cuts unless it is too large, and findings say what is wrong with them."""

import numpy as np
import pytest

from convlift.audit.pictures import picture_of
from convlift.audit.scenes import Ties, find_scenes, names_of_scenes, scene_findings, tied


def stand_in(groups, labels):
    """Hashes of as many images, and scenes where `groups` puts several into one."""
    scenes = np.arange(len(labels))
    for rows in groups:
        scenes[rows] = rows[0]
    return scenes, np.array([f"{(37 * row) % 101:03d}" for row in range(len(labels))])


LABELS = np.repeat([0, 1], 40)


def test_a_small_scene_is_named_by_its_least_hash_and_others_by_their_own():
    scenes, hashes = stand_in([[3, 5], [7, 60]], LABELS)
    names = names_of_scenes(scenes, hashes, LABELS)
    assert names[3] == names[5] == min(hashes[3], hashes[5])
    alone = np.setdiff1d(np.arange(80), [3, 5])  # those of two classes are not tied
    assert (names[alone] == hashes[alone]).all()


def test_a_scene_that_is_most_of_a_class_is_cut():
    scenes, hashes = stand_in([[*range(11)], [50, 51]], LABELS)
    names = names_of_scenes(scenes, hashes, LABELS)
    assert (names[:11] == hashes[:11]).all()
    assert names[50] == names[51]


def test_scenes_are_cut_where_too_few_of_a_class_would_be_left():
    labels = np.repeat([0, 1], [11, 40])
    scenes, hashes = stand_in([[0, 1, 2], [20, 21]], labels)
    names = names_of_scenes(scenes, hashes, labels)
    assert (names[:11] == hashes[:11]).all()
    assert names[20] == names[21]


@pytest.mark.parametrize("apart", [("3.png", "5.png"), ("3.png", "7.png"), ("5.png", "7.png")])
def test_copies_of_an_image_go_with_it_where_near_copies_may_be_cut(apart):
    """3 and 5 are one image, 7 is like it: whichever of them a plan names, no split may cut the copies."""
    scenes, hashes = stand_in([[3, 5, 7]], LABELS)
    hashes[3] = hashes[5]
    keys = [f"{row}.png" for row in range(len(LABELS))]
    names = tied(names_of_scenes(scenes, hashes, LABELS), hashes, keys, Ties(apart=(apart,)))
    assert names[3] == names[5]


@pytest.fixture
def said():
    def say(groups, labels=LABELS, official=""):
        scenes, hashes = stand_in(groups, labels)
        official = np.full(len(labels), official, "U10") if isinstance(official, str) else official
        keys = [f"{row}.png" for row in range(len(labels))]
        names = names_of_scenes(scenes, hashes, labels)
        return scene_findings(scenes, names, hashes, keys, labels, official)

    return say


def test_each_kind_of_near_copy_is_said_once(said):
    official = np.array(["train", "test"] * 40, "U10")
    found = said([[3, 5], [7, 61], [10, 11]], official=official)
    assert [(each.kind, each.severity, each.items) for each in found] == [
        ("near-copy conflict", "warning", ("7.png = 61.png",)),
        ("near-copy leak", "warning", ("10.png = 11.png",)),
        ("near copies", "note", ("3.png = 5.png",)),
    ]
    assert "1 of the 40 test images have a copy elsewhere (2.5%)" in found[1].message


def test_it_says_whether_they_are_kept_together(said):
    (kept,) = said([[3, 5]])
    assert kept.message.endswith("A split made here keeps them in one part, or the groups where there are.")
    (cut,) = said([[*range(11)]])
    assert (cut.kind, cut.severity) == ("large scenes", "warning")
    assert "1 set of images (11 in all) shows nearly the same and is too much of a class" in cut.message
    assert not said([])
    conflict, large = said([[*range(11), 50, 51]])
    assert (conflict.kind, large.kind, len(large.items)) == ("near-copy conflict", "large scenes", 1)


def test_classes_that_are_mirror_images_of_each_other_are_not_tied():
    scenes, hashes = stand_in([[row, row + 40] for row in range(40)], LABELS)
    assert (names_of_scenes(scenes, hashes, LABELS) == hashes).all()


def test_exact_copies_under_two_classes_keep_their_scene_together():
    scenes, hashes = stand_in([[3, 5, 60]], LABELS)
    hashes[60] = hashes[5]
    names = names_of_scenes(scenes, hashes, LABELS)
    assert names[3] == names[5] == names[60]


def test_scenes_of_images(photos):
    """Copies share a scene by their hashes, near copies by what they show; small images by their hashes alone."""
    images = [*photos(40), photos(40)[0], (photos(40)[1] * 0.8).astype(np.uint8)]
    hashes = np.array([f"{row:02d}" for row in range(40)] + ["00", "41"])
    greys, labels = np.stack([picture_of(image).grey for image in images]), np.zeros(42, np.int64)
    scenes = find_scenes(hashes, labels, greys, np.full(42, 64))
    assert scenes[0] == scenes[40]
    assert scenes[1] == scenes[41]
    assert len(np.unique(scenes)) == 40
    assert len(np.unique(find_scenes(hashes, labels, greys, np.full(42, 16)))) == 41
