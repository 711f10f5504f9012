"""The A/A test as a table."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from convlift.evidence.null_campaigns import Rate, Spread, Tally


def print_tally(tally: Tally, console: Console) -> None:
    """Print what the campaigns claimed, where nothing was to be gained, beside what keep-if-better would have."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("", overflow="fold", ratio=1)
    table.add_column("convlift", justify="right")
    table.add_column("keep if better", justify="right")
    table.add_row("campaigns with a change called proven", _rate(tally.any_change_proven), "")
    table.add_row("campaigns that claim a total gain", _rate(tally.total_proven), _rate(tally.naive_claims))
    table.add_row("gain as reported, points: mean, sd", _points(tally.claimed), _points(tally.naive_claimed))
    table.add_row("the same run on the sealed test", "", _points(tally.naive_worth))
    table.add_row("95% intervals that cover the truth, 0", _rate(tally.covers_zero), "none given")
    table.add_row("validation less test, points", _points(tally.optimism), "")
    console.print(table)


def _rate(rate: Rate) -> str:
    return f"{rate.hits} of {rate.n}\n({rate.low:.1%} to {rate.high:.1%})"


def _points(spread: Spread) -> str:
    deviation = f", {spread.sd:.2f}" if spread.sd == spread.sd else ""
    return f"{spread.mean:+.2f}{deviation}"
