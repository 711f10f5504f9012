"""The rivals of the planted-truth benchmark, on a made-up training whose answers are known at once."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "planted.py"
planted = SimpleNamespace(**runpy.run_path(str(FILE), run_name="planted"))
JOB = planted.JOBS["cifar"]
IS_HELPFUL, IS_HARMFUL = JOB.among(JOB.helpful), JOB.among(JOB.harmful)
EFFECTS = 6.0 * IS_HELPFUL - 6.0 * IS_HARMFUL


class MadeUp:
    """Trainings of 60 points plus the effects of what is on; noise: sd of what a seed adds, in points."""

    def __init__(self, noise: float, seed: int = 0) -> None:
        self.seen: list[np.ndarray] = []
        self._noise, self._rng = noise, np.random.default_rng(seed)
        self._difficulty = np.random.default_rng(1).random(2000)

    def __call__(self, on: np.ndarray, number: int) -> object:
        assert number == len(self.seen)
        self.seen.append(on.copy())
        points = 60 + float(on @ EFFECTS) + self._noise * self._rng.normal()
        right = self._difficulty < points / 100
        return planted.Trained(right[:1000], right[1000:], points)


@pytest.mark.parametrize("name", planted.METHODS)
def test_every_method_runs_the_same_number_of_trainings_and_the_baseline_first(name: str) -> None:
    train = MadeUp(noise=1.0)
    shipped = planted.METHODS[name](JOB, train, 3)
    assert len(train.seen) == JOB.budget
    assert not train.seen[0].any()
    assert any((np.array(shipped.on) == on).all() for on in train.seen)


@pytest.mark.parametrize("name", planted.METHODS)
def test_where_every_effect_is_plain_to_see_harm_is_left_out_and_help_is_found(name: str) -> None:
    shipped = [planted.METHODS[name](JOB, MadeUp(0.0), seed) for seed in range(3)]
    on = np.array([each.on for each in shipped])
    assert on[:, IS_HELPFUL].mean() > 0.3
    assert on[:, IS_HARMFUL].mean() < 0.2


def test_one_after_the_other_keeps_exactly_what_helps_where_nothing_is_noisy() -> None:
    shipped = planted.keep_if_better(JOB, MadeUp(0.0), 0)
    assert (np.array(shipped.on) == IS_HELPFUL).all()
    assert shipped.reported == pytest.approx(18.0, abs=2.0)


def test_on_noise_the_naive_methods_report_what_is_not_there() -> None:
    def reported(name: str) -> float:
        found = []
        for seed in range(10):
            shipped = planted.METHODS[name](JOB, MadeUp(2.0, seed), seed)
            found.append(shipped.reported - float(np.array(shipped.on) @ EFFECTS))
        return float(np.mean(found))

    assert reported("keep if better") > 1.0
    assert abs(reported("ours")) < 1.5


def test_placebos_are_the_recipe_itself_and_no_other_change_is() -> None:
    assert JOB.recipe(~(IS_HELPFUL | IS_HARMFUL)) == JOB.baseline
    prints = {JOB.recipe(np.arange(JOB.count) == k).fingerprint() for k in range(JOB.count)}
    assert len(prints) == 1 + IS_HELPFUL.sum() + IS_HARMFUL.sum()


def test_each_change_of_the_digits_is_one_of_its_own() -> None:
    digits = planted.JOBS["digits"]
    alone = {digits.recipe(np.arange(12) == k).fingerprint() for k in range(12)}
    assert len(alone | {digits.baseline.fingerprint()}) == 13
    assert digits.recipe([True] * 12).training.epochs == 30


def test_a_training_is_kept_and_found_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    result = planted.Trained(rng.random(1000) < 0.5, rng.random(1000) < 0.5, 47.25)
    planted.Kept(tmp_path, "cifar").put(JOB.baseline, 3, result, 1.5)
    kept = planted.Kept(tmp_path, "cifar")
    found = kept.get(JOB.baseline, 3)
    assert (found.validation == result.validation).all()
    assert (found.test == result.test).all()
    assert found.official == result.official
    assert kept.get(JOB.baseline, 4) is None
    assert kept.get(JOB.recipe(IS_HELPFUL), 3) is None
    assert kept.cost() == (1, 1.5)


def test_the_summary_counts_what_shipped_and_what_was_proven() -> None:
    on = tuple(bool(each) for each in IS_HELPFUL | (np.arange(JOB.count) == JOB.count - 1))
    false_proof = tuple(each == JOB.count - 1 for each in range(JOB.count))
    several = [planted.Shipped(on, 4.0, 1.0, 7.0, false_proof), planted.Shipped(on, 2.0, -1.0, 3.0, on)]
    row = planted.summary(JOB, several, np.array([4.0, 4.0]))
    assert (row["helpful_shipped"], row["useless_shipped"], row["harmful_shipped"]) == (3.0, 1.0, 0.0)
    assert (row["true_gain"], row["reported_less_true"]) == (4.0, -1.0)
    assert (row["proven"], row["falsely_proven"], row["total_proven"], row["interval_covers"]) == (1.5, 1.0, 0.5, 0.5)
