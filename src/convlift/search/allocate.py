"""How a campaign's time, or its number of trainings, is divided: settled once, after the first runs, kept in the
ledger."""

import math
from dataclasses import dataclass

from convlift.catalogue.starting_points import StartingPoint
from convlift.evidence.metrics import ACCURACY
from convlift.evidence.power import baseline_and_final_runs
from convlift.ledger.trials import TrialRecord
from convlift.records.not_shipped import Shortened
from convlift.search.context import Search
from convlift.search.decisions import Allocation, decided, settle
from convlift.search.problem import BASELINE
from convlift.search.refit import may_refit, more_images
from convlift.search.start_decisions import Length
from convlift.search.timing import longest_phase, part_trained

FEWEST = 3  # trainings of the start, one after the other, for a search to fit: before it, itself, and what ships
FEWEST_COUNTED = 4  # trainings that can be asked for: a run of the baseline, a search of two, what ships
# Trainings from which on each arm has two runs where the start is another network: without two nothing can be proven,
# and such a start gains much more than a search of so few trainings, which a second run an arm costs .2 points.
ENOUGH_FOR_TWO = 6
# Runs of the baseline where the start is another network: with fewer, a baseline whose seeds differ by 3 to 8 points
# proves what is not so in 5 to 17 of 100 campaigns (simulated).
BASELINE_RUNS = 5
BASELINE_SHARE = 0.05  # of the trainings: what runs of the baseline may take where they are cheap
MOST_BASELINE_RUNS = 8
DEAR_SHARE = 0.2  # of the trainings: the most that runs of the baseline may take beside the first where they are dear
BASELINE_MOST = (
    0.3  # of the time that is left: what one run of the baseline may take; of a dearer one a part is trained
)
FINAL_SLACK = 1.25  # final runs get this much more than predicted: nothing comes after them that could be late instead
LEAST_OF_A_FINAL = 0.25  # of the predicted time: what trained for less is not the shipped recipe
# Trainings from which on a refit comes after as many final runs as the recipe's claim needs; before, in the place of
# one of them: images bring more than that claim, and the network's needs one run.
ENOUGH_TO_REFIT = 8
FEWEST_TO_REFIT = 5  # trainings after each other: with fewer, a refit takes one of two trainings of the search
# validation images that the start gets wrong: with fewer, a change that rights half of them is told from no other seed
FEWEST_ERRORS = 5
FEW_ERRORS = 0.05  # of the validation images: few errors of a few images are many
MOST_LAST = 8  # final runs and refits: more networks than that make each other hardly better
MOST_AT_ONCE = 4  # trainings of a settled length, of which the best ships: more add little
LONGER = 1.3  # than the start's shortened first run: a final run that is less than that is not worth its time


@dataclass(frozen=True)
class Times:
    """What a division by time goes by.

    left: seconds that trials may still take.
    each: seconds of a training of the start.
    baseline: seconds of a training of the baseline.
    workers: how many trials run at once.
    before: runs of the baseline that ended before the division.
    tried: of a training of the start, the part that its first run had.
    rounds: of the workers, for which the length of the start's training was settled; 0 where it was not.
    refit: whether what ships may learn from the validation images too; more: how many times as many images those are.
    errors: validation images that the start gets wrong, where they are too few for a search; else None.
    """

    left: float
    each: float
    baseline: float
    workers: int
    before: int = 1
    tried: float = 1.0
    rounds: int = 0
    refit: bool = False
    more: float = 1.0
    errors: int | None = None


def plan(times: Times, *, is_other: bool) -> Allocation:
    """How much the time buys. is_other: whether the start is another network than the baseline.

    Where no search fits there is none, and what ships is the start.
    """
    each, before = times.each, times.before
    if times.rounds or times.left < FEWEST * each:
        finals = _finals_alone(times) if is_other else 0
        return Allocation(finals, before, finals, before)
    trainings = math.floor(times.left * times.workers / each)
    baselines, finals = arms(trainings, is_other=is_other, cost=times.baseline / each, workers=times.workers)
    if times.errors is not None:
        return _unsearched(max(baselines, before), min(finals + times.refit, trainings), before, times.errors)
    needed = arms(trainings, is_other=is_other, cost=times.baseline / each)[1]
    finals, refits = _with_refits(trainings, needed, times.workers) if times.refit else (finals, 0)
    if times.baseline > BASELINE_MOST * times.left:  # it was shortened, and of a shortened one nothing is proven
        baselines = before
    baselines = max(baselines, before)
    # runs of the baseline cost what they cost, and a search that fits has two trials at least
    last = finals + refits
    searches = max(2, math.floor(trainings - (baselines - before) * times.baseline / each - last))
    return Allocation(searches + (baselines - before) + last, baselines, finals, before, refits)


def _with_refits(trainings: int, finals: int, workers: int) -> tuple[int, int]:
    """Final runs and refits in whole rounds of the workers: one refit beside the final runs that are needed, or in the
    place of one where another round would take over a third of the trainings."""
    if trainings < ENOUGH_TO_REFIT:
        return (1, 1) if workers > 1 or trainings >= FEWEST_TO_REFIT else (finals, 0)
    last = math.ceil((finals + 1) / workers) * workers
    if last > max(trainings // 3, workers):
        last = max(2, math.ceil(finals / workers) * workers)
    return last - 1, 1


def _unsearched(baselines: int, last: int, before: int, errors: int) -> Allocation:
    """Where the start is so good that no search would see what helps: what ships is the start."""
    return Allocation(baselines - before + last, baselines, last, before, errors=errors)


def errors_of(search: Search, start: StartingPoint) -> int | None:
    """How many validation images another start's first run gets wrong, where they are too few for a search; None in a
    fold, whose search is a part of the procedure, and for metrics in which few errors can be many."""
    runs = [r for r in search.ledger.trials("start") if r.recipe == start.recipe and r.status == "finished"]
    problem = search.problem
    if not runs or runs[0].outcome is None or problem.metric is not ACCURACY or problem.most_networks == 0:
        return None
    if problem.goal != "clean":  # few errors on clean images say nothing of those on corrupted ones
        return None
    said, labels = runs[0].outcome.validation_probabilities, problem.validation_labels
    errors = int((said.argmax(axis=1) != labels).sum())
    return errors if errors < FEWEST_ERRORS and errors <= FEW_ERRORS * len(labels) else None


def plan_counted(trainings: int, *, is_other: bool, refit: bool = False, errors: int | None = None) -> Allocation:
    """Of --trainings: the runs of the baseline, the search, the final runs and the refit are so many together; fewer
    where errors are given, see `Times`."""
    baselines, finals = arms(trainings, is_other=is_other)
    if errors is not None:
        return _unsearched(baselines, min(MOST_LAST, trainings - baselines), 1, errors)
    return Allocation(trainings - 1, baselines, finals, refits=int(refit and trainings >= ENOUGH_TO_REFIT))


def divide(search: Search, start: StartingPoint) -> Allocation:
    """How much the budget buys from this start, settled once."""
    is_other = start.name != BASELINE

    def decide() -> Allocation:
        if search.problem.trainings:
            refit = may_refit(search.problem, start.recipe)
            errors = errors_of(search, start)
            return plan_counted(search.problem.trainings, is_other=is_other, refit=refit, errors=errors)
        return plan(_times(search, start), is_other=is_other)

    return settle(search.ledger, Allocation, decide)


def _times(search: Search, start: StartingPoint) -> Times:
    start_runs = [r for r in search.ledger.trials("start") if r.recipe == start.recipe]
    length = decided(search.ledger, Length)
    return Times(
        left=search.left(),
        each=search.seconds(start.recipe),
        baseline=search.seconds(search.problem.baseline),
        workers=search.workers,
        before=len(search.ledger.trials("baseline")),  # some ran beside the first runs
        rounds=length.rounds if length and start.name == length.start else 0,
        tried=max((r.fidelity if r.status == "finished" else 0.0 for r in start_runs), default=0.0),
        refit=may_refit(search.problem, start.recipe),
        more=more_images(search.problem),
        errors=errors_of(search, start),
    )


def _finals_alone(times: Times) -> int:
    """How many trainings of the start fit where no search does; one that the clock cuts short where that is still
    longer than its first run was, and a refit beside it where another worker would idle."""
    if times.rounds:
        return times.rounds * min(times.workers, MOST_AT_ONCE)
    fit = times.left / times.each
    slack = FINAL_SLACK * (times.more if times.refit else 1.0)
    if fit >= FINAL_SLACK:
        return max(1, min(2, times.workers * math.floor(fit / slack)))
    is_worth_it = times.tried < 1.0 and fit >= max(LONGER * times.tried, LEAST_OF_A_FINAL)
    return is_worth_it * (min(2, times.workers) if times.refit else 1)


def arms(trainings: int, *, is_other: bool, cost: float | None = None, workers: int = 1) -> tuple[int, int]:
    """Runs of the baseline and final runs: the table's; where the start is another network two each from ENOUGH_FOR_TWO
    trainings on, and BASELINE_RUNS of the baseline.

    cost: of a run of the baseline in trainings; None where trainings are counted, whatever they cost. With a cost, no
    worker idles in the last round of finals; runs of the baseline that cost a fraction of a training are as many as
    BASELINE_SHARE of the trainings pay for, since the gain's variance falls with both; dear ones leave most of the time
    to the search."""
    baselines, finals = baseline_and_final_runs(max(FEWEST, trainings))
    if is_other and trainings >= ENOUGH_FOR_TWO:
        baselines, finals = max(baselines, 2), max(finals, 2)
    if cost is None:
        return (max(baselines, min(BASELINE_RUNS, trainings // 2 - 2)) if is_other else baselines), finals
    finals = max(min(math.ceil(finals / workers) * workers, max(1, trainings // 3)), min(finals, trainings // 3))
    wanted = max(baselines, BASELINE_RUNS) if is_other else baselines
    wanted = max(wanted, min(MOST_BASELINE_RUNS, int(BASELINE_SHARE * trainings / cost)))
    return min(wanted, 1 + int(DEAR_SHARE * trainings / cost)), finals


def baseline_runs(records: tuple[TrialRecord, ...]) -> list[TrialRecord]:
    """The baseline's runs that count: those of its full length where there are any, else the longest of those that were
    shortened, else what the clock cut short."""
    ended = [r for r in records if r.status == "finished"]
    if ended:
        longest = max(r.fidelity for r in ended)
        return [r for r in ended if r.fidelity == longest]
    return [r for r in records if r.status == "stopped" and r.has_trained][:1]


def shortened(search: Search) -> Shortened | None:
    """How much of its training the baseline had; None where it had all of it."""
    runs = baseline_runs(search.ledger.trials("baseline"))
    if not runs or runs[0].is_whole:
        return None
    planned, phase = longest_phase(runs[0].recipe)
    return Shortened(planned * part_trained(runs[0], search.problem.facts), planned, phase == "fine-tune")
