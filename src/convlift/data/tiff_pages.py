"""The pages of a TIFF or BigTIFF file: what their directories tell, and their values where Pillow has no mode for them.

Pillow and OpenCV give at most four samples a pixel. Whatever lies in a strip or tile, however, is bytes: so a page is
shown to Pillow as a grey image that is as wide as its rows have bytes, which its decoders unpack, and numbers are made
of the bytes here.
"""

import io
import math
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from convlift.errors import UnreadableImage

# tags (TIFF 6.0, section 8; technical note 1 of 2005 for predictor 3), and the struct codes of their types
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANES, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
NODATA, _TEXT = 42113, 2  # of GDAL: the value of what is missing, as text
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SHORT = {BITS, COMPRESSION, PHOTOMETRIC, SAMPLES}
_MOST_ENTRIES = 1000
# none, LZW, deflate by its two numbers, PackBits, LZMA and Zstandard: those that know nothing of pixels
COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}
_FORMS = {1: ("u", (8, 16, 32)), 2: ("i", (8, 16, 32)), 3: ("f", (16, 32, 64))}


@dataclass(frozen=True, eq=False)
class Page:
    """One directory of a file. entries: tag -> struct code, number and place of its values, of whole numbers only;
    missing: the value that marks what is missing, None where none does."""

    content: bytes
    order: str
    entries: Mapping[int, tuple[str, int, int]]
    missing: float | None = None

    def values(self, tag: int) -> tuple[int, ...]:
        """() where the page has none. Raises struct.error where they lie beyond the end of the file."""
        if tag not in self.entries:
            return ()
        code, count, place = self.entries[tag]
        return struct.unpack_from(f"{self.order}{count}{code}", self.content, place)

    def first(self, tag: int, usual: int = 0) -> int:
        """The first value of a tag."""
        if tag not in self.entries:
            return usual
        code, _, place = self.entries[tag]
        return int(struct.unpack_from(self.order + code, self.content, place)[0])


class _Grid(NamedTuple):
    """How a page is cut: number of cells across and down, their sides in pixels, and the places and lengths of the
    bytes of all of them."""

    across: int
    down: int
    width: int
    height: int
    places: tuple[int, ...]
    lengths: tuple[int, ...]


def read_pages(content: bytes, most: int) -> list[Page]:
    """The first pages of a file, at most so many. Raises struct.error or OverflowError where it ends before them."""
    order, is_big = "<" if content[:2] == b"II" else ">", content[2:4] in (b"+\0", b"\0+")
    place = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)[0]
    pages: list[Page] = []
    seen = set[int]()
    while place and place not in seen and len(pages) < most:
        seen.add(place)
        page, place = _read_page(content, order, is_big, place)
        pages.append(page)
    return pages


def _read_page(content: bytes, order: str, is_big: bool, place: int) -> tuple[Page, int]:
    """A page, and where the next one lies, 0 for none."""
    count = struct.unpack_from(order + ("Q" if is_big else "H"), content, place)[0]
    start, size, inside = place + (8 if is_big else 2), 20 if is_big else 12, 8 if is_big else 4
    entries, missing = {}, None
    for entry in range(start, start + size * min(count, _MOST_ENTRIES), size):
        tag, kind, length = struct.unpack_from(order + ("HHQ" if is_big else "HHI"), content, entry)
        is_missing = (tag, kind) == (NODATA, _TEXT)
        if not (kind in _CODES or is_missing) or not length:
            continue
        value = entry + size - inside
        if (1 if is_missing else struct.calcsize(_CODES[kind])) * length > inside:
            value = struct.unpack_from(order + ("Q" if is_big else "I"), content, value)[0]
        if is_missing:
            with suppress(ValueError):
                missing = float(content[value : value + length].rstrip(b"\0 "))
            continue
        entries[tag] = (_CODES[kind], length, value)
    following = struct.unpack_from(order + ("Q" if is_big else "I"), content, start + size * count)[0]
    return Page(content, order, entries, missing), following


def dtype_of(page: Page) -> np.dtype[np.generic]:
    """The type of its values, in the file's byte order. Raises UnreadableImage where bands differ in it, or it is none
    that is read."""
    bits, forms = {*page.values(BITS)} or {1}, {*page.values(FORMAT)} or {1}
    if len(bits) > 1 or len(forms) > 1:
        raise UnreadableImage("TIFF whose bands differ in type; save them all in one")
    (size,), (form,) = bits, forms
    code, sizes = _FORMS.get(form, ("u", ()))
    if size not in sizes:
        raise UnreadableImage(
            f"TIFF of bands of {size} bits and sample format {form}; whole numbers of 8, 16 or 32 bits and floats are "
            "read"
        )
    return np.dtype(f"{page.order}{code}{size // 8}")


def values_of(page: Page) -> NDArray[np.generic]:
    """All values of a page, (H, W, C), in the order of this machine.

    Raises UnreadableImage where its compression is not read; struct.error, OSError, SyntaxError and whatever else
    Pillow raises where it is broken. Whoever calls has looked at the size.
    """
    if (compression := page.first(COMPRESSION, 1)) not in COMPRESSIONS or page.first(FILL_ORDER, 1) != 1:
        raise UnreadableImage(
            f"TIFF of bands packed in a way that is not read here (compression {compression}); save it with LZW, "
            "deflate or none"
        )
    samples, dtype, grid = page.first(SAMPLES, 1), dtype_of(page), _grid(page)
    if page.first(PLANES, 1) != 2 or samples == 1:
        return _of_cells(page, grid, dtype, samples)
    cells = grid.across * grid.down
    planes = []
    for plane in range(samples):
        part = slice(plane * cells, (plane + 1) * cells)
        own = grid._replace(places=grid.places[part], lengths=grid.lengths[part])
        planes.append(_of_cells(page, own, dtype, 1))
    return np.concatenate(planes, axis=2)


def _grid(page: Page) -> _Grid:
    """Raises UnreadableImage where the number of strips or tiles is not what the size asks for."""
    width, height = page.first(WIDTH), page.first(HEIGHT)
    is_tiled = TILES in page.entries
    if is_tiled:
        cell = page.first(TILE_WIDTH), page.first(TILE_HEIGHT)
    else:
        cell = width, min(page.first(ROWS, height), height)
    places, lengths = (page.values(tag) for tag in ((TILES, TILE_BYTES) if is_tiled else (STRIPS, STRIP_BYTES)))
    if min(width, height, *cell) < 1 or cell[0] >= 2 * width + 1024 or cell[1] >= 2 * height + 1024:
        raise UnreadableImage("broken TIFF: its size or that of its tiles makes no sense")
    across, down = math.ceil(width / cell[0]), math.ceil(height / cell[1])
    needed = across * down * (page.first(SAMPLES, 1) if page.first(PLANES, 1) == 2 else 1)
    if len(places) != needed or len(lengths) != needed:
        raise UnreadableImage(f"broken TIFF: {len(places)} strips or tiles where {needed} are needed")
    if missing := sum(not place or not length for place, length in zip(places, lengths, strict=True)):
        # as GDAL leaves out those in which nothing is known; read where they say, they would be the file's header
        raise UnreadableImage(
            f"TIFF of which {missing} of {needed} strips or tiles are left out; save it whole (GDAL: SPARSE_OK=FALSE)"
        )
    return _Grid(across, down, *cell, places, lengths)


def _of_cells(page: Page, grid: _Grid, dtype: np.dtype[np.generic], samples: int) -> NDArray[np.generic]:
    """(H, W, samples) of one plane, whose strips or tiles these are."""
    row = grid.width * samples * dtype.itemsize
    height = page.first(HEIGHT)
    tags: dict[int, Sequence[int]] = {
        WIDTH: [row * grid.across], HEIGHT: [height], BITS: [8], COMPRESSION: [page.first(COMPRESSION, 1)],
        PHOTOMETRIC: [1], SAMPLES: [1],
    }  # fmt: skip
    if TILES in page.entries:
        tags |= {TILE_WIDTH: [row], TILE_HEIGHT: [grid.height], TILES: grid.places, TILE_BYTES: grid.lengths}
    else:
        tags |= {ROWS: [grid.height], STRIPS: grid.places, STRIP_BYTES: grid.lengths}
    # Image.open would warn of the many pixels that it takes for grey; their number was looked at
    with TiffImagePlugin.TiffImageFile(io.BytesIO(_with_directory(page, tags))) as image:
        image.load()
        raw = np.asarray(image, np.uint8).reshape(height, grid.across, row)
    whole = _undone(raw, page.first(PREDICTOR, 1), dtype, samples)
    return whole.reshape(height, grid.across * grid.width, samples)[:, : page.first(WIDTH)]


def _undone(
    raw_HAB: NDArray[np.uint8], predictor: int, dtype: np.dtype[np.generic], samples: int
) -> NDArray[np.generic]:
    """The values (H, across, width, samples) of the bytes of each row of each strip or tile."""
    rows, across, size = raw_HAB.shape
    shape = (rows, across, size // dtype.itemsize // samples, samples)
    native = dtype.newbyteorder("=")
    if predictor == 1:
        return np.ascontiguousarray(raw_HAB).view(dtype).astype(native).reshape(shape)
    if predictor == 2:  # each value less the one to its left in the same band (TIFF 6.0, section 14)
        unsigned = np.dtype(f"u{dtype.itemsize}")
        steps = np.ascontiguousarray(raw_HAB).view(unsigned.newbyteorder(dtype.byteorder)).reshape(shape)
        return np.cumsum(steps, axis=2, dtype=unsigned).view(native)
    if predictor == 3 and dtype.kind == "f":  # the same of bytes, of which the highest of all values come first
        steps = np.cumsum(raw_HAB.reshape(rows, across, -1, samples), axis=2, dtype=np.uint8)
        planes = steps.reshape(rows, across, dtype.itemsize, -1)
        whole = np.ascontiguousarray(np.moveaxis(planes, 2, 3))
        return whole.view(dtype.newbyteorder(">")).astype(native).reshape(shape)
    raise UnreadableImage(f"TIFF of bands with predictor {predictor}, which is not read; save it with 1 or 2")


def _with_directory(page: Page, tags: Mapping[int, Sequence[int]]) -> bytes:
    """The same file with one page, which has these tags."""
    order, content = page.order, page.content
    start = len(content) + len(content) % 2
    end = start + 2 + 12 * len(tags) + 4
    entries, lists = [], b""
    for tag, values in sorted(tags.items()):
        code, kind = ("H", 3) if tag in _SHORT else ("I", 4)
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(packed) > 4:
            place = end + len(lists)
            lists += packed
            packed = struct.pack(order + "I", place)
        entries.append(struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    directory = struct.pack(order + "H", len(tags)) + b"".join(entries) + bytes(4)
    return b"".join([head, content[8:], bytes(len(content) % 2), directory, lists])
