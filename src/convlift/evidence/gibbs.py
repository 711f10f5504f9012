"""One Gibbs sweep over the spike-and-slab regression of `posterior.py`, for many campaigns at once.

Array suffixes: R runs, K candidates, 2 components (spike, slab); `...` independent campaigns side by side.
All numbers are percentage points or their squares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from convlift.evidence.multi_fidelity import CheaperEffects, correlation, draw_cheaper_effects, draw_kappa
from convlift.evidence.spike_and_slab import (
    SLAB_SCALE,
    SPIKE_VARIANCE,
    WEIGHTED_AFTER,
    Chain,
    Conditionals,
    Design,
    Floats,
    centred,
    draw_noise,
    slab_mean,
)


def sweep(design: Design, chain: Chain, rng: np.random.Generator) -> tuple[Chain, Conditionals]:
    """Update every effect in random order, then the hyperparameters (George and McCulloch 1993).

    The effects b_j are those on these n images. What a change adds on all images differs from b_j by N(0, s2), and
    follows from b_j by the normal distribution of one of two correlated quantities given the other.
    """
    weights = design.counts * run_weights(design.on, chain.mode)
    # the intercept has a flat prior, so subtracting weighted means integrates it out: it need not be drawn
    on, centre = centred(design.on, weights)
    scores, middle = centred(design.scores[..., None], weights)
    weighted = np.swapaxes(on * weights[..., None], -1, -2)
    # an effect is nearly nothing (spike) or of a size worth having (slab); either way s2 is added, because even a
    # change that does nothing moves the score on these images
    slab_means = chain.slab_mean[..., None] + chain.prior_weight[..., None] * design.priors
    means = np.stack([np.zeros_like(slab_means), slab_means])
    variances = np.stack([np.full_like(chain.noise, SPIKE_VARIANCE), chain.slab_variance]) + design.reshuffle
    cheaper = draw_cheaper_effects(design, chain, rng)
    drawn = _effects(weighted @ on, (weighted @ scores)[..., 0], chain, (means, variances), cheaper, rng)

    # regression of the effect on all images on that on these: the part of the variance that is no reshuffling
    shrink = ((variances - design.reshuffle) / variances)[..., None]
    # moments given all other effects rather than the draws themselves: their average over sweeps has less Monte Carlo
    # error (Rao-Blackwell)
    conditionals = Conditionals(
        slab_logit=drawn.slab_logit,
        population_mean=means + shrink * (drawn.centres - means),
        population_variance=shrink**2 * drawn.spreads + shrink * design.reshuffle,
        intercept=middle[..., 0] - np.sum(centre * drawn.effect, -1),
        agreement=correlation(cheaper, drawn.effect) if design.low_fidelity else np.zeros_like(chain.noise),
    )
    # the hyperparameters describe effects on all images, so that they are learned from draws of these
    own_mean, own_shrink = (np.where(drawn.slab, part[1], part[0]) for part in (means, shrink))
    population = own_mean + own_shrink * (drawn.effect - own_mean)
    population += rng.normal(size=population.shape) * np.sqrt(own_shrink * design.reshuffle)
    # the mode follows the expected effect, and slowly: weights that followed every draw would jump from sweep to sweep
    chance = expit(drawn.slab_logit)
    expected = (1.0 - chance) * drawn.centres[0] + chance * drawn.centres[1]
    residual = scores[..., 0] - (on @ drawn.effect[..., None])[..., 0]
    return Chain(
        drawn.effect,
        population,
        chain.mode + 0.3 * (expected - chain.mode),
        *_slab_parameters(population, drawn.slab, design.priors, chain, rng),
        draw_noise(design, design.counts.sum(-1), np.sum(weights * residual**2, -1), rng),
        *draw_kappa(cheaper, chain, drawn.effect, rng),
        cheaper.noise,
    ), conditionals


def run_weights(on: Floats, mode: Floats) -> Floats:
    """How much each run (..., R) counts: 1 / (1 + (h/5)^2), h its distance in points from the current mode.

    Effects are those around the mode: interactions make runs far from it worse evidence of what a change adds there.
    """
    if on.shape[-2] <= WEIGHTED_AFTER:
        return np.ones(on.shape[:-1])
    here = (mode > 0)[..., None, :]
    size = np.minimum(np.abs(mode), 2.0)
    distance = np.einsum("...rk,...k->...r", np.abs(on - here), size)
    weights: Floats = 1.0 / (1.0 + (distance / 5.0) ** 2)
    return weights


@dataclass(frozen=True)
class _Drawn:
    """The effects of one pass.

    effect (..., K): as drawn.
    slab, slab_logit (..., K): whether the change belongs to the slab, and the log odds of it.
    centres, spreads (2, ..., K): conditional mean and variance by component.
    """

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
    cheaper: CheaperEffects,
    rng: np.random.Generator,
) -> _Drawn:
    """One pass over the effects in random order, each drawn with its component given all others (Geweke 1996).

    gram (..., K, K), slope (..., K): X'WX and X'Wy of the centred design and scores; components: means (2, ..., K) and
    variances (2, ...). Given the others, b_j has a normal likelihood, of precision d_j/g where d_j is gram's diagonal,
    and in each component a normal prior N(m, v). So in each component its posterior is normal, of variance
    s = 1 / (d_j/g + 1/v) and mean c, and the component's weight is its share times the likelihood with b_j integrated
    out, which is proportional to sqrt(s/v) exp((c^2/s - m^2/v) / 2).

    What does not depend on the others is computed before the loop. Candidates lead in the loop's arrays, so that each
    step touches contiguous memory.
    """
    means, variances = components[0], components[1][..., None]
    diagonal = np.diagonal(gram, axis1=-2, axis2=-1)
    spreads = 1.0 / (diagonal / chain.noise[..., None] + cheaper.precision + 1.0 / variances)
    # log weight of each component without c^2/s, the one term that depends on the other effects
    share = np.stack([1.0 - chain.slab_share, chain.slab_share])[..., None]
    height = np.log(share) + 0.5 * (np.log(spreads / variances) - means**2 / variances)
    own, spread, base, pull, effect, cheaper_slope = (
        _leading(part) for part in (diagonal, spreads, height, spreads * means / variances, chain.effect, cheaper.slope)
    )
    # random numbers for all steps at once. A logistic variate is the log odds of a uniform one, so comparing log odds
    # with it chooses the slab with the right chance, without an exponential in the loop
    normal = rng.normal(size=spread.shape) * np.sqrt(spread)
    logistic = rng.logistic(size=effect.shape)
    # X'W(y - Xb): kept up to date by one row of gram a step, which spares a product with all of gram
    left, rows = _leading(slope - (gram @ chain.effect[..., None])[..., 0]), _leading(gram, axes=2)
    logit, centres, half, slab = np.empty_like(effect), np.empty_like(spread), 0.5 / spread, effect > 0
    either: Callable[..., Any] = np.where
    order, noise = rng.permutation(len(effect)), chain.noise
    if effect.ndim == 1:  # one campaign: numbers of Python, many times faster than arrays without a length
        order, own, spread, base, pull, half, normal, logistic, cheaper_slope, noise = (
            part.tolist() for part in (order, own, spread, base, pull, half, normal, logistic, cheaper_slope, noise)
        )
        either = _either
    for j in order:
        # adding back its own part makes it the residual without change j; cheaper runs are further normal evidence
        evidence = (left[j] + own[j] * effect[j]) / noise + cheaper_slope[j]
        spike, big = spread[j][0] * evidence + pull[j][0], spread[j][1] * evidence + pull[j][1]
        centres[j, 0], centres[j, 1] = spike, big
        logit[j] = (base[j][1] + half[j][1] * big * big) - (base[j][0] + half[j][0] * spike * spike)
        slab[j] = logit[j] > logistic[j]
        new = either(slab[j], big + normal[j][1], spike + normal[j][0])
        left -= rows[j] * (new - effect[j])
        effect[j] = new
    return _Drawn(_trailing(effect), _trailing(slab), _trailing(logit), _trailing(centres), spreads)


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


def _leading(values: Floats, axes: int = 1) -> Floats:
    """A copy whose last axes come first, the last one foremost."""
    axis = values.ndim - axes
    return values.transpose(*range(values.ndim - 1, axis - 1, -1), *range(axis)).copy()


def _trailing(values: NDArray[Any]) -> NDArray[Any]:
    """With the first axis as the last one."""
    return np.moveaxis(values, 0, -1)


def _either(chosen: bool, one: float, other: float) -> float:
    return one if chosen else other
