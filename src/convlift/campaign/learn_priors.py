"""What finished campaigns found of every change, read from their ledgers: the ground of the next campaign's priors."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.priors import Expectations, Observation, Origin, document, learn
from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.ledger import LEDGER_FILE, Ledger, read_ledger
from convlift.recipe.recipe import parse_recipe
from convlift.records.result import START
from convlift.search import decisions
from convlift.search.result_in_ledger import result_of, result_so_far

METRICS = ("accuracy", "balanced-accuracy")  # the scores whose points are those of the catalogue
WIDTH = 2 * 1.959964  # of a 95% interval, in standard errors
LEAST_ERROR = 0.05  # points: nothing is known better than the spike of evidence/posterior.py is wide


def gather(places: Sequence[Path]) -> Expectations:
    """Expectations from run folders or ledger files of finished campaigns; each counts once, however often named.

    Raises LedgerError where one holds no finished campaign.
    """
    named = [(place.parent if place.name == LEDGER_FILE else place).resolve() for place in places]
    folders = dict.fromkeys(folder for place in named for folder in _campaigns_in(place))
    observations: list[Observation] = []
    origins: list[Origin] = []
    for folder in folders:
        with read_ledger(folder) as ledger:
            found = _found(ledger)
            origins.append(Origin(folder.name, result_of(ledger).data, ledger.identity.data, len(found)))
            observations += found
    catalogue = {intervention.name: intervention.prior for intervention in CATALOGUE}
    return learn(observations, origins, catalogue)


def _campaigns_in(folder: Path) -> list[Path]:
    """The folder itself, or those of the folds where it holds a nested cross-validation: each fold is a campaign."""
    with read_ledger(folder) as ledger:
        known = result_so_far(ledger)
    folds = known.folds if known else 0
    return [folder / f"fold-{number}" for number in range(1, folds + 1)] or [folder]


def _found(ledger: Ledger) -> list[Observation]:
    """One observation for every change that at least one training had on. Raises LedgerError where unfinished."""
    frozen = decisions.decided(ledger, decisions.Freeze)
    if result_so_far(ledger) is None or frozen is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; finish it, or leave it out.")
    if (metric := ledger.identity.metric) not in METRICS:
        raise LedgerError(
            f"{ledger.folder} was judged by {metric}, and priors are points of {' or '.join(METRICS)}; leave it out."
        )
    kind = parse_recipe(frozen.recipe).architecture.kind
    known = {intervention.name for intervention in CATALOGUE}
    return [
        Observation(kind, verdict.name, verdict.points, max((verdict.high - verdict.low) / WIDTH, LEAST_ERROR))
        for verdict in result_of(ledger).verdicts
        if verdict.trials and not verdict.name.startswith(START) and verdict.name in known
    ]


def write_expectations(expectations: Expectations, path: Path) -> None:
    """The priors file that `--priors` reads. Raises ConvliftError where it cannot be written."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(json.dumps(document(expectations), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise ConvliftError(f"priors cannot be written to {path} ({error.strerror}); name another file.") from error
