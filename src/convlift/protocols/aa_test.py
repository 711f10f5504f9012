"""The A/A test: whole campaigns whose changes all do nothing, so that everything they claim of recipes is false.

Each goes the way of `improve`, through the same code, with placebos in place of the catalogue and the baseline as its
only start. They are as many independent answers to the question how often a campaign cries wolf on these images.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.request import Request
from convlift.campaign.run import run_campaign
from convlift.campaign.session import Session
from convlift.catalogue.placebos import placebos
from convlift.console.duration import format_duration
from convlift.data.dataset import Dataset
from convlift.errors import BudgetError, ConvliftError, Interrupted
from convlift.evidence.metrics import Metric, metric_named
from convlift.evidence.null_campaigns import Naive, NullCampaign, Tally, keep_if_better, plain, tally
from convlift.evidence.temperature import at_temperature, fit_temperature
from convlift.ledger.ledger import read_ledger
from convlift.ledger.trials import Role
from convlift.records.events import (
    Listener,
    NullCampaignBegan,
    NullCampaignEnded,
    NullCampaignLeftOut,
    OfNullCampaign,
)
from convlift.records.result import Estimate, Result

SUMMARY = "aa.json"
MOST_TO_READ = 10.0  # five times the seconds in which a finished campaign is read

Campaign = Callable[[Request, Session], tuple[Path, Result]]


@dataclass(frozen=True)
class AATest:
    """All campaigns and what they add up to; folder: holds one run folder each, and `aa.json`."""

    folder: Path
    campaigns: tuple[NullCampaign, ...]
    tally: Tally


def run_aa(request: Request, number: int, session: Session, campaign: Campaign = run_campaign) -> AATest:
    """Run `number` campaigns, or those of them that are not finished; request.out: the folder of them all.

    Raises what `run_campaign` raises; Interrupted keeps what is finished, and the half of the campaign it was in.
    """
    folder = request.out or _folder_for(request, session)
    done: list[NullCampaign] = []
    try:
        for run, result, asked in _campaigns(replace(request, out=folder), number, session, campaign):
            if result.baseline is None:
                session.listen(NullCampaignLeftOut(result.why))
                continue
            one = _read(asked, run, result)
            done.append(one)
            gains = one.gain_points.value if one.gain_points else None, one.network_points.value
            claims = one.changes_proven, one.total_proven, gains[1], one.network_proven
            session.listen(NullCampaignEnded(len(done), number, gains[0], *claims))
            _write(folder, AATest(folder, tuple(done), tally(done)), number)
    except ConvliftError:
        with suppress(OSError):  # a campaign that could not begin has left it empty
            folder.rmdir()
        raise
    if not done:
        raise BudgetError(
            f"budget {format_duration(request.budget_seconds)} is too short: not one campaign had time to train the "
            "baseline. Allow several times as much."
        )
    return AATest(folder, tuple(done), tally(done))


def _campaigns(
    request: Request, number: int, session: Session, campaign: Campaign
) -> Iterator[tuple[Path, Result, Request]]:
    """(run folder, result, what was asked) of one campaign after the other."""
    folder, usual = request.out, request.budget_seconds
    assert folder is not None, "the folder of all campaigns is settled"
    lasted: list[float] = []
    for place in range(number):
        seed = _seed(request.seed, place)
        one = replace(request, out=folder / f"campaign-{place + 1:03}", seed=seed, pool=placebos())
        each = float(np.mean(lasted)) if lasted else usual
        session.listen(NullCampaignBegan(place + 1, number, each * (number - place)))
        began = time.monotonic()
        try:
            run, result = campaign(one, Session(_apart(session.listen), session.stop, began))
        except Interrupted as interrupted:
            raise Interrupted(
                f"stopped in campaign {place + 1} of {number}; the finished ones are in {folder}, and the same "
                "command continues.",
                interrupted.exit_code - 128,
            ) from None
        least = usual if math.isfinite(usual) else MOST_TO_READ
        if time.monotonic() - began > 0.2 * least:  # else it was finished before and only read
            lasted.append(time.monotonic() - began)
        yield run, result, one


def _apart(listen: Listener) -> Listener:
    """What is told of one campaign is told as such."""
    return lambda event: listen(OfNullCampaign(event))


def _read(request: Request, run: Path, result: Result) -> NullCampaign:
    """A finished campaign, and what keep-if-better makes of the same runs. Where it judged nothing it claims nothing: a
    gain of 0 points, in any case; of a recipe that was trained once nothing is known."""
    dataset, sealed = open_data(request, Session())
    nothing = Estimate(0.0, 0.0, 0.0)
    gain, network = (result.gain_points, result.network) if result.judged else (nothing, None)
    return NullCampaign(
        seed=request.seed,
        trials=result.trials,
        changes_proven=sum(verdict.label == "proven" for verdict in result.verdicts),
        gain_points=gain,
        total_proven=result.proven,
        optimism_points=result.optimism_points,
        naive=_naive(run, metric_named(request.metric), dataset, sealed.open()),
        network_points=network.gain_points if network else nothing,
        network_proven=network is not None and network.proven,
    )


def _naive(run: Path, metric: Metric, dataset: Dataset, test_labels: NDArray[np.int64]) -> Naive:
    validation_labels = dataset.labels[dataset.splits.validation]

    def scores(role: Role) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with read_ledger(run) as ledger:
            outcomes = [r.outcome for r in ledger.trials(role) if r.outcome is not None and r.status == "finished"]
        said = [outcome.validation_probabilities for outcome in outcomes]
        fitted = [fit_temperature(each, validation_labels) if metric.of_confidence else 1.0 for each in said]
        on_validation = [
            metric.score(at_temperature(each, temperature), validation_labels)
            for each, temperature in zip(said, fitted, strict=True)
        ]
        on_test = [
            metric.score(at_temperature(outcome.test_probabilities, temperature), test_labels)
            for outcome, temperature in zip(outcomes, fitted, strict=True)
        ]
        return 100.0 * np.array(on_validation), 100.0 * np.array(on_test)

    return keep_if_better(scores("baseline"), scores("search"))


def _seed(seed: int, place: int) -> int:
    """Of one campaign: of its split, its trainings and its search."""
    return int.from_bytes(hashlib.sha256(f"{seed} aa {place}".encode()).digest()[:4], "big") >> 1


def _folder_for(request: Request, session: Session) -> Path:
    """The same question gets the same folder, so that the same command continues."""
    dataset, _ = open_data(request, session)
    baseline, _ = recipe_of(request, dataset)
    what = (dataset.store.fingerprint, baseline.fingerprint(), request.metric)
    question: tuple[object, ...] = (*what, request.seed, request.trainings or request.budget_seconds)
    if request.group_from or request.columns:
        question += tuple(each for each in (request.group_from, request.columns) if each)
    if dataset.store.plan and dataset.store.plan.digest:  # what it keeps together is in no fingerprint
        question += (dataset.store.plan.digest,)
    return Path("runs") / f"{dataset.name}-aa-{hashlib.sha256(repr(question).encode()).hexdigest()[:8]}"


def _write(folder: Path, found: AATest, number: int) -> None:
    """The summary of what is finished, whole or not at all."""
    path = folder / SUMMARY
    beside = path.with_name(f".{SUMMARY}.part")
    beside.write_text(json.dumps(plain(found.campaigns, found.tally, number), indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)
