"""The spike-and-slab regression of `posterior.py`: its priors, what it is given, and where its sampler stands.

Array suffixes: R runs, K candidates, 2 components (spike, slab); `...` independent campaigns side by side.
All numbers are percentage points or their squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """What does not change within a chain.

    on (..., R, K): which changes each run had on.
    scores (..., R): score of each run.
    priors (..., K): expected effect of each change.
    counts (..., R): 1 for a run that is evidence, 0 for one that is not.
    n_images: how many images the scores were measured on.
    image_variance: of one run's score over images.
    low_fidelity: the cheaper runs; None where there are none.
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
    """Where the sampler stands.

    effect (..., K): b, of each change on these images.
    population (..., K): the same on all images.
    mode (..., K): slowly running mean of the effects; runs far from it count less.
    slab_share, slab_mean, slab_variance, prior_weight (...,): pi, mu, tau^2 and c.
    noise (...,): g, variance of one run around the model.
    kappa (...,): how much of an effect in full runs shows in cheaper ones.
    low_fidelity_variance (...,): v, of what cheaper runs show beside it.
    low_fidelity_noise (...,): variance of one cheaper run.
    """

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
    """What one sweep knew of each effect given all others.

    slab_logit (..., K): log odds that the change belongs to the slab.
    population_mean, population_variance (2, ..., K): of its effect on all images, by component.
    intercept (...,): score of the bare starting point.
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


def centred(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Columns (..., R, k) less their weighted means, and those means (..., k): integrates the intercept out."""
    total = np.maximum(weights.sum(-1), 1e-12)[..., None]
    means = np.sum(weights[..., None] * values, axis=-2) / total
    return values - means[..., None, :], means


def draw_noise(design: Design, runs: Floats, squares: Floats, rng: np.random.Generator) -> Floats:
    """Draw g (...,), the variance of a run around the model; never under a quarter of what it should be."""
    guess = design.noise_guess
    drawn = (4.0 * guess + squares) / rng.chisquare(4.0 + np.maximum(runs - 1, 0), squares.shape)
    floored: Floats = np.maximum(drawn, guess / 4.0)
    return floored
