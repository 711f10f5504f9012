"""A training that lies in a run folder already, to be diagnosed without training anything: `diagnose --run`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convlift.campaign.one_training import RECORD, question_of, read_record
from convlift.campaign.page_material import environment
from convlift.campaign.request import Request
from convlift.campaign.train_once import Trained
from convlift.data.dataset import Dataset
from convlift.errors import ConvliftError
from convlift.evidence.metrics import metric_named
from convlift.evidence.temperature import as_it_ships, at_temperature
from convlift.evidence.total_gain import one_network
from convlift.ledger.ledger import LEDGER_FILE, read_ledger, understood
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.search.decisions import Shipped, decided


@dataclass(frozen=True)
class Finished:
    """A training that is over.

    run: its run folder.
    question: of it: fingerprints of its data and its groups, seed, metric; see `question_of`.
    outcome: without predictions where only the model is there to make them.
    has_model: whether the folder's model is this training's network.
    """

    run: Path
    question: Mapping[str, Any]
    recipe: Recipe
    outcome: Outcome
    has_model: bool = True


def finished_training(path: Path) -> Finished:
    """The training in a run folder or its model folder; of a campaign the one that ships or, where that learned from
    the validation images too, the best of those that did not. Raises ConvliftError where nobody knows what it is."""
    for folder in (path, path.parent):
        if (folder / RECORD).is_file():
            kept = read_record(folder)
            outcome = Outcome(kept.status, NO_PROBABILITIES, NO_PROBABILITIES, kept.curve, kept.seconds)
            return Finished(folder, kept.question, parse_recipe(kept.question.get("recipe")), outcome)
        if (folder / LEDGER_FILE).is_file():
            return _of_campaign(folder)
    raise ConvliftError(
        f"{path} is no run folder of convlift train, diagnose or improve, so nobody knows which images its model "
        "learned from; give one, or score the model on labelled images with convlift evaluate."
    )


def _of_campaign(folder: Path) -> Finished:
    with read_ledger(folder) as ledger, understood(ledger):
        identity, kept = ledger.identity, decided(ledger, Shipped)
        if identity.fold:
            raise ConvliftError(f"{folder} is a part of a cross-validation; diagnose its recipe with --recipe.")
        ships = [ledger.trial(kept.network)] if kept else []
        measured = [
            r for r in (*ships, *_finished(ledger.trials("final")), *_finished(ledger.trials("start"))) if _says(r)
        ]
        measured = measured or [r for r in _finished(ledger.trials("baseline")) if _says(r)]
    if not measured:
        raise ConvliftError(f"{folder} holds no finished training; run improve again to continue it.")
    one = measured[0]
    assert one.outcome is not None, "only those that ended are taken"
    question = {"data": identity.data, "groups": identity.groups, "seed": identity.seed, "metric": identity.metric}
    return Finished(folder, question, one.recipe, one.outcome, has_model=one in ships)


def _finished(records: list[TrialRecord] | tuple[TrialRecord, ...]) -> list[TrialRecord]:
    return [each for each in records if each.status == "finished" and each.fidelity == 1.0]


def _says(record: TrialRecord) -> bool:
    """Whether it left a curve and predictions of images that it did not learn from."""
    return bool(record.outcome and record.outcome.curve and len(record.unseen))


def request_for(found: Finished, request: Request) -> Request:
    """The request, with the seed and the metric of the finished training."""
    return replace(
        request, seed=int(found.question["seed"]), metric=str(found.question["metric"]), current=found.recipe
    )


def check_same_data(found: Finished, dataset: Dataset, request: Request) -> None:
    """Raise ConvliftError where the training was of other images, or of other groups of them."""
    asked = question_of(dataset, found.recipe, request.seed, request.metric)
    if asked["data"] != found.question["data"]:
        raise ConvliftError(
            f"{found.run} was trained on other images than those of {dataset.name}; give the data that it "
            "learned from, or score its model on these with convlift evaluate."
        )
    if asked["groups"] != found.question["groups"]:
        raise ConvliftError(
            f"{found.run} was trained with other groups of images; give the same --group-from or --columns."
        )


def trained_before(found: Finished, dataset: Dataset, request: Request) -> Trained:
    """The finished training with its predictions on the validation images, made by its model where they were not
    kept."""
    validation, outcome = dataset.splits.validation, found.outcome
    if len(outcome.validation_probabilities) != len(validation):
        from convlift.deploy.predict import load  # torch comes with it

        assert found.recipe.data.resolution is not None, "a trained recipe has its resolution written down"
        pixels = dataset.store.pixels(found.recipe.data.resolution, found.recipe.data.preparation)[validation]
        model = load(found.run, request.devices[0])
        # at the temperature that it ships with; the network is diagnosed as it was trained
        said = at_temperature(model.probabilities(list(pixels)), 1.0 / model.config.confidence.temperature)
        outcome = replace(outcome, validation_probabilities=np.asarray(said, np.float32))
    metric = metric_named(request.metric)
    labels, groups = dataset.labels[validation], dataset.groups_of(validation)
    points = metric.points(as_it_ships(metric, outcome.validation_probabilities, labels, groups), labels)
    score = one_network(points / 100.0, groups, lowest=metric.lowest)
    machine = environment(request.seed, 1, request.devices[0].name)
    return Trained(found.run, found.recipe, dataset, outcome, score, request.metric, machine)
