"""What the notes say of a metric and of groups."""

from types import SimpleNamespace

import numpy as np
import pytest

from convlift.campaign.artifacts import groups_in_words, metric_in_words
from convlift.evidence.metrics import METRICS, metric_named

LABELS = np.repeat([0, 1], [50, 8])


def said(metric: str, classes: tuple[str, ...]) -> list[str]:
    return metric_in_words(SimpleNamespace(metric=metric_named(metric)), SimpleNamespace(classes=classes), LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS[1:]])
def test_a_metric_other_than_accuracy_is_explained(metric: str) -> None:
    first, *_ = said(metric, ("well", "ill"))
    assert first.startswith(metric_named(metric).title)
    assert first.endswith("A point is a hundredth of it.")


def test_accuracy_needs_no_words() -> None:
    assert said("accuracy", ("well", "ill")) == []


def test_small_and_absent_classes_are_named_where_that_matters() -> None:
    assert "The test has 8 images of class 'ill': under 20" in " ".join(said("balanced-accuracy", ("well", "ill")))
    assert len(said("macro-f1", ("well", "ill"))) == 1
    assert "Nothing is measured on 'dead': the test has no image" in " ".join(said("auroc", ("well", "ill", "dead")))


def test_groups_are_counted() -> None:
    assert groups_in_words(np.arange(120) // 10) == (
        "The 120 test images come from 12 groups, and all intervals count groups, not images."
    )
    assert groups_in_words(np.arange(30) // 10).endswith("10 or more make them reliable.")
