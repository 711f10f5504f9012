"""Simulated worlds with a known truth, and the rivals that search them. Many campaigns run side by side.

An image i has a latent difficulty z_i; a run with true accuracy A is right on it with probability
Phi((Phi^-1(A) + sqrt(rho) z_i) / sqrt(1 - rho)), so its accuracy over all images is A, and rho is set so that
E[p(1-p)] = .44 A(1-A). A change that reshuffles mixes z with its own direction and keeps the accuracy.
Effects are in points. Suffixes: C campaigns, K candidates, R runs, N images.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

WITHIN = 0.44
FALL = (10.0, 40.0)  # points
RESHUFFLE = 0.12  # sd over images of what one reshuffling change does to the chance of being right


@dataclass(frozen=True)
class Setting:
    """One cell of the tables: n validation and as many test images, seed sd s in points, B runs, K candidates."""

    n: int = 300
    s: float = 0.5
    B: int = 12
    K: int = 40
    campaigns: int = 100
    kind: str = "standard"  # or null, antagonism, synergy, all-help, harsh, ruinous, normal, small-harm
    accuracy: float = 0.85
    prior_correlation: float = 0.0
    n_test: int = 0  # 0: n
    falls: float = 0.0  # the chance that a run ends 10 to 40 points down


@dataclass(frozen=True)
class World:
    """The truth of C campaigns: effects (C, K), interactions (C, K, K, symmetric), priors (C, K)."""

    setting: Setting
    effects: Floats
    interactions: Floats
    reshuffles: Floats  # (C, K) strength of the mixing, 0 where a change moves no image
    seed_spread: Floats  # (C, K) what each change does to the seeds' sd, as a factor's exponent
    priors: Floats
    images: Floats = field(repr=False)  # (C, N) latent difficulty; the first n are validation
    directions: Floats = field(repr=False)  # (C, K, N) float32
    rho: float = 0.0

    def points(self, on: NDArray[np.bool_]) -> Floats:
        """True accuracy in points of recipes on (C, R, K) over all images and seeds: (C, R)."""
        x = on.astype(float)
        pairs = 0.5 * np.sum((x @ self.interactions) * x, axis=-1)
        return 100 * self.setting.accuracy + np.einsum("crk,ck->cr", x, self.effects) + pairs

    def shares(self, on: NDArray[np.bool_]) -> Floats:
        """What each change on in (C, K) adds: its effect and half of each interaction (Shapley), (C, K)."""
        x = on.astype(float)
        return x * (self.effects + 0.5 * np.einsum("ckj,cj->ck", self.interactions, x))


def make_world(setting: Setting, rng: np.random.Generator) -> World:
    """Draw the truths of `setting.campaigns` campaigns."""
    shape = (setting.campaigns, setting.K)
    effects = _effects(setting, rng)
    mean, sd = {"antagonism": (-0.25, 0.2), "synergy": (0.5, 0.3)}.get(setting.kind, (-0.05, 0.15))
    upper = np.triu(rng.normal(mean, sd, (*shape, setting.K)), 1)
    size = np.sqrt(np.abs(effects))
    interactions = (upper + np.swapaxes(upper, 1, 2)) * size[:, :, None] * size[:, None, :]
    zero = effects == 0
    moved = ~zero | (rng.random(shape) < 0.7)
    rho = _correlation(setting.accuracy)
    images = setting.n + (setting.n_test or setting.n)
    return World(
        setting,
        effects,
        interactions,
        moved * _mixing(setting.accuracy, rho),
        rng.normal(0, 0.1, shape),
        _priors(effects, setting.prior_correlation, rng),
        rng.normal(size=(setting.campaigns, images)),
        rng.standard_normal((*shape, images), dtype=np.float32),
        rho,
    )


def run(world: World, on: NDArray[np.bool_], rng: np.random.Generator, images: slice) -> NDArray[np.bool_]:
    """Train each recipe on (C, R, K) once with a new seed: right or wrong on each image, (C, R, N)."""
    x = on.astype(np.float32)
    strength = x * world.reshuffles[:, None, :].astype(np.float32)
    mixed = world.images[:, None, images] + strength @ world.directions[:, :, images]
    mixed /= np.sqrt(1 + np.sum(strength**2, axis=-1))[..., None]
    spread = np.exp(np.clip(np.einsum("crk,ck->cr", x, world.seed_spread), -0.25, 0.25))
    accuracy = world.points(on) + world.setting.s * spread * rng.normal(size=on.shape[:2])
    if world.setting.falls:
        fell = rng.random(on.shape[:2]) < world.setting.falls
        accuracy = accuracy - fell * rng.uniform(*FALL, on.shape[:2])
    level = ndtri(np.clip(accuracy / 100, 0.01, 0.9999))
    chance = ndtr((level[..., None] + np.sqrt(world.rho) * mixed) / np.sqrt(1 - world.rho))
    return rng.random(chance.shape) < chance


def other(world: World, rng: np.random.Generator, *, s: float, points: float = 0.0, differs: float = 2.0) -> World:
    """Another network on the same images, as the one change of its world: its seeds' sd s, `points` better; it shifts
    which images are right as `differs` changes would."""
    setting = replace(world.setting, K=1, s=s)
    one = np.ones((setting.campaigns, 1))
    directions = rng.standard_normal((*one.shape, world.images.shape[1]), dtype=np.float32)
    strength = np.sqrt(differs) * _mixing(setting.accuracy, world.rho) * one
    nothing = 0.0 * one
    return World(
        setting, points * one, nothing[..., None], strength, nothing, nothing, world.images, directions, world.rho
    )


def cheaper(world: World, correlation: float, rng: np.random.Generator) -> World:
    """The same changes in shorter trainings: effects .7 times as large and correlated with the full ones as asked, five
    points less accuracy, more luck of the seed."""
    effects = world.effects
    if correlation:
        spread = float(effects.std()) * np.sqrt(1 / correlation**2 - 1)
        effects = 0.7 * (effects + spread * rng.normal(size=effects.shape))
    else:
        effects = 0.7 * rng.permuted(effects, axis=1)
    setting = replace(world.setting, accuracy=world.setting.accuracy - 0.05, s=world.setting.s + 0.2)
    return replace(world, setting=setting, effects=effects)


def _effects(setting: Setting, rng: np.random.Generator) -> Floats:
    shape = (setting.campaigns, setting.K)
    if setting.kind == "normal":
        return rng.normal(0, 0.6, shape)
    good, bad, worst = (0.05, 0.50, 8.0) if setting.kind == "harsh" else (0.15, 0.25, 4.0)
    kind = rng.random(shape)
    gain = np.exp(rng.uniform(np.log(0.3), np.log(3.0), shape))
    loss = -np.exp(rng.uniform(np.log(0.2), np.log(worst), shape))
    if setting.kind == "ruinous":  # the standard world, but for one change with which nothing is learned at all
        ruin = np.arange(setting.K) == rng.integers(0, setting.K, (setting.campaigns, 1))
        return np.where(ruin, -70.0, np.where(kind < good, gain, np.where(kind < good + bad, loss, 0.0)))
    nothing = -0.15 if setting.kind == "small-harm" else 0.0
    if setting.kind == "null":
        return np.zeros(shape)
    if setting.kind in ("synergy", "all-help"):  # small effects, none of them harmful
        return np.where(kind < 0.6, np.exp(rng.uniform(np.log(0.1), np.log(0.8), shape)), 0.0)
    return np.where(kind < good, gain, np.where(kind < good + bad, loss, nothing))


def _priors(effects: Floats, correlation: float, rng: np.random.Generator) -> Floats:
    """What a catalogue would guess, in points: half as spread as the effects and correlated with them as asked.

    A guess that is as spread as the truth would be overconfident at any correlation below one.
    """
    standard = (effects - effects.mean()) / max(float(effects.std()), 0.1)
    noise = rng.normal(size=effects.shape)
    guess = correlation * standard + np.sqrt(1 - correlation**2) * noise
    return 0.5 * max(float(effects.std()), 0.1) * guess


def _correlation(accuracy: float) -> float:
    """rho with E[p(1-p)] = .44 A(1-A): A - P(two runs both right) = .44 A(1-A)."""
    level = float(ndtri(accuracy))

    def excess(rho: float) -> float:
        both = stats.multivariate_normal.cdf([level, level], cov=[[1, rho], [rho, 1]])
        return float(accuracy - both - WITHIN * accuracy * (1 - accuracy))

    return float(optimize.brentq(excess, 0.05, 0.99))


def _mixing(accuracy: float, rho: float) -> float:
    """The strength at which one reshuffling change moves an image's chance by 12 points (sd), if it can."""
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=(2, 20_000))
    level = ndtri(accuracy)

    def moved(strength: float) -> float:
        new = (z + strength * u) / np.sqrt(1 + strength**2)
        before, after = (ndtr((level + np.sqrt(rho) * d) / np.sqrt(1 - rho)) for d in (z, new))
        return float(np.std(after - before)) - RESHUFFLE

    return float(optimize.brentq(moved, 0.0, 0.9)) if moved(0.9) > 0 else 0.9
