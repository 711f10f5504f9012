"""Class folders as people really have them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convlift.data.readers.recognize import Source, open_source
from convlift.errors import DataError

MakeFolder = Callable[..., Path]


def kinds(source: Source) -> dict[str, tuple[str, ...]]:
    return {finding.kind: finding.items for finding in source.findings}


def test_classes_are_sorted_and_keys_are_relative(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder({"dogs": 3, "ants": 3, "cats/deep/er": 3})))
    assert source.classes == ("ants", "cats", "dogs")
    assert [item.key for item in source.items if item.label == 1] == [f"cats/deep/er/{n}.png" for n in range(3)]
    assert not source.findings


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_split_folders_are_honoured(make_folder: MakeFolder, validation: str) -> None:
    counts = {f"{split}/{name}": 2 for split in ("Train", validation, "test") for name in ("a", "b")}
    source = open_source(str(make_folder(counts)))
    assert source.classes == ("a", "b")
    assert [item.split for item in source.items].count("validation") == 4
    assert {item.split for item in source.items} == {"train", "validation", "test"}


def test_val_without_test_becomes_the_sealed_test(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder({f"{split}/{name}": 2 for split in ("train", "val") for name in "ab"})))
    assert {item.split for item in source.items} == {"train", "test"}
    assert list(kinds(source)) == ["validation as test"]


def test_train_alone_is_split_by_us(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder({"train/a": 3, "train/b": 3})))
    assert source.classes == ("a", "b")
    assert {item.split for item in source.items} == {None}


def test_an_unlabelled_test_folder_is_left_out_and_said(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, "test": 4})
    source = open_source(str(root))
    assert {item.split for item in source.items} == {None}
    assert len(kinds(source)["outside class folders"]) == 4


def test_a_class_may_be_called_train(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder({"train": 3, "plane": 3, "car": 3})))
    assert source.classes == ("car", "plane", "train")


def test_junk_is_ignored_and_counted(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3, "__MACOSX/a": 2, ".cache": 2})
    (root / "a" / "Thumbs.db").write_bytes(b"x")
    (root / "a" / "._0.png").write_bytes(b"x")
    (root / "b" / "DESKTOP.INI").write_bytes(b"x")
    (root / "b" / "notes.txt").write_text("hello")
    source = open_source(str(root))
    assert source.classes == ("a", "b")
    assert len(source.items) == 6
    assert set(kinds(source)["ignored"]) == {
        "__MACOSX",
        ".cache",
        "a/Thumbs.db",
        "a/._0.png",
        "b/DESKTOP.INI",
    }
    assert kinds(source)["not an image"] == ("b/notes.txt",)


def test_names_in_any_case_or_without_extension(
    make_folder: MakeFolder, encode: Callable[..., bytes], photo: Any
) -> None:
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "PHOTO.JPG").write_bytes(encode(photo(90), "JPEG"))
    (root / "a" / "scan").write_bytes(encode(photo(91), "TIFF"))
    (root / "a" / "export.dat").write_bytes(encode(photo(92), "WEBP"))
    assert {"a/PHOTO.JPG", "a/scan", "a/export.dat"} <= {item.key for item in open_source(str(root)).items}


def test_links_end_and_never_take_an_image_from_its_class(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "more").symlink_to(root / "b")
    (root / "a" / "self").symlink_to(root / "a" / "self")
    source = open_source(str(root))
    assert [item.key for item in source.items] == [f"{name}/{n}.png" for name in "ab" for n in range(3)]


def test_links_inside_the_root_are_followed(make_folder: MakeFolder) -> None:
    root = make_folder({".pool/x": 3, "b": 3})
    (root / "a").symlink_to(root / ".pool" / "x")
    (root / "b" / "again.png").symlink_to(root / ".pool" / "x" / "0.png")
    source = open_source(str(root))
    assert source.classes == ("a", "b")
    assert len(source.items) == 7


def test_links_out_of_the_root_are_refused(make_folder: MakeFolder) -> None:
    other = make_folder({"c": 3}, name="elsewhere")
    root = make_folder({"a": 3, "b": 3})
    (root / "c").symlink_to(other / "c")
    (root / "a" / "out.png").symlink_to(other / "c" / "0.png")
    source = open_source(str(root))
    assert source.classes == ("a", "b")
    assert len(source.items) == 6
    assert set(kinds(source)["outside the root"]) == {"c", "a/out.png"}


def test_a_root_that_is_a_link_is_fine(make_folder: MakeFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(make_folder({"a": 3, "b": 3}))
    assert len(open_source(str(tmp_path / "link")).items) == 6


def test_a_pipe_is_never_opened(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    os.mkfifo(root / "a" / "pipe.png")
    source = open_source(str(root))
    assert kinds(source)["not an image"] == ("a/pipe.png",)


def test_odd_names_are_read_and_stay_on_one_line(
    make_folder: MakeFolder, encode: Callable[..., bytes], photo: Any
) -> None:
    root = make_folder({"a": 3, "<script>": 3})
    names = ["line\nbreak.png", "été 猫.png", "bell\a.png"]
    for seed, name in enumerate(names):
        (root / "a" / name).write_bytes(encode(photo(50 + seed)))
    with open(os.path.join(os.fsencode(root), b"a", b"\xff\xfe.png"), "wb") as file:
        file.write(encode(photo(60)))
    source = open_source(str(root))
    keys = {item.key: index for index, item in enumerate(source.items)}
    assert {"a/line\\nbreak.png", "a/été 猫.png", "a/bell\\x07.png", "a/\\udcff\\udcfe.png"} <= set(keys)
    assert source.read(keys["a/line\\nbreak.png"]) == encode(photo(50))
    assert source.read(keys["a/\\udcff\\udcfe.png"]) == encode(photo(60))


def test_the_same_accent_written_two_ways_is_one_class(make_folder: MakeFolder) -> None:
    root = make_folder({"train/\u00e9t\u00e9": 2, "train/b": 2, "test/e\u0301te\u0301": 2, "test/b": 2})
    assert open_source(str(root)).classes == ("b", "\u00e9t\u00e9")


def test_an_empty_class_keeps_its_number(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder({"a": 3, "b": 0, "c": 3})))
    assert source.classes == ("a", "b", "c")
    assert {item.label for item in source.items} == {0, 2}
    assert kinds(source)["empty class"] == ("b",)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "holds no image in any class folder .found nothing else.*JPEG, PNG"),
        ({"a": 0, "b": 0}, "holds no image"),
        ({"": 4}, "holds 4 images but none in a class folder"),
        ({"a": 9}, r"images of one class \('a'\) only; at least 2"),
        ({"a": 9, "b": 0}, "one class"),
        ({"a": 9, "b": 2}, "class 'b' has 2 distinct images in pets; every class needs at least 3"),
        (
            {"train/a": 9, "train/b": 1, "test/a": 1, "test/b": 1},
            "class 'b' has 1 distinct image in the training part",
        ),
        (
            {"train/a": 9, "train/b": 9, "test/c": 1},
            "class 'c' is only in the validation or test part of pets",
        ),
        ({"val/a": 9, "test/a": 9, "test/b": 9}, "no training images"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(make_folder: MakeFolder, counts: dict[str, int], message: str) -> None:
    root = make_folder(counts) if "" not in counts else make_folder({".": counts[""]})
    root.mkdir(exist_ok=True)
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(root))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_official_splits_need_fewer_images_a_class(make_folder: MakeFolder) -> None:
    counts = {f"{split}/{name}": 1 for split in ("train", "val", "test") for name in "ab"}
    assert len(open_source(str(make_folder(counts))).items) == 6


def test_a_folder_of_other_files_says_what_it_found(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 0, "b": 0})
    (root / "a" / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"found 1 other files or links, such as a/notes\.txt"):
        open_source(str(root))
