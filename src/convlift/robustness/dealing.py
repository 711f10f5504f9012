"""Which corruptions, at which severities, some images get where not every image can have all of them."""

from collections.abc import Sequence

import numpy as np

from convlift.robustness.strengths import SEVERITIES


def dealt(names: Sequence[str], images: int, copies: int, seed: int = 0) -> list[list[tuple[str, int]]]:
    """Of every image so many copies: a corruption and its severity each, no corruption twice.

    Every corruption falls to the same number of images, but for one, and so does every severity of it, so that the mean
    over copies is that over all corruptions and severities. copies: at most as many as names. A seed deals alike.
    """
    order = np.random.default_rng([seed, images, len(names)]).permutation(images).tolist()
    number = len(names)
    return [
        [
            (names[(place + copy) % number], SEVERITIES[(place // number + copy) % len(SEVERITIES)])
            for copy in range(copies)
        ]
        for place in order
    ]
