"""Campaigns killed at random moments, N times in all, and what is left of them when the same command has gone on.

A campaign `improve digits --trainings T` runs once undisturbed. Others of the same seed are killed with SIGKILL at a
random moment, again and again: the whole process group (a closed container), the driver alone (an impatient user), or
one worker alone (an impatient administrator); after the first two the same command is given again. Once a campaign has
had its share of kills it may end, and is compared with the undisturbed one.

Counted, all of which are to be 0:
    lost        outcomes that a ledger once held and later did not, or not the same
    doubled     trials that the undisturbed campaign does not have, or has fewer times
    torn        ledgers, models or reports that cannot be read; unfinished files left behind
    orphans     workers alive 20 s after their driver's death
    blamed      trials called failed, or stopped, though only we disturbed them
    unfinished  campaigns that did not end with a result
    different   campaigns whose probabilities or shipped recipe are not those of the undisturbed one, to the last bit

Command: python benchmarks/kill.py [--kills 200] [--trainings 4] [--per-campaign 20] [--longest 25]
Last result (four runs, 2 cores shared with other work, load 5 to 16; results/kill.json): 205 kills (89 of groups,
62 of drivers, 54 of workers) in 9 campaigns; 0 lost, 0 doubled, 0 torn, 0 orphans, 0 blamed, 0 unfinished, 0 different.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from convlift.errors import ConvliftError
from convlift.ledger.ledger import read_ledger

RESULTS = Path(__file__).parent / "results"
MODES = ("group", "driver", "worker")
ENDED = (0, 4)  # proven, or not
PATIENCE = 20.0

Outcomes = dict[int, tuple[Any, ...]]


def start(folder: Path, options: argparse.Namespace) -> "subprocess.Popen[bytes]":
    """The command, in a process group of its own."""
    convlift = str(Path(sys.executable).with_name("convlift"))
    command = [convlift, "improve", "digits", "--trainings", str(options.trainings)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--workers", str(options.workers), "--out", str(folder), "--quiet"],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CONVLIFT_CACHE": str(folder.parent / "cache")},
        )


def workers_of(driver: int) -> list[int]:
    """Living worker processes that were started by this driver."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdecimal() else []
            if b"convlift.execute.worker" in words and str(driver).encode() in words:
                found.append(int(entry.name))
    return found


def outcomes(folder: Path) -> Outcomes:
    """Every trial that has ended: what it was and what came of it, with a digest of its probabilities."""
    with read_ledger(folder) as ledger:
        return {
            record.id: (
                record.role,
                record.number,
                record.seed,
                record.fingerprint,
                record.outcome.status,
                record.outcome.reason,
                hashlib.sha256(
                    record.outcome.validation_probabilities.tobytes() + record.outcome.test_probabilities.tobytes()
                ).hexdigest(),
            )
            for record in ledger.trials()
            if record.outcome is not None
        }


def kill(process: "subprocess.Popen[bytes]", mode: str, chance: random.Random) -> bool:
    """Kill at once; whether there was something to kill."""
    workers = workers_of(process.pid)
    if process.poll() is not None or (mode == "worker" and not workers):
        return False
    if mode == "worker":
        os.kill(chance.choice(sorted(workers)), signal.SIGKILL)
        return True
    (os.killpg if mode == "group" else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    return True


def orphans_of(driver: int) -> int:
    until = time.monotonic() + PATIENCE
    while (left := len(workers_of(driver))) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def torn(folder: Path) -> list[str]:
    """What a finished run folder holds that is not whole."""
    from convlift.api import report
    from convlift.use import load

    found = [str(path) for path in folder.rglob(".*~*")]
    try:
        load(folder)
        report(folder)
    except (ConvliftError, OSError, ValueError) as error:
        found.append(str(error))
    return found


def disturb(folder: Path, kills: int, chance: random.Random, options: argparse.Namespace) -> dict[str, Any]:
    """One campaign, killed as often as asked for or until it has ended, then let run to its end."""
    found: dict[str, Any] = {"lost": 0, "torn": 0, "orphans": 0, "kills": Counter(), "starts": 1}
    process, known = start(folder, options), Outcomes()
    while sum(found["kills"].values()) < kills:
        mode = chance.choice(MODES)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, options.longest))
        if process.poll() is not None:
            break
        if not kill(process, mode, chance):
            continue
        found["kills"][mode] += 1
        if mode == "worker":
            continue
        found["orphans"] += orphans_of(process.pid)
        if (folder / "ledger.sqlite").exists():
            with contextlib.suppress(FileNotFoundError):
                try:
                    now = outcomes(folder)
                    found["lost"] += sum(now.get(trial) != was for trial, was in known.items())
                    known = now
                except ConvliftError as error:
                    found["torn"] += "never began" not in str(error)
                    found.setdefault("words", []).append(str(error))
        process, found["starts"] = start(folder, options), found["starts"] + 1
    found["exit"] = process.wait()
    found["orphans"] += orphans_of(process.pid)
    if found["exit"] in ENDED:
        last = outcomes(folder)
        found["lost"] += sum(last.get(trial) != was for trial, was in known.items())
        found["whole"] = torn(folder)
        found["torn"] += len(found["whole"])
    return found


def shipped(folder: Path) -> Any:
    with read_ledger(folder) as ledger:
        return ledger.recall("freeze"), (ledger.recall("result") or {}).get("final")


def compare(found: dict[str, Any], folder: Path, reference: Path) -> None:
    """Add to what was found how the campaign differs from the undisturbed one."""
    found["unfinished"] = int(found["exit"] not in ENDED)
    if found["unfinished"]:
        return
    known = Counter((*trial[:4],) for trial in outcomes(reference).values())
    trials = list(outcomes(folder).values())
    found["doubled"] = sum((Counter((*trial[:4],) for trial in trials) - known).values())
    found["blamed"] = sum(trial[4] in ("failed", "stopped") for trial in trials)
    same = sorted(trials) == sorted(outcomes(reference).values()) and shipped(folder) == shipped(reference)
    found["different"] = int(not same)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--per-campaign", type=int, default=20)
    parser.add_argument("--longest", type=float, default=25.0, help="seconds from one kill to the next")
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--json", type=Path, default=RESULTS / "kill.json")
    parser.add_argument("--work", type=Path, default=None, help="folder of the campaigns (default: a temporary one)")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="convlift-kill-"))
    work.mkdir(parents=True, exist_ok=True)
    chance, began = random.Random(options.seed), time.monotonic()
    reference = work / "undisturbed"
    code = start(reference, options).wait()
    assert code in ENDED, f"the undisturbed campaign ended with {code}: see {reference}.log"
    campaigns: list[dict[str, Any]] = []
    done = 0
    while done < options.kills:
        folder = work / f"campaign-{len(campaigns)}"
        found = disturb(folder, min(options.per_campaign, options.kills - done), chance, options)
        compare(found, folder, reference)
        campaigns.append(found)
        done += sum(found["kills"].values())
        total = sum((found["kills"] for found in campaigns), Counter())
        counted = ("lost", "doubled", "torn", "orphans", "blamed", "unfinished", "different")
        summary = {
            "options": {name: getattr(options, name) for name in ("per_campaign", "longest", "trainings", "seed")},
            "kills": done,
            "by_victim": total,
            "campaigns": len(campaigns),
            **{name: sum(found.get(name, 0) for found in campaigns) for name in counted},
            "seconds": round(time.monotonic() - began),
        }
        options.json.write_text(json.dumps({**summary, "each": campaigns}, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    sys.exit(main())
