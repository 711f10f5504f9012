"""TIFF files of any number of bands, as satellites and microscopes have them and Pillow does not write them."""

import itertools
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Way:
    """How a file is written.

    order: "<" or ">"; compression: 1 for none, 8 for deflate; predictor: 1, 2 or 3; tile: side of its tiles, 0 for
    strips; rows: of a strip; planar: each band by itself; extra: what is said of the bands beyond the first
    (photometric 1) or third (2), one number each; subfile: 1 for a page that is a smaller copy; missing: the text by
    which GDAL marks what is missing, ending with a zero.
    """

    order: str = "<"
    compression: int = 1
    predictor: int = 1
    tile: int = 0
    rows: int = 5
    planar: bool = False
    photometric: int = 1
    extra: tuple[int, ...] = ()
    subfile: int = 0
    orientation: int = 1
    missing: bytes = b""


def tiff_of(*pages: NDArray[Any], way: Way = Way()) -> bytes:
    """A file of these pages, each (H, W) or (H, W, C)."""
    body, links = bytearray(), []
    for values in pages:
        whole = values[:, :, None] if values.ndim == 2 else values
        links.append(_add_page(body, whole, way))
    head = (b"II*\0" if way.order == "<" else b"MM\0*") + struct.pack(way.order + "I", links[0][0])
    for (_, link), (start, _) in itertools.pairwise(links):
        struct.pack_into(way.order + "I", body, link - 8, start)
    return head + bytes(body)


def _add_page(body: bytearray, values: NDArray[Any], way: Way) -> tuple[int, int]:
    """Where its directory starts, and where that says what comes next; body: what follows the first eight bytes."""
    height, width, bands = values.shape
    planes = [values[:, :, band : band + 1] for band in range(bands)] if way.planar else [values]
    cells = [cell for plane in planes for cell in _cells(plane, way)]
    places, lengths = [], []
    for cell in cells:
        packed = _packed(cell, way)
        places.append(len(body) + 8)
        lengths.append(len(packed))
        body += packed + b"\0" * (len(packed) % 2)
    size = 8 * values.dtype.itemsize
    tags: dict[int, tuple[str, list[int] | list[bytes]]] = {
        254: ("I", [way.subfile]), 256: ("I", [width]), 257: ("I", [height]), 258: ("H", [size] * bands),
        259: ("H", [way.compression]), 262: ("H", [way.photometric]), 274: ("H", [way.orientation]),
        277: ("H", [bands]), 284: ("H", [2 if way.planar else 1]), 317: ("H", [way.predictor]),
        339: ("H", [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * bands),
    }  # fmt: skip
    if way.tile:
        tags |= {322: ("I", [way.tile]), 323: ("I", [way.tile]), 324: ("I", places), 325: ("I", lengths)}
    else:
        tags |= {278: ("I", [way.rows]), 273: ("I", places), 279: ("I", lengths)}
    if way.extra:
        tags[338] = ("H", list(way.extra))
    if way.missing:
        tags[42113] = ("c", [way.missing[place : place + 1] for place in range(len(way.missing))])
    start = len(body) + 8
    lists, entries = b"", b""
    for tag, (code, numbers) in sorted(tags.items()):
        packed = struct.pack(f"{way.order}{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(lists)
            lists += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(way.order + "I", place)
        entries += struct.pack(way.order + "HHI", tag, {"c": 2, "H": 3, "I": 4}[code], len(numbers)) + packed.ljust(
            4, b"\0"
        )
    body += struct.pack(way.order + "H", len(tags)) + entries
    link = len(body) + 8
    body += bytes(4) + lists
    return start, link


def _cells(plane: NDArray[Any], way: Way) -> list[NDArray[Any]]:
    height, width, _ = plane.shape
    if not way.tile:
        return [plane[top : top + way.rows] for top in range(0, height, way.rows)]
    whole = np.pad(plane, ((0, -height % way.tile), (0, -width % way.tile), (0, 0)), mode="edge")
    return [
        whole[top : top + way.tile, left : left + way.tile]
        for top in range(0, height, way.tile)
        for left in range(0, width, way.tile)
    ]


def _packed(cell: NDArray[Any], way: Way) -> bytes:
    kind = cell.dtype.newbyteorder(way.order)
    if way.predictor == 2:
        unsigned = np.dtype(f"u{cell.dtype.itemsize}")
        steps = np.ascontiguousarray(cell).view(unsigned)
        steps = np.concatenate([steps[:, :1], np.diff(steps, axis=1)], axis=1)
        raw = steps.astype(unsigned.newbyteorder(way.order)).tobytes()
    elif way.predictor == 3:  # of each row the highest bytes of all values first, then the differences of bytes
        rows, width, bands = cell.shape
        planes = cell.astype(cell.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, width * bands, -1)
        line = np.moveaxis(planes, 2, 1).reshape(rows, -1, bands)
        raw = np.concatenate([line[:, :1], np.diff(line, axis=1)], axis=1).tobytes()
    else:
        raw = cell.astype(kind).tobytes()
    return zlib.compress(raw) if way.compression == 8 else raw
