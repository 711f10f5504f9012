"""What a campaign is asked for, and what follows from it before anything is trained: seed, identity, run folder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convlift.campaign.open_data import open_data
from convlift.catalogue.candidates import Candidate
from convlift.catalogue.priors import document, load_expectations
from convlift.console.progress import Progress
from convlift.data.choices import USUAL, Choices
from convlift.data.dataset import Dataset
from convlift.data.splits import Fold, SealedLabels
from convlift.evidence.metrics import metric_named
from convlift.ledger.fingerprint import Identity, fingerprint
from convlift.recipe.recipe import Recipe
from convlift.search.problem import Problem


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


def seed_of(request: Request) -> int:
    """The seed of the trainings and of the search: a fold's are its own, only the splits share the seed of them all."""
    if request.fold is None:
        return request.seed
    return int.from_bytes(hashlib.sha256(f"{request.seed} {request.fold}".encode()).digest()[:4], "big") >> 1


def identity_of(request: Request, dataset: Dataset, problem: Problem) -> Identity:
    """What makes this campaign the same campaign."""
    groups, fold = _fingerprint_of_groups(dataset), str(request.fold or "")
    return Identity(dataset.store.fingerprint, problem.baseline, request.seed, request.metric, groups=groups, fold=fold)


def folder_for(request: Request, dataset: Dataset, problem: Problem) -> Path:
    """The same question gets the same folder, so that the same command continues; the budget may differ."""
    question: tuple[object, ...] = (
        dataset.store.fingerprint,
        problem.baseline.fingerprint(),
        request.seed,
        request.backbone,
        request.weights,
    )
    if problem.expectations is not None:
        question += (fingerprint(document(problem.expectations)),)
    if request.metric != "accuracy" or dataset.groups is not None:
        question += (request.metric, _fingerprint_of_groups(dataset))
    if request.fold is not None:
        question += (str(request.fold),)
    return Path("runs") / f"{dataset.name}-{hashlib.sha256(repr(question).encode()).hexdigest()[:8]}"


def _fingerprint_of_groups(dataset: Dataset) -> str:
    return "" if dataset.groups is None else hashlib.sha256(dataset.groups.tobytes()).hexdigest()
