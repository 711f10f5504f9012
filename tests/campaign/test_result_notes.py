"""What the notes tell of a metric and of groups."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convlift.campaign.result_notes import calibrated, groups_tested, notes_of_the_metric
from convlift.evidence.metrics import METRICS, metric_named
from convlift.records.notes import FewOfAClass, GroupsTested, MetricMeaning, Note, UntestedClasses
from convlift.report.wording.note_sentences import note_sentence
from convlift.search.context import Search
from convlift.search.fit_confidence import confidence_of
from made_up import World, desk_in, problem_of

LABELS = np.repeat([0, 1], [50, 8])


def notes(metric: str, classes: tuple[str, ...]) -> list[Note]:
    return notes_of_the_metric(metric_named(metric), SimpleNamespace(classes=classes), LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS[1:]])
def test_a_metric_other_than_accuracy_is_explained(metric: str) -> None:
    first, *_ = notes(metric, ("well", "ill"))
    assert first == MetricMeaning(metric)
    assert note_sentence(first).startswith(metric_named(metric).title)
    assert note_sentence(first).endswith("A point is a hundredth of it.")


def test_accuracy_needs_no_words() -> None:
    assert notes("accuracy", ("well", "ill")) == []


def test_small_and_absent_classes_are_named_where_that_matters() -> None:
    assert FewOfAClass("balanced-accuracy", "ill", 8, 20) in notes("balanced-accuracy", ("well", "ill"))
    assert len(notes("macro-f1", ("well", "ill"))) == 1
    assert UntestedClasses(("dead",)) in notes("auroc", ("well", "ill", "dead"))


def test_groups_are_counted() -> None:
    assert groups_tested(np.arange(120) // 10) == GroupsTested(120, 12, 10)
    assert note_sentence(groups_tested(np.arange(120) // 10)) == (
        "The 120 test images come from 12 groups, and all intervals count groups, not images."
    )
    assert note_sentence(groups_tested(np.arange(30) // 10)).endswith("10 or more make them reliable.")


def test_what_ships_says_what_its_temperature_makes_of_the_test(tmp_path: Path) -> None:
    world = World(seed=1, n=4000, nt=4000)
    with desk_in(tmp_path / "run", world, 24) as desk:
        search = Search(problem_of(world), desk)
        desk.complete([search.problem.plan("baseline", search.problem.baseline, 0)], lambda plan: 1e6)
        (network,) = search.ledger.trials("baseline")
        confidence = confidence_of(search.problem, search.ledger, network)
        note = calibrated(search, network, confidence, world.labels[world.n :])
        closed = calibrated(search, network, confidence, None)
    assert confidence.temperature < 1.0  # this network is right in .8 and says .7
    assert note.log_loss < note.log_loss_before
    assert note.error_low <= note.error <= note.error_high
    assert "On the 4,000 test images the log loss is" in note_sentence(note)
    assert note_sentence(closed).endswith("fitted on the validation images; no label changes.")
