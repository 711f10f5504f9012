"""SIGKILL at random moments: the same command goes on, and no finished trial is run again."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from convlift.ledger.ledger import read_ledger

TRIALS = 40

CAMPAIGN = f"""
import sys, time
from pathlib import Path
import numpy as np
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger
from convlift.ledger.trials import Plan
from convlift.records.outcome import Outcome
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec

folder, log = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1)


def run(ledger, trial):
    print("begin", trial.id, trial.seed, file=log)
    time.sleep(0.004)
    outcome = Outcome("finished", np.full((50, 5), trial.seed, np.float32), np.zeros((9, 5), np.float32))
    ledger.finish(trial.id, outcome)
    print("end", trial.id, trial.seed, file=log)


with open_ledger(folder, Identity("data", Recipe(), 0, "accuracy"), heartbeat=0.01) as ledger:
    for trial in ledger.resume():
        run(ledger, trial)
    while (done := len(ledger.trials())) < {TRIALS}:
        # two claims in flight, as with two workers
        seeds = range(100 + done, 100 + min(done + 2, {TRIALS}))
        for trial in [ledger.claim(Plan("search", TrialSpec(Recipe(), seed))) for seed in seeds]:
            run(ledger, trial)
"""


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_resume_after_sigkill(tmp_path: Path) -> None:
    log, chance = tmp_path / "log", random.Random()
    command = [sys.executable, "-c", CAMPAIGN, str(tmp_path / "run"), str(log)]
    used = 0.0
    for _ in range(2):
        goal = len(lines(log)) + chance.randint(1, 20)
        with subprocess.Popen(command) as process:
            while len(lines(log)) < goal and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)
            process.kill()
        with read_ledger(tmp_path / "run") as ledger:
            assert ledger.seconds_used() >= max(used, 1e-9)  # the second may have been killed before it did anything
            used = ledger.seconds_used()
    subprocess.run(command, check=True, timeout=600)

    with read_ledger(tmp_path / "run") as ledger:
        trials = ledger.trials()
    assert [trial.id for trial in trials] == list(range(1, TRIALS + 1))
    assert [trial.seed for trial in trials] == list(range(100, 100 + TRIALS))
    for trial in trials:
        assert trial.outcome is not None
        assert trial.status == "finished"
        assert (trial.outcome.validation_probabilities == trial.seed).all()

    done: set[str] = set()
    begun: Counter[str] = Counter()
    for line in lines(log):
        word, trial_and_seed = line.split(" ", 1)
        assert trial_and_seed not in done, f"{line!r} after its end"
        if word == "end":
            done.add(trial_and_seed)
        else:
            begun[trial_and_seed] += 1
    # a kill can cost the trial that was running, never another one
    assert sum(begun.values()) <= TRIALS + 2
