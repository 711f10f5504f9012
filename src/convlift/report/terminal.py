"""The result as a table that a person reads in ten seconds."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlift.outcome import Result
from convlift.report.sentences import (
    conclusion,
    counted,
    duration,
    headline,
    interval,
    printable,
    ranked,
    share,
)

_ROWS = 12  # more than that is for the report
_LABEL_STYLES = {"proven": "bold green", "likely": "cyan", "undecided": "dim", "harmful": "red"}
_CONCLUSION_STYLES = {"better": "bold green", "worse": "bold red", "unclear": "bold yellow"}


def print_result(result: Result, console: Console) -> None:
    """Print the headline, what each change bought, and where things are.

    Colour repeats what the words say; the console decides whether there is any (NO_COLOR, no terminal).
    """
    console.print()
    console.print(Text(headline(result), style=_CONCLUSION_STYLES[conclusion(result)]))
    console.print(Text(_context(result), style="dim"))
    if result.verdicts:
        console.print()
        console.print(_table(result))
        console.print()
        _print_remainder(result, console)
    else:
        console.print("\nNo change was tried.")
    if conclusion(result) == "worse":
        console.print(Text("What was found is worse than the baseline: keep the baseline.", "bold"))
    for note in result.notes:
        console.print(Text(f"note: {printable(note)}"))
    for finding in result.findings:
        if finding.severity != "note":
            remedy = f" {finding.remedy}" if finding.remedy else ""
            console.print(Text(f"{finding.severity}: {printable(finding.message + remedy)}"))
    _print_places(result, console)


def _context(result: Result) -> str:
    return (
        f"{printable(result.data)}: baseline {printable(result.baseline_name)}, started from "
        f"{printable(result.start_name)}; {counted(result.trials, 'trial')} in {duration(result.seconds)} of "
        f"{duration(result.budget_seconds)}"
    )


def _table(result: Result) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("change", overflow="fold", ratio=1)
    table.add_column("area", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("shipped", no_wrap=True)
    for verdict in ranked(result.verdicts)[:_ROWS]:
        value, low, high = interval(share(verdict))
        table.add_row(
            Text(printable(verdict.name)),
            verdict.area,
            value,
            f"{low} to {high}",
            Text(verdict.label, style=_LABEL_STYLES[verdict.label]),
            "yes" if verdict.shipped else "no",
        )
    return table


def _print_remainder(result: Result, console: Console) -> None:
    hidden = len(result.verdicts) - _ROWS
    if hidden > 0:
        console.print(f"and {counted(hidden, 'more change')}, in the report")
    console.print(
        f"unexplained by the shipped changes: {result.unexplained_points:+.1f} points; "
        f"validation minus test: {result.optimism_points:+.1f} points",
        style="dim",
        highlight=False,
    )


def _print_places(result: Result, console: Console) -> None:
    console.print()
    for name, file in (("report", "report.html"), ("model", "model"), ("ledger", "ledger.sqlite")):
        # soft_wrap: a path that is broken over two lines cannot be copied
        console.print(Text(f"{name:<7} {printable(str(Path(result.run) / file))}"), soft_wrap=True)
