"""What tests of trials ask of outcomes, and a clock that counts questions instead of seconds."""

from dataclasses import asdict, replace

import numpy as np
from numpy.testing import assert_array_equal

from convlift.trial.trial_clock import TrialClock


class Countdown(TrialClock):
    """Its time is over after so many questions."""

    def __init__(self, questions):
        super().__init__(float("inf"), lambda epoch: None)
        self.questions = questions

    def late(self):
        self.questions -= 1
        self.stopped = self.questions < 0
        return self.stopped


def figures(curve):
    """A curve without the seconds."""
    return [asdict(replace(epoch, seconds=0.0)) for epoch in curve]


def assert_same(one, other):
    assert one.status == other.status
    assert_array_equal(one.validation_probabilities, other.validation_probabilities)
    assert_array_equal(one.test_probabilities, other.test_probabilities)
    assert figures(one.curve) == figures(other.curve)


def differs(one, other):
    return not np.array_equal(one.validation_probabilities, other.validation_probabilities)


def cross_entropy(probabilities, labels):
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())
