"""What a campaign is asked for, and what follows from it before anything is trained: study, identity, run folder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from convlift.campaign.open_data import open_data
from convlift.catalogue.candidates import Candidate
from convlift.catalogue.priors import Expectations, document, load_expectations
from convlift.catalogue.starting_points import starting_points
from convlift.console.progress import Progress
from convlift.cost.seconds import Pace
from convlift.cost.work import Forward
from convlift.data.choices import USUAL, Choices
from convlift.data.dataset import Dataset, facts_of
from convlift.data.splits import Fold, SealedLabels
from convlift.errors import ConvliftError
from convlift.evidence.metrics import metric_named
from convlift.ledger.fingerprint import Identity, fingerprint
from convlift.recipe.architecture import Pretrained
from convlift.recipe.built_in import recipe_from
from convlift.recipe.recipe import Recipe
from convlift.search.study import Study
from convlift.trial.label_checker import LabelChecker

CLOSING_SECONDS = 6.0  # judging, model folder and report: 2 to 4 s were measured
CLOSING_SHARE = 0.01  # of the budget, for what no prediction sees


@dataclass(frozen=True)
class Request:
    """What a campaign is asked for; see `api.Options`.

    trainings: how long the campaign is, instead of a time, and then budget_seconds is infinite; 0: by time. choices: of
    how a folder is read. pool: the changes to be tried instead of the catalogue's, from the baseline alone. priors: a
    file of them. fold: the campaign is this part of a nested cross-validation.
    """

    data: str
    budget_seconds: float
    current: str | Path | Recipe
    out: Path | None
    backbone: str | None
    weights: str | None
    root: Path | None
    seed: int
    ship: Literal["auto", "lean", "best"]
    workers: int
    cache: Path
    metric: str = "accuracy"
    group_from: str | None = None
    pool: tuple[Candidate, ...] | None = None
    priors: Path | None = None
    choices: Choices = USUAL
    fold: Fold | None = None
    trainings: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What may change between resumes, as the ledger keeps it."""
        if self.trainings:
            return {"budget_seconds": None, "trainings": self.trainings}
        return {"budget_seconds": self.budget_seconds}


def check_request(request: Request) -> None:
    """Say a fault in the metric or the priors before the images are read. Raises ConvliftError."""
    metric_named(request.metric)
    if request.priors:
        load_expectations(request.priors)


def data_of(request: Request, progress: Progress, stop: Callable[[], int] = lambda: 0) -> tuple[Dataset, SealedLabels]:
    """The data set that is asked about, split, its test sealed; see `open_data.open_data`."""
    return open_data(
        request.data,
        request.root,
        request.seed,
        request.cache,
        progress,
        stop,
        group_from=request.group_from,
        choices=request.choices,
    )


def study_of(request: Request, dataset: Dataset) -> Study:
    """What the campaign is given. Raises RecipeError or WeightsError where it could not be trained."""
    labels, splits, store, facts = dataset.labels, dataset.splits, dataset.store, facts_of(dataset)
    if request.backbone or request.weights:
        _check_backbone(request.backbone, request.weights)
    baseline = recipe_from(request.current).at(store.native_resolution)
    return Study(
        baseline=baseline,
        baseline_name=str(request.current) if not isinstance(request.current, Recipe) else "your recipe",
        starts=tuple(
            point
            for point in starting_points(facts, backbone=request.backbone, weights=request.weights)
            if point.recipe != baseline and request.pool is None
        ),
        facts=facts,
        pace=Pace(facts, _forward(dataset), len(splits.validation) + len(splits.test), nominal=bool(request.trainings)),
        validation_labels=labels[splits.validation],
        seed=seed_of(request),
        ship=request.ship,
        closing_seconds=0.0 if request.trainings else CLOSING_SECONDS + CLOSING_SHARE * request.budget_seconds,
        pool=request.pool,
        expectations=_expectations(request.priors, dataset) if request.priors else None,
        metric=metric_named(request.metric),
        validation_groups=dataset.groups_of(splits.validation),
        test_groups=dataset.groups_of(splits.test),
        ask=partial(_ask, dataset, seed_of(request), bool(request.trainings)),
        trainings=request.trainings,
    )


def _ask(dataset: Dataset, seed: int, one_thread: bool, weights: Path, recipe: Recipe) -> LabelChecker:
    """A finished trial's network, to be asked about augmentations."""
    from convlift.trial.label_preservation import open_label_checker

    return open_label_checker(dataset, seed, weights, recipe, one_thread=one_thread)


def _expectations(path: Path, dataset: Dataset) -> Expectations:
    """What past campaigns lead one to expect. Raises ConvliftError where one of them was on these very images: what is
    learned from a campaign has seen the labels of its test."""
    found = load_expectations(path)
    for origin in found.origins:
        if origin.fingerprint == dataset.store.fingerprint:
            raise ConvliftError(
                f"priors {path} were learned from {origin.run}, a campaign on these very images, and so from labels of "
                "its test; learn them without it, or leave out --priors."
            )
    return found


def _check_backbone(backbone: str | None, weights: str | None) -> None:
    """Fail before any training, not in the middle of one. Raises RecipeError or WeightsError."""
    from convlift.model.backbone import create_backbone

    known = Pretrained()
    create_backbone(backbone or known.backbone, weights or known.weights)


def _forward(dataset: Dataset) -> Forward:
    """Multiply-adds of one image through a recipe's network."""
    channels, classes, native = dataset.channels, len(dataset.classes), dataset.store.native_resolution

    def forward(recipe: Recipe, stages: int | None = None) -> float:
        from convlift.cost.multiply_adds import cost

        side = recipe.at(native).data.resolution or native
        found = cost(recipe.architecture, classes=classes, channels=channels, resolution=side, stages=stages)
        return float(found.multiply_adds)

    return forward


def seed_of(request: Request) -> int:
    """The seed of the trainings and of the search: a fold's are its own, only the splits share the seed of them all."""
    if request.fold is None:
        return request.seed
    return int.from_bytes(hashlib.sha256(f"{request.seed} {request.fold}".encode()).digest()[:4], "big") >> 1


def identity_of(request: Request, dataset: Dataset, study: Study) -> Identity:
    """What makes this campaign the same campaign."""
    groups, fold = _fingerprint_of_groups(dataset), str(request.fold or "")
    return Identity(dataset.store.fingerprint, study.baseline, request.seed, request.metric, groups=groups, fold=fold)


def folder_for(request: Request, dataset: Dataset, study: Study) -> Path:
    """The same question gets the same folder, so that the same command continues; the budget may differ."""
    question: tuple[object, ...] = (
        dataset.store.fingerprint,
        study.baseline.fingerprint(),
        request.seed,
        request.backbone,
        request.weights,
    )
    if study.expectations is not None:
        question += (fingerprint(document(study.expectations)),)
    if request.metric != "accuracy" or dataset.groups is not None:
        question += (request.metric, _fingerprint_of_groups(dataset))
    if request.fold is not None:
        question += (str(request.fold),)
    return Path("runs") / f"{dataset.name}-{hashlib.sha256(repr(question).encode()).hexdigest()[:8]}"


def _fingerprint_of_groups(dataset: Dataset) -> str:
    return "" if dataset.groups is None else hashlib.sha256(dataset.groups.tobytes()).hexdigest()
