"""Broken input of every kind ends in one sentence: no traceback, no hang, no memory by a header's word."""

import gzip
import io
import os
import string
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from convlift.data.decode import ALPHAS, decode
from convlift.data.deep_files import deep_maximum, is_deep
from convlift.data.groups import read_groups
from convlift.data.readers import arrays
from convlift.data.readers.layout import LAYOUTS
from convlift.data.readers.recognize import open_source
from convlift.data.store import open_store
from convlift.errors import ConvliftError, DataError

Encode = Callable[..., bytes]
quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
wounds = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6)


def wounded(content: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    """Some bytes changed, most of them near the start, and the end perhaps cut off."""
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % (len(damaged) if place % 3 == 0 else min(len(damaged), 120))] = value
    return bytes(damaged[: len(damaged) - cut % len(damaged)] if cut else damaged)


@contextmanager
def one_sentence_at_most() -> Iterator[None]:
    """What is refused is refused in one sentence; everything else that is raised fails the test."""
    said = "-"
    try:
        yield
    except ConvliftError as error:
        said = str(error)
    assert said
    assert "\n" not in said
    assert "object at" not in said


MAGIC = [b"", b"II*\0", b"MM\0+", b"II+\0", b"\x89PNG\r\n\x1a\n", b"P5 ", b"BM", b"\xff\xd8\xff"]


@pytest.fixture(scope="module")
def zoo() -> list[bytes]:
    """One small file of each kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    kinds: list[tuple[Any, str]] = [(pixels, kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    kinds += [(pixels[:, :, 0].astype(np.uint16) * 16, kind) for kind in ("PNG", "TIFF")]
    kinds += [(np.dstack([pixels, pixels[:, :, :1]]), kind) for kind in ("PNG", "TIFF")]
    files = []
    for values, kind in kinds:
        out = io.BytesIO()
        Image.fromarray(values).save(out, kind, **({"big_tiff": True} if values.ndim == 2 and kind == "TIFF" else {}))
        files.append(out.getvalue())
    return [*files, b"P5\n3 3\n4095\n" + bytes(18), b"P6 3 3 65535\n" + bytes(54)]


@pytest.mark.filterwarnings("ignore")
@settings(quick, max_examples=400)
@given(which=st.integers(0, 12), changes=wounds, cut=st.integers(0, 40))
def test_a_wounded_image_is_read_or_refused(zoo: list[bytes], which: int, changes: Any, cut: int) -> None:
    content = wounded(zoo[which], changes, cut if cut > 20 else 0)
    for alpha in ALPHAS:
        with one_sentence_at_most():
            result = decode(content, 4095.0, alpha)
            assert result.pixels.dtype == np.uint8
            assert result.pixels.shape[2] in (1, 3)
    if is_deep(content):
        deep_maximum(content)


@pytest.mark.filterwarnings("ignore")
@quick
@given(
    st.binary(max_size=400),
    st.sampled_from(MAGIC),
)
def test_bytes_are_no_image(rest: bytes, magic: bytes) -> None:
    with one_sentence_at_most():
        decode(magic + rest)


def npz(**given: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **given)
    return out.getvalue()


GOOD = npz(
    train_images=np.arange(12 * 20, dtype=np.uint8).reshape(12, 5, 4),
    train_labels=np.arange(12) % 2,
    test_images=np.arange(12 * 20, dtype=np.uint16).reshape(12, 5, 4),
    test_labels=np.arange(12) % 2,
)


@quick
@given(changes=wounds, cut=st.integers(0, 60))
def test_a_wounded_archive_is_read_or_refused(tmp_path: Path, changes: Any, cut: int) -> None:
    (tmp_path / "a.npz").write_bytes(wounded(GOOD, changes, cut if cut > 40 else 0))
    with one_sentence_at_most():
        open_source(str(tmp_path / "a.npz"))


types = st.sampled_from(["u1", "u2", "i4", "i8", "f2", "f4", "f8", "?", "U3", "c8", "M8[s]", "S2"])
shapes = st.lists(st.integers(0, 5), min_size=0, max_size=5).map(tuple)


@quick
@given(st.lists(st.tuples(types, shapes), min_size=4, max_size=4), st.sampled_from([0, 1, -1, 300, 70_000]))
def test_any_arrays_are_read_or_refused(tmp_path: Path, given_arrays: Any, value: int) -> None:
    names = ("train_images", "train_labels", "test_images", "test_labels")
    made = {}
    for name, (kind, shape) in zip(names, given_arrays, strict=True):
        array = np.zeros(shape, kind)
        if array.size and array.dtype.kind in "uif":
            with np.errstate(over="ignore"):
                array.flat[0] = np.array(value, np.int64).astype(kind)
        made[name] = array
    (tmp_path / "a.npz").write_bytes(npz(**made))
    with one_sentence_at_most():
        open_store(open_source(str(tmp_path / "a.npz")), tmp_path)


def header(shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue()


def test_no_memory_is_taken_by_a_headers_word(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    tracemalloc.start()
    for shape, message in (
        ((10**7, 28, 28), "takes 7.8 GB|its header promises"),
        ((10**9, 28, 28), "takes 784.0 GB; at most 8"),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("train_images.npy", header(shape) + bytes(1000))
            archive.writestr("train_labels.npy", header((4,)) + bytes(4))
        with pytest.raises(DataError, match=message):
            open_source(str(path))
    folder = tmp_path / "idx"
    folder.mkdir()
    for side, message in ((60_000, "holds 216000.0 GB by its header; at most 8 GB"), (900, "not a whole IDX file")):
        head = b"\0\0\x08\3" + b"".join(int(side).to_bytes(4, "big") for _ in range(3))
        (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + bytes(1000)))
        with pytest.raises(DataError, match=message):
            open_source(str(folder))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(b"\0\0\x08\3" + b"\0\0\0\2" * 3 + bytes(50_000_000))
    )
    with pytest.raises(DataError, match="not a whole IDX file"):
        open_source(str(folder))
    assert tracemalloc.get_traced_memory()[1] < 120e6
    tracemalloc.stop()


def test_the_limit_of_arrays_is_a_limit_not_a_fault(tmp_path: Path) -> None:
    assert arrays.MAX_BYTES == 8_000_000_000
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", header((10**8, 28, 28, 3)))
    with pytest.raises(DataError, match="Save the images as files in class folders") as caught:
        open_source(str(tmp_path / "a.npz"))
    assert "cannot be read" not in str(caught.value)


@quick
@given(changes=wounds, cut=st.integers(0, 30), zipped=st.booleans())
def test_wounded_idx_files_are_read_or_refused(tmp_path: Path, changes: Any, cut: int, zipped: bool) -> None:
    for prefix in ("train", "t10k"):
        for name, shape in ((f"{prefix}-images-idx3-ubyte", (6, 3, 3)), (f"{prefix}-labels-idx1-ubyte", (6,))):
            head = b"\0\0\x08" + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
            content = head + bytes(n % 2 for n in range(int(np.prod(shape))))
            if prefix == "train":
                content = wounded(content, changes, 0 if zipped else cut)
            content = gzip.compress(content) if zipped else content
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / f"{name}.gz").unlink(missing_ok=True)
            (tmp_path / (f"{name}.gz" if zipped else name)).write_bytes(
                wounded(content, changes[:1], cut) if zipped else content
            )
    with one_sentence_at_most():
        open_source(str(tmp_path))


@quick
@given(st.binary(max_size=300) | st.text(alphabet=string.printable + 'é\0,"', max_size=200).map(lambda t: t.encode()))
def test_any_table_of_groups_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.csv").write_bytes(content)
    with one_sentence_at_most():
        read_groups(f"{tmp_path / 'g.csv'}:patient", ("a/1.png", "b/2.png"))


@quick
@given(st.text(alphabet=r"()[]{}*+?|.\\^$-,:<>=!abp0189/", max_size=20))
def test_any_expression_for_groups_is_read_or_refused(expression: str) -> None:
    with one_sentence_at_most():
        read_groups(expression, ("a/1.png", "b/2.png"))


def test_a_table_that_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("pipe.csv", "folder.csv"):
        if name == "folder.csv":
            (tmp_path / name).mkdir()
        with pytest.raises(ConvliftError, match="cannot be read"):
            read_groups(f"{tmp_path / name}:patient", ("a/1.png",))


names = st.sampled_from(
    ["train", "test_set", "val", "a", "b", "A", "fold 1", "été", "x" * 60, ".hidden", "images", "ä\n"]
)
trees = st.lists(st.tuples(st.lists(names, min_size=0, max_size=4), st.integers(0, 3)), min_size=0, max_size=8)


@quick
@given(tree=trees, layout=st.sampled_from(LAYOUTS), follow=st.booleans())
def test_any_tree_of_folders_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, encode: Encode, tree: Any, layout: Any, follow: bool
) -> None:
    root = tmp_path_factory.mktemp("tree")
    content = encode(np.full((9, 9), 7, np.uint8))
    for number, (places, kind) in enumerate(tree):
        folder = root.joinpath(*places)
        folder.mkdir(parents=True, exist_ok=True)
        if kind == 0:
            (folder / f"link{number}").symlink_to(root if number % 2 else folder)
        for image in range(kind):
            (folder / f"{number}-{image}.png").write_bytes(content + bytes([number, image]))
    with one_sentence_at_most():
        source = open_source(str(root), layout=layout, follow_links=follow)
        assert len({item.key for item in source.items}) == len(source.items)
        assert len(source.classes) >= 2
