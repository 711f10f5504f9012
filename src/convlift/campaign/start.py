"""Which network the search starts from: cheap probes of a few very different ones."""

from convlift.campaign.study import BASELINE, Study
from convlift.errors import BudgetError, DataError
from convlift.execute.desk import Desk
from convlift.ledger.records import Plan, TrialRecord
from convlift.study.budget import format_duration
from convlift.study.starting_points import StartingPoint

PROBE_SHARE = 0.06  # of the budget's worker-seconds: what one probe should take
FEWEST = 10  # trainings that must fit for a start to be worth its probe: with fewer, a cheaper start finds more
SHORTEST = 0.1  # a shorter training says nothing about the full one


def choose_start(study: Study, desk: Desk) -> StartingPoint:
    """Probe the starting points and take the best on validation.

    The one choice that is made by single runs: the points are few and far apart, the probes never enter an estimate,
    and what the start gains is measured on the sealed test like everything else.
    Raises BudgetError where not even the baseline can be trained, DataError where no training ended.
    """
    known = desk.ledger.recall("start")
    if known is not None:
        return next(point for point in study.points if point.name == known)
    pilot = study.plan("pilot", study.baseline, 0)
    cheapest = next((point for point in study.starts if point.recipe.architecture.kind == "pretrained"), None)
    first = [pilot] + ([_probe(study, cheapest)] if cheapest else [])
    records = desk.complete(first, lambda: 0.5 * desk.left())
    _check_pilot(records[0], desk)
    second = [
        plan
        for point in study.starts
        if point is not cheapest and (plan := _affordable(study, desk, point, records)) is not None
    ]
    records += desk.complete(second, lambda: 0.5 * desk.left())
    best = max(records, key=lambda record: _rank(study, record))
    if best.outcome is None or not len(best.outcome.validation_probabilities):
        reason = best.outcome.reason if best.outcome else "no trial ended"
        raise DataError(f"no starting point could be trained: {reason}.")
    name = best.names[0] if best.role == "probe" else BASELINE
    desk.ledger.record("start", name)
    return next(point for point in study.points if point.name == name)


def _probe(study: Study, point: StartingPoint, fidelity: float = 1.0) -> Plan:
    number = study.points.index(point)
    return study.plan("probe", point.recipe, number, (point.name,), fidelity)


def _affordable(study: Study, desk: Desk, point: StartingPoint, records: tuple[TrialRecord, ...]) -> Plan | None:
    """A probe that is worth its time: a training from scratch is shortened, one in two phases cannot be."""
    if point.recipe.architecture.kind == "convnet":
        allowed = PROBE_SHARE * desk.budget_seconds * desk.executor.capacity
        fidelity = min(1.0, allowed / study.seconds(point.recipe, records))
        return _probe(study, point, round(fidelity, 3)) if fidelity >= SHORTEST else None
    left = (desk.left() - study.closing_seconds) * desk.executor.capacity - study.seconds(point.recipe, records)
    fits = left >= (FEWEST - 1) * study.seconds(point.recipe, records, again=True)
    return _probe(study, point) if fits else None


def _rank(study: Study, record: TrialRecord) -> float:
    score = study.score_points(record)
    return score if score == score else -1.0


def _check_pilot(pilot: TrialRecord, desk: Desk) -> None:
    outcome = pilot.outcome
    if outcome is not None and outcome.status == "stopped":
        raise BudgetError(
            f"budget {format_duration(desk.budget_seconds)} is too short: one training of the baseline takes more than "
            f"{outcome.seconds:.0f} s here; allow at least ten times as much."
        )
    if outcome is not None and outcome.status == "failed":
        raise DataError(f"the baseline could not be trained: {outcome.reason}.")
