"""What a TIFF holds is read value for value, however it is cut, packed and ordered."""

import contextlib
import io
import itertools
import struct
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from convlift.data.bands import open_bands
from convlift.data.tiff_pages import read_pages, values_of
from convlift.errors import UnreadableImage
from tiff_files import Way, tiff_of

MOST = 10**6


def drawn(dtype: Any, *shape: int) -> NDArray[Any]:
    """Values over the whole range of a type, from 0 up."""
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    if kind.kind == "f":
        return (1000 * rng.random(shape)).astype(kind)
    return rng.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)


def read(content: bytes) -> NDArray[Any]:
    found = open_bands(content, MOST)
    assert found is not None
    return found.values


WAYS = [
    Way(order, compression, predictor, tile, planar=planar)
    for order, compression, predictor, tile, planar in itertools.product("<>", (1, 8), (1, 2), (0, 16), (False, True))
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_values_come_back(way: Way, dtype: str) -> None:
    values = drawn(dtype, 21, 37, 5)
    found = read(tiff_of(values, way=way))
    assert found.dtype == np.dtype(dtype)
    assert_array_equal(found, values)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u4", "f2", "f8"])
def test_other_types_come_back(dtype: str) -> None:
    for order in "<>":
        values = drawn(dtype, 9, 8, 13)
        assert_array_equal(read(tiff_of(values, way=Way(order, 8))), values)


@pytest.mark.parametrize("tile", [0, 16])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_whose_bytes_were_sorted_come_back(tile: int, dtype: str) -> None:
    values = drawn(dtype, 21, 37, 6)
    for planar in (False, True):
        assert_array_equal(read(tiff_of(values, way=Way("<", 8, 3, tile, planar=planar))), values)


@pytest.mark.parametrize("packed", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_pages_that_pillow_wrote_are_read_as_pillow_reads_them(packed: str, dtype: str) -> None:
    pages = [Image.fromarray(values) for values in np.moveaxis(drawn(dtype, 19, 23, 7), 2, 0)]
    file = io.BytesIO()
    options = {} if packed == "raw" else {"compression": packed}
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], **options)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = []
        for number in range(7):
            image.seek(number)
            expected.append(np.asarray(image))
    assert_array_equal(read(file.getvalue()), np.stack(expected, axis=2))


@pytest.mark.parametrize("predictor", [2, 3])
def test_predictors_of_libtiff_are_undone(predictor: int) -> None:
    """libtiff wrote it, so that a fault which the files of these tests share with their reader shows."""
    values = drawn("f4", 19, 23) if predictor == 3 else drawn("u2", 19, 23)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: predictor})
    (page,) = read_pages(file.getvalue(), 2)
    assert page.first(317) == predictor
    assert_array_equal(values_of(page)[:, :, 0], values)


def test_a_large_file_is_a_big_tiff(tiff: Any) -> None:
    values = drawn("u2", 9, 11, 6)
    assert_array_equal(read(tiff(values, big=True)), values)
    assert_array_equal(read(tiff(values)), values)


def test_what_is_turned_is_upright() -> None:
    values = drawn("u1", 9, 14, 5)
    assert_array_equal(read(tiff_of(values, way=Way(orientation=3))), values[::-1, ::-1])
    assert read(tiff_of(values, way=Way(orientation=6))).shape == (14, 9, 5)


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """The same file with another number for a tag of the first directory that has one number."""
    start = struct.unpack_from("<I", content, 4)[0]
    changed = bytearray(content)
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            kind = struct.unpack_from("<H", content, entry + 2)[0]
            struct.pack_into("<H" if kind == 3 else "<I", changed, entry + 8, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        (256, 10**5, "over 3 million values"),
        (257, 10**6, "over 3 million values"),
        (257, 40, "strips or tiles where"),
        (259, 7, r"packed in a way that is not read here \(compression 7\); save it with LZW"),
        (278, 1, "strips or tiles where"),
        (317, 9, "predictor 9, which is not read"),
        (277, 15, "broken TIFF|differ in type"),
        (256, 0, "makes no sense"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tag: int, value: int, said: str) -> None:
    with pytest.raises(UnreadableImage, match=said) as caught:
        read(with_tag(tiff_of(drawn("u2", 21, 37, 5), way=Way(compression=8)), tag, value))
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_no_broken_file_breaks_the_reader() -> None:
    rng = np.random.default_rng(0)
    whole = [tiff_of(drawn("u2", 9, 11, 5), way=Way(compression=compression)) for compression in (1, 8)]
    whole.append(tiff_of(*np.moveaxis(drawn("u1", 9, 11, 4), 2, 0)))
    for content in whole:
        for number in range(120):
            broken = bytearray(content[: rng.integers(8, len(content))] if number % 3 == 0 else content)
            for place in rng.integers(0, len(broken), 1 + number % 4):
                broken[place] = rng.integers(0, 256)
            with contextlib.suppress(UnreadableImage):
                open_bands(bytes(broken), MOST)


def test_a_circle_of_pages_ends() -> None:
    content = bytearray(tiff_of(*np.moveaxis(drawn("u1", 8, 8, 2), 2, 0)))
    first, link = struct.unpack_from("<I", content, 4)[0], content.rfind(bytes(4))
    second = read_pages(bytes(content), 9)
    assert len(second) == 2
    struct.pack_into("<I", content, first + 2 + 12 * struct.unpack_from("<H", content, first)[0], first)
    assert len(read_pages(bytes(content), 9)) == 1
    assert link > 0


@pytest.mark.parametrize(("tile", "places", "lengths"), [(0, 273, 279), (16, 324, 325)])
@pytest.mark.parametrize("left_out", ["place", "length", "both"])
def test_a_file_with_holes_is_refused(tile: int, places: int, lengths: int, left_out: str) -> None:
    """GDAL leaves out what holds nothing; where its place is 0, the file's header would be read as values."""
    content = tiff_of(drawn("u2", 5, 15, 5), way=Way(tile=tile))
    content = with_tag(content, places, 0) if left_out != "length" else content
    content = with_tag(content, lengths, 0) if left_out != "place" else content
    with pytest.raises(UnreadableImage, match=r"1 of 1 strips or tiles are left out; save it whole"):
        read(content)
