"""What cheaper runs, shorter or on frozen features, tell of the effects in full runs: a step of the Gibbs sweep.

Autoregressive, as Kennedy and O'Hagan (2000) join simulators of several costs: b'_j ~ N(kappa b_j, v), where b'_j is
the effect of change j in cheaper runs. kappa and v are learned.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.spike_and_slab import (
    KAPPA,
    KAPPA_SD,
    LOW_FIDELITY_DF,
    LOW_FIDELITY_SD,
    Chain,
    Design,
    Floats,
    centred,
    draw_noise,
)


@dataclass(frozen=True)
class CheaperEffects:
    """The effects in cheaper runs, as drawn, and what they tell of those in full runs.

    effect (..., K): b'.
    tried (..., K): which changes were on in any of these runs.
    precision, slope (..., K): what they add to the precision of each effect in full runs, and to its slope.
    noise (...,): variance of one cheaper run.
    """

    effect: Floats
    tried: NDArray[np.bool_]
    precision: Floats
    slope: Floats
    noise: Floats


def draw_cheaper_effects(design: Design, chain: Chain, rng: np.random.Generator) -> CheaperEffects:
    """Draw b' (..., K) given the effects in full runs; the cheaper runs have an intercept of their own."""
    if design.low_fidelity is None:
        nothing = np.zeros_like(chain.effect)
        return CheaperEffects(nothing, nothing > 0, nothing, nothing, chain.low_fidelity_noise)
    flat = np.ones(design.low_fidelity.scores.shape)
    on, _ = centred(design.low_fidelity.on, flat)
    scores, _ = centred(design.low_fidelity.scores[..., None], flat)
    turned = np.swapaxes(on, -1, -2)
    noise, kappa, own = (
        chain.low_fidelity_noise[..., None],
        chain.kappa[..., None],
        chain.low_fidelity_variance[..., None],
    )
    precision = turned @ on / noise[..., None] + np.eye(on.shape[-1]) / own[..., None]
    # there is no spike here, so all of b' are drawn at once, from N(precision^-1 slope, precision^-1): with precision
    # = L L' and z standard normal, L'^-1 z has that covariance
    root = np.linalg.cholesky(precision)
    slope = (turned @ scores)[..., 0] / noise + kappa * chain.effect / own
    middle = np.linalg.solve(precision, slope[..., None])
    spread = np.linalg.solve(np.swapaxes(root, -1, -2), rng.normal(size=middle.shape))
    effect = (middle + spread)[..., 0]
    tried = np.any(on != 0, axis=-2)
    residual = (scores - on @ effect[..., None])[..., 0]
    runs = np.full(residual.shape[:-1], residual.shape[-1], float)
    drawn = draw_noise(design, runs, np.sum(residual**2, -1), rng)
    # read the other way round, b' ~ N(kappa b, v) is a normal likelihood of b with precision kappa^2 / v
    return CheaperEffects(effect, tried, tried * kappa**2 / own, tried * kappa * effect / own, drawn)


def draw_kappa(
    cheaper: CheaperEffects, chain: Chain, effect: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw kappa, never below zero, and v, by conjugacy: (...,) each."""
    if not cheaper.tried.any():
        return chain.kappa, chain.low_fidelity_variance
    own = chain.low_fidelity_variance
    precision = 1.0 / KAPPA_SD**2 + np.sum(cheaper.tried * effect**2, -1) / own
    pull = np.sum(cheaper.tried * effect * cheaper.effect, -1) / own
    drawn = (KAPPA / KAPPA_SD**2 + pull) / precision + rng.normal(size=precision.shape) / np.sqrt(precision)
    kappa = np.maximum(drawn, 0.0)
    off = np.sum(cheaper.tried * (cheaper.effect - kappa[..., None] * effect) ** 2, -1)
    scaled = (LOW_FIDELITY_DF * LOW_FIDELITY_SD**2 + off) / rng.chisquare(LOW_FIDELITY_DF + cheaper.tried.sum(-1))
    return kappa, np.clip(scaled, 0.3**2, 5.0**2)


def correlation(cheaper: CheaperEffects, effect: Floats) -> Floats:
    """Of the effects in cheaper runs with those in full ones, over the changes tried in the former: (...,)."""
    count = np.maximum(cheaper.tried.sum(-1), 1)[..., None]
    here, there = (
        cheaper.tried * (b - np.sum(cheaper.tried * b, -1, keepdims=True) / count) for b in (effect, cheaper.effect)
    )
    size = np.sqrt(np.sum(here**2, -1) * np.sum(there**2, -1))
    found: Floats = np.sum(here * there, -1) / np.maximum(size, 1e-12)
    return found
