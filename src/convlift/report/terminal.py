"""Tables that a person reads in ten seconds: a result, an A/A test, what past campaigns lead one to expect."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.priors import Expectations
from convlift.evidence.null_campaigns import Rate, Spread, Tally
from convlift.records.result import Result
from convlift.records.training_events import MODEL_OF_ALL
from convlift.report.finding_lines import finding_lines, plan_lines
from convlift.report.shift_lines import effect_sentences, shift_gain_sentences
from convlift.report.wording.goal_in_words import worse_on_clean
from convlift.report.wording.headline import (
    conclusion,
    headline,
    never_tried,
    of_null_networks,
    own_step,
    ranked,
    recipe_line,
    shipped_network,
    warnings_of,
    was_tried,
    why_beside_its_runs,
    why_sentence,
)
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.phrases import column_decimals, counted, duration, interval, printable, share, signed
from convlift.report.wording.recipe_faults import finding_in_words
from convlift.report.wording.start_changes import changes_of_start

_ROWS = 12  # more than that is for the report
_LABEL_STYLES = {"proven": "bold green", "likely": "cyan", "undecided": "dim", "harmful": "red"}
_CONCLUSION_STYLES = {"better": "bold green", "worse": "bold red", "unclear": "bold yellow", "open": "bold yellow"}


def print_result(result: Result, console: Console) -> None:
    """Print the headline, what each change bought, and how to go on.

    Colour repeats what the words say; the console decides whether there is any (NO_COLOR, no terminal).
    """
    console.print()
    console.print(Text(headline(result), style=_CONCLUSION_STYLES[conclusion(result)]))
    for said in _beside_the_headline(result):
        console.print(Text(said))
    why = why_sentence(result.why, result.goal) if result.judged and result.why else ""
    for said in (shipped_network(result), why):
        if said:
            console.print(Text(printable(said), "bold"))
    for finding in result.recipe_findings:
        console.print(Text(printable(finding_in_words(finding)), "bold"))
    console.print(Text(_context(result), style="dim"))
    for said in warnings_of(result):
        console.print(Text(f"warning: {said}", "red"))
    _print_changes(result, console)
    if conclusion(result) == "worse":
        console.print(Text(worse_on_clean(result), "bold"))
    for note in result.notes:
        console.print(Text(f"note: {printable(note_sentence(note))}"))
    for line in [*plan_lines(result.plan), *finding_lines(result.findings)]:
        console.print(Text(line))
    _print_places(result, console)


def _beside_the_headline(result: Result) -> list[str]:
    """What is claimed beside it: of the recipe, and on shifted images."""
    recipe = recipe_line(result)
    shifted = [line for shift in result.shifts for line in shift_gain_sentences(shift, result.metric)]
    return [*([recipe] if recipe else []), *shifted, *effect_sentences(result)]


def _context(result: Result) -> str:
    if result.trainings:
        allowed = f"; {counted(result.trainings, 'training')} were asked for"
    else:
        allowed = f" of {duration(result.budget_seconds)}"
    return (
        f"{printable(result.data)}: baseline {printable(result.baseline_name)}, started from "
        f"{printable(result.start_name)}; {counted(result.trials, 'trial')} in {duration(result.seconds)}{allowed}"
    )


def _print_changes(result: Result, console: Console) -> None:
    if not result.verdicts:
        nothing = (
            "No change was tried." if result.judged else "There is no verdict on single changes: nothing was judged."
        )
        console.print(f"\n{nothing}")
        return
    console.print()
    console.print(_table(result))
    console.print()
    _print_remainder(result, console)
    for verdict in result.verdicts:
        if changes := changes_of_start(verdict, result):
            console.print(Text(f"{printable(verdict.name)} is a whole recipe; it changes"))
            for line in changes:
                console.print(Padding(Text(printable(line)), (0, 0, 0, 2), expand=False))


def _table(result: Result) -> Table:
    table = _empty_table()
    table.add_column("change", overflow="fold", ratio=1)
    table.add_column("area", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("shipped", no_wrap=True)
    tried = [verdict for verdict in ranked(result.verdicts) if was_tried(verdict)]
    decimals = column_decimals(tried)
    for verdict in tried[:_ROWS]:
        value, low, high = interval(share(verdict), decimals)
        table.add_row(
            Text(printable(verdict.name)),
            verdict.area,
            value,
            f"{low} to {high}",
            Text(verdict.label, style=_LABEL_STYLES[verdict.label]),
            "yes" if verdict.shipped else "no",
        )
    return table


def _empty_table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _print_remainder(result: Result, console: Console) -> None:
    hidden = sum(map(was_tried, result.verdicts)) - _ROWS
    if hidden > 0:
        console.print(f"and {counted(hidden, 'more change')}, in the report")
    if said := never_tried(result):
        console.print(Text(said, "dim"))
    console.print(
        f"unexplained by the shipped changes: {signed(result.unexplained_points)} points; "
        f"validation minus test: {signed(result.optimism_points)} points",
        style="dim",
        highlight=False,
    )
    if own := own_step(result):
        console.print(
            f"this network beside the mean of its recipe's runs: {signed(own)} points; {why_beside_its_runs(result)}",
            style="dim",
            highlight=False,
        )


def _print_places(result: Result, console: Console) -> None:
    console.print()
    of_all = [("of all", MODEL_OF_ALL)] if (Path(result.run) / MODEL_OF_ALL).is_dir() else []
    print_places(Path(result.run), [("model", "model"), *of_all, ("ledger", "ledger.sqlite")], console)


def print_places(run: Path, files: Iterable[tuple[str, str]], console: Console) -> None:
    """Where things lie in a run folder, how to open its report, and how to predict."""
    for name, file in files:
        # soft_wrap: a path that is broken over two lines cannot be copied
        console.print(Text(f"{name:<7} {printable(str(run / file))}"), soft_wrap=True)
    console.print(Text(f"report  open {printable(str(run / 'report.html'))} in a browser"), soft_wrap=True)
    console.print(Text(f"predict convlift predict {printable(shlex.quote(str(run)))} IMAGES"), soft_wrap=True)


def print_tally(tally: Tally, console: Console) -> None:
    """Print what the campaigns claimed, where nothing was to be gained, beside what keep-if-better would have."""
    table = _empty_table()
    table.add_column("", overflow="fold", ratio=1)
    table.add_column("convlift", justify="right")
    table.add_column("keep if better", justify="right")
    table.add_row("campaigns with a change called proven", _rate(tally.any_change_proven), "")
    table.add_row("campaigns that claim a gain of the recipe", _rate(tally.total_proven), _rate(tally.naive_claims))
    table.add_row("its gain as reported, points: mean, sd", _points(tally.claimed), _points(tally.naive_claimed))
    table.add_row("the same run on the sealed test", "", _points(tally.naive_worth))
    table.add_row("its 95% intervals that cover the truth, 0", _rate(tally.covers_zero), "none given")
    table.add_row("campaigns that claim a gain of the network", _rate(tally.network_proven), "")
    table.add_row("its gain as reported, points: mean, sd", _points(tally.network_claimed), "")
    table.add_row("validation less test, points", _points(tally.optimism), "")
    console.print(table)
    console.print(Text(of_null_networks()))


def _rate(rate: Rate) -> str:
    return f"{rate.hits} of {rate.n}\n({rate.low:.1%} to {rate.high:.1%})"


def _points(spread: Spread) -> str:
    if spread.mean != spread.mean:
        return "unknown"
    deviation = f", {spread.sd:.2f}" if spread.sd == spread.sd else ""
    return f"{spread.mean:+.2f}{deviation}"


def print_expectations(expectations: Expectations, console: Console) -> None:
    """Print every change that a campaign tried, what its source led one to expect, and what is expected now."""
    catalogue = {intervention.name: intervention.prior for intervention in CATALOGUE}
    table = _empty_table()
    table.add_column("change", overflow="fold", ratio=1)
    for name in ("network", "source", "now", "+-", "campaigns"):
        table.add_column(name, justify="left" if name == "network" else "right", no_wrap=True)
    for kind, learned in expectations.learned.items():
        for name, each in sorted(learned.items(), key=lambda entry: -entry[1].points):
            figures = (f"{catalogue[name]:+.2f}", f"{each.points:+.2f}", f"{each.sd:.2f}", str(each.campaigns))
            table.add_row(Text(name), kind, *figures)
    if table.row_count:
        console.print(table)
    for origin in expectations.origins:
        said = f"{origin.run}: {origin.data}, {counted(origin.changes, 'change')}, data {origin.fingerprint[:12]}"
        console.print(Text(f"from {printable(said)}"), soft_wrap=True)
