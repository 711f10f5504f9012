"""Made-up photos: smooth fields of colour, no two alike, as photos are."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def photos() -> Callable[..., Any]:
    """photos(count, seed, side) -> uint8 (count, side, side, 3)."""

    def draw(count: int, seed: int = 0, side: int = 64) -> Any:
        rng = np.random.default_rng(seed)
        fields = rng.normal(size=(count, side, side, 3)).astype(np.float32)
        smooth = [sum(width * cv2.GaussianBlur(field, (0, 0), width) for width in (2, 5, 12)) for field in fields]
        return np.stack([np.clip(128 + 90 * each / each.std(), 0, 255) for each in smooth]).astype(np.uint8)

    return draw
