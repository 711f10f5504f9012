"""One number by which a network's logits are divided, so that its probabilities are true.

Guo et al. 2017, "On calibration of modern neural networks", section 4.2: of all ways to mend confidences the simplest,
and in their table 1 the best of most. It changes no label. Suffixes: N images, K classes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from convlift.evidence.image_variance import Groups, effective_number
from convlift.evidence.metrics import Metric

Floats = NDArray[np.float64]
Probabilities = NDArray[np.floating]

BOUNDS = (0.1, 10.0)
SPREAD = 0.5  # of ln T between 200 networks of 45 campaigns (benchmarks/temperature.py): .34 to 3.7 there
LEAST = 1e-38  # about the least that float32 holds


def at_temperature(probabilities_NK: Probabilities, temperature: float) -> Probabilities:
    """The probabilities of the same network with its logits divided by a temperature: p^(1/T), made to add up to 1.

    Probabilities are logits up to a constant that the softmax does not see. As they are given where it is 1.
    """
    if temperature == 1.0:
        return probabilities_NK
    return np.exp(log_softmax(_logits(probabilities_NK) / temperature, axis=1))


def log_loss(probabilities_NK: Probabilities, labels_N: NDArray[np.int64], temperature: float = 1.0) -> Floats:
    """(N,): of every image, in nats, with no floor but that of float32."""
    logs: Floats = log_softmax(_logits(probabilities_NK) / temperature, axis=1)
    return -logs[np.arange(len(labels_N)), labels_N]


def fit_temperature(probabilities_NK: Probabilities, labels_N: NDArray[np.int64], groups_N: Groups = None) -> float:
    """The temperature of least log-loss on images that the network did not learn from, drawn towards 1.

    Minimizes n log-loss(T) + (ln T)^2 / (2 SPREAD^2), n as many as the images are independent: what is most probable
    where ln T has a normal prior of that width. Few images thus say little, and where a network makes no mistake on
    them T stays above 0, which the log-loss alone would send it to. 1 without images.
    """
    if not len(labels_N):
        return 1.0
    loss = log_loss(probabilities_NK, labels_N)
    count = len(labels_N) if groups_N is None else effective_number(loss[None], groups_N)

    def badness(log_temperature: float) -> float:
        fit = log_loss(probabilities_NK, labels_N, float(np.exp(log_temperature))).mean()
        return float(count * fit + log_temperature**2 / (2.0 * SPREAD**2))

    return _least(badness)


def matching_temperature(probabilities_NK: Probabilities, wanted_NK: Probabilities) -> float:
    """The temperature at which a network says most nearly what is wanted of the same images: of least cross-entropy."""

    def badness(log_temperature: float) -> float:
        logs = log_softmax(_logits(probabilities_NK) / np.exp(log_temperature), axis=1)
        return float(-(np.asarray(wanted_NK, np.float64) * logs).sum(axis=1).mean())

    return _least(badness)


def as_it_ships(
    metric: Metric, probabilities_NK: Probabilities, labels_N: NDArray[np.int64], groups_N: Groups = None
) -> Probabilities:
    """A network's probabilities of the validation images at the temperature that these give it, where the metric judges
    how sure it is: what a recipe's network would ship with. As they are given for another metric."""
    if not metric.of_confidence or not len(probabilities_NK):
        return probabilities_NK
    return at_temperature(probabilities_NK, fit_temperature(probabilities_NK, labels_N, groups_N))


def _least(badness: Callable[[float], float]) -> float:
    """The temperature in BOUNDS whose logarithm has the least of it."""
    low, high = np.log(BOUNDS)
    return float(np.exp(minimize_scalar(badness, bounds=(low, high), method="bounded", options={"xatol": 1e-4}).x))


def _logits(probabilities_NK: Probabilities) -> Floats:
    return np.log(np.maximum(np.asarray(probabilities_NK, np.float64), LEAST))
