"""Whole campaigns at a budget of 15 minutes, beside what keep-if-better would have said of the same trainings.

For every data set and seed `convlift improve` runs once, through the command line; a run folder that is finished is
only read. Then, from its ledger:

    sealed test      score of the shipped recipe's final runs on the sealed test, with its 95% interval
    gain             over the baseline there, in points, with its 95% interval
    optimism         validation less test score of the shipped recipe's final runs, in points
    naive optimism   the same of the network that keep-if-better keeps: of all trainings, in their order, whatever
                     scores higher on validation than the best so far; its validation score is what it reports
    naive test       test score of that network

Command: python benchmarks/fifteen_minutes.py NAME=DATA [NAME=DATA ...] [--budget 15m] [--seeds 1,2,3] [--out FOLDER]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.evidence.metrics import ACCURACY
from convlift.ledger.ledger import read_ledger
from convlift.search.result_in_ledger import result_of

RESULTS = Path(__file__).parent / "results" / "fifteen-minutes.json"


def campaign(name: str, data: str, budget: str, seed: int, out: Path) -> dict[str, Any]:
    """Run or read one campaign: what it and keep-if-better say."""
    folder = out / f"{name}-{seed}"
    cache = out / "cache" / folder.name  # of its own: features that an earlier campaign stored would save it minutes
    began = time.monotonic()
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "improve", data, "--budget", budget]
    subprocess.run(
        [*command, "--seed", str(seed), "--out", str(folder)],
        check=False,
        stdout=sys.stderr,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    wall = time.monotonic() - began
    request = request_of(data, None, cache / "convlift", seed=seed)
    dataset, sealed = open_data(request, Session())
    validation, test = dataset.labels[dataset.splits.validation], sealed.open()
    with read_ledger(folder) as ledger:
        result = result_of(ledger)
        runs = [r for r in ledger.trials() if r.status == "finished" and r.role in ("baseline", "start", "search")]
        low_fidelity = len(ledger.trials("low-fidelity"))
    shutil.rmtree(cache)
    said = [r.outcome for r in runs if r.outcome is not None]
    best = int(np.argmax([ACCURACY.score(outcome.validation_probabilities, validation) for outcome in said]))
    reported = ACCURACY.score(said[best].validation_probabilities, validation)
    worth = ACCURACY.score(said[best].test_probabilities, test)
    return {
        "data": name,
        "seed": seed,
        "wall_seconds": round(wall, 1),
        "start": result.start_name,
        "shipped": [verdict.name for verdict in result.verdicts if verdict.shipped],
        "search_runs": sum(run.role == "search" for run in runs),
        "low_fidelity": low_fidelity,
        "trials": result.trials,
        "baseline": asdict(result.baseline),
        "sealed_test": asdict(result.final),
        "gain_points": asdict(result.gain_points),
        "proven": result.proven,
        "changes_proven": [verdict.name for verdict in result.verdicts if verdict.label == "proven"],
        "optimism_points": result.optimism_points,
        "naive_reported": reported,
        "naive_test": worth,
        "naive_optimism_points": 100 * (reported - worth),
        "notes": list(result.notes),
    }


def table(found: list[dict[str, Any]]) -> str:
    """One line a campaign."""
    lines = ["data seed  start  baseline  sealed test (95%)  gain (95%)  optimism | naive: reported, test, optimism"]
    for each in found:
        final, gain = each["sealed_test"], each["gain_points"]
        lines.append(
            f"{each['data']} {each['seed']}  {each['start']}  {each['baseline']['value']:.3f}  {final['value']:.3f} "
            f"({final['low']:.3f} to {final['high']:.3f})  {gain['value']:+.1f} ({gain['low']:+.1f} to "
            f"{gain['high']:+.1f}){' proven' if each['proven'] else ''}  {each['optimism_points']:+.1f} | "
            f"{each['naive_reported']:.3f}, {each['naive_test']:.3f}, {each['naive_optimism_points']:+.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="NAME=DATA")
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    found = []
    for seed in map(int, options.seeds.split(",")):
        for entry in options.data:
            name, _, where = entry.partition("=")
            found.append(campaign(name, where, options.budget, seed, options.out))
            print(table(found[-1:]), flush=True)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
