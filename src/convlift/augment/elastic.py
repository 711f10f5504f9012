"""The elastic distortion of Simard et al. 2003, section 2: every pixel shifted by a smooth random field.

There the field is uniform noise on all pixels, convolved with a Gaussian. Here the noise lies on a grid of points as
far apart as the Gaussian's deviation, which gives a field of the same covariance to one part in ten thousand: no detail
is finer than that. So two small matrix products make it, at every resolution from the same numbers.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

DEVIATION = 4 / 29  # of the Gaussian, as a fraction of the side: 4 of the 29 pixels of Simard's images
_BEYOND = 3  # points beyond either border, whose noise still reaches inside
GRID = (int(np.ceil(1 / DEVIATION)) + 2 * _BEYOND + 1,) * 2


@cache
def basis(side: int) -> Floats32:
    """(side, G): what each point's noise contributes to each pixel along one axis; the field of uniform noise in
    [-1, 1] then has a root mean square of 1."""
    pixels, points = (np.arange(side) + 0.5) / side, (np.arange(GRID[0]) - _BEYOND) * DEVIATION
    bumps = np.exp(-(((pixels[:, None] - points) / DEVIATION) ** 2) / 2)
    # noise in [-1, 1] has a variance of 1/3, and squared bumps add up to the root of pi
    unit: Floats32 = (bumps * (3 / np.pi) ** 0.25).astype(np.float32)
    return unit


def places(map_of_it: Floats, field_2GG: Floats, size_HW: tuple[int, int]) -> Floats32:
    """Where each pixel of an image that is moved by a map, and then distorted, comes from: (2, H, W), x and y.

    map_of_it: (2, 3) or (3, 3). field_2GG: in fractions of the sides.
    """
    height, width = size_HW
    shifts_2HW = basis(height) @ field_2GG.astype(np.float32) @ basis(width).T
    x_HW = shifts_2HW[0] * width + np.arange(width, dtype=np.float32)
    y_HW = shifts_2HW[1] * height + np.arange(height, dtype=np.float32)[:, None]
    rows = [a * x_HW + b * y_HW + c for a, b, c in map_of_it.astype(np.float32)]
    found: Floats32 = np.stack(rows[:2])
    return found if len(rows) == 2 else found / rows[2]
