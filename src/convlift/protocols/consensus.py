"""What ships after a nested cross-validation: the recipe that its folds agree on, found from what they froze."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convlift.catalogue.candidates import CATALOGUE, Candidate
from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import LedgerError
from convlift.ledger.ledger import Ledger
from convlift.search.augmentation_guard import guarded
from convlift.search.decisions import Freeze, GuardReport, Shipped, Shortlist, decided, made
from convlift.search.length import offered
from convlift.search.problem import BASELINE, Problem
from convlift.search.revise import known, revised
from convlift.search.scores import Scores
from convlift.search.space import Configuration, SearchSpace, fitting, switched
from convlift.search.start_decisions import Start


@dataclass(frozen=True)
class Choice:
    """What one fold shipped, settled before its test was opened. candidates: what it searched; names: the changes that
    it shipped; believed: validation score of its final runs in points."""

    start: StartingPoint
    candidates: tuple[Candidate, ...]
    names: tuple[str, ...]
    believed: float

    @property
    def shipped(self) -> Configuration:
        """The recipe."""
        space = SearchSpace(self.start, self.candidates)
        return switched(space, np.array([candidate.name in self.names for candidate in self.candidates], bool))


def choice_of(problem: Problem, ledger: Ledger) -> Choice:
    """The choice of a finished fold. problem: the fold's. Raises LedgerError where its start is none of today's."""
    shipped, chosen = made(ledger, Shipped), made(ledger, Start)
    if shipped.ships == "baseline":
        chosen = Start(BASELINE, problem.baseline.fingerprint())
    start = next((p for p in offered(problem, ledger) if Start(p.name, p.recipe.fingerprint()) == chosen), None)
    if start is None:
        raise LedgerError(
            f"the fold in {ledger.folder} started from '{chosen.name}' as it is not offered now; run the command that "
            "began it, with the same --backbone and --weights, or name another folder with --out."
        )
    shortlist = decided(ledger, Shortlist) or Shortlist(())
    tried = [known(each, ledger.folder) for each in shortlist.names]
    listed = [Candidate(each, each.prior) for each in tried]
    kept = guarded(decided(ledger, GuardReport) or GuardReport(), start.recipe, listed)
    runs = shipped.before if shipped.ships == "baseline" else shipped.after
    scores = Scores(problem)
    believed = float(np.mean([scores.score_points(ledger.trial(run)) for run in runs]))
    names = made(ledger, Freeze).names if shipped.ships == "recipe" else ()
    return Choice(start, revised(ledger, kept), names, believed)


def consensus(choices: Sequence[Choice]) -> Configuration:
    """The start that most folds chose (of several the one that is believed to score best), with the changes that half
    of these folds shipped or more; one that does not fit beside those more often shipped is left out.

    Of equally often shipped changes that exclude each other the one stays whose folds are believed to score better,
    then the more promising. More than half would be both of two folds: folds gained 5.5 points, what shipped 3.4
    (simulated campaigns with two folds)."""
    starts = Counter(choice.start.name for choice in choices)

    def rank(name: str) -> tuple[int, float]:
        return starts[name], float(np.mean([each.believed for each in choices if each.start.name == name]))

    agreed = max(starts, key=rank)
    those = [choice for choice in choices if choice.start.name == agreed]
    order = {intervention.name: place for place, intervention in enumerate(CATALOGUE)}
    found = {candidate.name: candidate for choice in those for candidate in choice.candidates}
    # the guard names what it weakened after what it was
    listed = tuple(sorted(found.values(), key=lambda each: (_place(each.name, order), each.name)))
    votes = np.array([sum(candidate.name in choice.names for choice in those) for candidate in listed], np.int64)
    start = those[0].start
    space = SearchSpace(start, listed)
    best = max(abs(choice.believed) for choice in those) or 1.0
    belief = np.array([_believed(candidate.name, those) / best for candidate in listed])
    worth = votes + 0.1 * belief + np.array([candidate.prior for candidate in listed]) / 1e5
    return switched(space, fitting(space, (2 * votes >= len(those)) & (votes > 0), worth))


def _believed(name: str, choices: Sequence[Choice]) -> float:
    """Mean belief of the folds that shipped a change; 0 where none did."""
    return float(np.mean([choice.believed for choice in choices if name in choice.names] or [0.0]))


def _place(name: str, order: dict[str, int]) -> int:
    return order[name] if name in order else order[name.rpartition(", ")[0]]
