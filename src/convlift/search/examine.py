"""The user's own recipe, diagnosed first: what its first training accuses is undone once, where cheap, and said.

Its trial is no evidence for anything that ships. Somebody asked how their recipe can be made better, and "whole recipe,
+51 points" is no answer where one of its levers is at fault.
"""

import numpy as np

from convlift.catalogue.accusations import Accusation, accuse, confirmed, difference_error
from convlift.catalogue.diagnose import diagnose
from convlift.ledger.records import Plan, TrialRecord
from convlift.records.recipe_findings import RecipeFinding
from convlift.search.decisions import Accused, Examination, decided, settle
from convlift.search.dispatcher import Dispatcher
from convlift.search.study import Study

MOST_OF_BUDGET = 0.12  # of the worker-seconds that are left: what undoing the accused lever may take


def probe_of_the_baseline(study: Study, desk: Dispatcher) -> list[Plan]:
    """The baseline with its most accused lever undone; nothing where it learned well, or where that is too dear.

    Settled once.
    """
    if study.pool is not None or decided(desk.ledger, Examination) is not None:
        return []
    accused = _accused(study, desk)
    if accused is None:
        return []
    probe = accused.probe

    def decide() -> Accused:
        most = MOST_OF_BUDGET * study.left(desk) * desk.executor.capacity
        return Accused(bool(study.trainings) or study.seconds(probe, desk.ledger.trials()) <= most)

    tried = settle(desk.ledger, Accused, decide).undone
    return [study.plan("probe", probe, _number(study), (accused.name,))] if tried else []


def examine_baseline(study: Study, desk: Dispatcher) -> None:
    """Write down what is wrong with the user's recipe: what undoing a lever has confirmed, else what its training makes
    one suspect."""
    settle(desk.ledger, Examination, lambda: _examination(study, desk))


def _examination(study: Study, desk: Dispatcher) -> Examination:
    first = _first(desk)
    if first is None or first.outcome is None or study.pool is not None:
        return Examination()
    accused = _accused(study, desk)
    found = _found(study, first, accused, _undone(desk, accused)) if accused else None
    symptoms = diagnose(first.outcome, study.validation_labels, study.baseline, study.facts)
    return Examination((found,) if found else (), symptoms)


def found_of_the_baseline(desk: Dispatcher) -> tuple[RecipeFinding, ...]:
    """The findings of `examine_baseline`."""
    return (decided(desk.ledger, Examination) or Examination()).found


def _found(
    study: Study, first: TrialRecord, accusation: Accusation, undone: TrialRecord | None
) -> RecipeFinding | None:
    if undone is None:
        return accusation.suspected
    scores = []
    for record in (first, undone):
        assert record.outcome is not None, "both have ended"
        said = record.outcome.validation_probabilities
        scores.append(study.image_points(said) / 100.0 if len(said) else np.array([np.nan]))
    before, after = scores
    if np.isnan(before).any():  # it diverged
        return confirmed(accusation, float("nan"), float(after.mean()), 0.0) or accusation.suspected
    return confirmed(accusation, float(before.mean()), float(after.mean()), difference_error(before, after))


def _accused(study: Study, desk: Dispatcher) -> Accusation | None:
    first = _first(desk)
    if first is None or first.outcome is None:
        return None
    return next(iter(accuse(first.outcome, study.validation_labels, study.baseline, study.facts)), None)


def _first(desk: Dispatcher) -> TrialRecord | None:
    """The baseline's first run of full length; a part of one is accused of nothing."""
    ended = (r for r in desk.ledger.trials("pilot") if r.fidelity == 1.0 and r.status in ("finished", "diverged"))
    return next(ended, None)


def _undone(desk: Dispatcher, accusation: Accusation) -> TrialRecord | None:
    probes = (r for r in desk.ledger.trials("probe") if r.names == (accusation.name,) and r.status == "finished")
    return next(probes, None)


def _number(study: Study) -> int:
    """Of the probe: after the starts', and the one on half of the images."""
    return len(study.points) + 1
