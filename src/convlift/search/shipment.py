"""What ships, settled on validation images before the sealed test is opened: never what is worse there.

The shipped recipe's final runs are compared with the runs of the bare start and of the baseline, mean against mean, so
that an arm of many runs is no luckier than one of few. Where they are below, the better one ships; where the baseline
is the best, it stays, and nothing is judged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import LedgerError
from convlift.evidence.total_gain import FEWEST_RUNS
from convlift.ledger.trials import TrialRecord
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.search.allocate import shortened
from convlift.search.combine import combined
from convlift.search.compared_runs import baseline_arm, best_final, final_runs, finals_with
from convlift.search.context import Search
from convlift.search.decisions import Shipped, note
from convlift.search.given import network_given
from convlift.search.length import offered
from convlift.search.problem import BASELINE
from convlift.search.refit import is_fitted
from convlift.search.space import Configuration, SearchSpace, bare

CLEAR = 5.0  # points: three standard errors of the difference of two networks on some 400 images, seeds included

Ships = Literal["recipe", "start", "baseline"]


@dataclass(frozen=True)
class Shipment:
    """What ships. frozen: the recipe that the search ended with, or, where the start ships, that of the start; network:
    the trial whose network it is; before, after: the baseline's and the shipping recipe's runs, to be judged; why: not
    judged, or why not the searched recipe ships; shortened: see `result.Result`; baseline_network: what the network is
    compared with: the one that the user gave, else the one of `before` that validation likes best, which favours it."""

    frozen: Configuration
    ships: Ships
    network: TrialRecord
    before: tuple[TrialRecord, ...]
    after: tuple[TrialRecord, ...]
    judged: bool
    why: NotShipped | None = None
    shortened: Shortened | None = None
    baseline_network: TrialRecord | None = None


@dataclass(frozen=True)
class _Found:
    """What was found. stays: whether the baseline does; lost: why the final runs failed to learn; None where they did
    not; is_other: whether the start that ships is one that was passed over; searched: whether there are final runs."""

    ships: Ships
    stays: bool
    lost: str | None
    before: Sequence[TrialRecord]
    after: Sequence[TrialRecord]
    is_other: bool = False
    searched: bool = False


def settle_shipment(search: Search, frozen: Configuration) -> Shipment:
    """Decide what ships. Raises LedgerError where no network is left."""
    before, _ = baseline_arm(search, frozen.start.name)
    finals = learned(search, finals_of(search, frozen))
    of_the_start = _bare_runs(search, frozen, finals)
    lost = _lost_finals(search, frozen, finals)
    arms: list[tuple[Ships, Sequence[TrialRecord]]]
    arms = [("recipe", finals), ("start", of_the_start), ("baseline", before)]
    passed_over = _better_passed_over(search, frozen, finals)
    arms += [("start", passed_over)] if passed_over else []
    able = [(ships, runs) for ships, runs in arms if _networks(search, runs)]
    if not able:
        raise LedgerError(f"no training left a network in {search.ledger.folder}; start anew in another folder.")
    # the first of equals: the recipe before the start, that before the baseline
    ships, runs = max(able, key=lambda arm: round(score(search, arm[1]), 6))
    chosen = _bare_start(search, frozen, runs[0]) if ships == "start" else frozen
    network = best_final(search, _networks(search, runs))
    # a final run that failed to learn does not ship, but it counts
    after = tuple(finals_of(search, frozen) if ships == "recipe" else _to_judge(search, runs))
    after = tuple(passed_over) if passed_over and runs is passed_over else after  # one network is enough for its claim
    stays = ships == "baseline" or is_nothing(chosen)
    judged = not stays and bool(before) and bool(after)
    # what has learned from the validation images, nothing but the test can judge
    network = combined(search, runs, network, refits=judged) if ships == "recipe" else network
    is_other = runs is passed_over and runs[0].names != (frozen.start.name,)
    why = _why(search, _Found(ships, stays, lost, before, after, is_other, bool(finals)))
    rival = best_final(search, before) if before else None
    found = Shipment(chosen, ships, network, tuple(before), after, judged, why, shortened(search), rival)
    if given := network_given(search):
        found = _beside(search, found, given, stays=stays)
    before_ids, after_ids = (tuple(run.id for run in arm) for arm in (found.before, found.after))
    rival_id = found.baseline_network.id if found.baseline_network else None
    settled = Shipped(found.ships, found.network.id, found.judged, before_ids, after_ids, rival_id)
    note(search.ledger, settled, replace=True)
    return found


def _beside(search: Search, found: Shipment, given: TrialRecord, *, stays: bool) -> Shipment:
    """The same beside the network that the user gave. Where the baseline would stay that one ships, unless a new
    training of the baseline's recipe is ahead of it, even on images that it may have learned from: then that ships."""
    if not stays or found.network.role == "given":
        return replace(found, baseline_network=given)
    is_ahead = search.scores.rank(found.network) > search.scores.rank(given)
    if is_ahead and found.frozen.start.name == BASELINE and found.network.recipe == search.problem.baseline:
        return replace(
            found, frozen=bare(found.frozen.space), ships="recipe", after=(found.network,), judged=True, why=None,
            baseline_network=given,
        )  # fmt: skip
    network = given if search.has_network(given) and not is_ahead else found.network
    return replace(found, network=network, baseline_network=given)


def _better_passed_over(search: Search, frozen: Configuration, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best first run beside a start whose length was fitted to the time, its own included, where validation likes
    it better, by over `Scores.doubt`, than whatever would ship of that one; none else. What is known of a longer
    training speaks for it, and a few images do not outweigh that."""
    if not is_fitted(search.ledger):
        return []
    names = {(point.name,) for point in search.problem.points}  # what undoes a lever of the baseline is no start
    others = [r for r in search.ledger.trials("start") if r.status == "finished" and r.names in names]
    # whatever part of a training it was, it went through the whole of its schedule
    able = _networks(search, [r for r in learned(search, others) if r.recipe != frozen.start.recipe])
    best = max(able, key=lambda record: search.scores.score_points(record), default=None)
    able_finals = _networks(search, finals)
    ships = [combined(search, finals, best_final(search, able_finals), refits=False)] if able_finals else []
    if best is None:
        return []
    doubt = search.scores.doubt(ships[0], best) if ships else 0.0
    return [] if ships and score(search, ships) + doubt >= score(search, [best]) else [best]


def _bare_start(search: Search, frozen: Configuration, run: TrialRecord) -> Configuration:
    """The start of a run with no change switched on."""
    if run.recipe == frozen.start.recipe:
        return bare(frozen.space)
    points = offered(search.problem, search.ledger, for_first_runs=True)
    point = next(point for point in points if (point.name,) == run.names)
    return bare(SearchSpace(replace(point, recipe=run.recipe), ()))  # of another length where more time was given


def is_nothing(frozen: Configuration) -> bool:
    """Whether no change is left: what would ship is the baseline."""
    return not frozen.names and frozen.start.name == BASELINE


def score(search: Search, runs: Sequence[TrialRecord]) -> float:
    """Mean validation score of some runs in points."""
    return float(np.mean([search.scores.score_points(run) for run in runs]))


def learned(search: Search, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those of the records that did not come to nothing, beside each other."""
    return [r for r, lost in zip(records, search.scores.collapsed(records), strict=True) if not lost]


def start_in_doubt(search: Search, frozen: Configuration) -> bool:
    """Whether the bare start is above the final runs by fewer runs than can be judged: one more decides."""
    has_ended = any(run.outcome is not None for run in finals_with(search.ledger, frozen.recipe))
    if frozen.start.name == BASELINE or not frozen.names or not has_ended:
        return False
    finals = learned(search, finals_of(search, frozen))
    starts = [run for run in learned(search, runs_of_the_start(search, frozen.start)) if run.role != "start"]
    is_decided = any(run.outcome is not None for run in finals_with(search.ledger, frozen.start.recipe))
    is_above = bool(starts) and (not finals or score(search, starts) > score(search, finals))
    return is_above and len(starts) < FEWEST_RUNS and not is_decided


def finals_of(search: Search, frozen: Configuration) -> list[TrialRecord]:
    """The final runs of the frozen recipe that count; of the bare start there may be others."""
    return final_runs(search.ledger, frozen.recipe)


def runs_of_the_start(search: Search, start: StartingPoint) -> list[TrialRecord]:
    """The bare start's finished runs, its first run last."""
    return [
        record
        for role in ("final", "search", "start")
        for record in search.ledger.trials(role)
        if record.recipe == start.recipe and record.status == "finished"
    ]


def _bare_runs(search: Search, frozen: Configuration, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs of the bare start that the final runs are compared with: none where it is the baseline, or what the
    final runs are of; the first run, which was chosen for its score, only where there is no other."""
    if frozen.start.name == BASELINE or (finals and frozen.recipe == frozen.start.recipe):
        return []
    runs = learned(search, runs_of_the_start(search, frozen.start))
    if not runs:  # of a start that was chosen by a run that the clock cut short, that run may still ship
        start_runs = [run for run in search.ledger.trials("start") if run.recipe == frozen.start.recipe]
        runs = [run for run in start_runs if run.status == "stopped" and run.has_trained]
    later = [run for run in runs if run.role != "start"]
    # of first runs of different lengths, as after more time was given, the longest
    return later or sorted(runs, key=lambda run: run.fidelity)[-1:]


def _to_judge(search: Search, runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs of the bare start that can be judged: of its first run the network alone, whose claim does not mind that
    it was chosen for its score; that run is one of several only where it won by so much that its luck decided nothing.
    """
    if any(run.role == "start" for run in runs):  # a fold's runs are evidence of the procedure, and these are none
        return list(runs[:1]) if search.problem.most_networks else []
    start_runs = [r for r in search.ledger.trials("start") if r.recipe == runs[0].recipe and r.status == "finished"]
    return [*runs, *(start_runs if won_clearly(search, start_runs) else [])]


def won_clearly(search: Search, start_runs: Sequence[TrialRecord]) -> bool:
    """Whether the start's first run beat every other start's by more than CLEAR points of accuracy's size."""
    others = [*search.ledger.trials("baseline")[:1], *search.ledger.trials("start")]
    scores = [
        search.scores.score_points(r) for r in others if r.recipe not in [start_run.recipe for start_run in start_runs]
    ]
    known = [each for each in scores if not math.isnan(each)]
    return bool(start_runs and known) and search.scores.score_points(start_runs[0]) > max(known) + CLEAR


def _networks(search: Search, runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [run for run in runs if search.has_network(run)]


def _lost_finals(search: Search, frozen: Configuration, kept: Sequence[TrialRecord]) -> str | None:
    """Why the frozen recipe's final runs failed to learn, where all of them did; None where one learned, or none
    ended."""
    ended = [run.outcome for run in finals_with(search.ledger, frozen.recipe) if run.outcome is not None]
    if kept or not ended:
        return None
    return "; ".join(dict.fromkeys(outcome.reason for outcome in ended if outcome.reason))


def _why(search: Search, found: _Found) -> NotShipped | None:
    """Why the searched recipe does not ship, or is not judged; None where it is and does."""
    lost = found.lost
    if found.stays:
        if lost is not None:
            return NotShipped("final runs failed", lost)
        if search.ledger.trials("final"):
            return NotShipped("below the baseline")
        return NotShipped("no change helps" if search.ledger.trials("search") else "no time to search")
    if not found.before:
        failed = [r.outcome for r in search.ledger.trials("baseline") if r.status in ("failed", "diverged")]
        if failed and failed[0] is not None:
            return NotShipped("baseline failed", failed[0].reason)
        return NotShipped("no time for the baseline")
    if not found.after:
        return NotShipped("no time for final runs")
    if found.ships == "start":
        if lost is not None:
            return NotShipped("only the start learned", lost)
        if not found.is_other and not found.searched and all(run.role == "start" for run in found.after):
            return NotShipped("no second run")
        return NotShipped("another start is better" if found.is_other else "start is better")
    return None
