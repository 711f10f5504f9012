"""Which question a campaign asks: what makes it the same campaign when the same command comes again."""

import hashlib
from pathlib import Path

from convlift.campaign.request import Request
from convlift.catalogue.priors import document
from convlift.data.dataset import Dataset
from convlift.ledger.fingerprint import Identity, fingerprint
from convlift.ledger.ledger import Ledger
from convlift.records.plan_applied import ORIGIN
from convlift.search.problem import Problem


def identity_of(request: Request, dataset: Dataset, problem: Problem) -> Identity:
    """What makes this campaign the same campaign."""
    groups, fold = _fingerprint_of_groups(dataset), str(request.fold or "")
    latency = "" if request.max_latency.is_usual else str(request.max_latency)
    return Identity(
        dataset.store.fingerprint,
        problem.baseline,
        request.seed,
        request.metric,
        groups=groups,
        fold=fold,
        latency=latency,
        network="kept" if request.keep_network else "",
        given=problem.given_digest,
        shift=_shift(request),
        goal=_goal(problem),
        plan=dataset.store.plan.digest if dataset.store.plan else "",
    )


def note_origin(ledger: Ledger, dataset: Dataset) -> None:
    """Keep which data a plan was for, so that they are known again without it (`deploy/evaluate_model.py`)."""
    if dataset.store.plan and dataset.store.plan.digest:
        ledger.record(ORIGIN, dataset.store.plan.origin)


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
    groups = _fingerprint_of_groups(dataset)
    if request.metric != "accuracy" or groups:
        question += (request.metric, groups)
    if not request.max_latency.is_usual:
        question += (str(request.max_latency),)
    if shift := _shift(request):
        question += (shift,)
    if goal := _goal(problem):
        question += (goal,)
    if request.keep_network:
        question += ("keep network",)
    if problem.given_digest:
        question += (problem.given_digest,)
    if dataset.store.plan and dataset.store.plan.digest:
        question += (dataset.store.plan.digest,)
    if request.fold is not None:
        question += (str(request.fold),)
    return Path("runs") / f"{dataset.name}-{hashlib.sha256(repr(question).encode()).hexdigest()[:8]}"


def _shift(request: Request) -> str:
    """The second score that is asked for; "" for none."""
    folder = str(request.shift_data.resolve()) if request.shift_data else ""
    return " ".join(part for part in (",".join(request.shift), folder) if part)


def _goal(problem: Problem) -> str:
    """What the search goes by; "" where that is the score on clean images."""
    return f"{problem.goal} by {','.join(problem.copies.corruptions)}" if problem.copies else ""


def _fingerprint_of_groups(dataset: Dataset) -> str:
    """Of what no split cuts, beside copies; near copies count, for a campaign must not go on with another split."""
    if dataset.groups is not None:
        return hashlib.sha256(dataset.groups.tobytes()).hexdigest()
    scenes = dataset.store.scenes
    if (scenes == dataset.store.hashes).all():
        return ""
    return hashlib.sha256("".join(scenes.tolist()).encode()).hexdigest()
