"""What is whole in a damaged ledger is saved into a new folder, and what is lost is listed."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.errors import LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import LEDGER_FILE, open_ledger, read_ledger
from convlift.ledger.salvage import Salvaged, salvage
from convlift.ledger.trials import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome

IDENTITY = Identity(data="d" * 64, baseline=Recipe(), seed=0, metric="accuracy")
TRIALS = 30
PAGE = 4096


def outcome(trial: int) -> Outcome:
    probabilities = np.random.default_rng(trial).dirichlet(np.ones(10), 200).astype(np.float32)
    curve = (EpochReport("train", 0, 1, 0.5, 0.9, 0.6, 0.8, 0.01, 1.0),)
    return Outcome("finished", probabilities, NO_PROBABILITIES, curve, seconds=float(trial))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with open_ledger(tmp_path / "run", IDENTITY, {"budget_seconds": 60.0}) as ledger:
        for trial in range(1, TRIALS + 1):
            ledger.finish(ledger.claim(Plan("search", TrialSpec(Recipe(), seed=trial))).id, outcome(trial))
            ledger.record(f"fact {trial}", "x" * 500)
        ledger.claim(Plan("search", TrialSpec(Recipe(), seed=TRIALS + 1)))
        ledger.add_seconds(40.0)
    (tmp_path / "run" / "trials").mkdir()
    (tmp_path / "run" / "trials" / "7.safetensors").write_bytes(b"weights")
    return tmp_path / "run"


def damage(run: Path, first: int, count: int = 1, content: bytes = b"\xff") -> bytes:
    """Overwrite whole pages; the file as it then is."""
    path = run / LEDGER_FILE
    data = bytearray(path.read_bytes())
    data[first * PAGE : (first + count) * PAGE] = content * (
        min(count * PAGE, len(data) - first * PAGE) // len(content)
    )
    path.write_bytes(data)
    return bytes(data)


def pages(run: Path) -> int:
    return (run / LEDGER_FILE).stat().st_size // PAGE


def trials_of(folder: Path) -> dict[int, TrialRecord]:
    with read_ledger(folder) as ledger:
        assert ledger.identity == IDENTITY
        return {trial.id: trial for trial in ledger.trials()}


def check(saved: Salvaged) -> dict[int, TrialRecord]:
    """What was saved is what was written, and the campaign goes on with it."""
    found = trials_of(saved.folder)
    assert (saved.trials, saved.ended) == (len(found), sum(t.outcome is not None for t in found.values()))
    for trial in found.values():
        assert trial.seed == trial.id
        if trial.outcome is not None:
            assert (
                trial.outcome.validation_probabilities.tobytes() == outcome(trial.id).validation_probabilities.tobytes()
            )
    with open_ledger(saved.folder, IDENTITY) as ledger:
        assert {trial.id for trial in ledger.resume()} == {i for i, t in found.items() if t.outcome is None}
    return found


def test_a_whole_ledger_is_saved_whole(run: Path, tmp_path: Path) -> None:
    saved = salvage(run, tmp_path / "saved")
    assert saved == Salvaged(tmp_path / "saved", TRIALS + 1, TRIALS, ())
    assert len(check(saved)) == TRIALS + 1
    with read_ledger(tmp_path / "saved") as ledger:
        assert ledger.settings == {"budget_seconds": 60.0}
        assert ledger.recall(f"fact {TRIALS}") == "x" * 500
        assert ledger.seconds_used() >= 40.0
        assert ledger.recall("salvaged") is None
    assert (tmp_path / "saved" / "trials" / "7.safetensors").read_bytes() == b"weights"


def test_damaged_pages_cost_what_stood_on_them_and_no_more(run: Path, tmp_path: Path) -> None:
    before = damage(run, pages(run) // 2, 4)
    with pytest.raises(LedgerError, match=r"is damaged .*convlift salvage"):
        read_ledger(run)
    saved = salvage(run, tmp_path / "saved")
    assert (run / LEDGER_FILE).read_bytes() == before
    assert saved.lost
    found = check(saved)
    assert len(found) >= TRIALS // 2
    with read_ledger(saved.folder) as ledger:
        assert ledger.recall("salvaged")["lost"] == list(saved.lost)


def test_a_file_that_ends_too_early_keeps_its_beginning(run: Path, tmp_path: Path) -> None:
    path = run / LEDGER_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    saved = salvage(run, tmp_path / "saved")
    assert saved.lost
    assert len(check(saved)) >= 5


def test_an_overwritten_header_costs_nothing(run: Path, tmp_path: Path) -> None:
    path = run / LEDGER_FILE
    data = bytearray(path.read_bytes())
    data[:100] = b"\0" * 100
    path.write_bytes(data)
    saved = salvage(run, tmp_path / "saved")
    assert len(check(saved)) == TRIALS + 1
    assert saved.ended == TRIALS


def test_a_flipped_bit_in_an_array_costs_that_outcome_alone(run: Path, tmp_path: Path) -> None:
    path = run / LEDGER_FILE
    data = bytearray(path.read_bytes())
    with read_ledger(run) as ledger:
        blob = ledger._database.rows("SELECT validation FROM outcomes WHERE trial = 5")[0]["validation"]
    place = data.index(blob[200:300]) + 50
    data[place] ^= 1
    path.write_bytes(data)
    with read_ledger(run) as ledger, pytest.raises(LedgerError, match=r"trial 5 of the ledger is damaged"):
        ledger.trials()
    saved = salvage(run, tmp_path / "saved")
    assert saved.lost == ("the outcome of trial 5",)
    assert check(saved)[5].outcome is None  # it is trained again, with its seed


def test_any_page_may_be_lost(run: Path, tmp_path: Path) -> None:
    whole = (run / LEDGER_FILE).read_bytes()
    saved_some = 0
    for page in range(0, pages(run), pages(run) // 12):
        (run / LEDGER_FILE).write_bytes(whole)
        damage(run, page)
        with suppress(LedgerError):
            check(salvage(run, tmp_path / f"saved-{page}"))
            saved_some += 1
    assert saved_some >= 9  # without the schema, or the campaign's own row, there is nothing to go on with


def test_where_the_frozen_recipe_is_lost_the_test_stays_as_it_is(run: Path, tmp_path: Path) -> None:
    with open_ledger(run, IDENTITY) as ledger:
        ledger.freeze(Recipe(), ())
        ledger.finish(ledger.claim(Plan("final", TrialSpec(Recipe(), seed=TRIALS + 2))).id, outcome(TRIALS + 2))
        rows = ledger._database.rows("SELECT value FROM facts WHERE key = 'freeze'")
        ledger._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    path = run / LEDGER_FILE
    data = bytearray(path.read_bytes())
    place = data.index(rows[0]["value"].encode()[:200])
    data[place : place + 3] = b"[[["
    path.write_bytes(data)
    saved = salvage(run, tmp_path / "saved")
    assert "the fact 'freeze'" in saved.lost
    with (
        open_ledger(saved.folder, IDENTITY) as ledger,
        pytest.raises(LedgerError, match="after the sealed test was opened"),
    ):
        ledger.claim(Plan("search", TrialSpec(Recipe(), seed=1)))


def test_what_cannot_be_saved_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"holds no ledger\.sqlite"):
        salvage(tmp_path / "nowhere", tmp_path / "saved")
    with pytest.raises(LedgerError, match=r"exists already; name a new folder"):
        salvage(run, run)
    (run / LEDGER_FILE).write_bytes(b"\xff" * 50_000)
    with pytest.raises(LedgerError, match=r"so nothing can be saved"):
        salvage(run, tmp_path / "saved")
    open_ledger(tmp_path / "old", replace(IDENTITY, software="0.0.9")).close()
    with pytest.raises(LedgerError, match=r"old was made by convlift 0\.0\.9, and .* use that version"):
        salvage(tmp_path / "old", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
