"""A campaign goes on with the split that it began with, or not at all."""

from types import SimpleNamespace

import cv2
import numpy as np

from convlift.campaign.campaign_identity import identity_of
from convlift.campaign.request import request_of
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store, reopen_store
from convlift.recipe.recipe import Recipe


def test_near_copies_are_part_of_what_makes_a_campaign_the_same(tmp_path):
    rng = np.random.default_rng(0)
    images = np.stack([cv2.GaussianBlur(rng.normal(size=(32, 32)), (0, 0), 2) for _ in range(60)])
    images = np.clip(128 + 40 * images / images.std(), 0, 255).astype(np.uint8)
    problem = SimpleNamespace(baseline=Recipe(), given_digest="", copies=None)

    def groups_of(arrays):
        source = array_source("fields", {None: (arrays, np.arange(60) % 2)}, ("even", "odd"))
        store = open_store(source, tmp_path)
        assert np.array_equal(store.scenes, reopen_store(store.folder).scenes)
        dataset = Dataset(store, make_splits(store, 0))
        return identity_of(request_of("fields", None, tmp_path), dataset, problem).groups, store

    groups, store = groups_of(images)
    assert groups == ""
    assert np.array_equal(store.scenes, store.hashes)
    images[2] = images[0][:, ::-1]
    groups, store = groups_of(images)
    assert len(groups) == 64
    assert store.scenes[0] == store.scenes[2] == min(store.hashes[[0, 2]])
    assert "near copies" in {each.kind for each in store.findings}
