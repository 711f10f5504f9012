"""What changes to `fine-tune` are worth, and what several of its networks are worth together.

Every variant is trained with every seed on every split. Of each variant's networks the average of their weights is
judged, all of them together, and both with mirror images, as a campaign does (`search/combine.py`). A line is one data
set and variant: mean score over splits of one network, and points over that; on validation and test images together,
since no choice is made by either.

Command: python benchmarks/fine_tuning.py NAME=DATA [NAME=DATA ...] [--splits 0,1] [--seeds 0,1] [--epochs 14]
                                          [--variants as-is cutmix ...] [--device auto] [--processes 1] [--json FILE]
Last result: docs/LOG.md, "Fine-tuned networks together", by an earlier form in which networks shared the seed of their
head (benchmarks/results/fine-tuning.json).
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset
from convlift.recipe.built_in import built_in
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.train.device import choose_devices
from convlift.trial.combine_networks import combine_networks
from convlift.trial.run_trial import run_trial

WEAKER = {"rotation": 0.0, "zoom": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
# the recipe before decision 0035: it ends at zero, and averages its last weights
ONE_CYCLE = {"schedule": "one_cycle", "learning_rate": 5e-4, "small_first": 0.67, "average_from": None}
VARIANTS: dict[str, dict[str, Any]] = {
    "as-is": {},
    "long": {},  # twice the epochs
    "hidden units": {"architecture": {"head_units": 1024}},
    "layer decay": {"training": {"fine_tuning": {"layer_decay": 0.75}}},
    "one cycle": {"training": {"fine_tuning": ONE_CYCLE}},
    "twice the rate": {"training": {"fine_tuning": {"learning_rate": 2e-3}}},
    "half the rate": {"training": {"fine_tuning": {"learning_rate": 5e-4}}},
    "last weights": {"training": {"average": 0.0, "fine_tuning": {"average_from": None}}},
    "mirrors and shifts": {"data": {"augmentation": WEAKER}},
    "mixup": {"data": {"mixing": {"mixup": 0.4}}},
    "CutMix": {"data": {"mixing": {"cutmix": 1.0}}},
    "mixup and CutMix": {"data": {"mixing": {"mixup": 0.4, "cutmix": 1.0}}},
    "norms frozen": {"training": {"fine_tuning": {"batch_norm": "frozen"}}},
}
TOGETHER = {
    "average": {"averaged": True},
    "average, mirrored": {"averaged": True, "mirrored": True},
    "together": {},
    "together, mirrored": {"mirrored": True},
}


class Task(NamedTuple):
    """All networks of one variant on one split."""

    name: str
    data: str
    split: int
    variant: str
    seeds: tuple[int, ...]
    epochs: int
    device: str


def recipe_of(task: Task, dataset: Dataset) -> Recipe:
    """The variant in the length that was asked for."""
    recipe = built_in("fine-tune").edit(training={"fine_tuning": {"epochs": task.epochs}})
    edit = VARIANTS[task.variant]
    if task.variant == "long":
        edit = {"training": {"fine_tuning": {"epochs": 2 * task.epochs}}}
    return recipe.edit(**edit).at(dataset.store.native_resolution)


def run(task: Task) -> dict[str, Any]:
    """Scores in percent: of each network, and of what they make together."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        dataset, sealed = open_data(request_of(task.data, None, folder, seed=task.split), Session())
        splits = dataset.splits
        labels = np.concatenate([dataset.labels[splits.validation], sealed.open()])
        recipe, device = recipe_of(task, dataset), choose_devices(task.device)[0]
        began, networks = time.monotonic(), []
        for seed in task.seeds:
            limits = Limits(save_to=str(folder / f"{seed}.safetensors"))
            networks.append(run_trial(TrialSpec(recipe, seed), dataset, folder, limits=limits, device=device))
        seconds = time.monotonic() - began
        found = {"network": statistics.mean(score(each, labels) for each in networks)}
        for what, how in TOGETHER.items():
            asked = Combination(tuple(each.weights for each in networks), **how)
            made = combine_networks(TrialSpec(recipe, 0), asked, dataset, Limits(), device)
            found[what] = score(made, labels)
    return {**task._asdict(), "seconds": round(seconds, 1), "images": len(labels), "scores": found}


def score(outcome: Outcome, labels: NDArray[np.int64]) -> float:
    said = np.concatenate([outcome.validation_probabilities, outcome.test_probabilities])
    return 100.0 * float((said.argmax(1) == labels).mean())


def table(rows: list[dict[str, Any]]) -> str:
    """One line for each data set and variant."""
    lines = [f"{'data':<14}{'variant':<20}{'network':>8}" + "".join(f"{name:>20}" for name in TOGETHER)]
    for name, variant in dict.fromkeys((row["name"], row["variant"]) for row in rows):
        scores = [row["scores"] for row in rows if (row["name"], row["variant"]) == (name, variant)]
        one = statistics.mean(each["network"] for each in scores)
        gains = (statistics.mean(each[what] - each["network"] for each in scores) for what in TOGETHER)
        lines.append(f"{name:<14}{variant:<20}{one:>8.2f}" + "".join(f"{gain:>+20.2f}" for gain in gains))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="NAME=DATA")
    parser.add_argument("--splits", default="0,1")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    seeds = tuple(map(int, asked.seeds.split(",")))
    tasks = [
        Task(*each.split("=", 1), int(split), variant, seeds, asked.epochs, asked.device)
        for variant in asked.variants
        for each in asked.data
        for split in asked.splits.split(",")
    ]
    rows: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        for row in pool.imap_unordered(run, tasks, 1):
            rows.append(row)
            print(json.dumps(row), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps({"schema_version": 1, "rows": rows}, indent=1))
    print(table(rows))


if __name__ == "__main__":
    main()
