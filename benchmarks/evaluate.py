"""Whether the intervals of `convlift evaluate` hold: `python benchmarks/evaluate.py [--draws 1000] [--json FILE]`.

A network whose scores are known (`simulation/one_network.py`) is evaluated on so many drawn images again and again.
Prints how often the 95% interval of each score holds the true one.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convlift.deploy.evaluate_model import class_figures
from convlift.evidence.calibration import BINS, calibration
from convlift.evidence.metrics import METRICS
from convlift.evidence.score_intervals import score_interval
from convlift.records.result import Estimate
from simulation.one_network import POPULATION, World, draw

EVEN, UNEVEN, RARE = (0.25,) * 4, (0.5, 0.25, 0.15, 0.1), (0.9, 0.1)
SIZES, ACCURACIES = (50, 200, 1000), (0.7, 0.95, 0.995)
ERROR, RECALL, PRECISION = "calibration", "recall", "precision"
NAMES = (*(metric.name for metric in METRICS), ERROR, RECALL, PRECISION)
FEW = 4  # for the calibration error, which takes long: one in so many draws

Cell = tuple[str, World, int]


def cells() -> Iterator[Cell]:
    """What is simulated: a name, the network, how many images it is evaluated on."""
    for n in SIZES:
        for accuracy in ACCURACIES:
            for name, shares in {"4 even": EVEN, "4 uneven": UNEVEN, "1 in 10": RARE}.items():
                yield f"{n} images, {accuracy}, {name}", World(accuracy, shares), n
            size = {50: 5, 200: 10, 1000: 20}[n]
            yield f"{n} in groups of {size}, {accuracy}", World(accuracy, EVEN, size), n
            yield f"{n} in groups of {size}, one class each, {accuracy}", World(accuracy, UNEVEN, size, 0.5, True), n


def coverage(world: World, n: int, draws: int, rng: np.random.Generator) -> dict[str, float]:
    """By score: the share of draws whose interval holds the true one; of recall and precision those of the last class,
    where there are any."""
    true = _truth(world, rng)
    held: dict[str, list[bool]] = {name: [] for name in NAMES}
    for number in range(draws):
        for name, found in _estimates(world, n, rng, calibrated=number % FEW == 0).items():
            held[name].append(found.low - 1e-9 <= true[name] <= found.high + 1e-9)
    return {name: float(np.mean(each)) if each else float("nan") for name, each in held.items()}


def _estimates(world: World, n: int, rng: np.random.Generator, *, calibrated: bool) -> dict[str, Estimate]:
    said, labels, groups = draw(world, n, rng)
    found = {metric.name: score_interval(metric, said, labels, groups) for metric in METRICS}
    predicted, last = said.argmax(axis=1), len(world.shares) - 1
    if calibrated:
        found[ERROR] = calibration(said.max(axis=1), predicted == labels, groups).error
    own = class_figures("last", labels == last, predicted == last, groups)
    return found | {k: v for k, v in ((RECALL, own.recall), (PRECISION, own.precision)) if v is not None}


def _truth(world: World, rng: np.random.Generator) -> dict[str, float]:
    said, labels, _ = draw(World(world.accuracy, world.shares), POPULATION, rng)
    predicted, sure, last = said.argmax(axis=1), said.max(axis=1), len(world.shares) - 1
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    right = predicted == labels
    return {
        **{metric.name: metric.score(said, labels) for metric in METRICS},
        ERROR: float(np.abs(np.bincount(place, sure - right)).sum() / POPULATION),
        RECALL: float(right[labels == last].mean()),
        PRECISION: float(right[predicted == last].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    began, found = time.monotonic(), {}
    print(f"{'covered':48}" + "".join(f"{name:>18}" for name in NAMES))
    for seed, (cell, world, n) in enumerate(cells()):
        found[cell] = coverage(world, n, asked.draws, np.random.default_rng(seed))
        print(f"{cell:48}" + "".join(f"{found[cell][name]:>18.3f}" for name in NAMES), flush=True)
    print(f"{asked.draws} draws a row ({asked.draws // FEW} for calibration), {time.monotonic() - began:.0f} s")
    if asked.json:
        asked.json.write_text(json.dumps({"draws": asked.draws, "cells": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
