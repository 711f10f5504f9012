"""The user's own recipe, diagnosed first: what its first training accuses is undone once, where cheap, and said.

Its trial is no evidence for anything that ships. Somebody asked how their recipe can be made better, and "whole recipe,
+51 points" is no answer where one of its levers is at fault.
"""

from typing import Any

import numpy as np

from convlift.campaign.study import Study
from convlift.execute.desk import Desk
from convlift.ledger.records import Plan, TrialRecord
from convlift.study.accusations import Accusation, accuse, confirmed, difference_error
from convlift.study.diagnose import diagnose

FACT, DIAGNOSIS = "baseline probes", "baseline diagnosis"
MOST_OF_BUDGET = 0.12  # of the worker-seconds that are left: what undoing the accused lever may take


def probe_of_the_baseline(study: Study, desk: Desk) -> list[Plan]:
    """The baseline with its most accused lever undone; nothing where it learned well, or where that is too dear.

    Settled once: the fact "accused" says whether it is tried.
    """
    if study.pool is not None or desk.ledger.recall(FACT) is not None:
        return []
    accused = _accused(study, desk)
    if accused is None:
        return []
    tried = desk.ledger.recall("accused")
    if tried is None:
        seconds = study.seconds(accused.probe, desk.ledger.trials())
        left = study.left(desk)
        tried = bool(study.trainings) or seconds <= MOST_OF_BUDGET * left * desk.executor.capacity
        desk.ledger.record("accused", tried)
    return [study.plan("probe", accused.probe, _number(study), (accused.name,))] if tried else []


def examine_baseline(study: Study, desk: Desk) -> None:
    """Write down, as the fact FACT, what is wrong with the user's recipe, in sentences: what undoing a lever has
    confirmed, else what its training makes one suspect."""
    if desk.ledger.recall(FACT) is not None:
        return
    first = _first(desk)
    said: list[str] = []
    if first is not None and first.outcome is not None and study.pool is None:
        accused = _accused(study, desk)
        said = _found(study, first, accused, _undone(desk, accused)) if accused else []
        found = diagnose(first.outcome, study.validation_labels, study.baseline, study.facts)
        desk.ledger.record(DIAGNOSIS, [each.sentence for each in found])
    desk.ledger.record(FACT, said)


def found_of_the_baseline(desk: Desk) -> list[str]:
    """The sentences of `examine_baseline`."""
    found: list[Any] = desk.ledger.recall(FACT, [])
    return [str(sentence) for sentence in found]


def _found(study: Study, first: TrialRecord, accusation: Accusation, undone: TrialRecord | None) -> list[str]:
    if undone is None:
        return [accusation.suspicion]
    scores = []
    for record in (first, undone):
        assert record.outcome is not None, "both have ended"
        said = record.outcome.validation_probabilities
        scores.append(study.image_points(said) / 100.0 if len(said) else np.array([np.nan]))
    before, after = scores
    if np.isnan(before).any():  # it diverged
        sentence = confirmed(accusation, float("nan"), float(after.mean()), 0.0)
        return [sentence] if sentence else [accusation.suspicion]
    sentence = confirmed(accusation, float(before.mean()), float(after.mean()), difference_error(before, after))
    return [sentence] if sentence else []


def _accused(study: Study, desk: Desk) -> Accusation | None:
    first = _first(desk)
    if first is None or first.outcome is None:
        return None
    return next(iter(accuse(first.outcome, study.validation_labels, study.baseline, study.facts)), None)


def _first(desk: Desk) -> TrialRecord | None:
    """The baseline's first run of full length; a part of one is accused of nothing."""
    ended = (r for r in desk.ledger.trials("pilot") if r.fidelity == 1.0 and r.status in ("finished", "diverged"))
    return next(ended, None)


def _undone(desk: Desk, accusation: Accusation) -> TrialRecord | None:
    probes = (r for r in desk.ledger.trials("probe") if r.names == (accusation.name,) and r.status == "finished")
    return next(probes, None)


def _number(study: Study) -> int:
    """Of the probe: after the starts', and the one on half of the images."""
    return len(study.points) + 1
