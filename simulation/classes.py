"""A simulated world of class probabilities, in which every metric has a known truth; also with images in groups.

A network's logit of class c on an image is sqrt(SHARED) h + sqrt(ARM) a + sqrt(OWN) e, plus a lift where c is the true
class: h is the image's difficulty, which all networks share, a what this recipe makes of it, e this network's luck.
The lift differs between seeds, as a whole and class by class. Suffixes: R runs, N images, K classes.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from convlift.evidence.image_variance import image_part
from convlift.evidence.metrics import METRICS, Metric
from convlift.evidence.total_gain import ArmScores, FinalJudgement, judge

Floats = NDArray[np.float64]

SHARED, ARM, OWN = (
    0.7,
    0.14,
    0.16,
)  # then luck is .44 of a run's variance over images, and recipes differ, as was measured
SEARCHED = 8  # further networks of what ships, which tell of the seeds as the search's trainings do
SHARPNESS = 2.5  # of the softmax: about calibrated


@dataclass(frozen=True)
class Setting:
    """n test images, `shares` of the classes, `lift` of the true class and what the shipped recipe adds to it, sd of
    the lift between seeds, runs an arm. group_size 1: no groups; else this many images a group on average, alike to
    the extent of `alike` (the part of h and a that a group shares); one_class: a group's images are of one class;
    groups_a_class: instead, each class has so many groups of its own."""

    n: int = 300
    shares: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    lift: float = 2.2
    added: float = 0.0
    seeds: float = 0.05
    baselines: int = 2
    finals: int = 3
    group_size: int = 1
    alike: float = 0.5
    one_class: bool = False
    groups_a_class: int = 0


@dataclass(frozen=True)
class Images:
    """labels (N,), groups (N,) or None, and the difficulty that all networks (N, K) and each recipe (2, N, K) find."""

    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    shared: Floats
    arms: Floats


def make_images(setting: Setting, n: int, rng: np.random.Generator) -> Images:
    """Labels in the setting's shares, every class at least twice, as a stratified split would give them."""
    classes = len(setting.shares)
    counts = np.maximum(np.floor(np.array(setting.shares) * n).astype(int), 2)
    counts[0] += n - counts.sum()
    labels = np.repeat(np.arange(classes), counts)
    if setting.group_size == 1 and not setting.groups_a_class:
        return Images(labels, None, rng.normal(size=(n, classes)), rng.normal(size=(2, n, classes)))
    order = np.arange(n) if setting.one_class else rng.permutation(n)
    sizes = rng.integers(1, 2 * setting.group_size, n)  # uneven: patients do not come with equally many images
    groups = np.empty(n, np.int64)
    groups[order] = np.repeat(np.arange(n), sizes)[:n]
    if setting.groups_a_class:
        place = np.arange(n) - np.searchsorted(labels, labels)
        groups = labels * setting.groups_a_class + place * setting.groups_a_class // counts[labels]
    theirs, own = np.sqrt(setting.alike), np.sqrt(1.0 - setting.alike)
    count = int(groups.max()) + 1
    return Images(
        labels,
        groups,
        theirs * rng.normal(size=(count, classes))[groups] + own * rng.normal(size=(n, classes)),
        theirs * rng.normal(size=(2, count, classes))[:, groups] + own * rng.normal(size=(2, n, classes)),
    )


def draw_seeds(setting: Setting, runs: int, rng: np.random.Generator) -> Floats:
    """(R, K): what each network's lift differs by from its recipe's, on each class."""
    return setting.seeds * (rng.normal(size=(runs, 1)) + 0.5 * rng.normal(size=(runs, len(setting.shares))))


def say(setting: Setting, images: Images, arm: int, seeds_RK: Floats, rng: np.random.Generator) -> Floats:
    """Probabilities (R, N, K) of runs of the baseline (arm 0) or of what ships (arm 1)."""
    labels, shape = images.labels, (len(seeds_RK), *images.shared.shape)
    logits = np.sqrt(SHARED) * images.shared + np.sqrt(ARM) * images.arms[arm] + np.sqrt(OWN) * rng.normal(size=shape)
    lift = setting.lift + arm * setting.added + seeds_RK[:, labels]
    logits[:, np.arange(len(labels)), labels] += lift
    return np.asarray(softmax(SHARPNESS * logits, axis=-1))


def truth(setting: Setting, rng: np.random.Generator, networks: int = 40, n: int = 10_000) -> dict[str, Floats]:
    """By metric: (score, gain) in points over all seeds and images; both arms are given the same seeds."""
    setting = replace(setting, group_size=1, groups_a_class=0)  # else 10,000 images are a few groups, by chance hard
    seeds = draw_seeds(setting, networks, rng)
    seeds -= seeds.mean(axis=0)
    scores = np.zeros((len(METRICS), 2))
    for one in seeds:
        images = make_images(setting, n, rng)
        for arm in (0, 1):
            said = say(setting, images, arm, one[None], rng)[0]
            scores[:, arm] += [100 * metric.score(said, images.labels) / networks for metric in METRICS]
    return {m.name: np.array([s[1], s[1] - s[0]]) for m, s in zip(METRICS, scores, strict=True)}


def judged(setting: Setting, rng: np.random.Generator, *, grouped: bool = True) -> dict[str, FinalJudgement]:
    """One campaign's end, judged by every metric; grouped False: as if every image stood alone."""
    images = make_images(setting, setting.n, rng)
    arms = [
        say(setting, images, arm, draw_seeds(setting, runs, rng), rng)
        for arm, runs in enumerate((setting.baselines, setting.finals))
    ]
    arms.append(say(setting, images, 1, draw_seeds(setting, SEARCHED, rng), rng))
    groups = images.groups if grouped else None

    def by(metric: Metric) -> FinalJudgement:
        *scores, searched = (metric.matrix(list(arm), images.labels, groups) for arm in arms)
        luck = image_part(searched - searched.mean(axis=0), groups).mean() * SEARCHED / (SEARCHED - 1)
        seeds = max(float(searched.mean(axis=1).var(ddof=1) - luck), 0.0)
        return judge(ArmScores(scores[0] / 100, scores[1] / 100), seeds, groups, lowest=metric.lowest)

    return {metric.name: by(metric) for metric in METRICS}


@dataclass(frozen=True)
class Coverage:
    """Shares of the campaigns: the gain's interval holds the true gain, the score's the true score; a gain is proven.
    half_width: mean half-width of the gain's interval, points."""

    gain: float
    score: float
    proven: float
    half_width: float


def coverage(setting: Setting, campaigns: int, seed: int, *, grouped: bool = True) -> dict[str, Coverage]:
    """By metric, over so many campaigns."""
    true = truth(setting, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    ends = [judged(setting, rng, grouped=grouped) for _ in range(campaigns)]
    found = {}
    for name, (score, gain) in true.items():
        mine = [end[name] for end in ends]
        found[name] = Coverage(
            gain=float(np.mean([m.gain_points.low <= gain <= m.gain_points.high for m in mine])),
            score=float(np.mean([100 * m.final.low <= score <= 100 * m.final.high for m in mine])),
            proven=float(np.mean([m.proven for m in mine])),
            half_width=float(np.mean([m.gain_points.high - m.gain_points.low for m in mine]) / 2),
        )
    return found
