"""The plan of a campaign as text and as one JSON document, before anything is trained."""

from dataclasses import asdict
from typing import Any, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlift.campaign.dry_run import Preview, StartPreview
from convlift.catalogue.candidates import Candidate
from convlift.records.result import Area
from convlift.report.document import SCHEMA_VERSION
from convlift.report.findings import finding_lines
from convlift.report.wording.choice_of_changes import not_tried_in_words, why_in_words
from convlift.report.wording.phrases import counted, duration, printable, signed
from convlift.report.wording.power_sentence import power_sentence

NAMED = 10  # classes


def document(plan: Preview) -> dict[str, Any]:
    """Plain data for `json.dumps`: times in seconds, expectations in points."""
    return {
        "schema_version": SCHEMA_VERSION,
        "data": plan.data,
        "images": plan.counts,
        "images_per_class": dict(zip(plan.classes, plan.images_per_class, strict=True)),
        "resolution": plan.resolution,
        "channels": plan.channels,
        "findings": [asdict(finding) for finding in plan.findings],
        "metric": plan.metric,
        "budget_seconds": None if plan.trainings else plan.budget_seconds,
        "trainings": plan.trainings,
        "workers": plan.workers,
        "folds": plan.folds,
        "fold_seconds": plan.fold_seconds,
        "detectable": power_sentence(plan.detectable),
        "starts": [_start(start) for start in plan.starts],
    }


def _start(start: StartPreview) -> dict[str, Any]:
    return {
        "name": start.name,
        "reason": start.reason,
        "recipe": start.recipe.model_dump(),
        "seconds_first": start.first_seconds,
        "seconds": start.seconds,
        "trainings": start.trainings,
        "searches": start.searches,
        "pilots": start.pilots,
        "finals": start.finals,
        "candidates": [
            {
                "name": c.name,
                "area": c.area,
                "expected_points": c.prior,
                "cost": c.cost,
                "why": why_in_words(c.why),
                "claim": c.intervention.claim,
            }
            for c in start.candidates
        ],
        "left_out": [
            {"name": each.name, "area": each.area, "reason": not_tried_in_words(each.reason)} for each in start.left_out
        ],
    }


def print_preview(plan: Preview, console: Console) -> None:
    """Print the data, the starting points with what the budget buys from each, and the changes by area."""
    console.print()
    for line in _data(plan):
        console.print(Text(line))
    console.print()
    console.print(_starts(plan))
    console.print(
        Text(
            "A campaign trains the baseline, probes the other starting points, and starts from the best on validation. "
            f"Times are estimates from some steps on random images, mostly right within a factor of 2; {_length(plan)} "
            f"with {counted(plan.workers, 'worker')}."
        )
    )
    if plan.folds:
        console.print(
            Text(
                f"So goes each of {plan.folds} folds, whose campaigns start and choose for themselves; then what they "
                "agree on is trained on all images."
                + ("" if plan.trainings else f" All that takes {duration(plan.budget_seconds)}.")
            )
        )
    console.print(Text(power_sentence(plan.detectable)))
    for area in get_args(Area):
        table = _changes(plan, area)
        if table.row_count:
            console.print(Text(f"\nChanges to {area}", "bold"))
            console.print(table)
    console.print(
        Text(
            "\nExpected gains are points, from publications and past campaigns. The start's first training is "
            "diagnosed before the changes are chosen: what its symptoms call for is expected to gain more, and may "
            "replace something here."
        )
    )
    if not plan.is_possible:
        part = f" ({duration(plan.fold_seconds)} for each of {plan.folds} folds)" if plan.folds else ""
        console.print(
            Text(
                f"\nThe budget, {duration(plan.budget_seconds)}{part}, is too short to train anything. Allow about "
                f"{duration(plan.needed_seconds)}, and more for a search.",
                "bold red",
            )
        )


def _length(plan: Preview) -> str:
    if plan.trainings:
        return f"each campaign has {counted(plan.trainings, 'training')}, however long they take,"
    seconds = plan.fold_seconds if plan.folds else plan.budget_seconds
    return f"the whole takes {duration(seconds)}, its budget,"


def _data(plan: Preview) -> list[str]:
    counts = plan.counts
    few, many = min(plan.images_per_class), max(plan.images_per_class)
    names = ", ".join(plan.classes[:NAMED]) + (", ..." if len(plan.classes) > NAMED else "")
    kind = "colour" if plan.channels == 3 else "grey"
    lines = [
        f"{printable(plan.data)}: {counted(len(plan.classes), 'class', 'classes')}, {kind} images of about "
        f"{plan.resolution} pixels; {few} to {many} images a class beside the test",
        f"classes: {printable(names)}",
        f"{counts['train']} for training, {counts['validation']} for validation, {counts['test']} in "
        + (f"the sealed test of the first of {plan.folds} folds" if plan.folds else "the sealed test"),
    ]
    return lines + finding_lines(plan.findings)


def _starts(plan: Preview) -> Table:
    table = _table(("starting point", "why", "a training", "budget buys", "changes"))
    for start in plan.starts:
        first = f" (first {duration(start.first_seconds)})" if start.first_seconds > 1.1 * start.seconds else ""
        buys = f"{start.pilots} + {start.searches} + {start.finals} trainings"
        name = f"{start.name} ({plan.baseline_name})" if start is plan.starts[0] else start.name
        cells = name, start.reason, f"{duration(start.seconds)}{first}", buys, str(len(start.candidates))
        table.add_row(*(printable(cell) for cell in cells))
    table.caption = "budget buys: runs of the baseline + of the search + of what ships; without a search, of the start"
    table.caption_justify = "left"
    return table


def _changes(plan: Preview, area: str) -> Table:
    """One row for each change that is tried from any starting point, as it stands at the first of them."""
    table = _table(("change", "from", "expected", "why it may help"))
    rows: dict[str, list[tuple[str, Candidate]]] = {}
    for start in plan.starts:
        for candidate in start.candidates:
            if candidate.area == area:
                rows.setdefault(candidate.name, []).append((start.name, candidate))
    able = sum(start.trainings > 0 for start in plan.starts)
    for name, found in rows.items():
        where = "any" if len(found) == able else ", ".join(start for start, _ in found)
        priors = [candidate.prior for _, candidate in found]
        expected = " to ".join(dict.fromkeys((signed(min(priors)), signed(max(priors)))))
        table.add_row(printable(name), where, expected, printable(found[0][1].intervention.claim))
    return table


def _table(heads: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", ratio=2 if head.startswith("why") else None)
    return table
