"""A zoo of image files, written by Pillow: what real folders hold, and what goes wrong with them."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Encode = Callable[..., bytes]
MakeFolder = Callable[..., Path]


@pytest.fixture
def encode() -> Encode:
    """Pixels or a Pillow image -> the bytes of a file: encode(image, "PNG", **Pillow's options)."""

    def encode_image(image: Any, kind: str = "PNG", **options: Any) -> bytes:
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        out = io.BytesIO()
        picture.save(out, kind, **options)
        return out.getvalue()

    return encode_image


@pytest.fixture
def photo() -> Callable[..., Any]:
    """photo(seed) -> colour noise, uint8 (16, 12, 3); another shape on request."""

    def draw(seed: int, *shape: int) -> Any:
        return np.random.default_rng(seed).integers(0, 256, shape or (16, 12, 3), np.uint8)

    return draw


@pytest.fixture
def make_folder(tmp_path: Path, encode: Encode, photo: Callable[..., Any]) -> MakeFolder:
    """make_folder({"cats": 5, "dogs": 7}) -> a folder of so many different PNG files a class; or "train/cats"."""

    def make(counts: dict[str, int], name: str = "pets") -> Path:
        root = tmp_path / name
        seed = 0
        for place, count in counts.items():
            (root / place).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (root / place / f"{number}.png").write_bytes(encode(photo(seed)))
                seed += 1
        return root

    return make


@pytest.fixture
def tiff() -> Callable[..., bytes]:
    """tiff(values, extra=2, big=False, planes=1) -> an uncompressed TIFF of (H, W) or (H, W, C) values of any type.

    extra: what TIFF says of a fourth band (2: unassociated alpha); planes=2 claims that bands lie one after the other.
    Pillow writes neither colour of more than 8 bits nor many bands."""

    def write(values: Any, extra: int = 2, big: bool = False, planes: int = 1) -> bytes:
        height, width, bands = values.shape if values.ndim == 3 else (*values.shape, 1)
        data, size = np.ascontiguousarray(values).tobytes(), 8 * values.dtype.itemsize
        start = 16 if big else 8
        whole = data + b"\0" * (len(data) % 2)
        lists = b"".join(struct.pack("<H", size) for _ in range(bands))
        form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
        tags = [(256, width), (257, height), (259, 1), (262, 2 if bands in (3, 4) else 1), (273, start), (277, bands)]
        tags += [(278, height), (279, len(data)), (284, planes), (339, form)]
        tags += [(338, extra)] if bands == 4 else []
        bits = struct.pack("<H", size) if bands == 1 else lists if len(lists) <= (8 if big else 4) else None
        place = start + len(whole)
        rows = [(tag, struct.pack("<HHQQ" if big else "<HHII", tag, 4, 1, value)) for tag, value in tags]
        value = bits.ljust(8 if big else 4, b"\0") if bits else struct.pack("<Q" if big else "<I", place)
        rows.append((258, struct.pack("<HHQ" if big else "<HHI", 258, 3, bands) + value))
        body = b"".join(row for _, row in sorted(rows))
        count = struct.pack("<Q" if big else "<H", len(rows))
        directory = place + len(lists) + len(lists) % 2
        head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, directory) if big else struct.pack("<2sHI", b"II", 42, directory)
        return head + whole + lists + b"\0" * (len(lists) % 2) + count + body + b"\0" * (8 if big else 4)

    return write
