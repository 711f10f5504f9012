"""What a kill in the middle of a write leaves, and what a clock that jumps changes: nothing."""

import ast
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from real_processes import LEDGER, line_of, start, state_of, until

import convlift
from convlift.console.atomic import temporary_beside
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import LEDGER_FILE, open_ledger, read_ledger
from convlift.recipe.recipe import Recipe

IDENTITY = Identity("data", Recipe(), 0, "accuracy")

WRITE_ON = f"""{LEDGER}
ledger = open_ledger(Path(sys.argv[1]), IDENTITY, heartbeat=3600.0)
for seed in range(8):
    finish_one(ledger, seed)
    print("finished", flush=True)
sys.stdin.readline()
"""


def test_a_torn_tail_of_the_log_costs_the_last_transaction_alone(tmp_path: Path) -> None:
    process = start(WRITE_ON, tmp_path / "run")
    for _ in range(8):
        assert line_of(process) == "finished"
    process.kill()  # what was written is in the write-ahead log, and nobody has tidied up
    process.communicate()
    log = (tmp_path / "run" / f"{LEDGER_FILE}-wal").read_bytes()
    assert len(log) > 20_000
    ended = []
    for number, length in enumerate(np.linspace(0, len(log), 12, dtype=int)):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "run" / LEDGER_FILE, folder)
        torn = log[:length] + b"\xa5" * min(3000, len(log) - length)
        (folder / f"{LEDGER_FILE}-wal").write_bytes(torn)
        with open_ledger(folder, IDENTITY) as ledger:
            trials = ledger.trials()
            assert [trial.seed for trial in trials] == list(range(len(trials)))
            assert all(trial.outcome is not None for trial in trials[:-1])
            ended.append(sum(trial.outcome is not None for trial in trials))
            ledger.resume()
    assert ended == sorted(ended)
    assert (ended[0], ended[-1]) == (0, 8)


SAVE = """
import sys
from pathlib import Path
import numpy as np
import torch
from torch import nn
from convlift.model.checkpoint import save_network

path, size = Path(sys.argv[1]), int(sys.argv[2])
network = nn.Linear(size, size, bias=False)
normal = (np.zeros(3, np.float32), np.ones(3, np.float32))
value = 0
while True:
    nn.init.constant_(network.weight, value)
    save_network(path, network, normal)
    value += 1
    print(value, flush=True)
"""


def test_killed_while_weights_are_written_the_old_ones_are_whole(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = tmp_path / "run" / "trials" / "1.safetensors"
    process = start(SAVE, path, 500)
    half_written = lambda: [*path.parent.glob(".*~*")] if path.parent.exists() else []  # noqa: E731
    for _ in range(2):
        line_of(process)
    until(half_written)
    process.kill()
    process.communicate()
    weights = load_file(path)["weight"]
    assert (weights == weights[0, 0]).all()  # of one moment, all of them
    open_ledger(tmp_path / "run", IDENTITY).close()  # the next process sweeps
    assert half_written() == []
    assert path.exists()


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    ours = temporary_beside(tmp_path / "1.safetensors")
    ours.write_bytes(b"half")
    open_ledger(tmp_path, IDENTITY).close()
    assert ours.exists()


def test_nothing_is_measured_or_ordered_by_the_wall_clock() -> None:
    package = Path(convlift.__file__).parent
    wall = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("time", "localtime")}
    asked = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in wall
    ]
    assert asked == ["ledger/migrations.py"]  # for people to read


def test_a_clock_that_jumped_changes_no_order_and_no_duration(tmp_path: Path) -> None:
    process = start(WRITE_ON, tmp_path)
    for _ in range(8):
        line_of(process)
    process.communicate("\n")
    with read_ledger(tmp_path) as ledger:
        before, used = [trial.id for trial in ledger.trials()], ledger.seconds_used()
    connection = sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    # as if the clock had been set back a year after each trial, and once forward a century
    for table in ("trials", "claims", "outcomes", "facts", "sessions"):
        connection.execute(f"UPDATE {table} SET at = (2100 - rowid) || '-03-29T02:30:00.000+00:00'")
    connection.close()
    with open_ledger(tmp_path, IDENTITY) as ledger:
        assert [trial.id for trial in ledger.trials()] == before
        assert used <= ledger.seconds_used() < used + 3600.0  # no years


HEARTBEAT = f"""{LEDGER}
with open_ledger(Path(sys.argv[1]), IDENTITY, heartbeat=0.005) as ledger:
    print("began", flush=True)
    sys.stdin.readline()
    print(ledger.seconds_used(), flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot suspend a process")
def test_a_process_that_was_suspended_goes_on(tmp_path: Path) -> None:
    process = start(HEARTBEAT, tmp_path)
    assert line_of(process) == "began"
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: state_of(process.pid) == "T")
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate("\n")
    assert process.returncode == 0
    assert float(out) > 0.0
