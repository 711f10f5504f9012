"""Images that vanish or change after they were read: they are not needed any more, and no other ones are mixed in."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlift.data.readers.class_folders import open_folder
from convlift.data.readers.tree import Tree
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger
from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe
from convlift.trial.worker_task import prepare


def photos(folder: Path, shift: int = 0) -> Path:
    for number, name in enumerate(("ants", "bees")):
        (folder / name).mkdir(parents=True)
        for image in range(12):
            pixels = np.random.default_rng([number, image, shift]).integers(0, 256, (20, 20, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{image}.png")
    return folder


def test_once_read_the_images_are_not_needed_any_more(tmp_path: Path) -> None:
    store = open_store(open_folder(Tree(photos(tmp_path / "photos"))), tmp_path / "cache")
    shutil.rmtree(tmp_path / "photos")  # the network went away with them
    context = prepare(store.folder, 0, tmp_path / "cache")
    assert context.dataset.store.pixels(20, Preparation("squash")).shape == (24, 20, 20, 3)
    np.testing.assert_array_equal(context.dataset.splits.test, make_splits(store, 0).test)


def test_before_that_their_absence_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConvliftError, match=r"photos"):
        open_folder(Tree(tmp_path / "photos"))


def test_changed_images_are_another_campaign(tmp_path: Path) -> None:
    stores = [
        open_store(open_folder(Tree(photos(tmp_path / name, shift))), tmp_path / "cache")
        for shift, name in enumerate(("before", "after"))
    ]
    before, after = (Identity(store.fingerprint, Recipe(), 0, "accuracy") for store in stores)
    open_ledger(tmp_path / "run", before).close()
    with pytest.raises(LedgerError, match=r"belongs to another campaign: data was .*, is .*--out"):
        open_ledger(tmp_path / "run", after)
