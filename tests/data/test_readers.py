"""The contract that every reader keeps, and how open_source finds one."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_in_memory import rows

from convlift.data.readers.named_data_sets import FASHION_ROOT
from convlift.data.readers.recognize import Source, open_source
from convlift.errors import ConvliftError, DataError


def idx(array: np.ndarray) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def write_idx(folder: Path, n: int = 12) -> Path:
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (n, 5, 4))
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(n) % 3))
        images = 255 - images
    return folder


def write_npz(path: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for prefix in ("train", "val", "test"):
        arrays[f"{prefix}_images"] = rng.integers(0, 256, (6, 5, 4), np.uint8)
        arrays[f"{prefix}_labels"] = (np.arange(6) % 2)[:, None]
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


IN_FILES = ("class folders", "split folders", "npz", "idx", "idx by name", "digits")
FROM_A_FOLDER = ("table", "zip", "tar", "table in a zip", "metadata")
IN_MEMORY = ("pairs", "arrays", "parts", "Hugging Face")


@pytest.fixture(params=[*IN_FILES, *FROM_A_FOLDER, *IN_MEMORY])
def source(request: pytest.FixtureRequest, tmp_path: Path, make_folder: Callable[..., Path]) -> Source:
    if request.param in FROM_A_FOLDER:
        return from_a_folder(request.param, make_folder({"cats": 4, "dogs": 3}), tmp_path)
    if request.param in IN_MEMORY:
        return in_memory(request.param)
    if request.param == "class folders":
        return open_source(str(make_folder({"cats": 4, "dogs": 3})))
    if request.param == "split folders":
        return open_source(str(make_folder({"train/cats": 3, "train/dogs": 3, "test/cats": 1, "test/dogs": 1})))
    if request.param == "npz":
        return open_source(str(write_npz(tmp_path / "scans.npz")))
    if request.param == "idx":
        return open_source(str(write_idx(tmp_path / "letters")))
    if request.param == "idx by name":
        return open_source("fashion-mnist", root=write_idx(tmp_path / "fashion"))
    return open_source("digits")


def from_a_folder(kind: str, folder: Path, place: Path) -> Source:
    """The same images by another way."""
    images = sorted(folder.rglob("*.png"))
    rows = [f"{path.relative_to(folder)},{path.parent.name},{path.stem}\n" for path in images]
    table = folder / ("metadata.csv" if kind == "metadata" else "images.csv")
    if kind in ("table", "table in a zip", "metadata"):
        table.write_text("file_name,label,patient\n" + "".join(rows))
    if kind == "table":
        return open_source(str(table))
    if kind == "metadata":
        return open_source(str(folder))
    packed = shutil.make_archive(str(place / "packed"), "tar" if kind == "tar" else "zip", folder)
    return open_source(packed, cache=place / "cache")


def in_memory(kind: str) -> Source:
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 9, 7, 3), np.uint8), [0, 1] * 4
    if kind == "pairs":
        return open_source([(Image.fromarray(image), label) for image, label in zip(images, labels, strict=True)])
    if kind == "arrays":
        return open_source((images, np.array(labels)))
    if kind == "parts":
        return open_source({"train": (list(images), labels), "test": (list(images[:2]), labels[:2])})
    return open_source(rows([Image.fromarray(image) for image in images], labels))


def test_every_reader_keeps_the_contract(source: Source) -> None:
    assert source.name
    assert len(source.classes) >= 2
    assert len(set(source.classes)) == len(source.classes)
    assert len({item.key for item in source.items}) == len(source.items)
    assert {item.label for item in source.items} <= set(range(len(source.classes)))
    splits = {item.split for item in source.items}
    assert splits == {None} or {"train", "test"} <= splits <= {"train", "validation", "test"}
    for index in (0, len(source.items) - 1):
        content = source.read(index)
        if isinstance(content, bytes):
            assert content
        else:
            assert content.dtype == np.uint8
            assert content.ndim in (2, 3)
        again = source.read(index)
        assert np.array_equal(np.frombuffer(content, np.uint8), np.frombuffer(again, np.uint8))


def test_digits_span_the_whole_range() -> None:
    source = open_source("digits")
    assert len(source.items) == 1797
    assert source.classes == tuple("0123456789")
    pixels = np.stack([source.read(i) for i in range(100)])
    assert pixels.min() == 0
    assert pixels.max() == 255  # of 16


@pytest.mark.skipif(not FASHION_ROOT.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_found() -> None:
    source = open_source("fashion-mnist")
    assert len(source.items) == 70_000
    assert sum(item.split == "test" for item in source.items) == 10_000
    assert source.classes[source.items[0].label] == "Ankle boot"


def test_missing_fashion_mnist_names_the_package_and_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConvliftError, match=r"dataset-fashion-mnist.*--root") as caught:
        open_source("fashion-mnist", root=tmp_path / "nowhere")
    assert caught.value.exit_code == 2


def test_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConvliftError, match=r"there is no data at .*npz file") as caught:
        open_source(str(tmp_path / "nowhere"))
    assert caught.value.exit_code == 2
    with pytest.raises(ConvliftError, match="did you mean 'digits'"):
        open_source("digit")


def test_a_file_of_another_kind_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a,b")
    with pytest.raises(ConvliftError, match=r"is of no kind that is read; give a folder of class folders, a table"):
        open_source(str(tmp_path / "labels.txt"))


def test_npz_honours_official_splits_and_both_label_shapes(tmp_path: Path) -> None:
    source = open_source(str(write_npz(tmp_path / "a.npz", test_labels=np.array([1, 0, 1, 0, 1, 0]))))
    assert [item.split for item in source.items] == ["train"] * 6 + ["validation"] * 6 + ["test"] * 6
    assert [item.label for item in source.items][-6:] == [1, 0, 1, 0, 1, 0]


def test_npz_without_test_seals_its_validation_part(tmp_path: Path) -> None:
    source = open_source(str(write_npz(tmp_path / "a.npz", test_images=None, test_labels=None)))
    assert {item.split for item in source.items} == {"train", "test"}
    assert [finding.kind for finding in source.findings] == ["validation as test"]


def test_npz_with_train_alone_has_no_official_split(tmp_path: Path) -> None:
    none = dict.fromkeys(["test_images", "test_labels", "val_images", "val_labels"])
    source = open_source(str(write_npz(tmp_path / "a.npz", **none)))
    assert {item.split for item in source.items} == {None}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.linspace(0, 1, 120).reshape(6, 5, 4), 255),  # floats in [0, 1]
        (np.linspace(0, 200, 120).reshape(6, 5, 4), 200),  # floats in [0, 255]
        (np.full((6, 5, 4), 65535, np.uint16), 255),  # 16 bits
        (np.full((6, 5, 4), 77, np.int64), 77),
        (np.ones((6, 5, 4), bool), 255),
    ],
)
def test_npz_scales_other_types(tmp_path: Path, images: np.ndarray, expected: int) -> None:
    others = {f"{p}_images": (np.arange(120) % 2).reshape(6, 5, 4).astype(images.dtype) for p in ("val", "test")}
    source = open_source(str(write_npz(tmp_path / "a.npz", train_images=images, **others)))
    assert source.read(5).max() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_images": np.array([{}, []], dtype=object)},
            "train_images .*Python objects are never loaded",
        ),
        ({"train_labels": None}, "has no array train_labels"),
        ({"train_images": None}, "has no train_images"),
        ({"train_labels": np.zeros((6, 14), int)}, r"labels of shape \(6, 14\)"),
        ({"train_labels": np.zeros(5, int)}, "6 images but 5 labels"),
        ({"train_labels": np.full(6, 0.5)}, "type float64"),
        ({"train_images": np.zeros((6, 3, 8, 8), np.uint8)}, r"shape \(6, 3, 8, 8\).*channels to the end"),
        ({"train_images": np.zeros((6, 4), np.uint8)}, r"shape \(6, 4\)"),
        ({"train_images": np.full((6, 5, 4), -1.0)}, "pixels from -1"),
        ({"train_images": np.full((6, 5, 4), np.nan)}, "pixels from nan"),
        ({"train_images": np.full((6, 5, 4), "a")}, "type <U1"),
        ({"train_images": np.uint8(3)}, "unsized|single value"),
    ],
)
def test_bad_npz_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(write_npz(tmp_path / "a.npz", **changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4broken", b"\x80\x04pickle", b"text"])
def test_a_broken_npz_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(str(tmp_path / "a.npz"))


def test_a_flipped_byte_in_an_npz_is_noticed(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(str(path))


def test_bad_idx_files_are_refused(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "letters")
    labels = folder / "t10k-labels-idx1-ubyte.gz"
    for content, message in (
        (idx(np.arange(12) % 3)[:-9], "cannot be read|not a whole"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x0cshort"), "not a whole IDX file"),
        (gzip.compress(b""), "not a whole IDX file"),
        (idx(np.arange(7)), "12 images but 7 labels"),
    ):
        labels.write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_source(str(folder))
    labels.unlink()
    with pytest.raises(DataError, match="has no t10k-labels"):
        open_source(str(folder))


def test_labels_beyond_the_known_classes_are_refused(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "letters")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(12)))
    with pytest.raises(DataError, match="labels 0 to 11"):
        open_source("fashion-mnist", root=folder)
