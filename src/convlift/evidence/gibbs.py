"""One Gibbs sweep over the spike-and-slab regression of `posterior.py`, for many campaigns at once.

Array suffixes: R runs, K candidates, 2 components (spike, slab); `...` independent campaigns side by side.
All numbers are percentage points or their squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

# What a change of the slab is expected to add. Long lists hold what promises little, and a change of theirs loses more
# often than it helps. Among 20 and fewer, expecting a loss costs .1 of true gain where none harms and .2 to .6 where
# they help each other, and gains nothing where some harm; among 40, expecting none costs .1 (simulated).
SHORT_LIST, SLAB_MEAN, SLAB_MEAN_OF_SHORT = 20, -0.3, 0.0
SPIKE_VARIANCE = 0.05**2
SLAB_SCALE = 1.5  # effects that matter are of this size
RESHUFFLE_POINTS = 12.0  # sd over images of what a change does to one image's chance of being right
SEED_SD = 0.5  # what a new seed does to the true accuracy, a guess worth 4 runs
WITHIN = 0.44  # E[p(1-p)] / (A(1-A)): the part of an image's error that a new seed redraws
WEIGHTED_AFTER = 6  # with fewer runs there is no mode to be far from


# Effects in cheaper runs are about KAPPA times those in full ones, each off by some LOW_FIDELITY_SD points of its own;
# both are learned. At LOW_FIDELITY_SD .7 with 4 degrees of freedom a tier that has little to do with full runs costs a
# point more where most changes harm, and gains .1 more where it agrees well (150 simulated campaigns a cell).
KAPPA, KAPPA_SD, LOW_FIDELITY_SD, LOW_FIDELITY_DF = 0.7, 0.3, 1.5, 2.0


@dataclass(frozen=True)
class LowFidelityDesign:
    """Cheaper runs: on (..., R', K), scores (..., R')."""

    on: Floats
    scores: Floats


@dataclass(frozen=True)
class Design:
    """What does not change within a chain: on (..., R, K), scores (..., R) and priors (..., K).

    counts (..., R): 1 for a run that is evidence, 0 for one that is not.
    """

    on: Floats
    scores: Floats
    priors: Floats
    counts: Floats
    n_images: int
    image_variance: float
    low_fidelity: LowFidelityDesign | None = None

    @property
    def reshuffle(self) -> float:
        """s2: variance of an effect on these images around the effect on all images."""
        return RESHUFFLE_POINTS**2 / self.n_images

    @property
    def noise_guess(self) -> float:
        """pn: what the variance of one run should be, from how images vary and how many there are."""
        return SEED_SD**2 + WITHIN * self.image_variance / self.n_images


@dataclass(frozen=True)
class Chain:
    """Where the sampler stands: effects (..., K) and what is learned about all of them (...,).

    mode: slowly running mean of the effects; runs far from it count less. kappa, low_fidelity_noise: of the cheaper
    runs."""

    effect: Floats
    population: Floats
    mode: Floats
    slab_share: Floats
    slab_mean: Floats
    slab_variance: Floats
    prior_weight: Floats
    noise: Floats
    kappa: Floats
    low_fidelity_variance: Floats
    low_fidelity_noise: Floats


@dataclass(frozen=True)
class Conditionals:
    """What one sweep knew of each effect given all others: (2, ..., K), slab_logit (..., K), intercept (...,).

    agreement (...,): correlation over changes between effects in cheaper runs and in full ones, as drawn; 0 for none.
    """

    slab_logit: Floats
    population_mean: Floats
    population_variance: Floats
    intercept: Floats
    agreement: Floats


def slab_mean(changes: int) -> float:
    """The prior's centre of mu, in points, for a list of so many changes."""
    return SLAB_MEAN_OF_SHORT if changes <= SHORT_LIST else SLAB_MEAN


def first_chain(design: Design, rng: np.random.Generator) -> Chain:
    """A chain at the prior's centre; K may be 0."""
    zeros = np.zeros_like(design.priors)
    scalar = np.zeros(zeros.shape[:-1])
    return Chain(
        effect=zeros,
        population=rng.normal(0.0, 0.05, zeros.shape),
        mode=zeros,
        slab_share=scalar + 0.4,
        slab_mean=scalar + slab_mean(zeros.shape[-1]),
        slab_variance=scalar + SLAB_SCALE**2,
        prior_weight=scalar + 0.4,
        noise=scalar + design.noise_guess,
        kappa=scalar + KAPPA,
        low_fidelity_variance=scalar + LOW_FIDELITY_SD**2,
        low_fidelity_noise=scalar + design.noise_guess,
    )


def sweep(design: Design, chain: Chain, rng: np.random.Generator) -> tuple[Chain, Conditionals]:
    """Update every effect in random order, then the hyperparameters."""
    weights = design.counts * run_weights(design.on, chain.mode)
    on, centre = _centred(design.on, weights)
    scores, middle = _centred(design.scores[..., None], weights)
    weighted = np.swapaxes(on * weights[..., None], -1, -2)
    slab_means = chain.slab_mean[..., None] + chain.prior_weight[..., None] * design.priors
    means = np.stack([np.zeros_like(slab_means), slab_means])
    variances = np.stack([np.full_like(chain.noise, SPIKE_VARIANCE), chain.slab_variance]) + design.reshuffle
    heard = _listen(design, chain, rng)
    drawn = _effects(weighted @ on, (weighted @ scores)[..., 0], chain, (means, variances), heard, rng)

    shrink = ((variances - design.reshuffle) / variances)[..., None]
    conditionals = Conditionals(
        slab_logit=drawn.slab_logit,
        population_mean=means + shrink * (drawn.centres - means),
        population_variance=shrink**2 * drawn.spreads + shrink * design.reshuffle,
        intercept=middle[..., 0] - np.sum(centre * drawn.effect, -1),
        agreement=_correlation(heard, drawn.effect),
    )
    own_mean, own_shrink = (np.where(drawn.slab, part[1], part[0]) for part in (means, shrink))
    population = own_mean + own_shrink * (drawn.effect - own_mean)
    population += rng.normal(size=population.shape) * np.sqrt(own_shrink * design.reshuffle)
    chance = expit(drawn.slab_logit)
    expected = (1.0 - chance) * drawn.centres[0] + chance * drawn.centres[1]
    residual = scores[..., 0] - (on @ drawn.effect[..., None])[..., 0]
    return Chain(
        drawn.effect,
        population,
        chain.mode + 0.3 * (expected - chain.mode),
        *_slab_parameters(population, drawn.slab, design.priors, chain, rng),
        _noise(design, design.counts.sum(-1), np.sum(weights * residual**2, -1), rng),
        *_kappa(heard, chain, drawn.effect, rng),
        heard.noise,
    ), conditionals


@dataclass(frozen=True)
class _Heard:
    """What the cheaper runs say of the effects: in them (..., K), as a precision and a slope for each effect in full
    runs; asked (..., K): which changes they had on at all. Their noise (...,)."""

    effect: Floats
    asked: NDArray[np.bool_]
    precision: Floats
    slope: Floats
    noise: Floats


def _listen(design: Design, chain: Chain, rng: np.random.Generator) -> _Heard:
    """Draw the effects in the cheaper runs, which have an intercept of their own: b' ~ N(kappa b, v), v learned."""
    if design.low_fidelity is None:
        nothing = np.zeros_like(chain.effect)
        return _Heard(nothing, nothing > 0, nothing, nothing, chain.low_fidelity_noise)
    flat = np.ones(design.low_fidelity.scores.shape)
    on, _ = _centred(design.low_fidelity.on, flat)
    scores, _ = _centred(design.low_fidelity.scores[..., None], flat)
    turned = np.swapaxes(on, -1, -2)
    noise, kappa, own = (
        chain.low_fidelity_noise[..., None],
        chain.kappa[..., None],
        chain.low_fidelity_variance[..., None],
    )
    precision = turned @ on / noise[..., None] + np.eye(on.shape[-1]) / own[..., None]
    root = np.linalg.cholesky(precision)
    slope = (turned @ scores)[..., 0] / noise + kappa * chain.effect / own
    middle = np.linalg.solve(precision, slope[..., None])
    spread = np.linalg.solve(np.swapaxes(root, -1, -2), rng.normal(size=middle.shape))
    effect = (middle + spread)[..., 0]
    asked = np.any(on != 0, axis=-2)
    residual = (scores - on @ effect[..., None])[..., 0]
    runs = np.full(residual.shape[:-1], residual.shape[-1], float)
    drawn = _noise(design, runs, np.sum(residual**2, -1), rng)
    return _Heard(effect, asked, asked * kappa**2 / own, asked * kappa * effect / own, drawn)


def _kappa(heard: _Heard, chain: Chain, effect: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw how much of an effect in full runs shows in cheaper ones (...,), never below zero, and the variance of what
    they show beside it."""
    if not heard.asked.any():
        return chain.kappa, chain.low_fidelity_variance
    own = chain.low_fidelity_variance
    precision = 1.0 / KAPPA_SD**2 + np.sum(heard.asked * effect**2, -1) / own
    pull = np.sum(heard.asked * effect * heard.effect, -1) / own
    drawn = (KAPPA / KAPPA_SD**2 + pull) / precision + rng.normal(size=precision.shape) / np.sqrt(precision)
    kappa = np.maximum(drawn, 0.0)
    off = np.sum(heard.asked * (heard.effect - kappa[..., None] * effect) ** 2, -1)
    scaled = (LOW_FIDELITY_DF * LOW_FIDELITY_SD**2 + off) / rng.chisquare(LOW_FIDELITY_DF + heard.asked.sum(-1))
    return kappa, np.clip(scaled, 0.3**2, 5.0**2)


def _correlation(heard: _Heard, effect: Floats) -> Floats:
    """Over the changes that the cheaper runs had on: (...,)."""
    count = np.maximum(heard.asked.sum(-1), 1)[..., None]
    here, there = (
        heard.asked * (b - np.sum(heard.asked * b, -1, keepdims=True) / count) for b in (effect, heard.effect)
    )
    size = np.sqrt(np.sum(here**2, -1) * np.sum(there**2, -1))
    found: Floats = np.sum(here * there, -1) / np.maximum(size, 1e-12)
    return found


def run_weights(on: Floats, mode: Floats) -> Floats:
    """How much each run (..., R) counts: 1 / (1 + (h/5)^2), h its distance in points from the current mode.

    Effects are those around the mode: interactions make runs far from it worse witnesses of what a change adds there.
    """
    if on.shape[-2] <= WEIGHTED_AFTER:
        return np.ones(on.shape[:-1])
    here = (mode > 0)[..., None, :]
    size = np.minimum(np.abs(mode), 2.0)
    distance = np.einsum("...rk,...k->...r", np.abs(on - here), size)
    weights: Floats = 1.0 / (1.0 + (distance / 5.0) ** 2)
    return weights


def _centred(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Columns (..., R, k) less their weighted means, and those means (..., k): integrates the intercept out."""
    total = np.maximum(weights.sum(-1), 1e-12)[..., None]
    means = np.sum(weights[..., None] * values, axis=-2) / total
    return values - means[..., None, :], means


@dataclass(frozen=True)
class _Drawn:
    """effect, slab, slab_logit (..., K); centres, spreads (2, ..., K): conditional mean and variance by component."""

    effect: Floats
    slab: NDArray[np.bool_]
    slab_logit: Floats
    centres: Floats
    spreads: Floats


def _effects(
    gram: Floats,
    slope: Floats,
    chain: Chain,
    components: tuple[Floats, Floats],
    heard: _Heard,
    rng: np.random.Generator,
) -> _Drawn:
    """One pass over the effects in random order, each drawn given all others.

    What does not depend on the others is computed before the loop. Candidates lead in the loop's arrays, so that each
    step touches contiguous memory.
    """
    means, variances = components[0], components[1][..., None]
    diagonal = np.diagonal(gram, axis1=-2, axis2=-1)
    spreads = 1.0 / (diagonal / chain.noise[..., None] + heard.precision + 1.0 / variances)
    share = np.stack([1.0 - chain.slab_share, chain.slab_share])[..., None]
    height = np.log(share) + 0.5 * (np.log(spreads / variances) - means**2 / variances)
    rows, own, spread, base, pull, effect, told = (
        np.moveaxis(part, -1, 0).copy()
        for part in (gram, diagonal, spreads, height, spreads * means / variances, chain.effect, heard.slope)
    )
    normal = rng.normal(size=spread.shape) * np.sqrt(spread)
    logistic = rng.logistic(size=effect.shape)
    left = slope - (gram @ chain.effect[..., None])[..., 0]
    logit, centres, half, slab = np.empty_like(effect), np.empty_like(spread), 0.5 / spread, effect > 0
    for j in rng.permutation(len(effect)):
        evidence = (left[..., j] + own[j] * effect[j]) / chain.noise + told[j]
        centre = spread[j] * evidence + pull[j]
        heights = base[j] + half[j] * centre * centre
        logit[j], centres[j] = heights[1] - heights[0], centre
        slab[j] = logit[j] > logistic[j]
        new = np.where(slab[j], centre[1] + normal[j, 1], centre[0] + normal[j, 0])
        left -= rows[j] * (new - effect[j])[..., None]
        effect[j] = new
    return _Drawn(
        np.moveaxis(effect, 0, -1), np.moveaxis(slab, 0, -1), np.moveaxis(logit, 0, -1), np.moveaxis(centres, 0, -1),
        spreads,
    )  # fmt: skip


def _slab_parameters(
    population: Floats, slab: NDArray[np.bool_], priors: Floats, chain: Chain, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Draw pi, mu, tau^2 and c (...,) given which effects matter and how large they are."""
    matter, count = slab.astype(np.float64), slab.sum(-1)
    share = rng.beta(4.0 + count, 6.0 + population.shape[-1] - count)
    tau2, weight = chain.slab_variance, chain.prior_weight
    rest = np.sum(matter * (population - weight[..., None] * priors), -1)
    precision = 1.0 / 0.5**2 + count / tau2
    expected = slab_mean(population.shape[-1])
    mean = (expected / 0.5**2 + rest / tau2) / precision + rng.normal(size=count.shape) / np.sqrt(precision)
    pull = np.sum(matter * priors * (population - mean[..., None]), -1)
    precision = 1.0 / 0.4**2 + np.sum(matter * priors**2, -1) / tau2
    weight = (0.4 / 0.4**2 + pull / tau2) / precision + rng.normal(size=count.shape) / np.sqrt(precision)
    off = population - mean[..., None] - weight[..., None] * priors
    scaled = (8.0 * SLAB_SCALE**2 + np.sum(matter * off**2, -1)) / rng.chisquare(8.0 + count)
    return share, mean, np.clip(scaled, 0.5**2, 5.0**2), weight


def _noise(design: Design, runs: Floats, squares: Floats, rng: np.random.Generator) -> Floats:
    """Draw g (...,), the variance of a run around the model; never under a quarter of what it should be."""
    guess = design.noise_guess
    drawn = (4.0 * guess + squares) / rng.chisquare(4.0 + np.maximum(runs - 1, 0), squares.shape)
    floored: Floats = np.maximum(drawn, guess / 4.0)
    return floored
