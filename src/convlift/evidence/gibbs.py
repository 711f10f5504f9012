"""One Gibbs sweep over the spike-and-slab regression of `posterior.py`, for many campaigns at once.

Array suffixes: R runs, K candidates, 2 components (spike, slab); `...` independent campaigns side by side.
All numbers are percentage points or their squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

SPIKE_VARIANCE = 0.05**2
SLAB_SCALE = 1.5  # effects that matter are of this size
RESHUFFLE_POINTS = 12.0  # sd over images of what a change does to one image's chance of being right
SEED_SD = 0.5  # what a new seed does to the true accuracy, a guess worth 4 runs
WITHIN = 0.44  # E[p(1-p)] / (A(1-A)): the part of an image's error that a new seed redraws
WEIGHTED_AFTER = 6  # with fewer runs there is no mode to be far from


@dataclass(frozen=True)
class Design:
    """What does not change within a chain: on (..., R, K), scores (..., R) and priors (..., K)."""

    on: Floats
    scores: Floats
    priors: Floats
    n_images: int
    accuracy: float

    @property
    def reshuffle(self) -> float:
        """s2: variance of an effect on these images around the effect on all images."""
        return RESHUFFLE_POINTS**2 / self.n_images

    @property
    def noise_guess(self) -> float:
        """pn: what the variance of one run should be, from the accuracy and the number of images."""
        accuracy = min(max(self.accuracy, 0.0), 1.0)
        return SEED_SD**2 + 100.0**2 * WITHIN * accuracy * (1.0 - accuracy) / self.n_images


@dataclass(frozen=True)
class Chain:
    """Where the sampler stands: effects (..., K) and what is learned about all of them (...,).

    mode: slowly running mean of the effects; runs far from it count less.
    """

    effect: Floats
    population: Floats
    mode: Floats
    slab_share: Floats
    slab_mean: Floats
    slab_variance: Floats
    prior_weight: Floats
    noise: Floats


@dataclass(frozen=True)
class Conditionals:
    """What one sweep knew of each effect given all others: (2, ..., K), slab_logit (..., K), intercept (...,)."""

    slab_logit: Floats
    population_mean: Floats
    population_variance: Floats
    intercept: Floats


def first_chain(design: Design, rng: np.random.Generator) -> Chain:
    """A chain at the prior's centre; K may be 0."""
    zeros = np.zeros_like(design.priors)
    scalar = np.zeros(zeros.shape[:-1])
    return Chain(
        effect=zeros,
        population=rng.normal(0.0, 0.05, zeros.shape),
        mode=zeros,
        slab_share=scalar + 0.4,
        slab_mean=scalar - 0.3,
        slab_variance=scalar + SLAB_SCALE**2,
        prior_weight=scalar + 0.4,
        noise=scalar + design.noise_guess,
    )


def sweep(design: Design, chain: Chain, rng: np.random.Generator) -> tuple[Chain, Conditionals]:
    """Update every effect in random order, then the hyperparameters."""
    weights = run_weights(design.on, chain.mode)
    on, centre = _centred(design.on, weights)
    scores, middle = _centred(design.scores[..., None], weights)
    weighted = np.swapaxes(on * weights[..., None], -1, -2)
    slab_means = chain.slab_mean[..., None] + chain.prior_weight[..., None] * design.priors
    means = np.stack([np.zeros_like(slab_means), slab_means])
    variances = np.stack([np.full_like(chain.noise, SPIKE_VARIANCE), chain.slab_variance]) + design.reshuffle
    drawn = _effects(weighted @ on, (weighted @ scores)[..., 0], chain, (means, variances), rng)

    shrink = ((variances - design.reshuffle) / variances)[..., None]
    conditionals = Conditionals(
        slab_logit=drawn.slab_logit,
        population_mean=means + shrink * (drawn.centres - means),
        population_variance=shrink**2 * drawn.spreads + shrink * design.reshuffle,
        intercept=middle[..., 0] - np.sum(centre * drawn.effect, -1),
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
        _noise(design, np.sum(weights * residual**2, -1), rng),
    ), conditionals


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
    gram: Floats, slope: Floats, chain: Chain, components: tuple[Floats, Floats], rng: np.random.Generator
) -> _Drawn:
    """One pass over the effects in random order, each drawn given all others.

    What does not depend on the others is computed before the loop. Candidates lead in the loop's arrays, so that each
    step touches contiguous memory.
    """
    means, variances = components[0], components[1][..., None]
    diagonal = np.diagonal(gram, axis1=-2, axis2=-1)
    spreads = 1.0 / (diagonal / chain.noise[..., None] + 1.0 / variances)
    share = np.stack([1.0 - chain.slab_share, chain.slab_share])[..., None]
    height = np.log(share) + 0.5 * (np.log(spreads / variances) - means**2 / variances)
    rows, own, spread, base, pull, effect = (
        np.moveaxis(part, -1, 0).copy()
        for part in (gram, diagonal, spreads, height, spreads * means / variances, chain.effect)
    )
    normal = rng.normal(size=spread.shape) * np.sqrt(spread)
    logistic = rng.logistic(size=effect.shape)
    left = slope - (gram @ chain.effect[..., None])[..., 0]
    logit, centres, half, slab = np.empty_like(effect), np.empty_like(spread), 0.5 / spread, effect > 0
    for j in rng.permutation(len(effect)):
        evidence = (left[..., j] + own[j] * effect[j]) / chain.noise
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
    mean = (-0.3 / 0.5**2 + rest / tau2) / precision + rng.normal(size=count.shape) / np.sqrt(precision)
    pull = np.sum(matter * priors * (population - mean[..., None]), -1)
    precision = 1.0 / 0.4**2 + np.sum(matter * priors**2, -1) / tau2
    weight = (0.4 / 0.4**2 + pull / tau2) / precision + rng.normal(size=count.shape) / np.sqrt(precision)
    off = population - mean[..., None] - weight[..., None] * priors
    scaled = (8.0 * SLAB_SCALE**2 + np.sum(matter * off**2, -1)) / rng.chisquare(8.0 + count)
    return share, mean, np.clip(scaled, 0.5**2, 5.0**2), weight


def _noise(design: Design, squares: Floats, rng: np.random.Generator) -> Floats:
    """Draw g (...,), the variance of a run around the model; never under a quarter of what it should be."""
    runs = design.scores.shape[-1]
    guess = design.noise_guess
    drawn = (4.0 * guess + squares) / rng.chisquare(4.0 + max(runs - 1, 0), squares.shape)
    floored: Floats = np.maximum(drawn, guess / 4.0)
    return floored
