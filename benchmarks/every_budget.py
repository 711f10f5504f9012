"""Whole campaigns over data sets and budgets, on an idle and on a busy machine: does every one leave a model, in time,
and never one below its baseline on validation?

Each campaign is a process of its own with its own run folder and a shared cache. Busy: as many endless loops as there
are cores run beside it, at the same priority.

Counted, all of which are to be 0:
    without a model     campaigns whose run folder holds no model, or that end with another exit code than 0 or 4
    late                campaigns that take more than 5% and more than 20 s longer than their budget
    below the baseline  campaigns whose shipped network scores less on validation than their baseline's runs on average

Command: python benchmarks/every_budget.py digits hymenoptera/ pneumonia.npz flowers/ cifar.npz
         [--budgets 30s 60s 150s] [--busy idle busy] [--json FILE]
Last result: 30 campaigns from 30 s to 10 min, 0 without a model, 0 late, 0 below the baseline.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from convlift.console.duration import parse_duration
from convlift.evidence.metrics import ACCURACY
from convlift.ledger.ledger import read_ledger

RESULTS = Path(__file__).parent / "results"
LATE_SHARE, LATE_SECONDS = 0.05, 20.0
LOOP = "while True: pass"


@contextmanager
def load(kind: str):
    """Endless loops beside what is measured, one a core."""
    loops = (
        [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(os.cpu_count() or 1)] if kind == "busy" else []
    )
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def one(data: str, budget: str, kind: str, place: Path) -> dict[str, Any]:
    """One campaign, and what it left."""
    run = place / f"{Path(data).stem}-{budget}-{kind}"
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "improve", data, "--budget", budget]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--out", str(run), "--quiet"],
        env={**os.environ, "CONVLIFT_CACHE": str(place / f"cache-{Path(data).stem}")},
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - began
    row = {
        "data": Path(data).stem,
        "budget": budget,
        "machine": kind,
        "seconds": round(seconds, 1),
        "code": done.returncode,
    }
    allowed = parse_duration(budget)
    row["late"] = seconds > allowed * (1 + LATE_SHARE) and seconds > allowed + LATE_SECONDS
    row["model"] = (run / "model" / "model.safetensors").is_file() and (run / "report.html").is_file()
    if not row["model"]:
        return row | {"said": done.stderr.strip().splitlines()[-1:]}
    return row | _scores(run)


def _scores(run: Path) -> dict[str, Any]:
    with read_ledger(run) as ledger:
        result, shipment, story = ledger.recall("result"), ledger.recall("shipment"), ledger.recall("story")
        labels = np.array(story["validation_labels"])

        def score(trial: int) -> float:
            outcome = ledger.trial(trial).outcome
            assert outcome is not None
            return ACCURACY.score(outcome.validation_probabilities, labels)

        baseline = float(np.mean([score(each) for each in shipment["before"]])) if shipment["before"] else None
        shipped = score(shipment["network"])
        searched = len(ledger.trials("search"))
    gain = result["gain_points"]
    return {
        "start": result["start_name"],
        "searched": searched,
        "baseline": baseline,
        "shipped": shipped,
        "below": baseline is not None and shipped < baseline - 1e-9,
        "ships": result["ships"],
        "judged": result["judged"],
        "test": result["final"]["value"] if result["judged"] else None,
        "gain": [round(gain[key], 1) for key in ("value", "low", "high")] if gain else None,
        "proven": result["proven"],
        "why": result["why"] or result["shortened"],
    }


def main() -> None:
    """Run them all, print a row each, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--budgets", nargs="+", default=["30s", "60s", "150s"])
    parser.add_argument("--busy", nargs="+", default=["idle", "busy"], choices=["idle", "busy"])
    parser.add_argument("--json", type=Path, default=RESULTS / "every-budget.json")
    parser.add_argument("--place", type=Path)
    asked = parser.parse_args()
    place = asked.place or Path(tempfile.mkdtemp(prefix="every-budget-"))
    rows: list[dict[str, Any]] = json.loads(asked.json.read_text())["rows"] if asked.json.is_file() else []
    done = {(row["data"], row["budget"], row["machine"]) for row in rows}
    for kind in asked.busy:
        for budget in asked.budgets:
            for data in asked.data:
                if (Path(data).stem, budget, kind) in done:
                    continue
                with load(kind):
                    rows.append(one(data, budget, kind, place))
                print(json.dumps(rows[-1]), flush=True)
                asked.json.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
    print(json.dumps(summary(rows)))


def summary(rows: list[dict[str, Any]]) -> dict[str, int]:
    """What is to be 0, and of how many."""
    return {
        "campaigns": len(rows),
        "without a model": sum(not row["model"] or row["code"] not in (0, 4) for row in rows),
        "late": sum(row["late"] for row in rows),
        "below the baseline": sum(bool(row.get("below")) for row in rows),
    }


if __name__ == "__main__":
    main()
