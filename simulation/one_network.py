"""A network whose every score is known, and labelled images to evaluate it on: alone, or in groups.

The logit of class c on an image is `lift` where c is the true class, plus normal noise of unit variance; `lift` times
such logits are the logarithms of true probabilities where classes are even, so the network is calibrated. Suffixes: N
images, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import norm

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

POPULATION = 200_000


@dataclass(frozen=True)
class World:
    """accuracy: of the network where classes are even; shares: of the classes; group_size: images that share `alike` of
    their noise; one_class: a group's images are of one class."""

    accuracy: float
    shares: tuple[float, ...]
    group_size: int = 1
    alike: float = 0.5
    one_class: bool = False

    @property
    def lift(self) -> float:
        """Of the true class, for this accuracy among K even classes: P(lift + e_0 > max of K - 1 others)."""
        at = np.linspace(-8.0, 12.0, 2001)

        def over(lift: float) -> float:
            right = norm.pdf(at - lift) * norm.cdf(at) ** (len(self.shares) - 1)
            return float(np.trapezoid(right, at)) - self.accuracy

        return float(brentq(over, 0.0, 9.0))


def draw(world: World, n: int, rng: np.random.Generator) -> tuple[Floats, Labels, Labels | None]:
    """Probabilities (n, K), labels (n,) and groups (n,), None where each image stands alone."""
    classes, lift = len(world.shares), world.lift
    group = np.arange(n) // world.group_size
    labels = rng.choice(classes, n, p=world.shares)
    labels = labels[group * world.group_size] if world.one_class else labels
    noise = rng.normal(size=(n, classes))
    if world.group_size > 1:
        theirs = rng.normal(size=(int(group[-1]) + 1, classes))[group]
        noise = np.sqrt(world.alike) * theirs + np.sqrt(1.0 - world.alike) * noise
    noise[np.arange(n), labels] += lift
    return softmax(lift * noise, axis=1), labels, group if world.group_size > 1 else None
