"""Whole campaigns in a simulated world: ours by the room's public functions alone, and the naive rivals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.evidence import attribution, posterior, single_changes, total_gain
from convlift.evidence.image_variance import accuracy_variance
from convlift.evidence.power import baseline_and_final_runs
from convlift.records.result import Estimate
from simulation.worlds import World, run

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Played:
    """on (C, B, K): every run, runs of the baseline first, finals last; validation (C, B) and test (C, B, nt) right or
    wrong."""

    on: Bools
    validation: Bools
    test: Bools
    shipped: Bools  # (C, K)
    belief: posterior.Belief
    baselines: int
    finals: int


def play(
    world: World,
    rng: np.random.Generator,
    *,
    use_priors: bool = False,
    rule: str = "auto",
    groups=None,
    low_fidelity: tuple[World, int, float] | None = None,
    arms: tuple[int, int] | None = None,
) -> Played:
    """Steps 1 to 5 for all campaigns side by side; the test's right and wrong are kept, never looked at.

    low-fidelity trials: the world of cheaper runs, how many of them come first, and what part of a training each costs.
    arms: runs of the bare start and final runs, None for the plan's."""
    setting = world.setting
    C, K, n = setting.campaigns, setting.K, setting.n
    baselines, finals = arms or baseline_and_final_runs(setting.B)
    asked = None if low_fidelity is None else _low_fidelity(*low_fidelity[:2], rng, np.zeros((C, K)))
    spent = 0 if low_fidelity is None else round(low_fidelity[1] * low_fidelity[2])
    groups = np.full(K, -1) if groups is None else groups
    priors = world.priors if use_priors else np.zeros((C, K))
    on = np.zeros((C, setting.B, K), bool)
    right = np.zeros((C, setting.B, world.images.shape[1]), bool)
    right[:, :baselines] = run(world, on[:, :baselines], rng, slice(None))
    state = None
    searched = setting.B - finals - spent
    for r in range(baselines, searched):
        recipe, state = posterior.draw(_trials(on, right, r, n, asked), priors, groups, rng, state)
        on[:, r] = recipe
        right[:, r] = run(world, on[:, r : r + 1], rng, slice(None))[:, 0]
    belief = posterior.believe(_trials(on, right, searched, n, asked), priors, rng, state)
    shipped = posterior.ship(belief, groups, setting.B, rule)
    on[:, setting.B - finals :] = shipped[:, None]
    right[:, setting.B - finals :] = run(world, on[:, setting.B - finals :], rng, slice(None))
    made = np.r_[:searched, setting.B - finals : setting.B]
    return Played(on[:, made], right[:, made, :n], right[:, made, n:], shipped, belief, baselines, finals)


def _low_fidelity(tier: World, number: int, rng: np.random.Generator, priors: Floats) -> posterior.LowFidelityRuns:
    """Cheaper runs, each drawn from the belief over those before it; the first is the bare start."""
    C, K, n = *priors.shape, tier.setting.n
    on, right = np.zeros((C, number, K), bool), np.zeros((C, number, n), bool)
    state = None
    for r in range(number):
        if r:
            on[:, r], state = posterior.draw(_trials(on, right, r, n), priors, np.full(K, -1), rng, state)
        right[:, r] = run(tier, on[:, r : r + 1], rng, slice(0, n))[:, 0]
    return posterior.LowFidelityRuns(on, 100 * right.mean(-1))


def _trials(
    on: Bools, right: Bools, runs: int, n: int, low_fidelity: posterior.LowFidelityRuns | None = None
) -> posterior.Trials:
    scores = 100 * right[:, :runs, :n].mean(-1)
    sound = scores.max(axis=1, initial=100.0 / 3, keepdims=True)
    collapsed = scores < sound / 2
    spread = accuracy_variance(float(scores[~collapsed].mean()) / 100 if runs else 0.85)
    return posterior.Trials(on[:, :runs], scores, n, spread, low_fidelity=low_fidelity, collapsed=collapsed)


def gains(world: World, shipped: Bools) -> Floats:
    """True gain in points of recipes (C, K) over the baseline."""
    return world.points(shipped[:, None])[:, 0] - 100 * world.setting.accuracy


@dataclass(frozen=True)
class Judged:
    """What the opened test says of C campaigns; gains and shares come with their truths, in points."""

    gain: Floats  # (C, 3): value, low, high
    true_gain: Floats
    score: Floats  # (C, 3), of the final recipe
    true_score: Floats
    total_proven: Bools
    proven: Bools  # (C, K)
    share_covered: Bools  # one entry for every shipped change of every campaign
    belief: posterior.Belief  # (C, K), from validation and test together


def judge(world: World, played: Played, rng: np.random.Generator) -> Judged:
    """Steps 5 to 7 for every campaign."""
    both = np.concatenate([played.validation, played.test], axis=2)
    trials = posterior.Trials(played.on, 100 * both.mean(-1), both.shape[2], accuracy_variance(float(both.mean())))
    belief = posterior.believe(trials, np.zeros(played.shipped.shape), rng)
    true_gain, true_shares = gains(world, played.shipped), world.shares(played.shipped)
    finals, proven, covered = [], [], []
    for c in range(world.setting.campaigns):
        tests = single_changes.test_changes(played.on[c], played.test[c], asked=played.shipped[c])
        arms = total_gain.ArmScores(played.test[c, : played.baselines], played.test[c, -played.finals :])
        finals.append(total_gain.judge(arms, tests.seed_variance, same_start=True))
        proven.append(tests.proven)
        one = posterior.Belief(
            belief.mean[c], belief.sd[c], belief.probability[c], belief.intercept[c], belief.noise[c], 0
        )
        share = attribution.shares(one, played.shipped[c], finals[-1].gain_points.value)
        covered.append(((share.low <= true_shares[c]) & (true_shares[c] <= share.high))[played.shipped[c]])
    return Judged(
        np.array([_triple(j.gain_points) for j in finals]),
        true_gain,
        100 * np.array([_triple(j.final) for j in finals]),
        true_gain + 100 * world.setting.accuracy,
        np.array([j.proven for j in finals]),
        np.array(proven),
        np.concatenate(covered),
        belief,
    )


def _triple(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def covers(intervals: Floats, truth: Floats) -> float:
    """The share of intervals (C, 3) that hold their truth (C,)."""
    return float(np.mean((intervals[:, 1] <= truth) & (truth <= intervals[:, 2])))


def keep_if_better(world: World, rng: np.random.Generator, flips: float = 0.0) -> tuple[Bools, Floats]:
    """The naive search: change something, train once, keep it if the validation score rose.

    flips = 0 adds the next candidate in turn; flips = 4 flips about four at random (the rival called evo4). Returns the
    kept recipes (C, K) and the score that such a search reports, in points.
    """
    setting = world.setting
    C, K = setting.campaigns, setting.K
    validation = slice(0, setting.n)
    current = np.zeros((C, K), bool)
    best = 100 * run(world, current[:, None], rng, validation).mean(-1)[:, 0]
    order = np.argsort(rng.random((C, K)), axis=1)
    for r in range(setting.B - 1):
        if flips:
            change = rng.random((C, K)) < flips / K
            nothing = ~change.any(1)
            change[nothing, rng.integers(0, K, nothing.sum())] = True
        else:
            change = np.arange(K) == order[:, r % K, None]
        trial = current ^ change
        score = 100 * run(world, trial[:, None], rng, validation).mean(-1)[:, 0]
        better = score > best
        current = np.where(better[:, None], trial, current)
        best = np.where(better, score, best)
    return current, best


def best_of_eight(world: World, rng: np.random.Generator) -> tuple[Bools, Floats]:
    """Eight recipes a round, each with about four flips from the best so far; the best of them is kept if it is better.

    Returns what `keep_if_better` returns.
    """
    setting = world.setting
    C, K = setting.campaigns, setting.K
    validation, everyone = slice(0, setting.n), np.arange(C)
    current = np.zeros((C, K), bool)
    best = 100 * run(world, current[:, None], rng, validation).mean(-1)[:, 0]
    left = setting.B - 1
    while left:
        size = min(8, left)
        trials = current[:, None] ^ (rng.random((C, size, K)) < 4.0 / K)
        scores = 100 * run(world, trials, rng, validation).mean(-1)
        winner = scores.argmax(axis=1)
        better = scores[everyone, winner] > best
        current = np.where(better[:, None], trials[everyone, winner], current)
        best = np.where(better, scores[everyone, winner], best)
        left -= size
    return current, best
