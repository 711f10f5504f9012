"""What every change is believed to add, and which recipe to train next: one Bayesian regression over all trials.

Spike and slab by Gibbs sampling (George and McCulloch 1993); the next recipe is a posterior draw (Thompson sampling,
Russo et al. 2018). Effects are in percentage points. With y_r the score of run r and x_rj whether change j was on:

    y_r = a + sum_j x_rj b_j + N(0, g / w_r)                       a flat (integrated out)
    b_j ~ (1 - pi) N(0, .05^2 + s2) + pi N(mu + c prior_j, tau^2 + s2)

b_j is the effect on these n images, pop_j the effect on all images: they differ by N(0, s2), because a change that
helps nothing still reshuffles which images are right. pi, mu, tau, c and g are learned.

Array suffixes: R runs, K candidates; `...` stands for independent campaigns that are computed side by side.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from convlift.evidence.changes_per_trial import most_on
from convlift.evidence.gibbs import sweep
from convlift.evidence.group_testing import Suspicion, suspect, within_suspicion
from convlift.evidence.spike_and_slab import Chain, Conditionals, Design, LowFidelityDesign, first_chain

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FRESH_SWEEPS = 30  # burn-in of a chain that starts from nothing: the first trial, or a campaign that is resumed
# where 60% of the changes cost up to three trainings more, true gain .17 / .13 / .70 points for a charge of .2 / .5 / 1
# with time for 12 trainings, .25 / .70 / 1.45 for 30 (simulated: docs/LOG.md)
POINTS_PER_TRAINING = 1.0
LEAN_RUNS, LEAN_IMAGES = 60, 2000
# The mean belief over all changes, each counted as 1 point either way at most, is about -.5 where most of them harm and
# -.1 in the standard world; a few that harm much do not make a harmful pool. In one, shipping only changes of P > .55
# gains .1 to .2 of true gain; elsewhere it would lose .1 to .5 (simulated).
HARMFUL_POOL, COUNTED, WARY = -0.33, 1.0, 0.55


@dataclass(frozen=True)
class LowFidelityRuns:
    """Cheaper runs, shorter or on frozen features.

    on (..., R', K) bool: which candidates each run switched on.
    score_points (..., R'): score in points.

    They have an intercept of their own, and a change's effect in them is a learned multiple of that in full runs, give
    or take .7 points: they point the way, and settle nothing.
    """

    on: Bools
    score_points: Floats


@dataclass(frozen=True)
class Trials:
    """The finished search runs, all from the same starting point.

    on (..., R, K) bool: which candidates each run switched on; runs of the bare starting point are zero rows.
    score_points (..., R): score in points, 0 to 100, on the same `n_images` images; R may be 0.
    image_variance: of one run's score over images, in points squared (accuracy A: 100^2 A(1-A)); it sets how noisy one
        run is believed to be.
    extra_cost (K,): how many trainings of the starting point each change adds to the cost of a run; None for none.
    low_fidelity: the cheaper runs; None for none.
    collapsed (..., R): which runs failed to learn; None for none. Those that the rest explains are no evidence of
        effects (`group_testing.py`); the others count by their score.
    """

    on: Bools
    score_points: Floats
    n_images: int
    image_variance: float
    extra_cost: Floats | None = None
    low_fidelity: LowFidelityRuns | None = None
    collapsed: Bools | None = None

    @property
    def suspicion(self) -> Suspicion | None:
        """Which changes the collapsed runs cast suspicion on; None where none collapsed."""
        if self.collapsed is None or not self.collapsed.any():
            return None
        return suspect(np.asarray(self.on, bool), self.collapsed)


@dataclass(frozen=True)
class Belief:
    """Posterior of the population effects, in points: what the changes add on all images, not only on these.

    mean, sd (..., K): of each effect.
    probability (..., K): that the effect is above zero.
    intercept (...,): score of the bare starting point, in points.
    noise (...,): variance g of one run around the model, in points squared.
    n_images: how many images the scores were measured on.
    agreement (...,): correlation over changes between their effects in cheaper runs and in full ones, 0 where there are
        no cheaper runs.
    tried (..., K): on in at least one run that learned something; None where that is not known.
    """

    mean: Floats
    sd: Floats
    probability: Floats
    intercept: Floats
    noise: Floats
    n_images: int
    agreement: Floats = field(default_factory=lambda: np.zeros(()))
    tried: Bools | None = None


def draw(
    trials: Trials,
    priors: Floats,
    groups: NDArray[np.int64],
    rng: np.random.Generator,
    state: Chain | None = None,
    *,
    sweeps: int = 6,
) -> tuple[Bools, Chain]:
    """The next recipe: every change whose drawn effect is positive, and the chain to go on with.

    priors (..., K): expected effect of each candidate in points.
    groups (K,): -1 for none; candidates with the same other number are levels of one factor and never on together.
    state: the chain that the last call returned; without it a new one is started with more burn-in, so a resumed
        campaign needs nothing but its trials.
    sweeps: for further recipes of one batch 3 are enough.
    At most `changes_per_trial.most_on` changes are on, those with the largest draws. A change that makes the run more
    expensive must be worth the search that it displaces.
    """
    design = _design(trials, priors)
    if state is None:
        state, sweeps = first_chain(design, rng), sweeps + FRESH_SWEEPS
    for _ in range(sweeps):
        state, _ = sweep(design, state, rng)
    charge = POINTS_PER_TRAINING * (0.0 if trials.extra_cost is None else trials.extra_cost)
    wanted = np.where(state.population > charge, state.population, -np.inf)
    suspicion = trials.suspicion
    if suspicion:  # a culprit stands in the way of no other level of its factor
        wanted = np.where(suspicion.culprits, -np.inf, wanted)
    wanted = _one_per_group(wanted, groups)
    if suspicion:
        wanted = within_suspicion(wanted, suspicion)
    sound = design.counts if trials.collapsed is None else np.where(trials.collapsed, 0.0, 1.0)
    limit = most_on(design.on, design.scores, sound, design.noise_guess)
    return _largest(wanted, limit[..., None]), state


def believe(
    trials: Trials, priors: Floats, rng: np.random.Generator, state: Chain | None = None, *, sweeps: int = 100
) -> Belief:
    """The posterior of every effect: `sweeps` sweeps, the first quarter dropped.

    Averages conditional moments rather than draws (Rao-Blackwell): less Monte Carlo error for the same sweeps.
    """
    design = _design(trials, priors)
    if state is None:
        state = first_chain(design, rng)
    first = squares = chance = 0.0 * state.effect
    intercept = noise = agreement = 0.0 * state.noise
    kept = sweeps - sweeps // 4
    for number in range(sweeps):
        state, now = sweep(design, state, rng)
        if number >= sweeps - kept:
            mean, square, positive = _population_moments(now)
            first, squares, chance = first + mean, squares + square, chance + positive
            intercept, noise = intercept + now.intercept, noise + state.noise
            agreement = agreement + now.agreement
    mean = first / kept
    sd = np.sqrt(np.maximum(squares / kept - mean**2, 0.0))
    on = np.asarray(trials.on, bool)
    sound = on if trials.collapsed is None else on & ~trials.collapsed[..., None]
    tried = np.asarray(sound.any(axis=-2))
    return Belief(mean, sd, chance / kept, intercept / kept, noise / kept, trials.n_images, agreement / kept, tried)


def ship(belief: Belief, groups: NDArray[np.int64], runs: int, rule: Literal["auto", "lean", "best"] = "auto") -> Bools:
    """The changes of the shipped recipe (..., K), to be frozen before the sealed test is opened.

    lean: P(effect > 0) > .6, so that few useless changes are carried; best: the best guess, P > .5 (.55 where most of
    the changes are believed to harm) and mean > .03.
    auto takes lean from 60 runs on 2,000 validation images, where it costs little. True gain in points of lean / best,
    and useless changes shipped (200 simulated campaigns, 60 runs): 300 images 4.34 / 5.32 and 1.1 / 7.4; 1,000 images
    4.94 / 5.31 and 1.8 / 6.3; 2,000 images 5.34 / 5.45 and 2.2 / 5.4. One level a group: the largest mean. A change
    that was on in no run that learned something does not ship.
    """
    informed = runs >= LEAN_RUNS and belief.n_images >= LEAN_IMAGES
    if rule == "lean" or (rule == "auto" and informed):
        wanted = belief.probability > 0.6
    else:
        counted = np.clip(belief.mean, -COUNTED, COUNTED)
        pool = counted.mean(axis=-1, keepdims=True) if counted.shape[-1] else 0.0
        wanted = (belief.probability > np.where(pool < HARMFUL_POOL, WARY, 0.5)) & (belief.mean > 0.03)
    if belief.tried is not None:
        wanted = wanted & belief.tried
    return np.isfinite(_one_per_group(np.where(wanted, belief.mean, -np.inf), groups))


def _design(trials: Trials, priors: Floats) -> Design:
    on = np.asarray(trials.on, np.float64)
    scores = np.asarray(trials.score_points, np.float64)
    priors = np.broadcast_to(np.asarray(priors, np.float64), on.shape[:-2] + on.shape[-1:])
    cheaper, low_fidelity = trials.low_fidelity, None
    if cheaper is not None and cheaper.on.shape[-2]:
        scored = np.asarray(cheaper.score_points, np.float64)
        low_fidelity = LowFidelityDesign(np.asarray(cheaper.on, np.float64), scored)
    counts = np.ones_like(scores)
    if suspicion := trials.suspicion:
        counts = counts - suspicion.explained
    return Design(on, scores, priors, counts, trials.n_images, trials.image_variance, low_fidelity)


def _population_moments(now: Conditionals) -> tuple[Floats, Floats, Floats]:
    """Mean, mean square and chance of being positive of each population effect given all else: (..., K) each."""
    slab = expit(now.slab_logit)
    share = np.stack([1.0 - slab, slab])
    variance = now.population_variance
    mean = np.sum(share * now.population_mean, axis=0)
    square = np.sum(share * (now.population_mean**2 + variance), axis=0)
    positive = np.sum(share * ndtr(now.population_mean / np.sqrt(variance)), axis=0)
    return mean, square, positive


def _one_per_group(values: Floats, groups: NDArray[np.int64]) -> Floats:
    """Within every group all but the largest value become -inf."""
    values = values.copy()
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        best = members[np.argmax(values[..., members], axis=-1)]
        loses = members != np.expand_dims(best, -1)
        values[..., members] = np.where(loses, -np.inf, values[..., members])
    return values


def _largest(values: Floats, limit: NDArray[np.int64]) -> Bools:
    """The finite entries among the `limit` (..., 1) largest of the last axis."""
    rank = np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1, kind="stable")
    chosen: Bools = np.isfinite(values) & (rank < limit)
    return chosen
