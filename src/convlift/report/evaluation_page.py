"""The page of an evaluation: one file without script or network request, as a campaign's."""

from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from convlift.evidence.metrics import title_of
from convlift.records.confidence import Calibrated
from convlift.records.evaluation import Evaluation
from convlift.report.confusion_chart import MATRIX_CLASSES, confusion
from convlift.report.evaluation_charts import MOST_CURVES, reliability, roc
from convlift.report.evaluation_lines import LEARNED_FROM, adapted_sentence, calibration_sentence, comparison_sentence
from convlift.report.page import both_widths, templates
from convlift.report.shift_lines import shift_rows, shift_sentences
from convlift.report.wording.confidence_sentence import THRESHOLDS, calibrated
from convlift.report.wording.phrases import counted, printable

CLASS_ROWS, GROUP_ROWS, MISTAKE_ROWS = 100, 12, 30


def render_evaluation(found: Evaluation) -> str:
    """The page as text; long lists are cut and say so."""
    wrong = sorted((each for each in found.answers if not each.is_right), key=lambda each: -each.confidence)
    there = [each for each in found.classes if each.images or each.predicted]
    page = (
        templates()
        .get_template("evaluation.html.j2")
        .render(
            found=found,
            warnings=_warnings(found),
            shift_said=shift_sentences(found.shift) if found.shift else [],
            shift_rows=shift_rows(found.shift.scores) if found.shift else [],
            adapted=adapted_sentence(found.pseudo_images) if found.pseudo_images is not None else "",
            comparison=comparison_sentence(found.comparison) if found.comparison else "",
            scores=[(title_of(name), score) for name, score in found.scores.items()],
            calibration=calibration_sentence(found.calibration),
            temperature=calibrated(Calibrated(found.confidence.temperature, found.confidence.fitted_on)),
            reliability=both_widths(partial(reliability, found.calibration)),
            **_matrix(found),
            classes=sorted(there, key=lambda each: each.recall.value if each.recall else 2.0)[:CLASS_ROWS],
            groups=found.groups[:GROUP_ROWS],
            roc=both_widths(partial(roc, found.curves)) if found.curves else "",
            most_curves=MOST_CURVES,
            thresholds=THRESHOLDS,
            mistakes=wrong[:MISTAKE_ROWS],
            wrong=len(wrong),
        )
    )
    return printable(page)


def _warnings(found: Evaluation) -> list[str]:
    lost = len(found.unreadable)
    said = [f"{model} {LEARNED_FROM}" for model in found.learned_from]
    return [*said, *([f"{counted(lost, 'image')} could not be read and count nowhere."] if lost else [])]


def _matrix(found: Evaluation) -> dict[str, Any]:
    number, names = len(found.classes), tuple(each.name for each in found.classes)
    matrix: str | Markup = ""
    if number <= MATRIX_CLASSES:
        matrix = both_widths(partial(confusion, np.array(found.confusion), names))
    return {"matrix": matrix, "matrix_class": "" if number <= 12 else "large"}
