"""What one phase of training is fed: every image once an epoch, in an order of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import Countdown
from numpy.testing import assert_array_equal

from convlift.recipe.training import Training
from convlift.train.batch import Batch
from convlift.train.evaluate import evaluate
from convlift.train.schedules import make_schedule
from convlift.trial.phase import InTime, PhaseData, run_phase
from convlift.trial.trial_clock import TrialClock

COUNT = 40


def drawn(seed, name, batch_size=16):
    """Per epoch, the positions that were drawn and the first random number of its changes."""
    drawn_by_epoch = []

    def draw(chosen, streams):
        if not drawn_by_epoch or len(drawn_by_epoch[-1][0]) == COUNT:
            drawn_by_epoch.append((np.zeros(0, int), streams["rotation"].random()))
        positions, number = drawn_by_epoch[-1]
        drawn_by_epoch[-1] = np.append(positions, chosen), number
        return torch.zeros(len(chosen), 2)

    labels = torch.zeros(COUNT, dtype=torch.int64)
    data = PhaseData(name, draw, labels, lambda: iter([Batch(torch.zeros(COUNT, 2), labels)]), COUNT, 2)
    training = Training(epochs=3, batch_size=batch_size)
    run_phase(torch.nn.Linear(2, 2), data, training, seed, Countdown(10**6))
    return drawn_by_epoch


def test_every_epoch_shows_every_image_once_in_a_new_order_with_new_changes():
    epochs = drawn(0, "train")
    assert all(sorted(positions) == list(range(COUNT)) for positions, _ in epochs)
    assert len({tuple(positions) for positions, _ in epochs}) == len({number for _, number in epochs}) == 3


def test_order_and_changes_follow_from_seed_and_phase():
    first, again = drawn(0, "train"), drawn(0, "train")
    assert_array_equal([order for order, _ in first], [order for order, _ in again])
    others = [drawn(1, "train"), drawn(0, "head"), drawn(0, "fine-tune")]
    assert len({tuple(epochs[0][0]) for epochs in (first, *others)}) == 4


def test_changes_are_told_how_much_of_the_training_lies_behind_them():
    seen = []

    def draw(chosen, streams):
        seen.append(streams.done)
        return torch.zeros(len(chosen), 2)

    labels = torch.zeros(COUNT, dtype=torch.int64)
    data = PhaseData("train", draw, labels, lambda: iter([Batch(torch.zeros(COUNT, 2), labels)]), COUNT, 2)
    run_phase(torch.nn.Linear(2, 2), data, Training(epochs=4, batch_size=20), 0, Countdown(10**6))
    assert seen == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


class Metronome:
    """A clock on which every question takes as long as `steps_a_question` steps of one second."""

    def __init__(self, seconds, every):
        self.seconds = self.to_train = seconds
        self.hurried, self._every, self._asked, self.validated = False, every, -1, 0.0

    def elapsed(self):
        self._asked += 1
        return float(self._asked * self._every)


class Ticking(TrialClock):
    """A clock on which a step takes a second."""

    def __init__(self, seconds):
        super().__init__(seconds, lambda epoch: None)
        self.steps = 0

    def elapsed(self):
        return float(self.steps)


@pytest.mark.parametrize("kind", ["constant", "cosine", "one_cycle"])
def test_a_training_that_has_time_keeps_its_schedule_to_the_bit(kind):
    training = Training(schedule=kind, warmup=0.2)
    clock = Metronome(1000.0, every=2)
    planned, kept = make_schedule(kind, steps=100, warmup=0.2), InTime(training, 100, clock)
    assert [kept(step) for step in range(100)] == [planned(step) for step in range(100)]
    assert not clock.hurried


def test_a_training_that_will_be_late_runs_through_its_schedule_in_the_time_it_has():
    clock = Metronome(40.0, every=2)
    schedule = InTime(Training(schedule="one_cycle", warmup=0.3), 100, clock)
    rates = []
    while not schedule.is_through:
        rates.append(schedule(len(rates)))
    assert clock.hurried
    assert 36 <= len(rates) <= 40
    assert max(rates) > 0.95
    assert rates[-1] < 0.01


def test_a_rate_that_stays_takes_all_the_time_and_is_whole_where_next_to_nothing_is_missing():
    for seconds, is_whole in ((95.0, True), (60.0, False)):
        clock = Ticking(seconds)
        schedule = InTime(Training(schedule="constant"), 100, clock)
        while not schedule.is_over():
            assert schedule(clock.steps) == 1.0
            clock.steps += 1
        assert clock.steps == seconds + 1  # the first step after its time is not taken
        assert clock.hurried != is_whole
        assert not clock.stopped


def test_a_rate_that_stays_ends_where_the_machine_stops_being_as_fast_as_it_was():
    clock = Ticking(200.0)
    schedule = InTime(Training(schedule="constant"), 100, clock)
    while not schedule.is_over():
        schedule(clock.steps)
        clock.steps += 1 if clock.steps < 50 else 10_000
    assert clock.stopped


def test_that_it_would_once_have_been_late_does_not_count_where_a_rate_that_stays_ran_to_its_end():
    """At first a step takes two seconds of the hundred, which would leave time for half of them."""
    clock = Ticking(100.0)
    schedule = InTime(Training(schedule="constant"), 100, clock)
    for step in range(100):
        assert not schedule.is_over()
        schedule(step)
        clock.steps += 2.0 if step < 10 else 0.5
    assert schedule.progress == 0.99
    assert not clock.hurried
    assert not clock.stopped


def test_a_validation_between_its_steps_does_not_look_like_a_slow_machine():
    """Two epochs of 50 steps of a second, a validation of 30 after each: ten looks at two steps take 20 or 50."""
    clock, labels, slower = Ticking(1e6), torch.zeros(100, dtype=torch.int64), []

    def draw(chosen, streams):
        clock.steps += 1
        slower.append(clock.slower)
        return torch.zeros(len(chosen), 2)

    def validation():
        clock.steps += 30
        return iter([Batch(torch.zeros(10, 2), labels[:10])])

    data = PhaseData("train", draw, labels, validation, 10, 2)
    run_phase(torch.nn.Linear(2, 2), data, Training(epochs=2, batch_size=2), 0, clock)
    assert len(slower) == 100
    assert max(slower) == 1.0
    assert clock.validated == 60.0


class Witness(torch.nn.Linear):
    """Its running statistics, of which the average is taken too, say which steps that is of: their mean number, and how
    many of them saw small images."""

    def __init__(self):
        super().__init__(2, 2)
        self.register_buffer("step", torch.zeros(()))
        self.register_buffer("saw_small", torch.zeros(()))

    def forward(self, inputs):
        if self.training:
            self.step += 1
            self.saw_small.fill_(inputs[0, 0])
        return super().forward(inputs)


@pytest.mark.parametrize("first_share", [0.0, 0.4])
@pytest.mark.parametrize(("seconds", "steps"), [(1e6, 100), (50.0, 50)])
def test_the_average_is_of_the_last_three_fifths_of_the_steps_and_of_no_small_images(seconds, steps, first_share):
    """Of 100 steps, or of the 50 that there is time for; epochs of seven, so that none ends after two fifths."""
    clock, network, labels = Ticking(seconds), Witness(), torch.zeros(14, dtype=torch.int64)

    def drawn(is_small):
        def draw(chosen, streams):
            clock.steps += 1
            return torch.full((len(chosen), 2), is_small)

        return draw

    data = PhaseData("fine-tune", drawn(0.0), labels, lambda: iter([Batch(torch.zeros(14, 2), labels)]), 14, 2)
    data = replace(data, average_from=0.4, first_draw=drawn(1.0), first_share=first_share)
    training = Training(epochs=14, batch_size=2, schedule="constant", learning_rate=0.01)
    run_phase(network, data, training, 0, clock)
    last = 98 if steps == 100 else 50
    assert network.step == pytest.approx((0.4 * last + last) / 2, abs=2)  # the clock is looked at every second step
    assert network.saw_small == 0.0


def test_validation_is_of_the_average():
    """A rate that throws the weights about: what they are at the end of an epoch is not what is judged."""
    network, labels = torch.nn.Linear(2, 2), torch.randint(0, 2, (40,))
    clock = Countdown(10**6)
    fixed = torch.randn(40, 2)
    data = PhaseData(
        "fine-tune", lambda chosen, streams: fixed[chosen], labels, lambda: iter([Batch(fixed, labels)]), 40, 2
    )
    training = Training(epochs=2, batch_size=4, schedule="constant", learning_rate=1.0)
    run_phase(network, replace(data, average_from=0.5), training, 0, clock)
    assert clock.curve[-1].validation_loss == pytest.approx(evaluate(network, [Batch(fixed, labels)]).loss)


def test_small_images_do_not_hide_that_it_will_be_late():
    """60 steps on small images and 40 on large ones are 74 seconds of work, and there are 66."""
    cost = [0.5625] * 60 + [1.0] * 40
    clock = Metronome(66.0, every=2)
    clock.elapsed = lambda: sum(cost[:taken])
    taken, rates = 0, []
    schedule = InTime(Training(schedule="one_cycle", warmup=0.3), 100, clock, small=0.6)
    while not schedule.is_through:
        rates.append(schedule(taken))
        taken += 1
    assert clock.elapsed() <= clock.to_train
    assert 85 < taken < 95
    assert rates[-1] < 0.01


def test_a_machine_that_got_slower_leaves_more_time_for_the_predictions():
    """What follows the last step takes as much longer as a step does by now."""
    clock = TrialClock(1000.0, lambda _: None, kept=20.0)
    seconds = [0.0]
    clock.elapsed = lambda: seconds[0]  # type: ignore[method-assign]
    schedule = InTime(Training(schedule="constant"), 100, clock)
    for step in range(60):
        schedule(step)
        seconds[0] += 1.0 if step < 30 else 3.0
    assert clock.slower == pytest.approx(3.0)
    assert clock.to_train == pytest.approx(1000.0 - 60.0)
    clock.slower = 1.0
    steady = InTime(Training(schedule="constant"), 100, clock)
    for step in range(60):
        steady(step)
        seconds[0] += 1.0
    assert clock.to_train == pytest.approx(980.0)
