"""Ruinous changes are found by elimination."""

import numpy as np

from convlift.evidence import posterior
from convlift.evidence.group_testing import MOST_UNCLEARED, suspect, within_suspicion
from convlift.evidence.image_variance import accuracy_variance


def runs(*on: str) -> np.ndarray:
    return np.array([[letter != "." for letter in row] for row in on])


def test_what_was_on_in_a_sound_run_is_cleared_and_the_last_suspect_is_the_culprit() -> None:
    found = suspect(runs("xxxx..", "xx....", "..x..."), np.array([True, False, False]))
    assert found.cleared.tolist() == [True, True, True, False, False, False]
    assert found.culprits.tolist() == [False, False, False, True, False, False]
    assert found.explained.tolist() == [True, False, False]


def test_two_changes_that_ruin_only_together_stay_evidence() -> None:
    found = suspect(runs("x.", ".x", "xx"), np.array([False, False, True]))
    assert not found.culprits.any()
    assert not found.explained.any()


def test_after_a_collapse_half_as_many_uncleared_changes_are_on() -> None:
    wanted = np.arange(20, 0, -1.0)
    first = np.arange(20) < 12
    found = suspect(first[None], np.array([True]))
    assert found.limit == 6
    assert (within_suspicion(wanted, found) > 0).tolist() == [True] * 6 + [False] * 14
    again = suspect(np.array([first, np.arange(20) < 6, np.arange(20) < 3]), np.array([True, True, False]))
    assert again.limit == 6
    assert (within_suspicion(wanted, again) > 0).tolist() == [True] * 9 + [False] * 11
    assert suspect(first[None], np.array([False])).limit == MOST_UNCLEARED


def test_collapsed_runs_leave_the_other_effects_alone_and_the_culprit_is_not_drawn() -> None:
    rng = np.random.default_rng(0)
    on = rng.random((40, 8)) < 0.4
    scores = 85 + 2.0 * on[:, 0] + rng.normal(0, 0.5, 40)
    ruined = on[:, 7]
    fell = np.where(ruined, 10.0, scores)
    blind = posterior.Trials(on, fell, 1000, accuracy_variance(0.85))
    seeing = posterior.Trials(on, fell, 1000, accuracy_variance(0.85), collapsed=ruined)
    sound = posterior.Trials(on[~ruined], scores[~ruined], 1000, accuracy_variance(0.85))
    blinded, found, alone = (
        posterior.believe(each, np.zeros(8), np.random.default_rng(1), sweeps=400) for each in (blind, seeing, sound)
    )
    assert np.allclose(found.mean[:7], alone.mean[:7], atol=0.25)
    assert blinded.mean[0] < 0.6 * found.mean[0]
    drawn = [posterior.draw(seeing, np.zeros(8), np.full(8, -1), np.random.default_rng(s))[0] for s in range(20)]
    assert not np.any([each[7] for each in drawn])


def test_campaigns_side_by_side_are_read_apart() -> None:
    on = np.stack([runs("xx.", "x.."), runs("xx.", "xx.")])
    found = suspect(on, np.array([[True, False], [False, False]]))
    assert found.culprits.tolist() == [[False, True, False], [False, False, False]]
    assert found.limit.tolist() == [2, 12]
