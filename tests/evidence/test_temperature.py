"""The temperature is found again, changes no label, and stays sensible where there is little to fit it on."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from convlift.evidence.metrics import ACCURACY, metric_named
from convlift.evidence.temperature import as_it_ships, at_temperature, fit_temperature, log_loss, matching_temperature


def network(n, temperature, seed=0, classes=4, lift=2.0):
    """Probabilities of a calibrated network whose logits were then multiplied by a temperature, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    noise = rng.normal(size=(n, classes))
    noise[np.arange(n), labels] += lift
    return softmax(temperature * lift * noise, axis=1).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_is_found_again(temperature):
    probabilities, labels = network(4000, temperature)
    assert fit_temperature(probabilities, labels) == pytest.approx(temperature, rel=0.06)


def test_of_many_images_it_is_that_of_least_log_loss():
    probabilities, labels = network(20_000, 1.7)
    logits = np.log(probabilities.astype(np.float64))

    def textbook(log_t):
        return -log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(labels)), labels].mean()

    least = np.exp(minimize_scalar(textbook, bounds=(-2, 2), method="bounded").x)
    assert fit_temperature(probabilities, labels) == pytest.approx(least, rel=1e-3)
    assert log_loss(probabilities, labels, least).mean() < log_loss(probabilities, labels).mean()


def test_probabilities_are_those_of_the_logits_divided():
    logits = np.random.default_rng(0).normal(0, 4, (50, 5))
    mended = at_temperature(softmax(logits, axis=1), 1.8)
    np.testing.assert_allclose(mended, softmax(logits / 1.8, axis=1), atol=1e-12)
    assert (mended.argmax(axis=1) == logits.argmax(axis=1)).all()
    given = softmax(logits, axis=1)
    assert at_temperature(given, 1.0) is given


def test_a_probability_of_nothing_is_no_infinite_loss():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert np.isfinite(log_loss(sure, np.array([1, 0]))).all()
    assert 1.0 < fit_temperature(sure, np.array([1, 0])) <= 10.0


def test_few_images_say_little_and_no_mistake_is_not_certainty():
    """Without the prior a network that is right on ten images would get the lowest temperature that there is."""
    right, labels = np.full((10, 2), (0.9, 0.1), np.float32), np.zeros(10, int)
    assert 0.5 < fit_temperature(right, labels) < 1.0
    assert fit_temperature(right[:0], labels[:0]) == 1.0
    probabilities, labels = network(30, 2.5)
    few, many = fit_temperature(probabilities, labels), fit_temperature(*network(4000, 2.5))
    assert 1.0 < few < many


def test_images_of_one_group_count_as_few():
    probabilities, labels = network(40, 3.0)
    alike, alike_labels, groups = np.repeat(probabilities, 20, 0), np.repeat(labels, 20), np.repeat(np.arange(40), 20)
    together = fit_temperature(alike, alike_labels, groups)
    assert together == pytest.approx(fit_temperature(probabilities, labels), rel=0.05)
    assert together < fit_temperature(alike, alike_labels)


def test_only_a_metric_of_confidence_is_judged_with_it():
    probabilities, labels = network(500, 2.5)
    assert as_it_ships(ACCURACY, probabilities, labels) is probabilities
    by_log_loss = metric_named("log-loss")
    mended = as_it_ships(by_log_loss, probabilities, labels)
    assert by_log_loss.score(mended, labels) > by_log_loss.score(probabilities, labels) + 0.02


def test_a_network_that_is_less_sure_by_a_factor_is_told_by_it() -> None:
    """Of the same logits, and of others that only resemble them: what is nearest on the whole."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (300, 5))
    wanted = softmax(logits, axis=1)
    assert matching_temperature(softmax(0.4 * logits, axis=1), wanted) == pytest.approx(0.4, abs=0.002)
    noisy = softmax(0.4 * (logits + rng.normal(0, 0.5, logits.shape)), axis=1)
    found = matching_temperature(noisy, wanted)
    assert 0.4 < found < 0.5  # what it is wrong about it must not be sure of
    assert matching_temperature(wanted, wanted) == pytest.approx(1.0, abs=0.002)
