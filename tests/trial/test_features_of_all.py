"""Features of a data set's images: made once, the same from the cache, and stopped when asked."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convlift.data.readers.arrays import array_source
from convlift.data.store import open_store
from convlift.recipe.architecture import Pretrained
from convlift.trial.features_of_all import Watch, features_of


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    images = np.rint(load_digits().images[:60] * (255 / 16)).astype(np.uint8)
    source = array_source("digits", {None: (images, load_digits().target[:60])}, tuple("0123456789"))
    return open_store(source, tmp_path_factory.mktemp("s"))


def test_they_are_made_once_and_of_the_rows_that_are_asked(store, small_backbone, tmp_path):
    name, weights = small_backbone
    backbone, rows, told = Pretrained(backbone=name, weights=str(weights)), np.arange(0, 60, 2), []
    watch = Watch(lambda done, total: told.append((done, total)), lambda: False)
    made = features_of(store, rows, tmp_path, watch, backbone=backbone)
    assert made is not None
    assert len(made) == 30
    assert told[-1] == (30, 30)
    again = features_of(store, rows, tmp_path, Watch(pytest.fail, lambda: False), backbone=backbone)
    assert np.array_equal(made, again)
    whole = features_of(store, np.arange(60), tmp_path, backbone=backbone)
    assert np.allclose(whole[rows], made, atol=1e-4)


def test_it_stops_when_asked(store, small_backbone, tmp_path):
    name, weights = small_backbone
    backbone = Pretrained(backbone=name, weights=str(weights))
    assert features_of(store, np.arange(60), tmp_path, Watch(None, lambda: True), backbone=backbone) is None
