"""What the notes tell of a metric and of groups."""

from types import SimpleNamespace

import numpy as np
import pytest

from convlift.campaign.result_notes import groups_tested, notes_of_the_metric
from convlift.evidence.metrics import METRICS, metric_named
from convlift.records.notes import FewOfAClass, GroupsTested, MetricMeaning, Note, UntestedClasses
from convlift.report.wording.note_sentences import note_sentence

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
