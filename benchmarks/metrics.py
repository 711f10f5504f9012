"""Every metric in simulated worlds: `python benchmarks/metrics.py [--json FILE] [--campaigns 250]`.

Two recipes, 2 and 3 networks of them and 8 of a search, images of different difficulty, classes even or not, images
alone or in groups (`simulation/classes.py`). Prints for each metric how often the gain's 95% interval holds the true
gain, how often the score's holds the true score, and how often a gain is proven where there is none. About 3 minutes on
one core.
"""

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from convlift.evidence.metrics import METRICS
from simulation.classes import Coverage, Setting, coverage

EVEN, TEN, TWO = (0.25,) * 4, (0.1,) * 10, (0.5, 0.5)
SCREENING = (0.9, 0.1)


def uneven(n: int, smallest: int) -> tuple[float, ...]:
    """Shares of four classes, the last with so many of n images."""
    rest = (1.0 - smallest / n) / 3
    return (rest, rest, rest, smallest / n)


ALONE = {
    "4 classes, 60 images": Setting(n=60),
    "4 classes, 150 images": Setting(n=150),
    "4 classes, 600 images": Setting(n=600),
    "4 classes, 600 images, no gain": Setting(n=600, added=0.0),
    "2 classes, 300 images": Setting(n=300, shares=TWO, lift=1.6),
    "10 classes, 600 images": Setting(n=600, shares=TEN, lift=2.8),
    "two runs an arm, 300 images, no gain": Setting(n=300, finals=2, added=0.0),
    "seeds differ twice as much, 600 images": Setting(n=600, seeds=0.1),
    **{
        f"smallest of 4 classes: {count} of 300 images": Setting(n=300, shares=uneven(300, count))
        for count in (3, 5, 10, 20)
    },
    "1 in 10 is ill, 300 images": Setting(n=300, shares=SCREENING, lift=1.6),
    "1 in 10 is ill, 600 images": Setting(n=600, shares=SCREENING, lift=1.6),
}
GROUPED = {
    "20 groups of about 15": Setting(n=300, group_size=15),
    "60 groups of about 10": Setting(n=600, group_size=10),
    "60 groups, one class each": Setting(n=600, group_size=10, one_class=True),
    "10 groups of about 30": Setting(n=300, group_size=30),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--campaigns", type=int, default=250)
    asked = parser.parse_args()
    began, found = time.monotonic(), {}
    names = [metric.name for metric in METRICS]
    print(f"{'gain covered / score covered (/ proven where there is no gain)':52}" + "".join(f"{n:>19}" for n in names))
    for seed, (cell, setting) in enumerate((ALONE | GROUPED).items()):
        gain = 0.0 if cell.endswith("no gain") else 0.15
        found[cell] = coverage(replace(setting, added=gain), asked.campaigns, seed)
        print(f"{cell:52}" + "".join(f"{_figures(found[cell][name], gain):>19}" for name in names), flush=True)
    for seed, (cell, setting) in enumerate(GROUPED.items(), len(ALONE)):
        naive = coverage(replace(setting, added=0.15), asked.campaigns, seed, grouped=False)
        found[f"{cell}, groups not told"] = naive
        print(
            f"{cell + ', groups not told':52}" + "".join(f"{_figures(naive[n], 0.15):>19}" for n in names), flush=True
        )
    print(f"{asked.campaigns} campaigns a row, {time.monotonic() - began:.0f} s")
    if asked.json:
        table = {cell: {name: asdict(one) for name, one in row.items()} for cell, row in found.items()}
        asked.json.write_text(json.dumps({"campaigns": asked.campaigns, "cells": table}, indent=1) + "\n")


def _figures(one: Coverage, gain: float) -> str:
    proven = "" if gain else f" / {one.proven:.2f}"
    return f"{one.gain:.2f} / {one.score:.2f}{proven}"


if __name__ == "__main__":
    main()
