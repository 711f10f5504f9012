"""Which network the search starts from: cheap probes of a few very different ones, each sized to the time."""

import math
from collections.abc import Sequence

from convlift.catalogue.starting_points import StartingPoint
from convlift.console.duration import format_duration
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.ledger.records import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import FEWEST as AFTER_EACH_OTHER
from convlift.search.allocate import LONGER, MOST_PILOTS, PILOT_MOST, part_trained
from convlift.search.decisions import (
    BaselineBeside,
    BaselineOnceMore,
    FirstTrainings,
    SecondProbes,
    Start,
    decided,
    note,
    settle,
    times_unsettled,
)
from convlift.search.dispatcher import Dispatcher
from convlift.search.study import BASELINE, Study

PROBE_SHARE = 0.06  # of the budget's worker-seconds: what one probe should take
MOST_OF_BUDGET = 0.12  # of the wall clock: the same, however many workers there are
FEWEST = 5  # trainings that must fit for a fine-tuning start to get a probe of full length
FIRST_MOST = 0.6  # of the time: what one pass of pretrained features may take, the best that can be had early
ALONE_MOST = 0.7  # of the time: a run of the baseline where nothing else fits
FIRST_LATEST = 0.5  # of the time: when the first trainings end, whatever was predicted
ALONE_LATEST = 0.8  # the same for the pretrained features, and for the baseline where they do not fit
ONLY_MOST = 0.35  # of the time: the probe from scratch where no pretrained features fit
LONG_MOST = 0.3  # of the time: a fine-tuning probe that is shortened
SHORTEST = 0.1  # a shorter training says nothing about the full one, and is none where there is a better one
LIGHTEST = 2e-3  # seconds an image: no pretrained network of the usual ones extracts its features faster on a core
MOST_TO_PREDICT = 0.7  # of a training's time: with more for its predictions it would learn nothing
MANY = 100  # numbers of probes between one going on of a campaign and the next
LEAST = 0.002  # of a training: the shortest that is planned
ONCE_MORE_MOST = 0.8  # of the time: a longer part of the baseline where a part of it is the best that there is
LAST_RESORT = 0.5  # of the whole time, with that for the report: a training where there is none yet
ADVICE = 3.0  # times as long as predicted is what a budget that was too short is advised to leave


def choose_start(study: Study, desk: Dispatcher) -> StartingPoint:
    """Probe the starting points and take the best on validation, whatever room that leaves for a search.

    The one choice that is made by single runs: the points are few and far apart, the probes never enter an estimate,
    and what the start gains is measured on the sealed test like everything else.
    Raises BudgetError where nothing could be trained in the time, DataError where nothing could be trained at all.
    """
    known = decided(desk.ledger, Start)
    if known is not None:
        return _known(study, desk, known)
    first = _first_trainings(study, desk)
    second = _second_probes(study, desk, first)
    beside = _pilots_beside(study, desk, second, first)
    records = first + desk.complete(second + beside, lambda plan: FIRST_LATEST * study.left(desk))
    records += desk.complete(_baseline_once_more(study, desk, records), lambda plan: _last_seconds(study, desk))
    able = [record for record in records if _rank(study, record) > -math.inf]
    if not able:
        raise _nothing(study, desk, records)
    best = max(able, key=lambda record: _rank(study, record))
    name = best.names[0] if best.role == "probe" else BASELINE
    return _known(study, desk, note(desk.ledger, Start(name, best.fingerprint)))


def _known(study: Study, desk: Dispatcher, kept: Start) -> StartingPoint:
    """The start that was settled. Raises LedgerError where it is none of today's: another backbone was named."""
    for point in study.points:
        if point.name == kept.name and point.recipe.fingerprint() == kept.fingerprint:
            return point
    raise LedgerError(
        f"the campaign in {desk.ledger.folder} started from '{kept.name}' as it is not offered now; run the command "
        "that began it, with the same --backbone and --weights, or name another folder with --out."
    )


def _probe(study: Study, desk: Dispatcher, point: StartingPoint, fidelity: float = 1.0) -> Plan:
    """The point's probe: the one that there is, or a new one where a campaign that goes on with more time has none that
    was as long as this one shall be."""
    plan = study.plan("probe", point.recipe, study.points.index(point), (point.name,), fidelity)
    for again in range(1, 1 + times_unsettled(desk.ledger, Start)):
        known = [r for r in desk.ledger.trials("probe") if r.seed == plan.spec.seed and r.recipe == plan.spec.recipe]
        if not known or (known[0].status != "stopped" and known[0].fidelity >= fidelity):
            break
        number = study.points.index(point) + again * MANY
        plan = study.plan("probe", point.recipe, number, (point.name,), fidelity)
    return plan


def _first_trainings(study: Study, desk: Dispatcher) -> tuple[TrialRecord, ...]:
    """One pass of pretrained features where it fits, and the first run of the baseline, or the part of it that fits.

    Settled once: a resumed campaign has less time, and keeps what it has. With several workers the baseline begins
    before the seconds that it takes to load a pretrained network and count its multiply-adds.
    """
    cheapest = next((point for point in study.starts if point.recipe.architecture.kind == "pretrained"), None)
    may_fit = cheapest is not None and LIGHTEST * _images(study) <= FIRST_MOST * study.left(desk)
    settled = decided(desk.ledger, FirstTrainings)
    part = settled.baseline_part if settled else _part_of_the_baseline(study, desk, may_fit)
    pilot = study.plan("pilot", study.baseline, 0, fidelity=part)

    def seconds(plan: Plan) -> float:
        # features that are not complete are worth nothing, of a run of the baseline a part is
        is_alone = plan.role == "probe" or not may_fit
        return (ALONE_LATEST if is_alone else FIRST_LATEST) * study.left(desk)

    if may_fit and (desk.executor.capacity > 1 or study.trainings):  # counted, all workers claim in one order
        desk.start(pilot, seconds)
    if settled is None:
        fits = may_fit and study.seconds(cheapest.recipe, ()) <= FIRST_MOST * study.left(desk) if cheapest else False
        settled = note(desk.ledger, FirstTrainings(fits, part))
    probe = [_probe(study, desk, cheapest)] if cheapest and settled.features_fit else []
    return desk.complete([*probe, pilot], seconds)


def _part_of_the_baseline(study: Study, desk: Dispatcher, may_fit: bool) -> float:
    most = PILOT_MOST if may_fit else ALONE_MOST
    return sized(study, study.baseline, most * study.left(desk)) or LEAST


def _images(study: Study) -> int:
    return study.facts.training_images + study.pace.held_out_images


def sized(study: Study, recipe: Recipe, seconds: float, records: Sequence[TrialRecord] = ()) -> float:
    """The fidelity at which a training fits into so many seconds: 1 where all of it does, 0 where hardly more than its
    predictions do."""
    whole, predicting = study.seconds(recipe, records), study.pace.evaluation_seconds(recipe)
    if whole + predicting <= seconds:
        return 1.0
    if predicting > MOST_TO_PREDICT * seconds:
        return 0.0
    return round(min(1.0, max(LEAST, 0.9 * (seconds - predicting) / whole)), 3)


def _second_probes(study: Study, desk: Dispatcher, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """The other probes, settled once: what is worth its time follows from how much of it is left."""

    def decide() -> SecondProbes:
        tried = [record.names[0] for record in records if record.role == "probe"]
        others = [point for point in study.starts if point.name not in tried]
        found = {point.name: _fidelity(study, desk, point, records) for point in others}
        return SecondProbes({name: part for name, part in found.items() if part})

    parts = settle(desk.ledger, SecondProbes, decide).parts
    return [_probe(study, desk, point, parts[point.name]) for point in study.starts if point.name in parts]


def _pilots_beside(study: Study, desk: Dispatcher, probes: list[Plan], records: tuple[TrialRecord, ...]) -> list[Plan]:
    """More pilots for the workers that would idle while the longest probe trains, settled once. They cost nothing, and
    every one narrows the gain's interval."""

    def decide() -> BaselineBeside:
        return BaselineBeside(0 if study.trainings else _idle_pilots(study, desk, probes, records))

    number = settle(desk.ledger, BaselineBeside, decide).runs
    return [study.plan("pilot", study.baseline, 1 + beside) for beside in range(number)]


def _idle_pilots(study: Study, desk: Dispatcher, probes: list[Plan], records: tuple[TrialRecord, ...]) -> int:
    seconds = [study.seconds(probe.spec.recipe, records, probe.spec.fidelity) for probe in probes]
    longest = max(seconds, default=0.0)
    idle = desk.executor.capacity * longest - sum(seconds)
    each = study.seconds(study.baseline, records)
    return min(MOST_PILOTS - 1, int(idle / each)) if each <= longest else 0


def _baseline_once_more(study: Study, desk: Dispatcher, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """One longer part of the baseline where a part of it is the best that there is, or where the clock left nothing of
    any training: the workers are loaded by now, and the machine's speed is known. Settled once."""

    def decide() -> BaselineOnceMore:
        return BaselineOnceMore(_longer_part(study, desk, records), len(desk.ledger.trials("pilot")))

    settled = settle(desk.ledger, BaselineOnceMore, decide)
    return [study.plan("pilot", study.baseline, settled.number, fidelity=settled.part)] if settled.part else []


def _longer_part(study: Study, desk: Dispatcher, records: tuple[TrialRecord, ...]) -> float:
    """0 where none is worth its time."""
    best = max(records, key=lambda record: _rank(study, record))
    if _rank(study, best) == -math.inf:
        part = sized(study, study.baseline, ONCE_MORE_MOST * _last_seconds(study, desk), desk.ledger.trials())
        return max(part, LEAST) if any(record.status == "stopped" for record in records) else 0.0
    part = sized(study, study.baseline, ONCE_MORE_MOST * study.left(desk), desk.ledger.trials())
    return part if best.role == "pilot" and part >= LONGER * part_trained(study, best) else 0.0


def _last_seconds(study: Study, desk: Dispatcher) -> float:
    return max(study.left(desk), LAST_RESORT * desk.left())


def _fidelity(study: Study, desk: Dispatcher, point: StartingPoint, records: tuple[TrialRecord, ...]) -> float:
    """How much of a training its probe should be; 0 where it is none."""
    if study.trainings:
        return 1.0
    left = study.left(desk)
    is_alone = not any(r.role == "probe" and _rank(study, r) > -math.inf for r in records)
    if point.recipe.architecture.kind == "convnet":
        allowed = min(PROBE_SHARE * desk.executor.capacity, MOST_OF_BUDGET) * desk.budget_seconds
        allowed = min(max(allowed, ONLY_MOST * left) if is_alone else allowed, FIRST_LATEST * left)
        fidelity = sized(study, point.recipe, allowed, records)
        return fidelity if fidelity >= (LEAST if is_alone else SHORTEST) else 0.0
    if is_alone:  # not even the features fit
        return 0.0
    alone, again = study.seconds(point.recipe, records), study.seconds(point.recipe, records, again=True)
    is_worth_it = left * desk.executor.capacity - alone >= (FEWEST - 1) * again
    if is_worth_it and left - alone >= AFTER_EACH_OTHER * again:
        return 1.0
    fidelity = sized(study, point.recipe, LONG_MOST * left, records)
    return fidelity if fidelity >= SHORTEST else 0.0


def _rank(study: Study, record: TrialRecord) -> float:
    """Its validation score, or minus infinity where it trained nothing."""
    score = study.score_points(record)
    return score if score == score and record.has_trained else -math.inf


def _nothing(study: Study, desk: Dispatcher, records: Sequence[TrialRecord]) -> BudgetError | DataError:
    """Why there is no network at all: the time was too short, or every training failed."""
    ended = [record for record in records if record.outcome is not None]
    if not study.trainings and any(record.status == "stopped" for record in ended):
        needed = min(study.seconds(p.recipe, (), LEAST) + study.pace.evaluation_seconds(p.recipe) for p in study.points)
        used = desk.ledger.seconds_used()
        allow = math.ceil(max(2.0 * desk.budget_seconds, used + study.closing_seconds + ADVICE * (needed + used)))
        return BudgetError(
            f"budget {format_duration(desk.budget_seconds)} was over before the shortest training of any network had "
            f"begun; the same command with --budget {format_duration(allow)} goes on.",
            float(allow),
        )
    reason = ended[-1].outcome.reason if ended and ended[-1].outcome else "no training ended"
    return DataError(f"no network could be trained on these images; the baseline: {reason}.")
