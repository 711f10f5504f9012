"""Which network the search starts from: cheap probes of a few very different ones."""

import math
from collections.abc import Sequence
from typing import Any

from convlift.campaign.plan import FEWEST as AFTER_EACH_OTHER
from convlift.campaign.plan import MOST_PILOTS, budget_for, has_room
from convlift.campaign.study import BASELINE, Study
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.execute.desk import Desk
from convlift.ledger.records import Plan, TrialRecord
from convlift.study.budget import format_duration
from convlift.study.starting_points import StartingPoint

PROBE_SHARE = 0.06  # of the budget's worker-seconds: what one probe should take
MOST_OF_BUDGET = 0.12  # of the wall clock: the same, however many workers there are
FEWEST = 5  # trainings that must fit for a start to be worth its probe: a better network is worth more than a search
SHORTEST = 0.1  # a shorter training says nothing about the full one


def choose_start(study: Study, desk: Desk) -> StartingPoint:
    """Probe the starting points and take the best on validation.

    The one choice that is made by single runs: the points are few and far apart, the probes never enter an estimate,
    and what the start gains is measured on the sealed test like everything else.
    Raises BudgetError where the baseline takes too long, DataError where it cannot be trained: without it there is
    nothing to measure a gain against.
    """
    known = desk.ledger.recall("start")
    if known is not None:
        return _known(study, desk, known)
    pilot = study.plan("pilot", study.baseline, 0)
    cheapest = next((point for point in study.starts if point.recipe.architecture.kind == "pretrained"), None)
    first = [pilot] + ([_probe(study, cheapest)] if cheapest else [])
    records = desk.complete(first, lambda: 0.5 * desk.left())
    _check_pilot(records[0], desk)
    second = _second_probes(study, desk, records)
    records += desk.complete(second + _pilots_beside(study, desk, second, records), lambda: 0.5 * desk.left())[
        : len(second)
    ]
    # a better network that leaves no time to search is no start; where none leaves any, the quickest says what it needs
    quickest = min(records, key=lambda record: study.seconds(record.recipe, records))
    able = [record for record in records if has_room(study, desk, record.recipe)] or [quickest]
    best = max(able, key=lambda record: _rank(study, record))
    _keep_passed_over(study, desk, records, best)
    desk.ledger.record("start", [best.names[0] if best.role == "probe" else BASELINE, best.fingerprint])
    return _known(study, desk, desk.ledger.recall("start"))


def _keep_passed_over(study: Study, desk: Desk, records: Sequence[TrialRecord], best: TrialRecord) -> None:
    """Write down, and say, which better network was no start because the time left for it was too short."""
    first = max(records, key=lambda record: _rank(study, record))
    if _rank(study, first) <= _rank(study, best):
        return
    each = study.seconds(first.recipe, records)
    allow = format_duration(math.ceil(budget_for(study, desk, each)))
    known = [first.names[0] if first.role == "probe" else BASELINE, study.score_points(first), study.score_points(best)]
    desk.ledger.record("passed over", [*known, each, allow])


def passed_over_in_words(kept: list[Any]) -> str:
    """The note of a start that was passed over, for a report."""
    name, score, chosen, each, allow = kept
    return (
        f"The search did not start from {name}, whose first training scored {score / 100:.3f} in validation where the "
        f"start's scored {chosen / 100:.3f}: one training takes {each:.0f} s here, and {AFTER_EACH_OTHER} of them must "
        f"fit into what the probes leave. --budget {allow} in another run folder leaves room for it."
    )


def _known(study: Study, desk: Desk, kept: list[str]) -> StartingPoint:
    """The start that was settled. Raises LedgerError where it is none of today's: another backbone was named."""
    name, fingerprint = kept
    for point in study.points:
        if point.name == name and point.recipe.fingerprint() == fingerprint:
            return point
    raise LedgerError(
        f"the campaign in {desk.ledger.folder} started from '{name}' as it is not offered now; run the command that "
        "began it, with the same --backbone and --weights, or name another folder with --out."
    )


def _probe(study: Study, point: StartingPoint, fidelity: float = 1.0) -> Plan:
    number = study.points.index(point)
    return study.plan("probe", point.recipe, number, (point.name,), fidelity)


def _second_probes(study: Study, desk: Desk, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """The other probes, settled once: what is worth its time follows from how much of it is left."""
    settled = desk.ledger.recall("probes")
    if settled is None:
        cheapest = [record.names[0] for record in records if record.role == "probe"]
        others = [point for point in study.starts if point.name not in cheapest]
        settled = {point.name: worth for point in others if (worth := _fidelity(study, desk, point, records))}
        desk.ledger.record("probes", settled)
    return [_probe(study, point, settled[point.name]) for point in study.starts if point.name in settled]


def _pilots_beside(study: Study, desk: Desk, probes: list[Plan], records: tuple[TrialRecord, ...]) -> list[Plan]:
    """More pilots for the workers that would idle while the longest probe trains, settled once. They cost nothing, and
    every one narrows the gain's interval."""
    number = desk.ledger.recall("pilots beside probes")
    if number is None:
        seconds = [study.seconds(probe.recipe, records, probe.fidelity) for probe in probes]
        longest = max(seconds, default=0.0)
        idle = desk.executor.capacity * longest - sum(seconds)
        each = study.seconds(study.baseline, records)
        number = min(MOST_PILOTS - 1, int(idle / each)) if each <= longest else 0
        desk.ledger.record("pilots beside probes", number)
    return [study.plan("pilot", study.baseline, 1 + beside) for beside in range(number)]


def _fidelity(study: Study, desk: Desk, point: StartingPoint, records: tuple[TrialRecord, ...]) -> float:
    """How much of a training its probe should be: from scratch it is shortened, in two phases it cannot be; or 0."""
    alone = study.seconds(point.recipe, records)
    if point.recipe.architecture.kind == "convnet":
        allowed = min(PROBE_SHARE * desk.executor.capacity, MOST_OF_BUDGET) * desk.budget_seconds
        fidelity = round(min(1.0, allowed / alone), 3)
        return fidelity if fidelity >= SHORTEST else 0.0
    again, left = study.seconds(point.recipe, records, again=True), desk.left() - study.closing_seconds
    is_worth_it = left * desk.executor.capacity - alone >= (FEWEST - 1) * again
    return 1.0 if is_worth_it and left - alone >= AFTER_EACH_OTHER * again else 0.0


def _rank(study: Study, record: TrialRecord) -> float:
    score = study.score_points(record)
    return score if score == score else -math.inf


def _check_pilot(pilot: TrialRecord, desk: Desk) -> None:
    outcome = pilot.outcome
    if outcome is not None and outcome.status == "stopped":
        raise BudgetError(
            f"budget {format_duration(desk.budget_seconds)} is too short: one training of the baseline takes more than "
            f"{outcome.seconds:.0f} s here; allow at least ten times as much.",
            10.0 * outcome.seconds,
        )
    if outcome is not None and outcome.status in ("failed", "diverged"):
        raise DataError(f"the baseline could not be trained: {outcome.reason}.")
