"""Poisson noise: the light that meets a pixel comes in whole photons.

One table holds the quantiles of what each byte may become, for one strength: 256 bytes by 4,096 equally likely cases.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CASES = 2**12
MANY = 1000  # photons, whose number is normally distributed: no byte tells


@lru_cache(maxsize=4)  # a strength that grows over a training has one table an epoch
def quantiles(deviation: float) -> NDArray[np.uint8]:
    """(256 * 4096,): what a byte becomes in each case, case after case. deviation: at white, with pixels in [0, 1]."""
    from scipy.special import ndtri, pdtr  # which prediction need not wait for

    photons = 1 / max(deviation, 1e-6) ** 2  # at white, whose relative deviation is one over the root of their number
    cases = (np.arange(CASES) + 0.5) / CASES
    normal = ndtri(cases)
    table = np.empty((256, CASES), np.uint8)
    for level in range(256):
        mean = photons * level / 255
        spread = 6 * mean**0.5 + 10
        numbers = np.arange(max(0, int(mean - spread)), int(mean + 2 * spread) if mean < MANY else 0)
        found = numbers[np.searchsorted(pdtr(numbers, mean), cases)] if mean < MANY else mean + mean**0.5 * normal
        table[level] = np.rint(255 * found / photons).clip(0, 255)
    return table.ravel()


def draw_cases(values: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """The case of each of so many values, under CASES."""
    bits = rng.integers(2**64, size=-(-values // 4), dtype=np.uint64).view(np.uint16)[:values]
    cases: NDArray[np.uint16] = bits >> np.uint16(4)
    return cases
