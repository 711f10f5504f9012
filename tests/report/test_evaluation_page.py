"""The page of an evaluation: everything stands in it, every name is escaped, nothing is fetched."""

import re
from dataclasses import replace

import numpy as np
import pytest

from convlift.deploy.evaluate_model import class_figures
from convlift.deploy.evaluate_ranking import group_figures, of_class, operating_points, roc_curves
from convlift.evidence.calibration import calibration
from convlift.evidence.metrics import METRICS
from convlift.evidence.score_intervals import score_interval
from convlift.records.confidence import Confidence, Threshold
from convlift.records.evaluation import Answer, Evaluation
from convlift.report.evaluation_page import render_evaluation

NAMES = ("well", "<b>ill</b>")
CONFIDENCE = Confidence(1.7, "validation", (Threshold(NAMES[1], "sensitivity 0.95", 0.3),))


@pytest.fixture(scope="module")
def found() -> Evaluation:
    rng = np.random.default_rng(0)
    labels = (rng.random(90) < 0.4).astype(int)
    score = 1 / (1 + np.exp(-rng.normal(2.0 * labels - 1.0, 1.0)))
    said = np.stack([1 - score, score], axis=1).astype(np.float32)
    predicted = said.argmax(axis=1)
    return Evaluation(
        model="runs/<x>",
        data="photos",
        part="test",
        scores={metric.name: score_interval(metric, said, labels) for metric in METRICS},
        classes=tuple(class_figures(NAMES[k], labels == k, predicted == k) for k in range(2)),
        confusion=((40, 10), (5, 35)),
        calibration=calibration(said.max(axis=1).astype(float), predicted == labels),
        learned_from=("runs/<x>",),
        confidence=CONFIDENCE,
        groups=group_figures([f"patient {row // 10}" for row in range(90)], predicted == labels),
        operating_points=operating_points(CONFIDENCE, NAMES, said, labels),
        curves=roc_curves(NAMES, said, labels),
        answers=tuple(
            Answer(f"{row}.png", NAMES[k], NAMES[p], float(each.max()), float(each[k]))
            for row, (k, p, each) in enumerate(zip(labels, predicted, said, strict=True))
        ),
    )


def test_everything_stands_in_it_and_nothing_is_fetched(found: Evaluation) -> None:
    page = render_evaluation(found)
    for expected in ("Are its confidences true?", "temperature of 1.70", "One class against the rest", "patient 3"):
        assert expected in page
    assert "sensitivity 0.95" in page
    assert "was trained on these images" in page
    assert page.count("<svg") == 6  # each chart for screens and for phones
    assert "<b>ill" not in page
    assert "&lt;b&gt;ill" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|src=\"(?!data:)", page)


def test_without_thresholds_groups_and_curves_the_page_has_none(found: Evaluation) -> None:
    bare = replace(found, operating_points=(), groups=(), curves=(), answers=(), learned_from=())
    page = render_evaluation(bare)
    assert "Thresholds for" not in page
    assert "Groups, weakest" not in page
    assert "One class against" not in page
    assert "<p>None.</p>" in page


def test_thresholds_are_of_the_class_that_was_asked_for(found: Evaluation) -> None:
    assert of_class(found, None).operating_points == found.operating_points
    assert of_class(found, "well").operating_points == ()
