"""The plan of a campaign as text and tables, before anything is trained."""

from typing import get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlift.campaign.dry_run import Preview
from convlift.catalogue.candidates import Candidate
from convlift.records.result import Area
from convlift.report.finding_lines import finding_lines
from convlift.report.wording.goal_in_words import plan_of_copies
from convlift.report.wording.phrases import counted, duration, printable, processor, signed
from convlift.report.wording.power_sentence import power_sentence

NAMED = 10  # classes


def print_preview(plan: Preview, console: Console) -> None:
    """Print the data, the starting points with what the budget buys from each, and the changes by area."""
    console.print()
    for line in _data(plan):
        console.print(Text(line))
    console.print()
    console.print(_starts(plan))
    for line in _course(plan):
        console.print(Text(line))
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


def _course(plan: Preview) -> list[str]:
    """What a campaign does with the budget."""
    lines = [
        "A campaign trains the baseline, tries the other starting points, and starts from the best on validation. "
        f"Times are estimates from some steps on random images, mostly right within a factor of 2; {_length(plan)} "
        f"with {counted(plan.workers, 'worker')} on {processor(plan.device)}."
    ]
    if plan.folds:
        whole = "" if plan.trainings else f" All that takes {duration(plan.budget_seconds)}."
        lines.append(
            f"So goes each of {plan.folds} folds, whose campaigns start and choose for themselves; then what they "
            f"agree on is trained on all images.{whole}"
        )
    if plan.copies:
        validation, test = plan.counts["validation"], plan.counts["test"]
        lines.append(plan_of_copies(plan.copies, plan.metric, plan.goal, validation, validation + test))
    if plan.refit:
        lines.append("Once it was judged, what ships is trained again on all images, beyond that time.")
    return lines


def _length(plan: Preview) -> str:
    if plan.trainings:
        return f"each campaign has {counted(plan.trainings, 'training')}, however long they take,"
    seconds = plan.fold_seconds if plan.folds else plan.budget_seconds
    return f"the whole takes {duration(seconds)}, its budget,"


def _data(plan: Preview) -> list[str]:
    counts = plan.counts
    few, many = min(plan.images_per_class), max(plan.images_per_class)
    names = ", ".join(plan.classes[:NAMED]) + (", ..." if len(plan.classes) > NAMED else "")
    kind = {1: "grey", 3: "colour"}.get(plan.channels, f"{plan.channels}-band")
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
        buys = f"{start.baselines} + {start.searches} + {start.finals} trainings"
        name = f"{start.name} ({plan.baseline_name})" if start is plan.starts[0] else start.name
        cells = name, start.reason, f"{duration(start.seconds)}{first}", buys, str(len(start.candidates))
        table.add_row(*(printable(cell) for cell in cells))
    table.caption = (
        "budget buys: runs of the baseline + of the search + of the shipped recipe; without a search, of the start"
    )
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
    able = sum(start.searches > 0 for start in plan.starts)
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
