"""How far the catalogue's expectations agree with what its changes do: each alone, with several seeds.

Every change that a campaign would consider for a recipe on some data (symptoms of the recipe's own first training,
cost, what the guard against augmentations leaves of it) is trained alone. Scored on validation and test images
together, since nothing is chosen by either; its effect is the mean less that of the recipe itself. Of the correlation
of expectations with effects, which noise makes smaller than it is, also the one that is left without the noise of the
seeds (Spearman 1904: over the root of the share of the effects' variance that is no noise). A short list pays where
that is over .2 (docs/method.md).

Command: OMP_NUM_THREADS=1 python benchmarks/priors.py NAME=DATA [NAME=DATA ...] [--recipe plain] [--resolution N]
                                       [--seeds 5] [--changes K] [--workers 2] [--json FILE]
Last result: benchmarks/results/priors.json; docs/LOG.md, "What the catalogue expects".
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import fine_tuning
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.catalogue.candidates import CATALOGUE, Candidate, CostLimit, candidates
from convlift.catalogue.diagnose import diagnose
from convlift.data.dataset import Dataset, facts_of
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.search.augmentation_guard import added, decide, weakened
from convlift.search.shortlist import DEAREST
from convlift.trial.calibrate import calibrate
from convlift.trial.label_preservation import open_label_checker
from convlift.trial.run_trial import run_trial

LOOKED_AT = 800  # validation images that the guard asks about
SHORT_LIST = 10


class Task(NamedTuple):
    """One training. folder: of the data as they were read."""

    data: str
    folder: str
    recipe: str
    seed: int


@cache
def opened(data: str, folder: str) -> tuple[Dataset, NDArray[np.int64]]:
    """The images, and the labels of validation and test."""
    dataset, sealed = open_data(request_of(data, None, Path(folder), seed=0), Session())
    return dataset, np.concatenate([dataset.labels[dataset.splits.validation], sealed.open()])


def score(outcome: Outcome, labels: NDArray[np.int64]) -> float:
    """In points; chance where it failed to learn."""
    if not len(outcome.validation_probabilities):
        return 100.0 * float(np.bincount(labels).max() / len(labels))
    return fine_tuning.score(outcome, labels)


def run(task: Task) -> float:
    """The score of one training."""
    torch.set_num_threads(1)
    dataset, labels = opened(task.data, task.folder)
    return score(
        run_trial(TrialSpec(parse_recipe(json.loads(task.recipe)), task.seed), dataset, Path(task.folder)), labels
    )


def considered(dataset: Dataset, recipe: Recipe, folder: Path) -> list[Candidate]:
    """The changes that a campaign would try with room for all, as the guard leaves them."""
    weights, facts = folder / "first.safetensors", facts_of(dataset)
    first = run_trial(TrialSpec(recipe, 0), dataset, folder, limits=Limits(save_to=str(weights)))
    labels = dataset.labels[dataset.splits.validation]
    symptoms = {each.symptom for each in diagnose(first, labels, recipe, facts)}
    print("symptoms:", ", ".join(sorted(each.value for each in symptoms)) or "none")

    def seconds(edited: Recipe) -> float:
        held_out = len(dataset.splits.validation) + len(dataset.splits.test)
        sizes = {"images": facts.training_images, "held_out": held_out, "classes": facts.classes}
        return sum(calibrate(edited.at(facts.native_resolution), **sizes, channels=facts.channels))

    once = seconds(recipe)
    limit = CostLimit(lambda edited: seconds(edited) / once, DEAREST)
    found, left_out = candidates(recipe, facts, symptoms, len(CATALOGUE), limit)
    checker = open_label_checker(dataset, 0, weights, recipe)
    checker.look_at(LOOKED_AT)
    ask, kept = cache(checker.check), []
    for each in found:
        way = decide(ask, recipe, each, found).way if added(recipe, each.intervention.edit(recipe)) else "as it is"
        kept += [weakened(each, recipe, way)] if way else []
    print(
        f"{len(kept)} changes fit and pass the guard, {len(found) - len(kept)} do not pass, {len(left_out)} do not fit"
    )
    return kept


def compare(rows: list[dict[str, Any]], noise: float) -> dict[str, float | None]:
    """Correlations of expectations with effects, and what the most promising are worth. noise: the variance of an
    effect's error, in squared points."""
    prior, promise, effect = (np.array([row[key] for row in rows]) for key in ("prior", "promise", "effect"))
    observed, variance = float(np.corrcoef(prior, effect)[0, 1]), float(effect.var(ddof=1))
    reliable = max(variance - noise, 0.0) / variance
    best = np.argsort(-promise, kind="stable")[:SHORT_LIST]
    return {
        "changes": len(rows),
        "correlation": observed,
        "error": (1 - observed**2) / max(len(rows) - 2, 1) ** 0.5,
        "without_noise": observed / reliable**0.5 if reliable else None,
        "rank_correlation": float(spearmanr(prior, effect).statistic),
        "effects_deviation": max(variance - noise, 0.0) ** 0.5,
        "mean_effect": float(effect.mean()),
        "mean_of_most_promising": float(effect[best].mean()),
        "mean_of_best": float(np.sort(effect)[-SHORT_LIST:].mean()),
    }


def measure(name: str, data: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All changes on one data set."""
    with tempfile.TemporaryDirectory() as place:
        dataset, _ = opened(data, place)
        recipe = built_in(asked.recipe)
        if asked.resolution:
            recipe = recipe.edit(data={"resolution": asked.resolution})
        recipe = recipe.at(dataset.store.native_resolution)
        tried = considered(dataset, recipe, Path(place))[: asked.changes]
        recipes = [recipe, *(each.intervention.edit(recipe) for each in tried)]
        tasks = [Task(data, place, each.model_dump_json(), seed) for each in recipes for seed in range(asked.seeds)]
        with multiprocessing.get_context("spawn").Pool(asked.workers) as pool:
            scores = np.array(pool.map(run, tasks, chunksize=1)).reshape(len(recipes), asked.seeds)
    means, deviation = scores.mean(1), float(scores.var(1, ddof=1).mean()) ** 0.5
    rows = [
        {"name": each.name, "prior": each.prior, "promise": each.promise, "cost": each.cost, "effect": effect}
        for each, effect in zip(tried, (means[1:] - means[0]).tolist(), strict=True)
    ]
    said = {
        "data": name,
        "recipe": asked.recipe,
        "resolution": recipe.data.resolution,
        "seeds": asked.seeds,
        "score": float(means[0]),
        "seed_deviation": deviation,
    }
    return {**said, **compare(rows, deviation**2 / asked.seeds), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="NAME=DATA")
    parser.add_argument("--recipe", default="plain", help="a built-in one")
    parser.add_argument("--resolution", type=int, help="in pixels; default: the images' own")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--changes", type=int, help="no more than so many, to try the code")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = []
    for name, data in (each.split("=", 1) for each in asked.data):
        found.append(measure(name, data, asked))
        for row in sorted(found[-1]["rows"], key=lambda row: -row["effect"]):
            print(f"  {row['effect']:+6.2f}  expected {row['prior']:+5.2f}  {row['cost']:4.1f} times  {row['name']}")
        print(json.dumps({key: value for key, value in found[-1].items() if key != "rows"}), flush=True)
        if asked.json:
            asked.json.write_text(json.dumps({"schema_version": 1, "measured": found}), encoding="utf-8")
    print(f"mean correlation {statistics.mean(each['correlation'] for each in found):+.2f}")


if __name__ == "__main__":
    main()
