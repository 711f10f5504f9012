"""Which network the search starts from: cheap first runs of a few very different ones, each sized to the time."""

import math
from collections.abc import Sequence

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.console.duration import format_duration
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.ledger.trials import Plan, TrialRecord
from convlift.search.allocate import BASELINE_MOST, LEAST_OF_A_FINAL, LONGER, MOST_BASELINE_RUNS
from convlift.search.allocate import FEWEST as AFTER_EACH_OTHER
from convlift.search.context import Search
from convlift.search.decisions import decided, made, note, settle
from convlift.search.first_trainings import (
    FIRST_LATEST,
    GREY_MOST,
    LEAST,
    are_small_and_grey,
    first_trainings,
    other_features,
    reads_features,
    sized,
    start_run_of,
)
from convlift.search.length import (
    ADDED_FROM,
    offered,
    point_that_fine_tunes,
    reconsider_fine_tuning,
    score_of_features,
    settle_fine_tuning,
    settle_length,
)
from convlift.search.problem import BASELINE
from convlift.search.reserve import ask_about_shift
from convlift.search.scratch_length import ask_about_scratch, epochs_from_scratch, promise
from convlift.search.start_decisions import (
    BaselineBeside,
    BaselineOnceMore,
    FineTuning,
    SecondStarts,
    Start,
)
from convlift.search.timing import part_trained

MOST_OF_BUDGET = 0.12  # what one first run from scratch should take
FEWEST = 5  # trainings that must fit for a fine-tuning start to get a first run of full length
ONLY_MOST = 0.35  # of the time: the first run of a start from scratch where no pretrained features fit
LONG_MOST = 0.3  # of the time: a first run of a fine-tuning start that is shortened
SHORTEST = 0.1  # a shorter training says nothing about the full one, and is none where there is a better one
ONCE_MORE_MOST = 0.8  # of the time: a longer part of the baseline where a part of it is the best that there is
LAST_RESORT = 0.5  # of the whole time, with that for the report: a training where there is none yet
# points of the pretrained features over the baseline, from which on no network from scratch will pass them fine-tuned:
# on flowers they led by 22, and a residual network was 8 behind them
HOPELESS_LEAD = 10.0
ADVICE = 3.0  # times as long as predicted is what a budget that was too short is advised to leave


def choose_start(search: Search) -> StartingPoint:
    """Probe the starting points and take the one that promises the best validation score, whatever room that leaves for
    a search.

    The one choice that is made by single runs: the points are few and far apart, the first runs never enter an
    estimate, and what the start gains is measured on the sealed test like everything else. Raises BudgetError where
    nothing could be trained in the time, DataError where nothing could be trained at all."""
    known = decided(search.ledger, Start)
    if known is not None:
        return _known(search, known)
    first = first_trainings(search)
    ask_about_shift(search, first)
    first += search.dispatcher.complete(other_features(search, first), lambda plan: FIRST_LATEST * search.left())
    second = _second_start_runs(search, first)
    beside = _baseline_beside(search, second, first)
    records = first + search.dispatcher.complete(second + beside, lambda plan: FIRST_LATEST * search.left())
    records += search.dispatcher.complete(_whole_way(search, records), lambda plan: FIRST_LATEST * search.left())
    records += search.dispatcher.complete(_baseline_once_more(search, records), lambda plan: _last_seconds(search))
    able = [record for record in records if _rank(search, record) > -math.inf]
    if not able:
        raise _nothing(search, records)
    best = _best(search, able)
    instead = _instead(search, best)
    if length := settle_length(search, best, instead):
        fitted = next(point for point in offered(search.problem, search.ledger) if point.name == length.start)
        return _known(search, note(search.ledger, Start(fitted.name, fitted.recipe.fingerprint())))
    if instead and best.role != "start":
        return _known(search, note(search.ledger, Start(instead.name, instead.recipe.fingerprint())))
    name = best.names[0] if best.role == "start" else BASELINE
    return _known(search, note(search.ledger, Start(name, best.fingerprint)))


def _best(search: Search, able: Sequence[TrialRecord]) -> TrialRecord:
    """The first run that promises most; where there is time to search from fine-tuning of full length that one's,
    unless the images say clearly that it is worse: what is ahead by luck would be searched for the rest of the time."""
    best, settled = max(able, key=lambda record: promise(search, record)), decided(search.ledger, FineTuning)
    long = [r for r in able if settled and settled.epochs and r.names == (settled.start,) and r.is_whole]
    ahead = promise(search, best) - promise(search, long[0]) if long else math.inf
    return long[0] if long and ahead <= search.scores.doubt(long[0], best) else best


def _instead(search: Search, best: TrialRecord) -> StartingPoint | None:
    """A network from scratch for time that would be wasted: too little for a search from the baseline, where that is
    the best that was, or for another training of a start that is. It ships where validation likes it better. After the
    baseline one that nobody has seen, after a start one that can train longer than it did.
    """
    left, is_start = search.left(), best.role == "start"
    wanted = max(LONGER * best.fidelity, LEAST_OF_A_FINAL) if is_start else AFTER_EACH_OTHER
    if search.problem.trainings or (best.recipe.architecture.kind == "convnet" and is_start):
        return None
    starts = [point for point in search.problem.starts if point.recipe.architecture.kind == "convnet"]
    if left >= wanted * search.seconds(best.recipe):
        return next((point for point in starts if _goes_straight(search, point)), None)
    seen = [record.recipe for record in search.ledger.trials("start")]
    fit = [point for point in starts if left >= LEAST_OF_A_FINAL * search.seconds(point.recipe)]
    return next((point for point in fit if is_start or point.recipe not in seen), None)


def _goes_straight(search: Search, point: StartingPoint) -> bool:
    """Whether a network from scratch is trained for as long as there is time without a first run: of small grey images,
    where few trainings fit, and it has no rival but a baseline without residual connections, with which it is compared
    at the end."""
    own, problem = search.problem.baseline.architecture, search.problem
    if own.kind != "convnet" or own.residual or problem.trainings or not problem.most_networks:
        return False
    if point.recipe.architecture.kind != "convnet" or not are_small_and_grey(search.problem):
        return False
    if search.ledger.trials("start") or not any(run.has_trained for run in search.ledger.trials("baseline")):
        return False
    found = epochs_from_scratch(point.recipe, search.seconds(point.recipe), search.left(), search.workers)
    return found is not None and found[0] >= ADDED_FROM


def _known(search: Search, kept: Start) -> StartingPoint:
    """The start that was settled. Raises LedgerError where it is none of today's: another backbone was named."""
    for point in offered(search.problem, search.ledger):
        if point.name == kept.name and point.recipe.fingerprint() == kept.fingerprint:
            return point
    raise LedgerError(
        f"the campaign in {search.ledger.folder} started from '{kept.name}' as it is not offered now; run the command "
        "that began it, with the same --backbone and --weights, or name another folder with --out."
    )


def _second_start_runs(search: Search, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """The other first runs, settled once: what is worth its time follows from how much of it is left."""

    def decide() -> SecondStarts:
        tried = [record.names[0] for record in records if record.role == "start"]
        # where the network is fine-tuned for as long as there is time, a shorter way to do it is not worth its own; and
        # of several backbones only the one with the best features is
        shorter = [point for point in search.problem.starts if point.way == "transfer"]
        best = max(shorter, key=lambda point: score_of_features(search, point), default=None)
        tried += [point.name for point in shorter if way == "fitted" or point != best]
        # nor is a network from scratch: what fine-tuning adds to such features it does not reach
        tried += from_scratch if way == "fitted" and _lead(search, records) > HOPELESS_LEAD else []
        others = [p for p in search.problem.starts if p.name not in tried and p.way != FINE_TUNE]
        for point in others:
            if point.recipe.architecture.kind == "convnet":
                ask_about_scratch(search, point)
        goes_straight = [point for point in others if _goes_straight(search, point)]
        found = {point.name: _fidelity(search, point, records) for point in others if point not in goes_straight}
        found |= {deep.name: 1.0} if deep and way == "first run" else {}
        return SecondStarts({name: part for name, part in found.items() if part})

    from_scratch = [point.name for point in search.problem.starts if point.recipe.architecture.kind == "convnet"]
    way, deep = settle_fine_tuning(search, records), point_that_fine_tunes(search)
    parts = settle(search.ledger, SecondStarts, decide).parts
    points = offered(search.problem, search.ledger, for_first_runs=True)[1:]
    return [start_run_of(search, point, parts[point.name]) for point in points if point.name in parts]


def _whole_way(search: Search, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """A first run of `fine-tune`, where a shorter way turned out to promise it and there is time to search."""
    if not any(record.has_trained for record in records) or reconsider_fine_tuning(search, records) != "first run":
        return []
    deep, had = point_that_fine_tunes(search), made(search.ledger, SecondStarts).parts
    points = offered(search.problem, search.ledger, for_first_runs=True)
    new = [point for point in points if deep and point.name == deep.name and point.name not in had]
    return [start_run_of(search, point, 1.0) for point in new]


def _lead(search: Search, records: tuple[TrialRecord, ...]) -> float:
    """By how many points the pretrained features are above a whole run of the baseline; 0 where there is none."""
    features, baselines = ([r for r in records if r.role == role and r.is_whole] for role in ("start", "baseline"))
    if not features or not baselines:
        return 0.0
    return max(_rank(search, record) for record in features) - _rank(search, baselines[0])


def _baseline_beside(search: Search, start_runs: list[Plan], records: tuple[TrialRecord, ...]) -> list[Plan]:
    """More runs of the baseline for the workers that would idle while the longest first run trains, settled once. They
    cost nothing, and every one narrows the gain's interval."""

    def decide() -> BaselineBeside:
        return BaselineBeside(0 if search.problem.trainings else _idle_baseline_runs(search, start_runs, records))

    number = settle(search.ledger, BaselineBeside, decide).runs
    return [search.problem.plan("baseline", search.problem.baseline, 1 + beside) for beside in range(number)]


def _idle_baseline_runs(search: Search, start_runs: list[Plan], records: tuple[TrialRecord, ...]) -> int:
    seconds = [search.seconds(start_run.spec.recipe, records, start_run.spec.fidelity) for start_run in start_runs]
    longest = max(seconds, default=0.0)
    idle = search.workers * longest - sum(seconds)
    each = search.seconds(search.problem.baseline, records)
    return min(MOST_BASELINE_RUNS - 1, int(idle / each)) if each <= longest else 0


def _baseline_once_more(search: Search, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """One longer part of the baseline where a part of it is the best that there is, or where the clock left nothing of
    any training: the workers are loaded by now, and the machine's speed is known. Settled once."""

    def decide() -> BaselineOnceMore:
        return BaselineOnceMore(_longer_part(search, records), len(search.ledger.trials("baseline")))

    settled, problem = settle(search.ledger, BaselineOnceMore, decide), search.problem
    return [problem.plan("baseline", problem.baseline, settled.number, fidelity=settled.part)] if settled.part else []


def _longer_part(search: Search, records: tuple[TrialRecord, ...]) -> float:
    """0 where none is worth its time."""
    best = max(records, key=lambda record: promise(search, record) if record.has_trained else -math.inf)
    if _rank(search, best) == -math.inf:
        part = sized(search, search.problem.baseline, ONCE_MORE_MOST * _last_seconds(search), search.ledger.trials())
        return max(part, LEAST) if any(record.status == "stopped" for record in records) else 0.0
    straight = any(_goes_straight(search, point) for point in search.problem.starts)
    most = BASELINE_MOST if straight else ONCE_MORE_MOST
    part = sized(search, search.problem.baseline, most * search.left(), search.ledger.trials())
    if straight and part < 1.0:  # of a part nothing is proven either
        return 0.0
    return part if best.role == "baseline" and part >= LONGER * part_trained(best, search.problem.facts) else 0.0


def _last_seconds(search: Search) -> float:
    return max(search.left(), LAST_RESORT * search.dispatcher.left())


def _fidelity(search: Search, point: StartingPoint, records: tuple[TrialRecord, ...]) -> float:
    """How much of a training its first run should be; 0 where it is none."""
    if search.problem.trainings:
        return 1.0
    left = search.left()
    is_start = [r for r in records if r.role == "start" or reads_features(r.recipe)]
    is_alone = not any(_rank(search, r) > -math.inf for r in is_start)
    if point.recipe.architecture.kind == "convnet":
        allowed = MOST_OF_BUDGET * search.budget_seconds
        allowed = min(max(allowed, ONLY_MOST * left) if is_alone else allowed, FIRST_LATEST * left)
        fidelity = sized(search, point.recipe, allowed, records)
        return fidelity if fidelity >= (LEAST if is_alone else SHORTEST) else 0.0
    if is_alone or reads_features(point.recipe):  # these did not fit, or were tried first
        return 0.0
    alone, again = search.seconds(point.recipe, records), search.seconds(point.recipe, records, again=True)
    is_worth_it = left * search.workers - alone >= (FEWEST - 1) * again
    if is_worth_it and left - alone >= AFTER_EACH_OTHER * again:
        return 1.0
    most = GREY_MOST if are_small_and_grey(search.problem) else LONG_MOST
    fidelity = sized(search, point.recipe, most * left, records)
    # one that no longer training could follow would leave the rest of the time to nothing
    is_followed = (1.0 - most) * left >= max(LONGER * fidelity, LEAST_OF_A_FINAL) * again
    return fidelity if fidelity >= SHORTEST and is_followed else 0.0


def _rank(search: Search, record: TrialRecord) -> float:
    """Its validation score, or minus infinity where it trained nothing."""
    return search.scores.rank(record) if record.has_trained else -math.inf


def _nothing(search: Search, records: Sequence[TrialRecord]) -> BudgetError | DataError:
    """Why there is no network at all: the time was too short, or every training failed."""
    problem, budget = search.problem, search.budget_seconds
    ended = [record for record in records if record.outcome is not None]
    if not problem.trainings and any(record.status == "stopped" for record in ended):
        recipes = [point.recipe for point in problem.points]
        needed = min(search.seconds(each, (), LEAST) + problem.pace.evaluation_seconds(each) for each in recipes)
        used = search.ledger.seconds_used()
        allow = math.ceil(max(2.0 * budget, used + search.closing_seconds + ADVICE * (needed + used)))
        return BudgetError(
            f"budget {format_duration(budget)} was over before the shortest training of any network had begun; the "
            f"same command with --budget {format_duration(allow)} goes on.",
            float(allow),
        )
    reason = ended[-1].outcome.reason if ended and ended[-1].outcome else "no training ended"
    return DataError(f"no network could be trained on these images; the baseline: {reason}.")
