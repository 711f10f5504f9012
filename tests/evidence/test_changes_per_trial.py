"""Fewer changes at once while recipes lose much."""

import numpy as np
import pytest

from convlift.evidence.changes_per_trial import GAINING, LATEST, MOST_GAINING, MOST_ON, most_on

KNOWN = 1.0  # variance of a run's score, in points squared


def rows(*held: int, changes: int = 40) -> np.ndarray:
    return np.array([np.arange(changes) < count for count in held], float)


def limit(held: tuple[int, ...], scores: list[float], noise: float = KNOWN, sound: list[float] | None = None) -> int:
    told = np.ones(len(scores)) if sound is None else np.array(sound)
    return int(most_on(rows(*held), np.array(scores), told, noise))


@pytest.mark.parametrize(
    ("lost", "allowed"), [(-5.0, 12), (0.0, 12), (3.0, 12), (6.0, 6), (12.0, 3), (13.0, 2), (60.0, 2)]
)
def test_a_recipe_shall_not_lose_more_than_three_points(lost: float, allowed: int) -> None:
    assert limit((0, 12), [85.0, 85.0 - lost]) == allowed


def test_more_changes_at_once_while_each_brings_something_however_little_is_known() -> None:
    enough, too_little = 85.0 + 12 * (GAINING + 0.01), 85.0 + 12 * (GAINING - 0.01)
    assert limit((0, 12, 12, 12), [85.0, *[enough] * 3]) == MOST_GAINING
    assert limit((0, 12, 12, 12), [85.0, *[enough] * 3], noise=9.0) == MOST_GAINING
    assert limit((0, 12, 12, 12), [85.0, *[too_little] * 3]) == MOST_ON
    assert limit((0, 12, 12), [85.0, *[enough] * 2]) == MOST_ON  # two may be luck
    assert limit((12, 12, 12), [90.0] * 3) == MOST_ON  # no bare start to gain upon
    assert limit((0, *(12,) * 2 * LATEST), [85.0] + [90.0] * LATEST + [85.0] * LATEST) == MOST_ON


def test_only_the_latest_runs_count() -> None:
    held = (0, *(12,) * (2 * LATEST))
    assert limit(held, [85.0] + [60.0] * LATEST + [85.0] * LATEST) == MOST_ON
    assert limit(held, [85.0] + [85.0] * LATEST + [60.0] * LATEST) == 2


def test_it_holds_back_only_where_it_knows() -> None:
    """A noisy score, no bare start, runs with changes for half of the changes, and a run that failed to learn."""
    assert limit((0, 12), [85.0, 60.0], noise=2.0) == MOST_ON
    assert limit((12, 12), [60.0, 60.0]) == MOST_ON
    assert limit((0,) + (12,) * 20, [85.0] + [60.0] * 20) == 2
    assert limit((0,) + (12,) * 21, [85.0] + [60.0] * 21) == MOST_ON
    assert limit((0,) * 30 + (12,), [85.0] * 30 + [60.0]) == 2  # runs of the bare start tell nothing of the changes
    assert limit((0, 0, 12), [85.0, 10.0, 60.0], sound=[1.0, 0.0, 1.0]) == 2  # nor does one that failed to learn
    assert limit((0, 12, 12), [85.0, 20.0, 85.0], sound=[1.0, 0.0, 1.0]) == MOST_ON
    assert int(most_on(np.zeros((0, 40)), np.zeros(0), np.zeros(0), KNOWN)) == MOST_ON


def test_campaigns_side_by_side_have_limits_of_their_own() -> None:
    on = np.stack([rows(0, 12), rows(0, 12), rows(12, 12)])
    scores = np.array([[85.0, 60.0], [85.0, 85.0], [60.0, 60.0]])
    assert list(most_on(on, scores, np.ones((3, 2)), KNOWN)) == [2, 12, 12]
