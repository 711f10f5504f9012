"""Does the agreement of two batches' gradients say which way the batch size and the learning rate should go?

The job of `small_budgets.py`: 3,000 images of CIFAR-10 (16 px) and of Fashion-MNIST (14 px), a small network, Adam, 5
epochs. Each of 16 baselines (two learning rates, four batch sizes, two data sets) is trained with 3 seeds, and each
training is diagnosed as a campaign would (`catalogue/diagnose.py`). Then each of four changes is trained with the same
seeds; its effect is the difference of mean accuracy on the 10,000 official test images, in points, with a standard
error of about .7.

Command: OMP_NUM_THREADS=1 python benchmarks/gradient_noise.py [--data ../shared/data] [--workers 2]
Last result (one Zen 3 core shared with other work, 15 minutes; `benchmarks/results/gradient-noise.json`), mean effects:

                                   batch size x0.5     x2     rate x0.3     x3
    agreement over .25, 12 baselines          +2.0   -3.5          -4.3   -1.4
    at most .25, 4                            +0.2   +0.2          -1.6   -4.1
    called large, 8 of 48 trainings           +2.6   -4.5          -4.8   -3.0

With batches of 256 and 12 steps an epoch there are few pairs, so most large batches are not called so. Low agreement
was tried as a symptom of too large steps: at about .04 half of the rate added 2 points once and lost 2 once.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from planted import BASELINE, TRAIN
from small_budgets import OFFICIAL, RESOLUTION, RESULTS, opened, prepared

from convlift.catalogue.diagnose import LARGE_BATCHES, diagnose
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.facts import Facts
from convlift.trial.run_trial import run_trial

LEARNING_RATES, BATCH_SIZES, SEEDS = (1e-3, 4e-3), (16, 64, 128, 256), 3
FACTORS = {"batch size x0.5": (0.5, 1), "batch size x2": (2, 1), "rate x0.3": (1, 0.3), "rate x3": (1, 3)}


class Row(NamedTuple):
    """One baseline: its accuracy in points, its mean agreement, in how many of its trainings batches were called large,
    and what each of FACTORS adds, in points."""

    data: str
    learning_rate: float
    batch_size: int
    accuracy: float
    agreement: float
    large: int
    effects: tuple[float, ...]


def trained(folder: Path, name: str, rate: float, batch: int, seed: int) -> tuple[float, float, bool]:
    """Accuracy on the official test in points, the agreement, and whether batches are called large."""
    dataset, labels, _ = opened(folder, name)
    recipe = BASELINE.edit(data={"resolution": RESOLUTION[name]}, training={"learning_rate": rate, "batch_size": batch})
    outcome = run_trial(TrialSpec(recipe, seed), dataset, folder)
    right = outcome.test_probabilities.argmax(1) == labels
    facts = Facts(training_images=TRAIN, classes=10)
    found = diagnose(outcome, dataset.labels[dataset.splits.validation], recipe, facts)
    large = any(each.symptom is Symptom.LARGE_BATCHES for each in found)
    return 100.0 * float(right[-OFFICIAL:].mean()), outcome.curve[-1].gradient_agreement or 0.0, large


def measure(folder: Path, name: str, rate: float, batch: int) -> Row:
    """A baseline and its four changes."""
    own = [trained(folder, name, rate, batch, seed) for seed in range(SEEDS)]
    accuracy, agreement = (float(np.mean([run[place] for run in own])) for place in (0, 1))
    large = sum(run[2] for run in own)
    effects = []
    for of_batch, of_rate in FACTORS.values():
        changed = [trained(folder, name, rate * of_rate, int(batch * of_batch), seed)[0] for seed in range(SEEDS)]
        effects.append(float(np.mean(changed) - accuracy))
    return Row(name, rate, batch, accuracy, agreement, large, tuple(effects))


def in_words(effects: Iterable[float]) -> str:
    """What each of FACTORS adds."""
    return "  ".join(f"{name} {effect:+.1f}" for name, effect in zip(FACTORS, effects, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of cifar10_jpegbytes.npz")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=RESULTS / "planted-cache")
    options = parser.parse_args()
    folder = prepared(options.data, options.cache)
    for name in RESOLUTION:
        opened(folder, name)  # the store is made once, before the workers look for it
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        cells = list(product(RESOLUTION, LEARNING_RATES, BATCH_SIZES))
        rows = []
        for future in [pool.submit(measure, folder, *cell) for cell in cells]:
            row = future.result()
            rows.append(row)
            print(f"{row.data:8} {row.learning_rate:<6g} {row.batch_size:4}  {row.accuracy:.1f}  ", end="")
            print(f"agreement {row.agreement:+.3f} large in {row.large}  {in_words(row.effects)}", flush=True)
    large, over = np.array([row.large for row in rows]), np.array([row.agreement > LARGE_BATCHES for row in rows])
    for title, weights in (
        ("called large", large),
        ("not called large", SEEDS - large),
        (f"agreement over {LARGE_BATCHES}", SEEDS * over),
        (f"at most {LARGE_BATCHES}", SEEDS * ~over),
    ):
        if weights.sum():
            means = np.average([row.effects for row in rows], axis=0, weights=weights)
            print(f"{title}: {weights.sum()} trainings  {in_words(means)}")
    (RESULTS / "gradient-noise.json").write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
