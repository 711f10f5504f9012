"""Several processes and one run folder: one holds it, the kernel knows which, and what a dead one held is free."""

from pathlib import Path

import pytest
from real_processes import LEDGER, line_of, start, state_of, until

from convlift.errors import LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger, read_ledger
from convlift.recipe.recipe import Recipe

IDENTITY = Identity("data", Recipe(), 0, "accuracy")

HOLD = f"""{LEDGER}
try:
    with open_ledger(Path(sys.argv[1]), IDENTITY) as ledger:
        finish_one(ledger, int(sys.argv[2]))
        print("held", flush=True)
        sys.stdin.readline()
except ConvliftError as error:
    print(error, flush=True)
"""


def test_of_many_that_create_it_at_once_one_does(tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        crowd = [start(HOLD, folder, number) for number in range(4)]
        said = [line_of(process) for process in crowd]
        assert said.count("held") == 1, said
        holder = crowd[said.index("held")]
        for words in said:
            assert words == "held" or f"is held by pid {holder.pid} on host" in words or "another process" in words
        for process in crowd:
            process.communicate("\n")
        with read_ledger(folder) as ledger:  # of one schema, and with one process's trial
            assert [trial.status for trial in ledger.trials()] == ["finished"]


def test_what_a_killed_process_held_is_free_at_once(tmp_path: Path) -> None:
    process = start(HOLD, tmp_path / "run", 1)
    assert line_of(process) == "held"
    with pytest.raises(LedgerError, match=f"is held by pid {process.pid} on host"):
        open_ledger(tmp_path / "run", IDENTITY)
    process.kill()
    process.communicate()
    assert f"pid {process.pid}" in (tmp_path / "run" / "lock").read_text()  # its name is still there, and no lock
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        assert [trial.status for trial in ledger.trials()] == ["finished"]


def test_a_suspended_process_still_holds_it(tmp_path: Path) -> None:
    process = start(HOLD, tmp_path / "run", 1)
    assert line_of(process) == "held"
    process.send_signal(19)  # SIGSTOP
    until(lambda: state_of(process.pid) == "T")
    with pytest.raises(LedgerError, match="is held by pid"):
        open_ledger(tmp_path / "run", IDENTITY)
    with read_ledger(tmp_path / "run") as ledger:  # who only reads need not wait
        assert len(ledger.trials()) == 1
    process.send_signal(18)  # SIGCONT
    process.communicate("\n")
    assert process.returncode == 0
    open_ledger(tmp_path / "run", IDENTITY).close()
