"""Planted truth: real trainings whose best recipe is known, searched by convlift's rules and by the usual ones.

The job: 5,000 photos of CIFAR-10 at 16 px (3,000 train, 1,000 validate, 1,000 are the sealed test), a small network
that trains in about a core second, and 16 changes: 3 that help, 3 that harm, and 10 placebos, which leave the recipe as
it is, so that all they change is the seed. Each method may run 20 trainings. What its recipe is truly worth is the mean
accuracy of 30 more seeds of it on CIFAR-10's 10,000 official test images, less the same of the baseline.

    ours            runs of the baseline, draws from the posterior, final runs (all 20 together), and the judgement on
    the sealed test keep if better  one change at a time in random order, kept where the validation score rose best of 8
    8 random neighbours of the best recipe so far, the best of them kept where it scored higher evo4            about
    four changes flipped at once, kept where the validation score rose tpe             Optuna's TPE over 16 switches,
    the best trial

Ours reports its gain on the sealed test; the others, as people do, their best validation score less the baseline's.
Every training is kept in a file, so that an interrupted run goes on where it was.

A second job has nothing harmful on purpose: scikit-learn's digits (797 train, 300 validate, 300 sealed, 400 official),
the recipe `plain`, and 12 changes of which most help a little and several only together. There flipping four at once
was as good as ours in the problem that chose the procedure.

Command: OMP_NUM_THREADS=1 python benchmarks/planted.py [--job digits] [--methods ours,evo4] [--campaigns 10]
[--workers 2]
(--check 12 trains each single change with 12 seeds instead, and prints what it does.)
Machine: 2 cores of an AMD EPYC (Zen 3) shared with other work; torch 2.13, optuna 5.0.
Planted effects in points (--check 12; the baseline has 41.5, with a deviation of 1.2 between seeds):

    batch norm           +1.9 ± 0.4
    learning rate x2     +2.2 ± 0.5
    batch size x0.5      +1.6 ± 0.5
    vertical flip        -5.4 ± 0.5
    rotation 54 degrees  -2.9 ± 0.4
    dropout 0.4          -3.7 ± 0.5
    all three that help  +4.4 ± 0.5

Last result: means of 10 campaigns ± standard error, in points. By the truth of 30 seeds the three that help are worth
+3.9 together. Ours is of today's rules; its first rule for harmful pools (decision 0015) lost .7 here and was mended.

                                    ours  keep if better       best of 8            evo4             tpe
    true gain                2.89 ± 0.27     1.95 ± 0.28     1.71 ± 0.36     1.44 ± 0.55     1.90 ± 0.57
    reported less true       0.63 ± 0.48     2.65 ± 0.61     1.16 ± 0.54     2.22 ± 0.50     2.94 ± 0.42
    helpful shipped, of 3           2.00            1.20            1.20            1.70            1.60
    useless shipped, of 10          4.50            2.20            2.60            3.90            4.80
    harmful shipped, of 3           0.00            0.00            0.10            0.30            0.20

Ours proves .2 changes a campaign, none falsely, and the total in 4 of 10; its interval holds the truth in 9 of 10. A
training takes 1.25 core seconds.

Digits (--job digits --truth-seeds 8 --methods "ours,keep if better,evo4"; a training takes 2.4 core seconds):

                                    ours  keep if better            evo4
    true gain                2.64 ± 0.08     2.28 ± 0.12     2.52 ± 0.12
    reported less true              1.13            0.65            0.11

The 300 sealed images show more gain than the 400 official ones, the same for all campaigns; ours holds the truth in 10
of 10. One change each, 6 seeds: a second block +2.4, epochs x3 +2.2, learning rate x3 +1.6, less dropout +1.3, width x2
+1.0, batch norm +.9, AdamW +.2, label smoothing +.2, rotation and zoom 0, cosine -2.2; all 12 with a shift of 10%
together +2.1, standard errors about .4.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.readers.recognize import open_source
from convlift.data.sealed import seal
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.evidence import posterior, single_changes, total_gain
from convlift.evidence.image_variance import accuracy_variance
from convlift.evidence.power import baseline_and_final_runs
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.recipe.trial_spec import TrialSpec

TRAIN, VALIDATION, SEALED = 3000, 1000, 1000
DIGITS = 797, 300, 300  # of 1,797; the rest is the official test
TRUTH_SEEDS = 30
NEIGHBOURS = 8
FLIPS = 4.0
RESULTS = Path(__file__).parent / "results"

Bools = NDArray[np.bool_]
Changes = dict[str, dict[str, Any]]

BASELINE = parse_recipe(
    {
        "data": {"resolution": 16, "normalization": "standardize"},
        "architecture": {"kind": "convnet", "stages": 2, "blocks": 1, "width": 16, "head_units": 64},
        "training": {"epochs": 5, "batch_size": 64, "optimizer": "adam", "learning_rate": 1e-3},
    }
)
HELPFUL: Changes = {
    "batch norm": {"architecture": {"normalization": "batch"}},
    "learning rate x2": {"training": {"learning_rate": 2e-3}},
    "batch size x0.5": {"training": {"batch_size": 32}},
}
HARMFUL: Changes = {
    "vertical flip": {"data": {"augmentation": {"vertical_flip": 0.5}}},
    "rotation 54 degrees": {"data": {"augmentation": {"rotation": 0.15}}},
    "dropout 0.4": {"architecture": {"dropout": 0.4}},
}
PLACEBOS: Changes = {f"placebo {number}": {} for number in range(1, 11)}
ALL_MAY_HELP: Changes = {
    "epochs x3": {"training": {"epochs": 30}},
    "learning rate x3": {"training": {"learning_rate": 3e-3}},
    "cosine schedule": {"training": {"schedule": "cosine"}},
    "AdamW": {"training": {"optimizer": "adamw", "weight_decay": 0.05, "l2": 0.0}},
    "label smoothing 0.1": {"training": {"label_smoothing": 0.1}},
    "rotation 10 degrees": {"data": {"augmentation": {"rotation": 10 / 360}}},
    "zoom 10%": {"data": {"augmentation": {"zoom": 0.1}}},
    "shift 3%": {"data": {"augmentation": {"translation": 0.03}}},
    "width x2": {"architecture": {"width": 64}},
    "batch norm": {"architecture": {"normalization": "batch"}},
    "less dropout": {"architecture": {"dropout": 0.25, "stage_dropout": 0.0}},
    "a second block": {"architecture": {"blocks": 2}},
}


@dataclass(frozen=True)
class Job:
    """What is searched. changes: edits of the baseline by name; helpful, harmful: those that were planted, if
    any; budget: trainings of one campaign; validation, sealed: images."""

    baseline: Recipe
    changes: Changes
    helpful: Collection[str]
    harmful: Collection[str]
    budget: int
    validation: int
    sealed: int

    @property
    def count(self) -> int:
        """K, how many changes there are."""
        return len(self.changes)

    def among(self, names: Collection[str]) -> Bools:
        """Which changes (K,) are those."""
        return np.array([name in names for name in self.changes])

    def recipe(self, on: Sequence[bool] | Bools) -> Recipe:
        """The baseline with the changes that are on."""
        recipe = self.baseline
        for edit, switch in zip(self.changes.values(), on, strict=True):
            recipe = recipe.edit(**edit) if switch else recipe
        return recipe


class Trained(NamedTuple):
    """What one training named right: validation (1000,), sealed test (1000,); official: accuracy in points."""

    validation: Bools
    test: Bools
    official: float


Train = Callable[[Bools, int], Trained]  # what is on (K,), number of the training within its campaign


@dataclass(frozen=True)
class Shipped:
    """How a search ended. on (K,): the recipe; reported: the gain it claims, in points; low, high: ours alone, with
    proven: the changes that it calls proven (K,)."""

    on: tuple[bool, ...]
    reported: float
    low: float | None = None
    high: float | None = None
    proven: tuple[bool, ...] | None = None


def score(trained: Trained) -> float:
    """Validation accuracy in points."""
    return 100.0 * float(trained.validation.mean())


def ours(job: Job, train: Train, seed: int) -> Shipped:
    """convlift's own search and judgement, with no prior knowledge of any change."""
    baselines, finals = baseline_and_final_runs(job.budget)
    apart, priors = np.full(job.count, -1), np.zeros(job.count)
    on = [np.zeros(job.count, bool)] * baselines
    runs = [train(row, number) for number, row in enumerate(on)]

    def trials() -> posterior.Trials:
        scores = np.array([score(run) for run in runs])
        return posterior.Trials(np.array(on), scores, job.validation, accuracy_variance(float(scores.mean()) / 100))

    while len(runs) < job.budget - finals:
        drawn, _ = posterior.draw(trials(), priors, apart, np.random.default_rng([seed, len(runs)]))
        on.append(drawn)
        runs.append(train(drawn, len(runs)))
    belief = posterior.believe(trials(), priors, np.random.default_rng([seed, len(runs)]))
    shipped = posterior.ship(belief, apart, job.budget)
    while len(runs) < job.budget:
        on.append(shipped)
        runs.append(train(shipped, len(runs)))
    test = np.array([run.test for run in runs], np.float64)
    tests = single_changes.test_changes(np.array(on), test, asked=shipped)
    arms = total_gain.ArmScores(test[:baselines], test[-finals:])
    gain = total_gain.judge(arms, tests.seed_variance, same_start=True).gain_points
    return Shipped(tuple(shipped.tolist()), gain.value, gain.low, gain.high, tuple(tests.proven.tolist()))


def _climb(job: Job, train: Train, propose: Callable[[int, Bools], Bools], together: int = 1) -> Shipped:
    """Keep the best of every `together` proposals (K,) around the current recipe where its one score is higher."""
    current = np.zeros(job.count, bool)
    first = best = score(train(current, 0))
    number = 1
    while number < job.budget:
        batch = range(number, min(number + together, job.budget))
        proposed = [propose(each, current) for each in batch]
        scores = [score(train(on, each)) for on, each in zip(proposed, batch, strict=True)]
        if max(scores) > best:
            best, current = max(scores), proposed[int(np.argmax(scores))]
        number = batch.stop
    return Shipped(tuple(current.tolist()), best - first)


def keep_if_better(job: Job, train: Train, seed: int) -> Shipped:
    """One change after the other; after the last one, once more from the first, and what is on is tried without."""
    order, every = np.random.default_rng(seed).permutation(job.count), np.arange(job.count)
    return _climb(job, train, lambda number, current: current ^ (every == order[(number - 1) % job.count]))


def _flipped(rng: np.random.Generator, current: Bools) -> Bools:
    flips = rng.random(len(current)) < FLIPS / len(current)
    if not flips.any():
        flips[rng.integers(len(current))] = True
    return current ^ flips


def evo4(job: Job, train: Train, seed: int) -> Shipped:
    """Flip about four, keep if better."""
    rng = np.random.default_rng(seed)
    return _climb(job, train, lambda number, current: _flipped(rng, current))


def best_of_8(job: Job, train: Train, seed: int) -> Shipped:
    """Eight such neighbours a round."""
    rng = np.random.default_rng(seed)
    return _climb(job, train, lambda number, current: _flipped(rng, current), NEIGHBOURS)


def tpe(job: Job, train: Train, seed: int) -> Shipped:
    """Optuna's default sampler, told of the baseline first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problem = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    problem.enqueue_trial(dict.fromkeys(job.changes, False))

    def objective(trial: Any) -> float:
        on = np.array([trial.suggest_categorical(name, [False, True]) for name in job.changes])
        return score(train(on, trial.number))

    problem.optimize(objective, n_trials=job.budget)
    on = tuple(bool(problem.best_params[name]) for name in job.changes)
    return Shipped(on, float(problem.best_value - problem.trials[0].value))


METHODS: dict[str, Callable[[Job, Train, int], Shipped]] = {
    "ours": ours,
    "keep if better": keep_if_better,
    "best of 8": best_of_8,
    "evo4": evo4,
    "tpe": tpe,
}


JOBS = {
    "cifar": Job(BASELINE, HELPFUL | HARMFUL | PLACEBOS, HELPFUL, HARMFUL, 20, VALIDATION, SEALED),
    "digits": Job(built_in("plain"), ALL_MAY_HELP, (), (), 20, *DIGITS[1:]),
}


class Kept:
    """Every training that was ever run here, in one SQLite file; owns the connection."""

    def __init__(self, folder: Path, name: str) -> None:
        self._database = sqlite3.connect(folder / f"{name}-trainings.sqlite", timeout=60, isolation_level=None)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS trainings (recipe TEXT, seed INTEGER, validation BLOB, test BLOB, "
            "official REAL, core_seconds REAL, PRIMARY KEY (recipe, seed))"
        )

    def get(self, recipe: Recipe, seed: int) -> Trained | None:
        """The training of a recipe with a seed, if it was ever run."""
        row = self._database.execute(
            "SELECT validation, test, official FROM trainings WHERE recipe = ? AND seed = ?",
            (recipe.fingerprint(), seed),
        ).fetchone()
        return None if row is None else Trained(np.frombuffer(row[0], bool), np.frombuffer(row[1], bool), row[2])

    def put(self, recipe: Recipe, seed: int, trained: Trained, seconds: float) -> None:
        """Keep a training."""
        validation, test = trained.validation.tobytes(), trained.test.tobytes()
        row = (recipe.fingerprint(), seed, validation, test, trained.official, seconds)
        self._database.execute("INSERT OR IGNORE INTO trainings VALUES (?, ?, ?, ?, ?, ?)", row)

    def cost(self) -> tuple[int, float]:
        """How many trainings there are, and their core seconds."""
        count, seconds = self._database.execute("SELECT COUNT(*), SUM(core_seconds) FROM trainings").fetchone()
        return int(count), float(seconds or 0.0)


def write_images(archive: Path, path: Path) -> None:
    """The subset as an .npz file in MedMNIST's layout; its test part: the sealed images, then the official ones."""
    with np.load(archive) as stored:
        data, offsets, labels, count = stored["data"], stored["offsets"], stored["labels"], int(stored["n_train"])
    chosen = np.random.default_rng(0).permutation(count)[: TRAIN + VALIDATION + SEALED]
    train, validation, sealed = np.split(chosen, [TRAIN, TRAIN + VALIDATION])
    arrays = {}
    for part, rows in (("train", train), ("val", validation), ("test", np.r_[sealed, count : len(labels)])):
        files = [data[offsets[row] : offsets[row + 1]] for row in rows]
        arrays[f"{part}_images"] = np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1] for file in files])
        arrays[f"{part}_labels"] = labels[rows]
    np.savez(path, **arrays)


def write_digits(path: Path) -> None:
    """scikit-learn's digits in the same layout."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    chosen = np.random.default_rng(0).permutation(len(labels))
    arrays = {}
    for part, rows in zip(("train", "val", "test"), np.split(chosen, np.cumsum(DIGITS[:2])), strict=True):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images[rows], labels[rows]
    np.savez(path, **arrays)


@cache
def opened(folder: Path, name: str) -> tuple[Dataset, NDArray[np.int64], Kept]:
    """The data set, its test labels, and the trainings so far; once a process."""
    import torch

    torch.set_num_threads(1)
    store = open_store(open_source(str(folder / f"{name}.npz")), folder)
    dataset, sealed = seal(store, make_splits(store, 0))
    return dataset, sealed.open(), Kept(folder, name)


def trained(folder: Path, name: str, recipe: Recipe, seed: int) -> Trained:
    """A training's result: kept from an earlier time, or run now."""
    from convlift.trial.run_trial import run_trial

    dataset, test_labels, kept = opened(folder, name)
    sealed = JOBS[name].sealed
    known = kept.get(recipe, seed)
    if known is not None:
        return known
    began = time.process_time()
    outcome = run_trial(TrialSpec(recipe, seed), dataset, folder)
    assert outcome.status == "finished", outcome.reason
    validation = outcome.validation_probabilities.argmax(1) == dataset.labels[dataset.splits.validation]
    test = outcome.test_probabilities.argmax(1) == test_labels
    result = Trained(validation, test[:sealed], 100.0 * float(test[sealed:].mean()))
    kept.put(recipe, seed, result, time.process_time() - began)
    return result


def campaign(folder: Path, name: str, method: str, number: int) -> Shipped:
    """One search; its trainings have seeds of their own."""
    job, first = JOBS[name], 1_000_000 * (1 + list(METHODS).index(method)) + 1000 * number
    return METHODS[method](job, lambda on, training: trained(folder, name, job.recipe(on), first + training), number)


def official(folder: Path, name: str, recipe: Recipe, seed: int) -> float:
    """Accuracy of one training on the official test, in points."""
    return trained(folder, name, recipe, seed).official


def truths(
    pool: ProcessPoolExecutor, folder: Path, name: str, recipes: Sequence[Recipe], seeds: int
) -> dict[str, NDArray[Any]]:
    """Official accuracies (seeds,) in points of each recipe and of the baseline, by fingerprint."""
    distinct = {recipe.fingerprint(): recipe for recipe in (JOBS[name].baseline, *recipes)}
    waiting = {
        which: [pool.submit(official, folder, name, recipe, seed) for seed in range(seeds)]
        for which, recipe in distinct.items()
    }
    return {which: np.array([future.result() for future in futures]) for which, futures in waiting.items()}


def summary(job: Job, shipped: Sequence[Shipped], gains: NDArray[Any]) -> dict[str, Any]:
    """One row of the table; gains: true ones in points, one a campaign."""
    on = np.array([each.on for each in shipped])
    helpful, harmful = job.among(job.helpful), job.among(job.harmful)
    reported = np.array([each.reported for each in shipped])
    row = {
        "campaigns": len(shipped),
        "true_gain": float(gains.mean()),
        "true_gain_se": float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else None,
        "reported_less_true": float((reported - gains).mean()),
        "shipped": float(on.sum(1).mean()),
    }
    if job.helpful:
        row |= {
            "helpful_shipped": float(on[:, helpful].sum(1).mean()),
            "useless_shipped": float(on[:, ~helpful & ~harmful].sum(1).mean()),
            "harmful_shipped": float(on[:, harmful].sum(1).mean()),
        }
    if shipped[0].proven is not None:
        proven = np.array([each.proven for each in shipped])
        low, high = (np.array([getattr(each, end) for each in shipped]) for end in ("low", "high"))
        row |= {
            "proven": float(proven[:, helpful].sum(1).mean() if job.helpful else proven.sum(1).mean()),
            "falsely_proven": float(proven[:, ~helpful].sum(1).mean()) if job.helpful else None,
            "total_proven": float((low > 0).mean()),
            "interval_covers": float(((low <= gains) & (gains <= high)).mean()),
        }
    return row


def compare(
    pool: ProcessPoolExecutor, folder: Path, name: str, methods: Sequence[str], campaigns: int, seeds: int
) -> dict[str, Any]:
    """Every method's campaigns, then the truth of what they shipped."""
    job = JOBS[name]
    futures = {method: [pool.submit(campaign, folder, name, method, c) for c in range(campaigns)] for method in methods}
    shipped = {}
    for method, waiting in futures.items():
        shipped[method] = [future.result() for future in waiting]
        print(f"{method}: {campaigns} campaigns searched", file=sys.stderr, flush=True)
    recipes = [job.recipe(each.on) for several in shipped.values() for each in several]
    true = truths(pool, folder, name, recipes, seeds)
    base = true[job.baseline.fingerprint()].mean()
    rows = {}
    for method, several in shipped.items():
        gains = np.array([true[job.recipe(each.on).fingerprint()].mean() - base for each in several])
        found = [asdict(each) | {"true_gain": gain} for each, gain in zip(several, gains.tolist(), strict=True)]
        rows[method] = summary(job, several, gains) | {"found": found}
    return rows


def check(pool: ProcessPoolExecutor, folder: Path, name: str, seeds: int) -> dict[str, tuple[float, float]]:
    """What each change alone, and all together (or all helpful ones), do to the baseline: (points, standard error)."""
    job = JOBS[name]
    singles = [(change, np.arange(job.count) == k) for k, change in enumerate(job.changes)]
    alone = {change: job.recipe(on) for change, on in singles if job.changes[change]}
    alone["all that help" if job.helpful else "all"] = job.recipe(job.among(job.helpful or job.changes))
    true = truths(pool, folder, name, list(alone.values()), seeds)
    base = true[job.baseline.fingerprint()]
    print(f"baseline {base.mean():.2f}, seed deviation {base.std(ddof=1):.2f}")
    effects = {}
    for change, recipe in alone.items():
        scores = true[recipe.fingerprint()]
        error = np.sqrt((scores.var(ddof=1) + base.var(ddof=1)) / seeds)
        effects[change] = float(scores.mean() - base.mean()), float(error)
        print(f"    {change:22}{effects[change][0]:+6.2f} ± {error:.2f}")
    return effects


HEADS = ("campaigns", "true_gain", "true_gain_se", "reported_less_true", "shipped", "helpful_shipped",
         "useless_shipped", "harmful_shipped", "proven", "falsely_proven", "total_proven",
         "interval_covers")  # fmt: skip


def print_table(rows: dict[str, Any]) -> None:
    """The rows as text, one method a column."""
    print(f"    {'':20}" + "".join(f"{name:>16}" for name in rows))
    for head in HEADS:
        cells = [row.get(head) for row in rows.values()]
        texts = ["" if cell is None else f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"    {head.replace('_', ' '):20}" + "".join(f"{text:>16}" for text in texts))


def main() -> None:
    """Parse, run, write down, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of cifar10_jpegbytes.npz")
    parser.add_argument("--job", choices=JOBS, default="cifar")
    parser.add_argument("--methods", default=",".join(METHODS), help="names, separated by commas")
    parser.add_argument("--campaigns", type=int, default=10)
    parser.add_argument("--truth-seeds", type=int, default=TRUTH_SEEDS, help="of each shipped recipe")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--check", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--cache", type=Path, default=RESULTS / "planted-cache")
    parser.add_argument("--results", type=Path, help="default: results/planted.json, results/planted-digits.json")
    options = parser.parse_args()
    methods = options.methods.split(",")
    if unknown := [name for name in methods if name not in METHODS]:
        sys.exit(f"method '{unknown[0]}' is not known; the methods are {', '.join(METHODS)}.")
    job = JOBS[options.job]
    results = options.results or RESULTS / ("planted.json" if options.job == "cifar" else f"planted-{options.job}.json")
    archive = options.data / "cifar10_jpegbytes.npz"
    if options.job == "cifar" and not archive.is_file():
        sys.exit(f"{archive} is not there, so nothing was run; name its folder with --data.")
    options.cache.mkdir(parents=True, exist_ok=True)
    if not (options.cache / f"{options.job}.npz").is_file():
        images = options.cache / f"{options.job}.npz"
        write_digits(images) if options.job == "digits" else write_images(archive, images)
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = options.cache.resolve()
    opened(folder, options.job)  # the store is made once, before the workers look for it
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        if options.check:
            check(pool, folder, options.job, options.check)
            return
        rows = compare(pool, folder, options.job, methods, options.campaigns, options.truth_seeds)
    known = json.loads(results.read_text())["methods"] if results.is_file() else {}
    rows = {name: (known | rows)[name] for name in METHODS if name in known | rows}
    trainings, seconds = opened(folder, options.job)[2].cost()
    document = {
        "budget": job.budget,
        "truth_seeds": options.truth_seeds,
        "machine": platform.processor() or platform.machine(),
        "trainings": trainings,
        "core_seconds": seconds,
        "methods": rows,
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print_table(rows)
    print(f"    {trainings} trainings in {seconds:.0f} core seconds")


if __name__ == "__main__":
    main()
