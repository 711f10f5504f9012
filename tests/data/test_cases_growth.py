"""A data set that grows: what was sealed stays sealed; and copies are told by what they show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_splits import parts, store_of

from convlift.data.readers.recognize import open_source
from convlift.data.splits import SEALED_SHARE, make_splits, sealed_hashes
from convlift.data.store import ImageStore, open_store

Encode = Callable[..., bytes]
MakeFolder = Callable[..., Path]


def opened(root: Path) -> ImageStore:
    return open_store(open_source(str(root)), root.parent / "cache")


def sealed(store: ImageStore, seed: int = 0, groups: np.ndarray | None = None) -> set[str]:
    return set(sealed_hashes(store, make_splits(store, seed, groups)))


def test_images_added_to_a_folder_unseal_nothing(
    make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]
) -> None:
    root = make_folder({"a": 40, "b": 40})
    before = opened(root)
    assert 8 <= len(sealed(before)) <= 32
    for step in range(3):
        for number in range(20 * 2**step):
            name = f"{'ab'[number % 2]}/more{step}-{number}.png"
            (root / name).write_bytes(encode(photo(1000 * (step + 1) + number)))
        after = opened(root)
        assert sealed(before) <= sealed(after)
        before = after


def test_an_image_that_widens_the_range_unseals_nothing(tmp_path: Path, encode: Encode, photo: Any) -> None:
    root = tmp_path / "deep"
    for name in "ab":
        (root / name).mkdir(parents=True)
        for number in range(30):
            values = photo(number + 100 * (name == "b"), 12, 12).astype(np.uint16) * 16 + 1
            (root / name / f"{number}.png").write_bytes(encode(values))
    before = opened(root)
    (root / "a" / "bright.png").write_bytes(encode(photo(999, 12, 12).astype(np.uint16) * 250))
    after = opened(root)
    assert (before.value_range, after.value_range) == (4095, 65535)
    assert sealed(before) <= sealed(after)


def test_a_new_class_and_new_names_unseal_nothing(
    make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]
) -> None:
    root = make_folder({"b": 40, "c": 40})
    before = opened(root)
    for path in (root / "b").iterdir():
        path.rename(path.with_name(f"renamed-{path.name}"))
    (root / "a").mkdir()
    for number in range(30):
        (root / "a" / f"{number}.png").write_bytes(encode(photo(5000 + number)))
    assert sealed(before) <= sealed(opened(root))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), min_size=60, max_size=200),
    st.integers(20, 59),
    st.integers(0, 5),
)
def test_the_sealed_of_a_part_are_sealed_in_the_whole(rows: list[tuple[int, int]], n: int, seed: int) -> None:
    """With copies, and copies under several classes too. A class that falls under the share nowhere is the exception:
    it must lend an image, and gives it back where a later one falls under the share."""
    few, many = (store_of([label for label, _ in some], [str(h) for _, h in some]) for some in (rows[:n], rows))
    if any(len({h for label, h in rows[:n] if label == k}) < 3 for k in range(max(label for label, _ in rows) + 1)):
        return
    before, after = sealed(few, seed), sealed(many, seed)
    by_share = {h for h in before if h in sealed(store_of([0] * 500 + [1] * 3, [str(i) for i in range(503)]), seed)}
    assert by_share <= after


def test_a_larger_data_set_seals_the_same_share() -> None:
    for n in (200, 2_000, 20_000):
        store = store_of([0, 1] * (n // 2))
        assert len(make_splits(store, 3).test) / n == pytest.approx(SEALED_SHARE, abs=3 * (0.19 / n) ** 0.5)


def test_groups_that_are_added_unseal_no_group() -> None:
    names = np.random.default_rng(0).integers(0, 2**60, 80)
    for seed in range(10):
        few, many = np.repeat(names[:40], 6), np.repeat(names, 6)
        before = make_splits(store_of([0, 1] * 120), seed, few).test
        after = make_splits(store_of([0, 1] * 240), seed, many).test
        assert set(few[before].tolist()) <= set(many[after].tolist())


def test_images_added_to_a_group_unseal_no_group() -> None:
    names = np.random.default_rng(1).integers(0, 2**60, 40)
    few, many = np.repeat(names, 4), np.repeat(names, np.arange(40) % 5 + 4)
    before = make_splits(store_of([0, 1] * (len(few) // 2)), 0, few).test
    after = make_splits(store_of(([0, 1] * len(many))[: len(many)]), 0, many).test
    assert set(few[before].tolist()) == set(many[after].tolist())


def test_the_smallest_classes_have_an_image_in_each_part() -> None:
    for seed in range(30):
        store = store_of([0] * 3 + [1] * 4 + [2] * 50)
        for part in parts(make_splits(store, seed)):
            assert set(store.labels[part].tolist()) == {0, 1, 2}


def test_one_picture_in_many_formats_is_one_image(
    make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]
) -> None:
    root = make_folder({"a": 0, "b": 0})
    for number in range(24):
        pixels = photo(number, 300, 260, 3) if number == 0 else photo(number)
        folder = root / "ab"[number % 2]
        for kind in ("png", "bmp", "tiff", "ppm"):
            (folder / f"{number}.{kind}").write_bytes(encode(pixels, kind.upper()))
        (folder / f"{number}.webp").write_bytes(encode(pixels, "WEBP", lossless=True))
        (folder / f"{number}-opaque.png").write_bytes(
            encode(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]))
        )
    store = opened(root)
    assert len(store.labels) == 144
    assert len(set(store.hashes.tolist())) == 24
    seen = [set(store.hashes[part].tolist()) for part in parts(make_splits(store, 0))]
    assert sum(map(len, seen)) == 24
    (found,) = [finding for finding in store.findings if finding.kind == "duplicate"]
    assert len(found.items) == 24


def test_grey_in_other_guises_is_one_image(make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]) -> None:
    root = make_folder({"a": 4, "b": 4})
    grey = photo(99, 16, 12)
    palette = Image.fromarray(grey).convert("P")
    (root / "a" / "grey.png").write_bytes(encode(grey))
    (root / "a" / "colour.png").write_bytes(encode(np.dstack([grey] * 3)))
    (root / "b" / "deep.png").write_bytes(encode(grey.astype(np.uint16) * 257))
    (root / "b" / "palette.gif").write_bytes(encode(palette, "GIF"))
    store = opened(root)
    hashes = dict(zip(store.keys, store.hashes.tolist(), strict=True))
    found = {hashes[key] for key in ("a/grey.png", "a/colour.png", "b/deep.png", "b/palette.gif")}
    assert len(found) == 1


def test_another_format_across_given_parts_is_a_leak(make_folder: MakeFolder) -> None:
    root = make_folder({f"{part}/{name}": 6 for part in ("train", "test") for name in "ab"})
    with Image.open(root / "train" / "a" / "0.png") as image:
        image.save(root / "test" / "a" / "again.bmp")
    (found,) = [finding for finding in opened(root).findings if finding.kind == "leak"]
    assert found.items == ("test/a/again.bmp = train/a/0.png",)
    assert "1 of the 13 test images (8%)" in found.message
