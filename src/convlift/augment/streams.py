"""Random numbers by name, so that what one lever draws never moves what another does."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Streams:
    """Owns a generator for every name, made when it is first used; key: what sets these apart from other streams.

    done: the share of a training that lies before what is drawn, for changes that grow or end with it; None: at full
    strength. It moves no number.

    A generator follows from the key and its own name alone, and is drawn from in order, image after image: what else is
    drawn, by levers that are on or that will be added one day, leaves it alone, and so does the size of batches.
    One key an epoch, not one a batch: a generator takes ten times as long to make as to give a batch its numbers.
    """

    def __init__(self, *key: int | str, done: float | None = None) -> None:
        self._key, self.done = key, done
        self._made: dict[str, np.random.Generator] = {}

    def __getitem__(self, name: str) -> np.random.Generator:
        if name not in self._made:
            words = [
                word for part in (*self._key, name) for word in (part.encode() if isinstance(part, str) else (part,))
            ]
            # the fastest of numpy's generators: noise takes a number for every pixel
            self._made[name] = np.random.Generator(np.random.SFC64(words))
        return self._made[name]

    def symmetric(self, name: str, strength: float, count: int) -> Floats:
        """(count,): uniform in [-strength, strength); zeros, and nothing drawn, where the strength is 0."""
        return strength * (2.0 * self[name].random(count) - 1.0) if strength else np.zeros(count)

    def chance(self, name: str, probability: float, count: int) -> NDArray[np.bool_]:
        """(count,): true with this probability; nothing is drawn where it is 0."""
        return self[name].random(count) < probability if probability else np.zeros(count, bool)
