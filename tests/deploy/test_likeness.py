"""Images unlike those of training are told from others, and one in a hundred of the others is flagged."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

from convlift.deploy.learn_likeness import learn_likeness
from convlift.deploy.likeness import contrasts, features_of, fit_likeness, likeness_bytes, read_likeness
from convlift.deploy.model_folder import LIKENESS, SUMS, read_model_folder, write_model_folder
from convlift.deploy.predict import load
from convlift.errors import ConvliftError
from convlift.model.spatial_layer import Place
from convlift.recipe.data import Preparation

PLACE = Place("features", 0)


def drawn(count, seed, shift=0.0):
    """Maps of one kind: (N, 10) features, and contrasts around 60."""
    rng = np.random.default_rng(seed)
    maps = 1 + rng.normal(size=(count, 4, 1, 1)) * 0.2 + rng.normal(size=(count, 4, 3, 3)) * 0.3
    maps[:, 0] += shift
    return features_of(torch.from_numpy(maps)), rng.uniform(50, 70, count).astype(np.float32)


@pytest.fixture(scope="module")
def gaussian():
    return fit_likeness(PLACE, drawn(500, 0), drawn(500, 1))


@pytest.fixture(scope="module")
def folder(grey, tmp_path_factory):
    """A model folder of 300 digits that knows them."""
    made = shutil.copytree(grey.folder, tmp_path_factory.mktemp("known") / "run") / "model"
    splits = grey.dataset.splits
    assert learn_likeness(made, grey.dataset.store.pixels(8, Preparation("squash")), splits.train, splits.validation)
    return made


@pytest.fixture
def copy(folder, tmp_path):
    """To be damaged."""
    return shutil.copytree(folder, tmp_path / "model")


def test_one_in_a_hundred_of_the_same_kind_is_flagged_and_most_of_another(gaussian):
    same = (gaussian.distances(*drawn(4000, 2)) > 1).mean()
    assert 0.002 < same < 0.025
    assert (gaussian.distances(*drawn(500, 3, shift=3.0)) > 1).mean() > 0.9


def test_an_image_of_one_colour_is_flagged_whatever_its_features_are(gaussian):
    features, known = drawn(50, 4)
    assert (gaussian.distances(features, np.zeros(50, np.float32)) > 1).all()
    assert (gaussian.distances(features, known * 0.7) > 1).mean() < 0.1
    assert contrasts([np.full((4, 4, 3), 7, np.uint8)]) == [0]


def test_too_few_images_and_images_all_alike_give_none():
    assert fit_likeness(PLACE, drawn(39, 0), drawn(500, 1)) is None
    assert fit_likeness(PLACE, drawn(500, 0), drawn(19, 1)) is None
    alike = np.ones((50, 10), np.float32), np.ones(50, np.float32)
    assert fit_likeness(PLACE, alike, alike) is None


def test_what_is_written_is_read(gaussian, tmp_path):
    path = tmp_path / LIKENESS
    path.write_bytes(likeness_bytes(gaussian))
    found = read_likeness(str(path))
    assert (found.place, found.most, found.contrast) == (PLACE, gaussian.most, gaussian.contrast)
    np.testing.assert_array_equal(found.distances(*drawn(9, 5)), gaussian.distances(*drawn(9, 5)))


def test_a_model_flags_what_are_no_digits(folder, grey):
    model = load(folder)
    same = model.predict(list(grey.held_out()))
    assert np.mean([each.unlike for each in same]) < 0.05
    rng = np.random.default_rng(0)
    others = model.predict(list(rng.integers(0, 256, (20, 8, 8), dtype=np.uint8)) + [np.zeros((8, 8), np.uint8)] * 2)
    assert np.mean([each.unlike for each in others]) > 0.9
    assert all(each.unlike == (each.distance > 1) for each in same + others)
    assert (folder / LIKENESS).stat().st_size < 2**16


def test_the_answers_are_those_without_it_and_older_folders_flag_nothing(folder, grey):
    images = list(grey.held_out()[:9])
    old, new = load(grey.folder).predict(images), load(folder).predict(images)
    assert [each.probabilities for each in old] == [each.probabilities for each in new]
    assert {(each.unlike, each.distance) for each in old} == {(None, None)}


@pytest.mark.parametrize("harm", ["changed", "gone", "nonsense", "another network"])
def test_a_damaged_file_is_refused_in_a_sentence(copy, harm):
    path, sums = copy / LIKENESS, copy / SUMS
    if harm == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    elif harm == "gone":
        path.unlink()
    else:
        before = path.read_bytes()
        path.write_bytes(b"nonsense" if harm == "nonsense" else before.replace(b"features", b"futuress"))
        digests = [hashlib.sha256(content).hexdigest() for content in (before, path.read_bytes())]
        sums.write_text(sums.read_text().replace(*digests))
    with pytest.raises(ConvliftError, match=rf"{LIKENESS} .*copy the folder again\.$"):
        load(copy)


def test_without_its_checksum_it_counts_for_nothing(copy, grey):
    lines = (copy / SUMS).read_text().splitlines(keepends=True)
    (copy / SUMS).write_text("".join(line for line in lines if LIKENESS not in line))
    assert load(copy).predict(grey.images[0]).unlike is None


def test_other_weights_in_the_folder_end_it(copy, colour):
    weights, recipe, config = read_model_folder(colour.folder)
    write_model_folder(copy, weights, recipe, config)
    assert not (copy / LIKENESS).exists()
    assert load(copy).predict(colour.images[0]).unlike is None
