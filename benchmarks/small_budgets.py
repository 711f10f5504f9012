"""What helps a search that has fewer trainings than candidates, on two real data sets.

The job: 3,000 images to train on, 1,000 to validate, of CIFAR-10 at 16 px and of Fashion-MNIST at 14 px; a small
network that trains in about a core second; the 20 changes that the catalogue proposes for it; compute worth 10 of its
trainings, by multiply-adds. What each arm ships is trained with 8 more seeds, and its true gain is their mean accuracy
on the 10,000 official test images less the baseline's (16 seeds).

    alone           the search as it is, with no prior knowledge of any change
    priors          with the expected gains of the catalogue
    quarter first   40% of the search goes into trainings of a quarter of the epochs, which enter as cheaper runs
    both            priors, and a quarter first
    stop at half    a training whose accuracy at half of its epochs lies 3 points below the median of those before it
                    ends there; it counts as a cheaper run, as do the half-time scores of the others
    flip four       about four changes flipped at random, kept where the validation score rose (the naive rival)

Also printed: the correlation over recipes between the score after a quarter of the epochs and after all of them.

Command: OMP_NUM_THREADS=1 python benchmarks/small_budgets.py [--data ../shared/data] [--campaigns 10] [--workers 2]
Last result (10 campaigns an arm, 2 cores shared with other work, 32 minutes; the search as it was before decision 0015,
so `alone` and its variants expected small losses and held up to 12 changes): true gain in points, ± standard error.

                            CIFAR-10     Fashion-MNIST     both
    baseline                    41.4              78.1
    a quarter, half: r      .74, .84          .80, .86
    alone                3.36 ± .79        2.28 ± .38      2.8 ± .4
    priors              2.74 ± 1.14        1.48 ± .72      2.1 ± .7
    quarter first        3.77 ± .61        1.60 ± .58      2.7 ± .4
    both                 4.03 ± .58        1.78 ± .66      2.9 ± .4
    stop at half         4.23 ± .75        1.74 ± .91      3.0 ± .6
    flip four            2.49 ± .80        1.87 ± .64      2.2 ± .5

No addition is told from the search alone: the largest difference over both sets is .7 with a standard error of .8.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from planted import BASELINE as SMALL_NETWORK
from planted import TRAIN, VALIDATION, write_images

from convlift.campaign.request import _forward as forward_of
from convlift.catalogue.candidates import Candidate, CostLimit, candidates, compose, groups, priors
from convlift.catalogue.starting_points import StartingPoint
from convlift.cost.work import training_work
from convlift.data.dataset import Dataset
from convlift.data.readers.recognize import open_source
from convlift.data.sealed import seal
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.evidence import posterior
from convlift.evidence.image_variance import accuracy_variance
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.facts import Facts
from convlift.search.space import Configuration, SearchSpace, fitting

BUDGET = 10.0  # trainings of the baseline
LIMIT = 20  # candidates
DEAREST = 2.0
QUARTER, QUARTER_SHARE = 0.25, 0.4
HOPELESS_POINTS = 3.0
TRUTH_SEEDS, BASELINE_SEEDS = 8, 16
OFFICIAL = 10_000  # test images; before them stand those that the other benchmark seals
RESULTS = Path(__file__).parent / "results"
FASHION = Path("/usr/share/datasets/fashion-mnist")
RESOLUTION = {"cifar": 16, "fashion": 14}

Bools = NDArray[np.bool_]


class Trained(NamedTuple):
    """Validation accuracy in points, after half of the epochs and after all; accuracy on the official test."""

    half: float
    score: float
    official: float


def write_fashion(folder: Path, path: Path) -> None:
    """Fashion-MNIST's subset in MedMNIST's layout."""
    arrays = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
            arrays[part] = images, np.frombuffer(file.read(), np.uint8, offset=8)
    chosen = np.random.default_rng(0).permutation(60_000)[: TRAIN + VALIDATION]
    found = {}
    for part, rows, source in (
        ("train", chosen[:TRAIN], "train"),
        ("val", chosen[TRAIN:], "train"),
        ("test", np.arange(10_000), "test"),
    ):
        found[f"{part}_images"], found[f"{part}_labels"] = (array[rows] for array in arrays[source])
    np.savez(path, **found)


def prepared(data: Path, cache: Path) -> Path:
    """The cache folder with both data sets in it, and one thread for every process that is started from here on."""
    folder = cache.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cifar.npz").is_file():
        write_images(data / "cifar10_jpegbytes.npz", folder / "cifar.npz")
    if not (folder / "fashion.npz").is_file():
        write_fashion(FASHION, folder / "fashion.npz")
    os.environ["OMP_NUM_THREADS"] = "1"
    return folder


@cache
def opened(folder: Path, name: str) -> tuple[Dataset, NDArray[np.int64], sqlite3.Connection]:
    """The data set, its test labels, and the trainings so far; once a process."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    store = open_store(open_source(str(folder / f"{name}.npz")), folder)
    dataset, sealed = seal(store, make_splits(store, 0))
    kept = sqlite3.connect(folder / f"{name}-small.sqlite", timeout=60, isolation_level=None)
    kept.execute(
        "CREATE TABLE IF NOT EXISTS trainings (recipe TEXT, seed INTEGER, fidelity REAL, half REAL, score REAL, "
        "official REAL, PRIMARY KEY (recipe, seed, fidelity))"
    )
    return dataset, sealed.open(), kept


def trained(folder: Path, name: str, recipe: Recipe, seed: int, fidelity: float = 1.0) -> Trained:
    """A training's result: kept from an earlier time, or run now."""
    from convlift.trial.run_trial import run_trial

    dataset, labels, kept = opened(folder, name)
    key = (recipe.fingerprint(), seed, fidelity)
    select = "SELECT half, score, official FROM trainings WHERE recipe = ? AND seed = ? AND fidelity = ?"
    if (row := kept.execute(select, key).fetchone()) is not None:
        return Trained(*row)
    outcome = run_trial(TrialSpec(recipe, seed, fidelity), dataset, folder)
    found = Trained(10.0, 10.0, 10.0)  # a guess, where it diverged
    if outcome.status == "finished":
        validation = dataset.labels[dataset.splits.validation]
        right = outcome.test_probabilities.argmax(1) == labels
        found = Trained(
            half=100.0 * outcome.curve[max(0, len(outcome.curve) // 2 - 1)].validation_accuracy,
            score=100.0 * float((outcome.validation_probabilities.argmax(1) == validation).mean()),
            official=100.0 * float(right[-OFFICIAL:].mean()),
        )
    kept.execute("INSERT OR IGNORE INTO trainings VALUES (?, ?, ?, ?, ?, ?)", (*key, *found))
    return found


class Job:
    """What a search works on: the candidates and what a training costs, in trainings of the baseline."""

    def __init__(self, folder: Path, name: str) -> None:
        dataset, _, _ = opened(folder, name)
        self.baseline = SMALL_NETWORK.edit(data={"resolution": RESOLUTION[name]})
        self.facts = Facts(
            training_images=TRAIN, classes=10, channels=3 if dataset.channels == 3 else 1, native_resolution=32
        )
        forward = forward_of(dataset)
        whole = training_work(self.baseline, self.facts, forward)
        self.cost: Callable[[Recipe], float] = lambda recipe: training_work(recipe, self.facts, forward) / whole
        self.candidates: tuple[Candidate, ...] = candidates(
            self.baseline, self.facts, limit=LIMIT, cost_limit=CostLimit(self.cost, DEAREST)
        )[0]

    def fitting(self, on: Bools, worth: NDArray[np.float64]) -> Bools:
        """Of `on`, from the worthiest down, what fits together."""
        start = StartingPoint("baseline", self.baseline, "")
        return fitting(Configuration(SearchSpace(start, self.candidates), self.baseline, on), on, worth)

    def recipe(self, on: Bools) -> Recipe:
        """The baseline with the changes that are on."""
        return compose(self.baseline, self.candidates, on)


def search(folder: Path, name: str, arm: str, number: int) -> list[bool]:
    """One campaign: what it ships."""
    job, first = Job(folder, name), 1_000_000 * (1 + ARMS.index(arm)) + 1000 * number
    if arm == "flip four":
        return flip_four(folder, name, job, first)
    K, apart = len(job.candidates), groups(job.candidates)
    expected = priors(job.candidates) if arm in ("priors", "both") else np.zeros(K)
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in job.candidates])
    on, scores = [np.zeros(K, bool)], [trained(folder, name, job.baseline, first).score]
    cheap_on: list[Bools] = []
    cheap_scores: list[float] = []
    halves = [trained(folder, name, job.baseline, first).half]
    left, made = BUDGET - 1.0, 1

    def believed(cheap_alone: bool = False) -> posterior.Trials:
        spread = accuracy_variance(max(scores) / 100)
        if cheap_alone:
            rows = np.array(cheap_on).reshape(-1, K)
            return posterior.Trials(rows, np.array(cheap_scores), VALIDATION, spread, dearer)
        low_fidelity = posterior.LowFidelityRuns(np.array(cheap_on), np.array(cheap_scores)) if cheap_on else None
        return posterior.Trials(np.array(on), np.array(scores), VALIDATION, spread, dearer, low_fidelity)

    def drawn(trials: posterior.Trials) -> Bools:
        chosen, chain = posterior.draw(trials, expected, apart, np.random.default_rng([number, made]))
        return job.fitting(chosen, chain.population)

    if arm in ("quarter first", "both"):
        ends = left * (1.0 - QUARTER_SHARE)
        while left > ends:
            row = drawn(believed(cheap_alone=True)) if cheap_on else np.zeros(K, bool)
            cheap_on.append(row)
            cheap_scores.append(trained(folder, name, job.recipe(row), first + made, QUARTER).score)
            left, made = left - QUARTER * job.cost(job.recipe(row)), made + 1
    while left > 0.5:
        row = drawn(believed())
        recipe = job.recipe(row)
        if job.cost(recipe) > left + 0.5:  # half a training over or under, on average none
            break
        run = trained(folder, name, recipe, first + made)
        made += 1
        if arm == "stop at half":
            cheap_on.append(row)
            cheap_scores.append(run.half)
            if len(halves) > 2 and run.half < np.median(halves) - HOPELESS_POINTS:
                left -= 0.5 * job.cost(recipe)
                continue
            halves.append(run.half)
        on.append(row)
        scores.append(run.score)
        left -= job.cost(recipe)
    belief = posterior.believe(believed(), expected, np.random.default_rng([number, made]))
    wanted = posterior.ship(belief, apart, round(BUDGET))
    return [bool(each) for each in job.fitting(wanted, belief.mean)]


def flip_four(folder: Path, name: str, job: Job, first: int) -> list[bool]:
    """The naive rival, at equal compute."""
    K, rng, current = len(job.candidates), np.random.default_rng(first), np.zeros(len(job.candidates), bool)
    best, left, made = trained(folder, name, job.baseline, first).score, BUDGET - 1.0, 1
    while left > 0.5:
        flips = rng.random(K) < 4.0 / K
        if not flips.any():
            flips[rng.integers(K)] = True
        row = job.fitting(current ^ flips, rng.random(K))
        if job.cost(job.recipe(row)) > left + 0.5:
            break
        score = trained(folder, name, job.recipe(row), first + made).score
        left, made = left - job.cost(job.recipe(row)), made + 1
        if score > best:
            best, current = score, row
    return [bool(each) for each in current]


ARMS = ("alone", "priors", "quarter first", "both", "stop at half", "flip four")


def official(folder: Path, name: str, on: Sequence[bool], seed: int) -> float:
    """Accuracy of one training of a recipe on the official test, in points."""
    job = Job(folder, name)
    return trained(folder, name, job.recipe(np.array(on)), seed).official


def agreement(folder: Path, name: str, recipes: int = 24) -> tuple[float, float]:
    """Correlation over random recipes between scores after a quarter of the epochs, or half, and after all."""
    job, rng = Job(folder, name), np.random.default_rng(5)
    quarter, half, full = [], [], []
    for number in range(recipes):
        on = job.fitting(rng.random(len(job.candidates)) < 0.25, rng.random(len(job.candidates)))
        run = trained(folder, name, job.recipe(on), 50_000 + number)
        quarter.append(trained(folder, name, job.recipe(on), 60_000 + number, QUARTER).score)
        half.append(run.half)
        full.append(run.score)
    return float(np.corrcoef(quarter, full)[0, 1]), float(np.corrcoef(half, full)[0, 1])


def compare(pool: ProcessPoolExecutor, folder: Path, name: str, campaigns: int) -> dict[str, Any]:
    """Every arm's campaigns, then the truth of what they shipped."""
    agreed = pool.submit(agreement, folder, name)
    futures = {arm: [pool.submit(search, folder, name, arm, c) for c in range(campaigns)] for arm in ARMS}
    shipped = {arm: [future.result() for future in waiting] for arm, waiting in futures.items()}
    nothing = [False] * len(Job(folder, name).candidates)
    base = [pool.submit(official, folder, name, nothing, seed) for seed in range(BASELINE_SEEDS)]
    distinct = {tuple(on) for several in shipped.values() for on in several}
    waiting = {on: [pool.submit(official, folder, name, on, seed) for seed in range(TRUTH_SEEDS)] for on in distinct}
    baseline = float(np.mean([future.result() for future in base]))
    truth = {on: float(np.mean([future.result() for future in futures])) - baseline for on, futures in waiting.items()}
    rows = {arm: [truth[tuple(on)] for on in several] for arm, several in shipped.items()}
    quarter, half = agreed.result()
    print(f"{name}: baseline {baseline:.2f}; correlation with all epochs: a quarter {quarter:.2f}, half {half:.2f}")
    for arm, found in rows.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
        print(f"    {arm:14}{np.mean(found):+6.2f} ± {error:.2f}", flush=True)
    return {"baseline": baseline, "quarter": quarter, "half": half, "true_gain": rows, "shipped": shipped}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of cifar10_jpegbytes.npz")
    parser.add_argument("--campaigns", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=RESULTS / "planted-cache")
    options = parser.parse_args()
    folder = prepared(options.data, options.cache)
    found = {}
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for name in RESOLUTION:
            opened(folder, name)  # the store is made once, before the workers look for it
            found[name] = compare(pool, folder, name, options.campaigns)
            (RESULTS / "small-budgets.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
