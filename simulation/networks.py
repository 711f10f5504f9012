"""Two fixed networks on a sealed test: is a gain that they do not have proven, and do intervals cover?

The truth is that of the two networks on an endless test. Recipes that are equally good give networks that are not,
since seeds differ; the network that ships is the best final run by validation, and the baseline's the best of its runs.
No search is played: whatever it did, the images of the test had no part in it. What ships is another network than the
baseline, on the same images (`worlds.other`), as right as it but for `gain`.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from convlift.evidence import total_gain
from convlift.evidence.metrics import METRICS
from convlift.evidence.network_gain import SIDE, compare_networks, counted_interval, tango_interval
from simulation import classes
from simulation.worlds import FALL, Setting, World, make_world, other

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

VALIDATION = 300  # images
DIFFERS = 4.0  # changes, by which images are right in what ships that were wrong in the baseline


@dataclass(frozen=True)
class Networks:
    """One cell: sd of the seeds of the baseline and of what ships, in points; the chance of a fall by 10 to 40; runs an
    arm; test images; the baseline's accuracy and what the other recipe adds, in points. rivals: how many equally good
    networks were probed once beside the baseline's first run, which lost to them; 0 for none. group_size: images that
    are near copies of each other, 1 for none."""

    before: float = 0.5
    after: float = 0.5
    falls: float = 0.0
    baselines: int = 1
    finals: int = 1
    images: int = 600
    accuracy: float = 0.85
    gain: float = 0.0
    rivals: int = 0
    group_size: int = 1


ALIKE = 0.9  # the chance that an image of a group is a copy of its first, in difficulty and luck


@dataclass(frozen=True)
class Found:
    """Over C campaigns. false: a gain was proven of a network that is no better; false_worse: its reverse; covers: the
    interval holds the true difference of the two; proven: a gain was; score_alone: `false` without the exact test.
    recipe_proven, recipe_covers: what `total_gain` says of the two recipes, whose gain is the cell's; NaN for one run
    of either, and where nobody asked. half_width: in points. truth_sd: of the networks' true difference, in points."""

    campaigns: int
    false: float
    false_worse: float
    covers: float
    proven: float
    score_alone: float
    half_width: float
    truth_sd: float
    recipe_proven: float = float("nan")
    recipe_covers: float = float("nan")


def play(cell: Networks, campaigns: int, seed: int, *, recipes: int = 0, part: int = 250) -> Found:
    """Many campaigns of one cell. recipes: for how many of them the recipes are judged too, which takes a millisecond
    each."""
    rows, recipe_rows = [], []
    for number in range(campaigns // part):
        one, again = _played(cell, part, np.random.default_rng([seed, number]), max(0, recipes - number * part))
        rows.append(one)
        recipe_rows += again
    truth, low, high, claims, alone = (np.concatenate(each) for each in zip(*rows, strict=True))
    of_recipes = np.array(recipe_rows, float).reshape(-1, 2).mean(axis=0) if recipe_rows else (np.nan, np.nan)
    return Found(
        len(truth),
        false=float((claims & (truth <= 0)).mean()),
        false_worse=float(((high < 0) & (truth >= 0)).mean()),
        covers=float(((low <= truth) & (truth <= high)).mean()),
        proven=float(claims.mean()),
        score_alone=float((alone & (truth <= 0)).mean()),
        half_width=float((high - low).mean() / 2),
        truth_sd=float(truth.std()),
        recipe_proven=float(of_recipes[0]),
        recipe_covers=float(of_recipes[1]),
    )


def _played(
    cell: Networks, part: int, rng: np.random.Generator, recipes: int
) -> tuple[tuple[NDArray[np.generic], ...], list[tuple[bool, bool]]]:
    kept = _fresh(cell, part, rng)
    before, after = kept
    truth = (
        np.take_along_axis(after.points, after.best, 1)[:, 0] - np.take_along_axis(before.points, before.best, 1)[:, 0]
    )
    right = [np.take_along_axis(arm.test, arm.best[..., None], 1)[:, 0] for arm in kept]
    groups = None if cell.group_size == 1 else np.arange(cell.images) // cell.group_size
    low, high, claims, alone = np.array([_claim(*pair, groups) for pair in zip(*right, strict=True)]).T
    again = []
    if recipes and min(cell.baselines, cell.finals) >= total_gain.FEWEST_RUNS:
        for c in range(min(recipes, len(truth))):
            scores = total_gain.ArmScores(before.test[c], after.test[c])
            # the search's word on what ships is as good as it can be
            gain = total_gain.judge(scores, cell.after**2).gain_points
            again.append((gain.low > 0, gain.low <= cell.gain <= gain.high))
    return (truth, low, high, claims > 0, alone > 0), again


@dataclass(frozen=True)
class _Arm:
    """points (C, R): true accuracy of every network; best (C, 1): by validation; test (C, R, nt): right or wrong."""

    points: Floats
    best: NDArray[np.int64]
    test: Bools


def _fresh(cell: Networks, part: int, rng: np.random.Generator) -> tuple[_Arm, _Arm]:
    setting = Setting(
        kind="null", n=VALIDATION, n_test=cell.images, s=cell.before, K=1, campaigns=part, accuracy=cell.accuracy,
        falls=cell.falls,
    )  # fmt: skip
    world = make_world(setting, rng)
    shipped = other(world, rng, s=cell.after, points=cell.gain, differs=DIFFERS)
    before = _arm(cell, world, cell.baselines, rng, is_other=False)
    after = _arm(cell, shipped, cell.finals, rng, is_other=True)
    if not cell.rivals:
        return before[0], after[0]
    # the start was chosen for beating the baseline's first run: only such campaigns are looked at
    probes = _arm(cell, shipped, cell.rivals, rng, is_other=True)[1].max(axis=1)
    won = probes > before[1][:, 0]
    return tuple(_Arm(a.points[won], a.best[won], a.test[won]) for a in (before[0], after[0]))  # type: ignore[return-value]


def _arm(cell: Networks, world: World, runs: int, rng: np.random.Generator, *, is_other: bool) -> tuple[_Arm, Floats]:
    """An arm, and its validation scores (C, R). As `worlds.run`, which keeps no network's true accuracy."""
    setting = world.setting
    shape = (setting.campaigns, runs)
    strength = world.reshuffles[:, :1] if is_other else np.zeros((setting.campaigns, 1))
    mixed = (world.images + strength * world.directions[:, 0]) / np.sqrt(1 + strength**2)
    points = 100 * setting.accuracy + is_other * world.effects[:, :1] + setting.s * rng.normal(size=shape)
    points = points - (rng.random(shape) < setting.falls) * rng.uniform(*FALL, shape)
    points = np.clip(points, 1.0, 99.99)
    luck = rng.random((*shape, mixed.shape[1]), dtype=np.float32)
    if cell.group_size > 1:
        mixed, luck = _grouped(cell, mixed, luck, rng)
    level = ndtri(points / 100)
    chance = ndtr((level[..., None] + np.sqrt(world.rho) * mixed[:, None]) / np.sqrt(1 - world.rho))
    right = luck < chance
    validation = right[..., : setting.n].mean(-1)
    return _Arm(points, validation.argmax(1)[:, None], right[..., setting.n :]), validation


def _grouped(cell: Networks, mixed: Floats, luck: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Test images as near copies of their group's first one, the same images for every network."""
    place = np.arange(mixed.shape[1])
    first = np.where(place < VALIDATION, place, place - (place - VALIDATION) % cell.group_size)
    copies = np.random.default_rng(1).random(len(place)) < ALIKE
    source = np.where(copies, first, place)
    return mixed[:, source], luck[..., source]


def _claim(before: Bools, after: Bools, groups: NDArray[np.int64] | None) -> tuple[float, float, bool, bool]:
    """low, high in points; proven; whether it would be without the exact test."""
    if groups is None:
        low, high, alone = _counted(int((after & ~before).sum()), int((before & ~after).sum()), len(before))
        return 100 * low, 100 * high, low > 0, alone > 0
    found = compare_networks(before.astype(float), after.astype(float), groups)
    return found.gain_points.low, found.gain_points.high, found.proven, found.proven


@cache
def _counted(won: int, lost: int, images: int) -> tuple[float, float, float]:
    """The same counts come again and again."""
    return (*counted_interval(won, lost, images), tango_interval(won, lost, images)[0])


def exact_type_one(images: int, differing: float) -> tuple[float, float]:
    """How often a gain is proven where there is none, one side: by the score interval alone, and as it is.

    differing: the share of images that only one of the networks has right, half of them each. Summed over all counts.
    """
    counts = np.arange(images + 1)
    weights = stats.binom.pmf(counts, images, differing)
    alone = both = 0.0
    for m in counts[weights > 1e-9]:
        won = np.arange(m + 1)
        chances = stats.binom.pmf(won, m, 0.5)
        # at a difference of 0 the score statistic is (won - lost) / sqrt(won + lost)
        by_score = 2 * won - m > stats.norm.ppf(1 - SIDE) * np.sqrt(max(m, 1))
        by_count = stats.binom.sf(won - 1, m, 0.5) <= SIDE
        alone += weights[m] * chances[by_score].sum()
        both += weights[m] * chances[by_score & by_count].sum()
    return float(alone), float(both)


def by_metric(setting: classes.Setting, campaigns: int, seed: int) -> dict[str, tuple[float, float]]:
    """By metric: how often the interval holds the true difference of two networks, and how often a gain is proven.
    Seeds do not differ, so that all networks of a recipe have one true score."""
    setting = replace(setting, seeds=0.0)
    true = classes.truth(setting, np.random.default_rng([seed, 1]))
    rng, nothing = np.random.default_rng([seed, 2]), np.zeros((1, len(setting.shares)))
    hits = {metric.name: np.zeros(2) for metric in METRICS}
    for _ in range(campaigns):
        images = classes.make_images(setting, setting.n, rng)
        said = [classes.say(setting, images, arm, nothing, rng)[0] for arm in (0, 1)]
        for metric in METRICS:
            scores = metric.matrix(said, images.labels, images.groups) / 100.0
            found = compare_networks(scores[0], scores[1], images.groups, lowest=metric.lowest)
            is_covered = found.gain_points.low <= true[metric.name][1] <= found.gain_points.high
            hits[metric.name] += (is_covered, found.proven)
    return {name: (float(each[0]) / campaigns, float(each[1]) / campaigns) for name, each in hits.items()}


_NOISES = {
    "seeds .5": {},
    "seeds 1": {"before": 1, "after": 1},
    "seeds 1.5": {"before": 1.5, "after": 1.5},
    "seeds 2": {"before": 2, "after": 2},
    "seeds 4": {"before": 4, "after": 4},
    "1 run in 15 falls by 10 to 40": {"falls": 1 / 15},
    "baseline 3, final .3": {"before": 3, "after": 0.3},
    "baseline 5, final .5": {"before": 5, "after": 0.5},
    "baseline 8, final 1": {"before": 8, "after": 1},
    "baseline .3, final 3": {"before": 0.3, "after": 3},
    "the very same recipe score": {"before": 0, "after": 0},
}
# every kind of world that the recipe's claim was looked at in, its failures among them
CELLS = {f"{name}, {p} + {s}": Networks(**{**noise, "baselines": p, "finals": s})
         for p, s in ((1, 1), (2, 2)) for name, noise in _NOISES.items()}  # fmt: skip
CELLS |= {f"{name}, {p} + {s}": Networks(**{**_NOISES[name], "baselines": p, "finals": s})
          for name, p, s in (("seeds 1", 2, 3), ("1 run in 15 falls by 10 to 40", 8, 2), ("baseline 5, final .5", 5, 2),
                             ("baseline 8, final 1", 8, 2), ("baseline .3, final 3", 8, 2))}  # fmt: skip
CELLS |= {f"{images} images, 1 + 1": Networks(images=images) for images in (60, 100, 200)}
CELLS |= {f"accuracy {accuracy}, {images:,} images, seeds {noise:g}, 1 + 1":
          Networks(accuracy=accuracy, images=images, before=noise, after=noise)
          for accuracy, images, noise in ((0.5, 100, 0.5), (0.5, 600, 0.5), (0.995, 100, 0.2), (0.995, 600, 0.2),
                                          (0.995, 5000, 0.2), (0.995, 600, 0.0))}  # fmt: skip
CELLS |= {f"luck chose the start, {name}, 1 + 1": Networks(**_NOISES[name], rivals=3)
          for name in ("seeds 2", "baseline 8, final 1", "1 run in 15 falls by 10 to 40")}  # fmt: skip
CELLS |= {f"{size} near copies each, {images // size} groups, 1 + 1": Networks(images=images, group_size=size)
          for images, size in ((1800, 30), (600, 30), (300, 30), (600, 5))}  # fmt: skip
