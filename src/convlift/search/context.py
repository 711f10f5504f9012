"""A search as all its steps see it: the problem, the trials so far, and the small questions that every step asks."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from convlift.catalogue.starting_points import StartingPoint
from convlift.cost.seconds import Pace
from convlift.errors import LedgerError
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.decisions import decided
from convlift.search.dispatcher import Dispatcher
from convlift.search.problem import Problem
from convlift.search.scores import Scores
from convlift.search.start_decisions import ScratchAsked, ShiftAsked, TuningAsked
from convlift.search.timing import timed

MOST_LAG, TRAININGS_A_LAG = 7, 8


@dataclass(frozen=True)
class Search:
    """problem: what is to be improved; dispatcher: runs its trials and has the campaign's clock."""

    problem: Problem
    dispatcher: Dispatcher

    @cached_property
    def scores(self) -> Scores:
        """Of its trials."""
        return Scores(self.problem)

    @property
    def ledger(self) -> Ledger:
        """Where its trials and decisions are written down."""
        return self.dispatcher.ledger

    @property
    def workers(self) -> int:
        """How many trials run at once."""
        return self.dispatcher.executor.capacity

    @property
    def budget_seconds(self) -> float:
        """Wall clock of the whole campaign; infinite where it is as long as its number of trainings says."""
        return self.dispatcher.budget_seconds

    def has_network(self, record: TrialRecord) -> bool:
        """Whether a trial's weights lie on the disk."""
        return self.dispatcher.weights_of(record).is_file()

    def left(self) -> float:
        """Seconds that trials may still take: without those for judging and the report; never under 0."""
        return max(0.0, self.dispatcher.left() - self.closing_seconds)

    @property
    def closing_seconds(self) -> float:
        """Kept at the end: the problem's, with what shifted images take as it was measured, where it was."""
        problem, asked = self.problem, decided(self.ledger, ShiftAsked)
        shifted = problem.shift_seconds if asked is None else asked.seconds
        if asked is not None and asked.guessed:  # with a longer budget there are more copies
            shifted *= problem.shift_seconds / asked.guessed
        return problem.closing_seconds - problem.shift_seconds + shifted

    def seconds(
        self,
        recipe: Recipe,
        records: Iterable[TrialRecord] | None = None,
        fidelity: float = 1.0,
        *,
        again: bool = False,
    ) -> float:
        """What a training will take, by the trials that ended. records: the trials to go by, None for all; again: when
        what can be stored is stored already."""
        ended = self.ledger.trials() if records is None else records
        known = [found for record in ended if (found := timed(record, self.problem.facts)) is not None]
        return self._pace.seconds(recipe, known, fidelity, again=again)

    @property
    def _pace(self) -> Pace:
        """The problem's, with the speeds of fine-tuning and of a network from scratch where those were measured."""
        pace = self.problem.pace
        tuning, scratch = decided(self.ledger, TuningAsked), decided(self.ledger, ScratchAsked)
        if tuning is not None and tuning.seconds:  # whatever its augmentation, it has the same work
            pace = pace.with_tuning(self._offered(tuning.start).recipe, tuning.seconds)
        if scratch is not None and scratch.seconds:
            pace = pace.with_scratch(self._offered(scratch.start).recipe, scratch.seconds)
        return pace

    def _offered(self, name: str) -> StartingPoint:
        point = next((point for point in self.problem.points if point.name == name), None)
        if point is None:
            raise LedgerError(
                f"the campaign in {self.ledger.folder} asked about '{name}', which is not offered now; run the command "
                "that began it, with the same --backbone and --weights, or name another folder with --out."
            )
        return point

    @property
    def lag(self) -> int:
        """Where trainings are counted, the k-th recipe is drawn from the trials before the last `lag` ones, whichever
        end first: as many as eight run at once, and the same recipes are drawn on every machine (up to eight at once
        cost the search nothing, simulated)."""
        return min(MOST_LAG, max(1, self.problem.trainings // TRAININGS_A_LAG))

    def seen(self, trials: tuple[TrialRecord, ...]) -> tuple[TrialRecord, ...]:
        """Of one role's trials those that the next recipe may be drawn from: where trainings are counted, those before
        the last `lag`, whichever of the others have ended by now."""
        return trials[: max(0, len(trials) - self.lag)] if self.problem.trainings else trials

    def may_draw(self, trials: tuple[TrialRecord, ...]) -> bool:
        """Whether the next recipe can be drawn now: where trainings are counted, once what it is drawn from ended."""
        return not self.problem.trainings or all(record.outcome is not None for record in self.seen(trials))
