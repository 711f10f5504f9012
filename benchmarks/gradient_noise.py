"""Does the agreement of two batches' gradients say which way the batch size and the learning rate should go?

The job of `small_budgets.py`: 3,000 images of CIFAR-10 (16 px) and of Fashion-MNIST (14 px), a small network, Adam, 5
epochs. Each of 24 baselines (three learning rates, four batch sizes, two data sets) is trained with 3 seeds; its
agreement is the mean over the second half of the epochs (`train/gradients.py`). Then each of four changes is trained
with the same seeds; its effect is the difference of mean accuracy on the 10,000 official test images, in points, with a
standard error of about .7.

Command: OMP_NUM_THREADS=1 python benchmarks/gradient_noise.py [--data ../shared/data] [--workers 2]
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from planted import BASELINE, write_images
from small_budgets import FASHION, OFFICIAL, RESOLUTION, RESULTS, opened, write_fashion

from convlift.trial.order import Order
from convlift.trial.run import run_trial

LEARNING_RATES, BATCH_SIZES, SEEDS = (1e-3, 4e-3, 1.6e-2), (8, 32, 128, 512), 3
FACTORS = {"batch size x0.5": (0.5, 1), "batch size x2": (2, 1), "rate x0.5": (1, 0.5), "rate x2": (1, 2)}
BOUNDS = (0.03, 0.25)


class Row(NamedTuple):
    """One baseline: its accuracy in points, its agreement, and what each of FACTORS adds, in points."""

    data: str
    learning_rate: float
    batch_size: int
    accuracy: float
    agreement: float
    effects: tuple[float, ...]


def trained(folder: Path, name: str, rate: float, batch: int, seed: int) -> tuple[float, float]:
    """Accuracy on the official test in points, and the agreement."""
    dataset, labels, _ = opened(folder, name)
    recipe = BASELINE.edit(data={"resolution": RESOLUTION[name]}, training={"learning_rate": rate, "batch_size": batch})
    outcome = run_trial(Order(recipe, seed), dataset, folder)
    agreements = [epoch.gradient_agreement for epoch in outcome.curve if epoch.gradient_agreement is not None]
    right = outcome.test_probabilities.argmax(1) == labels
    return 100.0 * float(right[-OFFICIAL:].mean()), float(np.mean(agreements))


def measure(folder: Path, name: str, rate: float, batch: int) -> Row:
    """A baseline and its four changes."""
    own = np.array([trained(folder, name, rate, batch, seed) for seed in range(SEEDS)])
    effects = []
    for of_batch, of_rate in FACTORS.values():
        changed = [trained(folder, name, rate * of_rate, int(batch * of_batch), seed)[0] for seed in range(SEEDS)]
        effects.append(float(np.mean(changed) - own[:, 0].mean()))
    return Row(name, rate, batch, *(float(mean) for mean in own.mean(0)), tuple(effects))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of cifar10_jpegbytes.npz")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=RESULTS / "planted-cache")
    options = parser.parse_args()
    folder = options.cache.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cifar.npz").is_file():
        write_images(options.data / "cifar10_jpegbytes.npz", folder / "cifar.npz")
    if not (folder / "fashion.npz").is_file():
        write_fashion(FASHION, folder / "fashion.npz")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in RESOLUTION:
        opened(folder, name)  # the store is made once, before the workers look for it
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        cells = list(product(RESOLUTION, LEARNING_RATES, BATCH_SIZES))
        rows = []
        for future in [pool.submit(measure, folder, *cell) for cell in cells]:
            rows.append(future.result())
            effects = "  ".join(f"{name} {e:+.1f}" for name, e in zip(FACTORS, rows[-1].effects, strict=True))
            row = rows[-1]
            print(f"{row.data:8} {row.learning_rate:<6g} {row.batch_size:4}  {row.accuracy:.1f}  ", end="")
            print(f"agreement {row.agreement:+.3f}  {effects}", flush=True)
    low, high = BOUNDS
    for title, part in (
        (f"under {low}", [row for row in rows if row.agreement < low]),
        (f"{low} to {high}", [row for row in rows if low <= row.agreement <= high]),
        (f"over {high}", [row for row in rows if row.agreement > high]),
    ):
        if part:
            means = np.mean([row.effects for row in part], axis=0)
            effects = "  ".join(f"{name} {e:+.1f}" for name, e in zip(FACTORS, means, strict=True))
            print(f"agreement {title}: {len(part)} baselines  {effects}")
    (RESULTS / "gradient-noise.json").write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
