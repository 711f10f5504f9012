"""A simulated world for nested cross-validation, with real learners: what folds share and what a search does to them
is not assumed, it happens.

Images are points of two Gaussian blobs a class. A network is a layer of random ReLU features, drawn from its seed,
under ridge regression. A campaign tries some recipes once, takes the one that scores best on validation, and trains
that with fresh seeds; so each fold ships what its own luck and its own images chose. Suffixes: N images, D inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.metrics import METRICS
from convlift.evidence.pooled_folds import FoldRuns, NestedJudgement, judge_folds, scores_of_folds

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

INPUTS, BLOBS = 6, 2
VALIDATION = 0.2


@dataclass(frozen=True)
class Setting:
    """images of a data set, classes, and how far apart their blobs are (per data set fixed); folds; runs an arm;
    searched: how many recipes a campaign tries once, 0: it ships the baseline, and the gain is none; group_size: images
    a group on average, which share half of their place; rare: images of the last class, 0: as many as of the others."""

    images: int = 300
    classes: int = 3
    apart: float = 2.0
    folds: int = 5
    baselines: int = 2
    finals: int = 2
    searched: int = 6
    group_size: int = 1
    rare: int = 0


@dataclass(frozen=True)
class Recipe:
    """width: random features; ridge: the penalty; jitter: sd of the noise on the training inputs."""

    width: int = 22
    ridge: float = 1.0
    jitter: float = 0.0


def edited(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Some changes on, as a search would draw them: most do little, one helps, one harms."""
    on = rng.random(4) < 0.5
    recipe = replace(recipe, width=2 * recipe.width) if on[0] else recipe
    recipe = replace(recipe, ridge=10.0) if on[1] else recipe
    recipe = replace(recipe, jitter=0.5) if on[2] else recipe
    return replace(recipe, width=recipe.width - 4) if on[3] else recipe


def drawn(setting: Setting, blobs: Floats, n: int, rng: np.random.Generator) -> tuple[Floats, Labels, Labels | None]:
    """Inputs (N, D), labels, groups."""
    labels = rng.permutation(np.arange(n) % setting.classes)
    if setting.rare:
        few = round(setting.rare * n / setting.images)
        labels = rng.permutation(np.r_[np.arange(n - few) % (setting.classes - 1), np.full(few, setting.classes - 1)])
    noise, groups = rng.normal(size=(n, INPUTS)), None
    if setting.group_size > 1:
        groups = rng.integers(0, max(n // setting.group_size, 1), n)
        shared = rng.normal(size=(int(groups.max()) + 1, INPUTS))[groups]
        noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * noise
    which = rng.integers(0, BLOBS, n)
    return blobs[labels, which] + noise, labels, groups


def trained(
    recipe: Recipe, inputs: Floats, labels: Labels, classes: int, rng: np.random.Generator
) -> tuple[Floats, ...]:
    """A network: first layer, its offsets, and the ridge's weights."""
    first, offsets = rng.normal(size=(INPUTS, recipe.width)) / np.sqrt(INPUTS), rng.normal(size=recipe.width)
    seen = inputs + recipe.jitter * rng.normal(size=inputs.shape)
    features = np.maximum(seen @ first + offsets, 0.0)
    features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    gram = features.T @ features + recipe.ridge * np.eye(recipe.width + 1)
    return first, offsets, np.linalg.solve(gram, features.T @ np.eye(classes)[labels])


def said(network: tuple[Floats, ...], inputs: Floats) -> Floats:
    """Probabilities (N, classes)."""
    first, offsets, weights = network
    scores = np.maximum(inputs @ first + offsets, 0.0) @ weights[:-1] + weights[-1]
    odds = np.exp(6.0 * scores)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def dealt(setting: Setting, labels: Labels, groups: Labels | None, rng: np.random.Generator) -> Labels:
    """The fold of every image, from 0: stratified, or whole groups."""
    fold = np.empty(len(labels), np.int64)
    if groups is not None:
        order = rng.permutation(int(groups.max()) + 1)
        return (np.argsort(order) % setting.folds)[groups].astype(np.int64)
    for label in range(setting.classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        fold[members] = (np.arange(len(members)) + label) % setting.folds
    return fold


@dataclass(frozen=True)
class Campaign:
    """judged: by metric; true: (score, gain) in points by metric, of this data set's own networks on new images."""

    judged: dict[str, NestedJudgement]
    true: dict[str, tuple[float, float]]


def campaigns(setting: Setting, number: int, seed: int, fresh: int = 1500) -> Iterator[Campaign]:
    """Whole nested campaigns, each on a data set of its own from the same source."""
    rng = np.random.default_rng([seed, 0])
    blobs = (
        setting.apart * np.random.default_rng([7, setting.classes]).normal(size=(setting.classes, BLOBS, INPUTS)) / 2
    )
    for _ in range(number):
        inputs, labels, groups = drawn(setting, blobs, setting.images, rng)
        beyond, answers, _ = drawn(replace(setting, group_size=1), blobs, fresh, rng)
        fold, parts, arms = dealt(setting, labels, groups, rng), [], []
        for k in range(setting.folds):
            inside = rng.permutation(np.flatnonzero(fold != k))
            validation, train = np.split(inside, [int(VALIDATION * len(inside))])
            one = _campaign(setting, (inputs, labels), train, validation, rng)
            test = np.flatnonzero(fold == k)
            parts.append((test, [[said(network, inputs[test]) for network in arm] for arm in one]))
            arms.append([[said(network, beyond) for network in arm] for arm in one])
        judged, true = {}, {}
        for metric in METRICS:
            tests, answers_of = [test for test, _ in parts], list(zip(*(answer for _, answer in parts), strict=True))
            owners = [None if groups is None else groups[test] for test in tests]
            before, after = (
                scores_of_folds(metric, arm, [labels[test] for test in tests], owners) for arm in answers_of
            )
            runs = [FoldRuns(*each) for each in zip(before, after, owners, strict=True)]
            judged[metric.name] = judge_folds(runs, lowest=metric.lowest)
            score = [[np.mean([metric.score(p, answers) for p in arm]) for arm in fold_arms] for fold_arms in arms]
            baseline, shipped = 100 * np.average(score, axis=0, weights=[len(test) for test, _ in parts])
            true[metric.name] = (shipped, shipped - baseline)
        yield Campaign(judged, true)


def _campaign(
    setting: Setting, images: tuple[Floats, Labels], train: Labels, validation: Labels, rng: np.random.Generator
) -> tuple[list[tuple[Floats, ...]], list[tuple[Floats, ...]]]:
    """The networks of both arms: baseline, and what the search ships."""
    inputs, labels = images

    def train_one(recipe: Recipe) -> tuple[Floats, ...]:
        return trained(recipe, inputs[train], labels[train], setting.classes, rng)

    tried = [edited(Recipe(), rng) for _ in range(setting.searched)]
    scores = [(said(train_one(recipe), inputs[validation]).argmax(1) == labels[validation]).mean() for recipe in tried]
    shipped = tried[int(np.argmax(scores))] if tried else Recipe()
    return [train_one(Recipe()) for _ in range(setting.baselines)], [train_one(shipped) for _ in range(setting.finals)]


@dataclass(frozen=True)
class Coverage:
    """Shares of campaigns whose 95% interval holds the truth. gain, score: of the procedure on data sets of this size;
    own_gain: of this data set's own networks; proven: a gain is. half_width, points: mean of the gain's."""

    gain: float
    score: float
    own_gain: float
    proven: float
    half_width: float
    true_gain: float


def coverage(setting: Setting, number: int, seed: int, fresh: int = 1500) -> dict[str, Coverage]:
    """By metric; fresh: new images that each data set's networks are scored on for the truth."""
    done = list(campaigns(setting, number, seed, fresh))
    found = {}
    for metric in METRICS:
        mine = [(each.judged[metric.name], *each.true[metric.name]) for each in done]
        score, gain = np.mean([m[1] for m in mine]), np.mean([m[2] for m in mine])
        found[metric.name] = Coverage(
            gain=float(np.mean([j.gain_points.low <= gain <= j.gain_points.high for j, _, _ in mine])),
            score=float(np.mean([100 * j.final.low <= score <= 100 * j.final.high for j, _, _ in mine])),
            own_gain=float(np.mean([j.gain_points.low <= own <= j.gain_points.high for j, _, own in mine])),
            proven=float(np.mean([j.proven for j, _, _ in mine])),
            half_width=float(np.mean([j.gain_points.high - j.gain_points.low for j, _, _ in mine]) / 2),
            true_gain=float(gain),
        )
    return found
