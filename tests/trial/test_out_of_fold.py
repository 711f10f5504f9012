"""A classifier that never saw an image contradicts its label where that is wrong, and nothing of it leaks."""

import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convlift.campaign.looks import contradictions
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.architecture import Pretrained
from convlift.recipe.data import Preparation
from convlift.trial.out_of_fold import BLOCK, Looker, OutOfFold, chosen_rows, components, out_of_fold

DIGITS = load_digits()


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """400 digits, a fifth of the training images under another label, and which."""
    labels = DIGITS.target[:400].astype(np.int64)
    rng = np.random.default_rng(0)
    moved = rng.random(400) < 0.2
    labels[moved] = (labels[moved] + rng.integers(1, 10, moved.sum())) % 10
    images = np.rint(DIGITS.images[:400] * (255 / 16)).astype(np.uint8)
    store = open_store(
        array_source("digits", {None: (images, labels)}, tuple("0123456789")), tmp_path_factory.mktemp("s")
    )
    return Dataset(store, make_splits(store, 0)), moved


def test_wrong_labels_are_contradicted_and_right_ones_are_not(flipped):
    dataset, moved = flipped
    rows = chosen_rows(dataset, 0)
    pixels = DIGITS.data[:400][rows]  # are features enough for digits
    said = out_of_fold(pixels - pixels.mean(axis=0), dataset.labels[rows], 10, np.arange(len(rows)))
    assert np.allclose(said.sum(axis=1), 1.0)
    found, shown = contradictions(OutOfFold(rows, said), dataset)
    places = np.array([dataset.store.keys.index(each.key) for each in shown])
    assert found.contradicted == len(shown) >= 0.2 * moved[rows].sum()
    assert moved[places].mean() > 0.85
    assert [bool(each.png) for each in shown[:25]] == [True] * min(24, len(shown)) + [False] * (len(shown) > 24)
    assert {each.part for each in shown} <= {"training", "validation"}


def test_no_sealed_image_is_looked_at(flipped):
    dataset, _ = flipped
    rows = chosen_rows(dataset, 0)
    assert not np.isin(rows, dataset.splits.test).any()
    assert len(chosen_rows(dataset, 0, 50)) == 50


def test_of_images_that_all_look_the_same_nothing_is_told_but_how_frequent_classes_are():
    features, labels = components(np.ones((60, 8), np.float32)), np.repeat([0, 1], [40, 20])
    told = out_of_fold(features, labels, 2, np.arange(60))
    assert np.isfinite(told).all()
    assert (told[:, 0] > told[:, 1]).all()


def test_copies_of_an_image_are_left_out_together():
    rng = np.random.default_rng(0)
    once = rng.normal(size=(60, 30))
    labels, units = rng.integers(0, 2, 60), np.arange(60)
    twice = out_of_fold(np.repeat(once, 2, axis=0), np.repeat(labels, 2), 2, np.repeat(units, 2))
    accuracy = (twice.argmax(axis=1) == np.repeat(labels, 2)).mean()
    assert accuracy < 0.75  # noise; a copy in the fit would give its label away
    leaked = out_of_fold(np.repeat(once, 2, axis=0), np.repeat(labels, 2), 2, np.arange(120))
    assert (leaked.argmax(axis=1) == np.repeat(labels, 2)).mean() > accuracy + 0.1


def test_a_pretrained_network_looks_at_images_as_they_are_and_shrunk(flipped, small_backbone):
    dataset, _ = flipped
    name, weights = small_backbone
    looker = Looker(dataset, backbone=Pretrained(backbone=name, weights=str(weights)))
    rows = chosen_rows(dataset, 0, 60)
    whole, shrunk = looker.look(rows, Preparation("squash")), looker.look(rows, Preparation("squash"), seen_at=8)
    assert looker.side == 64
    assert whole.probabilities.shape == shrunk.probabilities.shape == (60, 10)
    assert np.array_equal(whole.rows, rows)


@pytest.mark.parametrize("images", [2500, 150])
def test_components_are_those_of_all_rows_at_once_and_take_no_second_copy(images):
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(images, 200)) * np.linspace(1, 9, 200) + 3).astype(np.float32)
    features[:, 1] += 5 * features[:, 0]
    whole = (features - features.mean(axis=0, dtype=np.float64)) / (features.std(axis=0, dtype=np.float64) + 1e-6)
    tracemalloc.start()
    found = components(features, 40)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    _, values, axes = np.linalg.svd(whole, full_matrices=False)
    expected = (whole @ axes[:40].T)[:, ::-1]
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-6 * values[0])
    if images > BLOCK:
        assert most < whole.nbytes + 4 * 8 * BLOCK * 200
