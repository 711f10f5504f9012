"""From what a user names to a split data set: groups of a table stay together; a changed table is another question."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 pictures of two classes, of 20 patients."""
    lines = ["path,label,patient"]
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},p{number // 2}")
    (tmp_path / "images.csv").write_text("\n".join(lines))
    return tmp_path / "images.csv"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Dataset]:
    return lambda data, **options: open_data(request_of(data, "1m", tmp_path / "cache", **options), Session())[0]


def test_groups_of_a_table_are_never_cut(table: Path, read: Callable[..., Dataset]) -> None:
    data = read(table)
    parts = [
        set(data.groups_of(part).tolist()) for part in (data.splits.train, data.splits.validation, data.splits.test)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert read(table, columns="group=").groups is None
    rows = {f"{number}.png": f"p{number // 2}" for number in range(40)}
    other = table.with_name("groups.csv")
    other.write_text("path,patient\n" + "".join(f"{path},{name}\n" for path, name in rows.items()))
    same = read(table, columns="group=", group_from=f"{other}:patient")
    assert same.groups.tolist() == data.groups.tolist()


def test_a_changed_table_is_another_question(table: Path, read: Callable[..., Dataset]) -> None:
    before, lines = read(table), table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert read(table).store.fingerprint == before.store.fingerprint
    table.write_text("\n".join(lines[:-2]))
    assert read(table).store.fingerprint != before.store.fingerprint
    table.write_text("\n".join([*lines[:-2], "38.png,a,p0", "39.png,b,p0"]))
    moved = read(table)
    assert moved.store.fingerprint == before.store.fingerprint
    assert moved.groups.tolist() != before.groups.tolist()


def test_a_data_set_in_memory_is_opened_like_any_other(read: Callable[..., Dataset]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 9, 9), np.uint8)
    data: Any = (images, np.arange(40) % 2)
    assert read(data).splits.counts == read([(image, k % 2) for k, image in enumerate(images)]).splits.counts
