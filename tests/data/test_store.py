"""Decoded once, whole or not at all, and the same for training and prediction."""

import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlift.console.atomic import publish, temporary_beside
from convlift.data.decode import decode
from convlift.data.readers.recognize import open_source
from convlift.data.square import square
from convlift.data.store import ImageStore, open_store, reopen_store
from convlift.errors import ConvliftError, DataError
from convlift.recipe.data import Preparation

MakeFolder = Callable[..., Path]
Encode = Callable[..., bytes]


def store_of(root: Path, cache: str = "cache") -> ImageStore:
    return open_store(open_source(str(root)), root.parent / cache)


def finding(store: ImageStore, kind: str) -> Any:
    found = [finding for finding in store.findings if finding.kind == kind]
    assert len(found) == 1, [finding.kind for finding in store.findings]
    return found[0]


@pytest.fixture
def mixed(make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]) -> Path:
    """Files of several kinds and sizes in two classes."""
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "grey.jpg").write_bytes(encode(photo(70, 300, 280), "JPEG"))
    (root / "b" / "wide.webp").write_bytes(encode(photo(71, 30, 90, 3), "WEBP"))
    transparent = photo(72, 20, 20, 4)
    transparent[:, :, 3] = 255 * (transparent[:, :, 3] > 127)
    (root / "b" / "alpha.png").write_bytes(encode(transparent))
    return root


@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
def test_training_and_prediction_see_the_same_pixels(mixed: Path, policy: Any) -> None:
    store = store_of(mixed)
    squares = store.pixels(24, Preparation(policy))
    assert squares.shape == (9, 24, 24, 3)
    assert squares.dtype == np.uint8
    assert not squares.flags.writeable
    for index, key in enumerate(store.keys):
        predicted = decode((mixed / key).read_bytes()).pixels
        assert np.array_equal(store.image(index), predicted)
        assert np.array_equal(squares[index], square(predicted, store.channels, 24, Preparation(policy)))


def test_the_store_knows_what_it_holds(mixed: Path) -> None:
    progress: list[tuple[int, int]] = []
    source = open_source(str(mixed))
    store = open_store(source, mixed.parent / "cache", lambda done, total: progress.append((done, total)))
    assert progress[-1] == (9, 9)
    assert store.labels.tolist() == [item.label for item in source.items]
    assert store.keys == tuple(item.key for item in source.items)
    assert store.channels == 3
    assert store.native_resolution == 12
    assert len(set(store.hashes)) == 9
    assert finding(store, "alpha").items == ("b/alpha.png",)
    assert finding(store, "grey").items == ("a/grey.jpg",)


def test_all_grey_makes_one_channel(make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]) -> None:
    root = make_folder({"a": 0, "b": 0})
    for seed in range(8):
        grey = photo(seed, 9, 9)
        # half of them saved as colour
        content = encode(grey if seed % 2 else np.dstack([grey] * 3))
        (root / "ab"[seed // 4] / f"{seed}.png").write_bytes(content)
    store = store_of(root)
    assert store.channels == 1
    assert store.pixels(8, Preparation("squash")).shape == (8, 8, 8, 1)
    assert not store.findings


def test_a_second_opening_decodes_nothing(mixed: Path) -> None:
    first = store_of(mixed)
    source = open_source(str(mixed))

    def refuse(done: int, total: int) -> None:
        raise AssertionError("decoded again")

    again = open_store(source, mixed.parent / "cache", refuse)
    other = reopen_store(first.folder)
    for store in (again, other):
        assert store.folder == first.folder
        assert store.fingerprint == first.fingerprint
        assert store.findings == first.findings
        assert np.array_equal(store.pixels(16, Preparation("crop")), first.pixels(16, Preparation("crop")))


def test_the_fingerprint_follows_content_labels_and_names(mixed: Path) -> None:
    prints = [store_of(mixed).fingerprint]
    (mixed / "a" / "0.png").rename(mixed / "b" / "moved.png")
    prints.append(store_of(mixed).fingerprint)
    (mixed / "b").rename(mixed / "c")
    prints.append(store_of(mixed).fingerprint)
    (mixed / "a" / "1.png").write_bytes((mixed / "a" / "1.png").read_bytes() + b"\0")
    prints.append(store_of(mixed).fingerprint)
    assert len(set(prints)) == 4
    folder_elsewhere = mixed.rename(mixed.parent / "renamed")
    assert store_of(folder_elsewhere).fingerprint == prints[-1]


def test_bad_files_are_listed_with_reason_and_left_out(
    make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]
) -> None:
    root = make_folder({"a": 40, "b": 40})
    (root / "a" / "cut.jpg").write_bytes(encode(photo(0, 64, 64, 3), "JPEG")[:900])
    (root / "b" / "empty.png").write_bytes(b"")
    (root / "b" / "page.jpg").write_bytes(b"<html>")
    (root / "b" / "gone.jpg").symlink_to(root / "b" / "nowhere.jpg")
    store = store_of(root)
    assert len(store.labels) == 80
    listed = finding(store, "unreadable").items
    assert [item.split(":")[0] for item in listed] == ["a/cut.jpg", "b/empty.png", "b/gone.jpg", "b/page.jpg"]
    assert [word in item for word, item in zip(["truncated", "empty", "No such", "HTML"], listed, strict=True)] == [
        True
    ] * 4
    assert np.array_equal(store.image(79), decode((root / store.keys[79]).read_bytes()).pixels)


def test_over_five_percent_bad_files_stop(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 10, "b": 10})
    for name in ("x", "y"):
        (root / "a" / f"{name}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 22 images of pets cannot be read, more than 5% \(a/x.jpg: empty file"):
        store_of(root)
    assert not [*(root.parent / "cache" / "stores").iterdir()]


def test_a_class_that_loses_its_readable_images_stops(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 60, "b": 2})
    (root / "b" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="class 'b' has 2 distinct images"):
        store_of(root)


def test_identical_images_stop(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    for path in root.glob("*/*.png"):
        path.write_bytes((root / "a" / "0.png").read_bytes())
    with pytest.raises(DataError, match="all 6 images of pets are identical"):
        store_of(root)


def test_copies_are_named_by_what_they_spoil(make_folder: MakeFolder) -> None:
    root = make_folder({f"{split}/{name}": 5 for split in ("train", "test") for name in "ab"})
    content = (root / "train" / "a" / "0.png").read_bytes()
    (root / "train" / "b" / "conflict.png").write_bytes(content)
    (root / "test" / "a" / "leak.png").write_bytes((root / "train" / "a" / "1.png").read_bytes())
    (root / "train" / "a" / "twice.png").write_bytes((root / "train" / "a" / "2.png").read_bytes())
    store = store_of(root)
    assert finding(store, "label conflict").items == ("train/a/0.png = train/b/conflict.png",)
    assert finding(store, "leak").items == ("test/a/leak.png = train/a/1.png",)
    assert finding(store, "duplicate").items == ("train/a/2.png = train/a/twice.png",)


def test_a_class_without_test_images_is_said_to_be_unmeasured(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 5, "train/b": 5, "train/c": 5, "test/a": 2, "test/b": 2})
    assert finding(store_of(root), "unmeasured class").items == ("c",)


def test_a_format_that_goes_with_the_class_is_a_warning(
    make_folder: MakeFolder, encode: Encode, photo: Callable[..., Any]
) -> None:
    root = make_folder({"a": 12, "b": 0})
    for seed in range(12):
        (root / "b" / f"{seed}.png").write_bytes(encode(photo(100 + seed, 9, 9)))
    found = finding(store_of(root), "grey")
    assert found.severity == "warning"
    assert "100% of 'b', 0% of 'a'" in found.message


def test_a_damaged_store_is_made_again(mixed: Path) -> None:
    store = store_of(mixed)
    expected = store.image(3).copy()
    with (store.folder / "images.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ConvliftError, match="no whole image store"):
        reopen_store(store.folder)
    assert np.array_equal(store_of(mixed).image(3), expected)


def test_a_failure_while_decoding_leaves_nothing(mixed: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(open_source(str(mixed)), mixed.parent / "cache", stop)
    assert not [*(mixed.parent / "cache" / "stores").iterdir()]


def _die_while_decoding(root: Path, cache: Path) -> None:
    open_store(open_source(str(root)), cache, lambda done, total: os._exit(9))


def _open(root: Path, cache: Path) -> None:
    open_store(open_source(str(root)), cache).pixels(16, Preparation("squash"))


def test_what_a_killed_process_left_is_swept(mixed: Path) -> None:
    cache = mixed.parent / "cache"
    process = multiprocessing.get_context("spawn").Process(target=_die_while_decoding, args=(mixed, cache))
    process.start()
    process.join()
    assert process.exitcode == 9
    left = [*(cache / "stores").iterdir()]
    assert len(left) == 1
    assert left[0].name.startswith(".")
    store = store_of(mixed)
    assert [*(cache / "stores").iterdir()] == [store.folder]


def test_processes_that_race_end_with_one_store(mixed: Path) -> None:
    cache = mixed.parent / "cache"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(mixed, cache)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [path.name for path in (cache / "stores").iterdir()] == [store_of(mixed).folder.name]


def test_the_second_of_two_writers_takes_the_first_ones(tmp_path: Path) -> None:
    target = tmp_path / "store"
    for content in ("first", "second"):
        temporary = temporary_beside(target)
        temporary.mkdir()
        (temporary / "file").write_text(content)
        publish(temporary, target, lambda folder: (folder / "file").exists())
    assert (target / "file").read_text() == "first"


def test_files_that_change_meanwhile_are_noticed(mixed: Path) -> None:
    source = open_source(str(mixed))
    reads = iter(range(100))

    class Restless:
        name, classes, items, findings = source.name, source.classes, source.items, source.findings
        value_range = None

        def read(self, index: int) -> Any:
            return source.read(index) if next(reads) < 9 else b"other"

    with pytest.raises(DataError, match="changed while it was read"):
        open_store(Restless(), mixed.parent / "cache")


def test_an_unwritable_cache_is_named(mixed: Path) -> None:
    (mixed.parent / "cache").write_text("a file")
    with pytest.raises(ConvliftError, match=r"cannot write images under .*cache .*choose another folder"):
        store_of(mixed)


def test_findings_of_the_reader_reach_the_store(make_folder: MakeFolder) -> None:
    store = store_of(make_folder({"a": 3, "b": 0, "c": 3, "__MACOSX": 1}))
    assert {"empty class", "ignored"} == {found.kind for found in store.findings}
    assert json.loads((store.folder / "meta.json").read_text())["classes"] == ["a", "b", "c"]
    assert replace(store).classes == ("a", "b", "c")


PNEUMONIA = Path(__file__).parents[3] / "shared" / "data" / "pneumoniamnist.npz"


@pytest.mark.skipif(not PNEUMONIA.exists(), reason="the X-rays of ../shared/data are not there")
def test_real_x_rays_leak_from_train_to_validation(tmp_path: Path) -> None:
    store = open_store(open_source(str(PNEUMONIA)), tmp_path)
    assert (store.channels, store.native_resolution, store.classes) == (1, 28, ("0", "1"))
    assert {split: int((store.official == split).sum()) for split in ("train", "validation", "test")} == {
        "train": 2428,
        "validation": 270,
        "test": 468,
    }
    assert len(finding(store, "leak").items) == 3
    assert len(finding(store, "duplicate").items) == 4
