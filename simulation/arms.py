"""Campaigns that start from another network than the baseline, whose seeds need not differ as much: is a gain of
nothing proven, and do intervals cover?

The search, the final runs and what it says of the seeds are those of `campaigns.py`; the baseline is another network on
the same images (`worlds.other`), as good as the bare start but for `gain`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.evidence import seeds, single_changes, total_gain
from simulation.campaigns import gains, play
from simulation.worlds import FALL, Setting, World, make_world, other, run

Floats = NDArray[np.float64]

CLOSE, LEAST_LEFT = 3.0, 3  # campaign/judge.py


@dataclass(frozen=True)
class Arms:
    """One cell: sd of the seeds of the baseline and of what grows out of the start, in points; the chance of a fall;
    runs an arm, search runs (the first is the bare start), images, and what the start adds. rivals: how many equally
    good networks, seeds as the baseline's, were probed once beside it; 0 where the start was not chosen by luck.
    leave_out: the rule for the run that lost that choice; same_start: the baseline is the start."""

    before: float = 0.5
    after: float = 0.5
    falls: float = 0.0
    baselines: int = 5
    finals: int = 2
    searched: int = 12
    images: int = 400
    accuracy: float = 0.85
    gain: float = 0.0
    kind: str = "null"
    K: int = 20
    rivals: int = 0
    leave_out: bool = True
    same_start: bool = False


@dataclass(frozen=True)
class Rates:
    """Shares of the campaigns: gain proven, loss proven, intervals of gain and score that cover; and means: the gain's
    error and half-width in points, changes proven a campaign. campaigns: how many there were; any_false: a change that
    does nothing was proven."""

    campaigns: int
    proven: float
    worse: float
    covers: float
    score: float
    bias: float
    half_width: float
    changes: float
    any_false: float


def rates(cell: Arms, campaigns: int, seed: int, part: int = 50) -> Rates:
    """Over so many campaigns; with rivals, over those of them in which another network was chosen."""
    rows = np.array([row for number in range(campaigns // part) for row in _played(cell, part, [seed, number])])
    names = list(Rates.__dataclass_fields__)[1:]
    return Rates(len(rows), *(float(rows[:, place].mean()) for place, _ in enumerate(names)))


def _played(cell: Arms, part: int, seed: list[int]) -> Iterator[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    n = 300
    setting = Setting(
        kind=cell.kind, n=n, n_test=cell.images, s=cell.after, B=cell.searched + cell.finals, K=cell.K,
        campaigns=part, accuracy=cell.accuracy + cell.gain / 100, falls=cell.falls,
    )  # fmt: skip
    world = make_world(setting, rng)
    played = play(world, rng, arms=(1, cell.finals))
    everything = slice(None)
    if cell.same_start:
        baselines = run(world, np.zeros((part, cell.baselines, cell.K), bool), rng, everything)
        on, test = _beside(played.on, baselines), np.concatenate([baselines[..., n:], played.test], axis=1)
    else:
        stranger = other(world, rng, s=cell.before, points=-cell.gain)
        baselines = run(stranger, np.ones((part, cell.baselines, 1), bool), rng, everything)
        on, test = played.on, played.test
    lead = _lead(cell, world, rng, 100.0 * baselines[..., :n].mean(-1))
    added = gains(world, played.shipped)
    down = cell.falls * np.mean(FALL)
    for c in range(part):
        if lead[c] < 0:
            continue
        arm = baselines[c]
        lucky = bool(cell.rivals) and _is_close(lead[c], arm[1 if len(arm) > 2 else 0 :, :n])
        if lucky and cell.leave_out and len(arm) > LEAST_LEFT:
            arm, lucky = arm[1:], False
        tests = single_changes.test_changes(on[c], test[c], asked=played.shipped[c])
        scores = total_gain.ArmScores(arm[:, n:], played.test[c, -cell.finals :])
        judged = total_gain.judge(scores, tests.seed_variance, same_start=cell.same_start)
        gain, score = judged.gain_points, judged.final
        true, true_score = added[c] + cell.gain, 100 * setting.accuracy + added[c] - down
        yield (
            judged.proven and not (lucky and cell.leave_out), gain.high < 0, gain.low <= true <= gain.high,
            100 * score.low <= true_score <= 100 * score.high, gain.value - true, (gain.high - gain.low) / 2,
            tests.proven.sum(), (tests.proven & (world.effects[c] <= 0)).any(),
        )  # fmt: skip


def _beside(on: NDArray[np.bool_], baselines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([np.zeros((*baselines.shape[:2], on.shape[2]), bool), on], axis=1)


def _lead(cell: Arms, world: World, rng: np.random.Generator, scores: Floats) -> Floats:
    """By how much the best of the probed networks beats the first run of the baseline on validation; 0 where none was
    probed."""
    if not cell.rivals:
        return np.zeros(len(scores))
    start_runs = []
    for _ in range(cell.rivals):
        one = np.ones((len(scores), 1, 1), bool)
        network = other(replace(world, images=world.images[:, :300]), rng, s=cell.before, points=-cell.gain)
        start_runs.append(100.0 * run(network, one, rng, slice(None)).mean(-1)[:, 0])
    return np.max(start_runs, axis=0) - scores[:, 0]


def _is_close(lead: float, others: NDArray[np.bool_]) -> bool:
    if not len(others):
        return False
    images = 100.0 * others
    return bool(lead < CLOSE * np.sqrt(2.0 * seeds.score_variance(images.mean(1), images)))
