"""A zoo of image files, written by Pillow: what real folders hold, and what goes wrong with them."""

import io
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
