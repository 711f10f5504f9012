"""What is said of a network on labelled images: on a terminal, as JSON, and a row an image as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlift.evidence.metrics import title_of
from convlift.records.evaluation import Answer, Calibration, Comparison, Evaluation, GroupFigures, OperatingPoint
from convlift.records.result import Estimate
from convlift.report.finding_lines import finding_lines, plan_lines
from convlift.report.shift_lines import shift_sentences, shift_table
from convlift.report.wording.phrases import counted, printable, signed
from convlift.report.wording.plan_sentences import applied_document

MOST_ROWS, MOST_CONFUSED, MOST_GROUPS = 30, 5, 3
COLUMNS = ("image", "label", "predicted", "confidence", "probability_of_label")


def print_evaluation(found: Evaluation, console: Console) -> None:
    """The scores, the classes from the worst found one on, what is confused most, the calibration."""
    part = f" ({found.part} part)" if found.part else ""
    images = counted(found.images, "image")
    console.print(Text(f"{printable(found.model)} on {images} of {printable(found.data)}{part}"))
    for model in found.learned_from:
        console.print(Text(f"warning: {printable(model)} {LEARNED_FROM}", "red"))
    for line in [*plan_lines(found.plan), *finding_lines(found.findings)]:
        console.print(Text(line))
    for name, score in found.scores.items():
        console.print(Text(f"  {title_of(name):18} {_interval(score)}"))
    console.print(_classes(found))
    for line in confused_most(found):
        console.print(Text(line))
    console.print(Text(calibration_sentence(found.calibration)))
    for point in found.operating_points:
        console.print(Text(operating_sentence(point)))
    if found.groups:
        console.print(Text(groups_sentence(found.groups)))
    if found.comparison is not None:
        console.print(Text(comparison_sentence(found.comparison), "bold"))
    _print_shift(found, console)
    for note, images_with_it in found.notes:
        console.print(Text(f"note: {counted(images_with_it, 'image')}: {printable(note)}."))
    if found.unreadable:
        console.print(Text(f"{counted(len(found.unreadable), 'image')} could not be read and count nowhere."))


def _print_shift(found: Evaluation, console: Console) -> None:
    if found.shift is not None:
        console.print(shift_table(found.shift.scores))
        for line in shift_sentences(found.shift):
            console.print(Text(line, "bold"))
    if found.pseudo_images is not None:
        console.print(Text(adapted_sentence(found.pseudo_images)))


# said after the model's name
LEARNED_FROM = (
    "was trained on these images. What it has learned by heart is in its figures, and they say little of new images."
)


def evaluation_document(found: Evaluation) -> dict[str, Any]:
    """For --json; scores and shares are in [0, 1], the comparison's gain in points."""
    known = asdict(found)
    known["plan"] = applied_document(found.plan) if found.plan else None
    known["answers"] = [{**asdict(each), "right": each.is_right} for each in found.answers]
    return {"schema_version": 1, "images": found.images, **known}


def adapted_sentence(pseudo_images: int) -> str:
    """That batch norms were adapted."""
    return (
        "The statistics of batch norms were estimated anew from these images, without their labels; those of training "
        f"counted as {counted(pseudo_images, 'image')}."
    )


def evaluation_csv(found: Evaluation) -> str:
    """A row an image, the surest mistakes first, then what is right in the order of the data; with the share of its
    corrupted copies that are right where there are any."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    # of two models, an image that only one could read has no copies
    shares = found.shift.of_images if found.shift else ()
    has_copies = bool(shares) and len(shares) == len(found.answers)
    rows.writerow([*COLUMNS, *(["right_under_corruptions"] if has_copies else [])])
    order = sorted(range(len(found.answers)), key=lambda place: _surest_mistakes(found.answers[place]))
    for place in order:
        each, more = found.answers[place], [f"{shares[place]:.6f}"] if has_copies else []
        row = [each.image, each.label, each.predicted, f"{each.confidence:.6f}", f"{each.probability:.6f}"]
        rows.writerow([*row, *more])
    return written.getvalue()


def _surest_mistakes(answer: Answer) -> tuple[bool, float]:
    return answer.is_right, 0.0 if answer.is_right else -answer.confidence


def confused_most(found: Evaluation) -> list[str]:
    """The pairs of classes that are confused most often, a sentence each."""
    names = [each.name for each in found.classes]
    pairs = [
        (count, names[label], names[taken])
        for label, row in enumerate(found.confusion)
        for taken, count in enumerate(row)
        if label != taken and count
    ]
    pairs.sort(key=lambda pair: -pair[0])
    return [
        f"{counted(count, 'image')} of class {printable(label)} {'is' if count == 1 else 'are'} taken for "
        f"{printable(taken)}."
        for count, label, taken in pairs[:MOST_CONFUSED]
    ]


def calibration_sentence(found: Calibration) -> str:
    """How far confidences are from being true."""
    error = found.error
    return (
        f"Mean confidence is {found.confidence:.3f}; the expected calibration error is {error.value:.3f} (95% interval "
        f"{error.low:.3f} to {error.high:.3f}), where chance alone gives {found.by_chance:.3f}."
    )


def operating_sentence(point: OperatingPoint) -> str:
    """What a threshold gives."""
    shares = (("sensitivity", point.sensitivity), ("specificity", point.specificity))
    known = "; ".join(f"{name} {_interval(share)}" for name, share in shares if share)
    return f"{printable(point.positive)} from {point.threshold:.4f} on (chosen for {point.target}): {known}."


def groups_sentence(groups: Sequence[GroupFigures]) -> str:
    """The weakest groups."""
    weakest = ", ".join(f"{printable(each.name)} {each.right:.3f} of {each.images}" for each in groups[:MOST_GROUPS])
    return f"The images come in {counted(len(groups), 'group')}, of which the weakest are right in: {weakest}."


def comparison_sentence(found: Comparison) -> str:
    """The paired comparison with another model."""
    gain, points = found.gain, found.gain.gain_points
    verdict = "proven better" if gain.proven else "proven worse" if points.high < 0.0 else "not proven either way"
    won = f"; right where that one is wrong {gain.won} times, wrong where it is right {gain.lost} times"
    return (
        f"Compared with {printable(found.rival)} by {title_of(found.metric)}: {signed(points.value)} points (95% "
        f"interval {signed(points.low)} to {signed(points.high)}), {verdict}{won if gain.won is not None else ''}."
    )


def _classes(found: Evaluation) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for name in ("class", "images", "recall", "95% interval", "precision"):
        table.add_column(name, justify="left" if name == "class" else "right")
    there = [each for each in found.classes if each.images or each.predicted]
    worst = sorted(there, key=lambda each: each.recall.value if each.recall else 2.0)
    for each in worst[:MOST_ROWS]:
        recall = each.recall
        table.add_row(
            Text(printable(each.name)),
            f"{each.images:,}",
            f"{recall.value:.3f}" if recall else "",
            f"{recall.low:.3f} to {recall.high:.3f}" if recall else "",
            f"{each.precision.value:.3f}" if each.precision else "",
        )
    if len(worst) > MOST_ROWS:
        table.add_row(f"and {len(worst) - MOST_ROWS} more", "", "", "", "")
    return table


def _interval(score: Estimate) -> str:
    return f"{score.value:.3f} (95% interval {score.low:.3f} to {score.high:.3f})"
