"""One training of one recipe: what `train` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from convlift.campaign.artifacts import note_likeness, write_model
from convlift.campaign.one_training import (
    check_memory,
    check_space,
    folder_of,
    question_of,
    training_folder,
    write_record,
)
from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.page_material import environment
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.catalogue.accusations import Accusation, accuse
from convlift.console.disk import writing_into
from convlift.console.resources import usable_cpus, usable_memory
from convlift.data.dataset import Dataset, facts_of
from convlift.errors import Diverged
from convlift.evidence.metrics import metric_named
from convlift.evidence.temperature import as_it_ships
from convlift.evidence.total_gain import one_network
from convlift.recipe.built_in import recipe_from
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import NO_LIMITS, Limits, TrialSpec
from convlift.records.events import EpochEnded
from convlift.records.facts import Facts
from convlift.records.outcome import Outcome
from convlift.records.result import Estimate
from convlift.records.training_events import TrainedBefore, TrainingBegan, TrainingEnded
from convlift.search.fit_confidence import confidence_from


@dataclass(frozen=True)
class Trained:
    """What was trained, and what came of it.

    run: the run folder.
    recipe: with its resolution written down.
    score: on the validation images, 1 at best.
    metric: its name.
    environment: what a rerun needs to know.
    """

    run: Path
    recipe: Recipe
    dataset: Dataset
    outcome: Outcome
    score: Estimate
    metric: str = "accuracy"
    environment: dict[str, str] = field(default_factory=dict)

    def accusations(self) -> tuple[Accusation, ...]:
        """The levers of the recipe that its training accuses."""
        labels = self.dataset.labels[self.dataset.splits.validation]
        return accuse(self.outcome, labels, self.recipe, self.facts)

    @property
    def facts(self) -> Facts:
        """Of the data, and of the score."""
        return facts_of(self.dataset, classes_alike=metric_named(self.metric).of_classes)


@contextmanager
def train_once(request: Request, session: Session) -> Iterator[Trained]:
    """Train `request.current` once: no search, no claim. The test split stays closed; the score is the validation's.

    The run folder is held until the block ends; where the block fails, a folder that was made here goes again.
    Raises DataError, RecipeError, WeightsError; Diverged; ConvliftError where the run folder cannot be made or holds
    another run; DiskError, LedgerError.
    """
    metric_named(request.metric)
    if not request.model:
        recipe_from(request.current)  # a fault in it is said before the images are read
    dataset, _ = open_data(request, session)
    chosen, seen = recipe_of(request, dataset)
    question = question_of(dataset, chosen, request.seed, request.metric)
    folder = request.out or folder_of(dataset.name, question)
    with training_folder(folder, question) as is_done:
        if is_done:
            session.listen(TrainedBefore(folder))
        if seen:
            session.listen(seen)
        session.listen(TrainingBegan(request.devices[0].name))
        outcome = train_in(folder, chosen, request, dataset, session)
        if outcome.status != "finished":
            raise Diverged(outcome.reason)
        done = keep_training(folder, question, chosen, request, dataset, outcome)
        session.listen(TrainingEnded(folder))
        yield done


def train_in(
    folder: Path, recipe: Recipe, request: Request, dataset: Dataset, session: Session, limits: Limits = NO_LIMITS
) -> Outcome:
    """Train once, with the weights left in the run folder where it comes to its end. Raises RecipeError, DiskError."""
    # torch takes seconds to import, and errors of the data should not wait for it
    from convlift.cost.multiply_adds import cost
    from convlift.model.threads import keep_to
    from convlift.trial.run_trial import run_trial

    keep_to(usable_cpus())
    side = recipe.data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    size = cost(recipe.architecture, classes=len(dataset.classes), channels=dataset.channels, resolution=side)
    check_memory(size.parameters, usable_memory())
    check_space(folder, size.parameters)
    return run_trial(
        TrialSpec(recipe, request.seed),
        dataset,
        request.cache,
        lambda epoch: session.listen(EpochEnded(0, epoch)),
        replace(limits, save_to=str(folder / ".trained.safetensors")),
        request.devices[0],
    )


def keep_training(
    folder: Path, question: dict[str, Any], recipe: Recipe, request: Request, dataset: Dataset, outcome: Outcome
) -> Trained:
    """Score a training on the validation images, and leave its record and its model in the run folder."""
    metric, validation = metric_named(request.metric), dataset.splits.validation
    labels, groups = dataset.labels[validation], dataset.groups_of(validation)
    said = outcome.validation_probabilities
    points = metric.points(as_it_ships(metric, said, labels, groups), labels)
    score = one_network(points / 100.0, groups, lowest=metric.lowest)
    scores = {"metric": metric.name, "of": "validation", "images": len(validation), "final": vars(score)}
    weights = Path(outcome.weights)
    try:
        with writing_into(folder):
            write_record(folder, question, score, len(validation), outcome, dataset.store.plan)
        confidence = confidence_from([said], "validation", labels, groups, dataset.classes)
        write_model(folder / "model", weights, recipe, dataset, scores, confidence)
        note_likeness(folder / "model", recipe, dataset, request.devices[0])
    finally:
        weights.unlink(missing_ok=True)
    machine = environment(request.seed, 1, request.devices[0].name)
    return Trained(folder, recipe, dataset, outcome, score, request.metric, machine)
