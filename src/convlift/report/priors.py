"""What past campaigns lead one to expect, as a table for the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.priors import Expectations
from convlift.report.wording.phrases import counted, printable


def print_expectations(expectations: Expectations, console: Console) -> None:
    """Print every change that a campaign tried, what its source led one to expect, and what is expected now."""
    catalogue = {intervention.name: intervention.prior for intervention in CATALOGUE}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
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
