"""What the ledger promises: nothing is lost, nothing is said twice, nobody else writes."""

import sqlite3
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convlift.errors import DiskError, LedgerError
from convlift.ledger.attempts import MAX_CRASHES, MAX_KILLS
from convlift.ledger.fingerprint import Identity, differences, fingerprint
from convlift.ledger.ledger import LEDGER_FILE, Ledger, open_ledger, read_ledger
from convlift.ledger.trials import Plan, pack, unpack
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.records.software import software_version

IDENTITY = Identity(data="d" * 64, baseline=Recipe(), seed=0, metric="accuracy")
SMOOTH = Recipe().edit(training={"label_smoothing": 0.1})
PLAN = Plan("search", TrialSpec(SMOOTH, seed=11, fidelity=0.5), names=("label smoothing 0.1",))


def finished(seconds: float = 1.5) -> Outcome:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 4).astype(np.float32)
    curve = (EpochReport("train", 1, 2, float("nan"), 0.5, 1.0, 0.4, 0.01, 0.7),)
    return Outcome("finished", probabilities, probabilities[:2], curve, seconds, weights="model/a.safetensors")


def assert_same(one: Outcome | None, other: Outcome) -> None:
    assert one is not None
    np.testing.assert_array_equal(one.validation_probabilities, other.validation_probabilities, strict=True)
    np.testing.assert_array_equal(one.test_probabilities, other.test_probabilities, strict=True)
    assert repr(one.curve) == repr(other.curve)  # repr, because a loss may be nan
    assert (one.status, one.seconds, one.reason) == (other.status, other.seconds, other.reason)
    assert one.weights == other.weights
    np.testing.assert_array_equal(one.shifted_probabilities, other.shifted_probabilities, strict=True)


def test_what_a_trial_makes_of_corrupted_copies_comes_back(tmp_path: Path) -> None:
    shifted = np.random.default_rng(1).dirichlet(np.ones(3), 8).astype(np.float32)
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        seen = ledger.finish(ledger.claim(PLAN).id, replace(finished(), shifted_probabilities=shifted))
        assert_same(seen.outcome, replace(finished(), shifted_probabilities=shifted))
        assert ledger.finish(ledger.claim(PLAN).id, finished()).outcome.shifted_probabilities.shape == (0, 0)  # type: ignore[union-attr]


def test_a_ledger_of_before_corrupted_copies_is_read_and_gone_on_with(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        ledger.finish(ledger.claim(PLAN).id, finished())
    connection = sqlite3.connect(tmp_path / "run" / LEDGER_FILE)
    connection.execute("ALTER TABLE outcomes DROP COLUMN shifted")
    connection.execute("DELETE FROM migrations WHERE number = 3")
    connection.commit()
    connection.close()
    with read_ledger(tmp_path / "run") as ledger:
        assert_same(ledger.trial(1).outcome, finished())
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        assert_same(ledger.trial(1).outcome, finished())
        assert_same(ledger.finish(ledger.claim(PLAN).id, finished()).outcome, finished())


def test_a_trial_comes_back_as_it_was(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        claimed = ledger.claim(PLAN)
        assert (claimed.status, claimed.attempt, claimed.number, claimed.outcome) == ("claimed", 1, 1, None)
        assert ledger.claim(Plan("baseline", TrialSpec(Recipe(), seed=1))).number == 1
        assert ledger.claim(PLAN).number == 2
        assert_same(ledger.finish(claimed.id, finished()).outcome, finished())
    with read_ledger(tmp_path / "run") as ledger:
        first, second = ledger.trials("search")
        assert_same(first.outcome, finished())
        assert (first.recipe, first.fingerprint) == (SMOOTH, SMOOTH.fingerprint())
        assert (first.names, first.seed, first.fidelity) == (PLAN.names, 11, 0.5)
        assert second.status == "claimed"
        assert [trial.role for trial in ledger.trials()] == ["search", "baseline", "search"]
        assert ledger.identity == IDENTITY


def test_a_trial_ends_once(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        trial = ledger.claim(PLAN)
        ledger.finish(trial.id, finished())
        with pytest.raises(LedgerError, match=r"trial 1 has already ended \(finished\)"):
            ledger.finish(trial.id, finished(9.0))
        with pytest.raises(LedgerError, match="it is not run again"):
            ledger.retry(trial.id, "for fun")
        with pytest.raises(LedgerError, match="no trial 7"):
            ledger.finish(7, finished())
        assert_same(ledger.trial(trial.id).outcome, finished())


def test_no_row_can_be_changed_or_deleted(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY, {"budget": 60}) as ledger:
        ledger.finish(ledger.claim(PLAN).id, finished())
    connection = sqlite3.connect(tmp_path / LEDGER_FILE)
    for table, column in [
        ("campaign", "identity"),
        ("trials", "seed"),
        ("claims", "reason"),
        ("outcomes", "status"),
        ("facts", "value"),
    ]:
        for statement in (f"UPDATE {table} SET {column} = 0", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                connection.execute(statement)
    connection.close()


def test_a_poison_trial_fails_after_three_attempts(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        trial = ledger.claim(PLAN)
        for attempt in range(2, MAX_CRASHES + 1):
            trial = ledger.retry(trial.id, "worker was killed by signal 11")
            assert (trial.attempt, trial.status, trial.seed) == (attempt, "claimed", PLAN.spec.seed)
        trial = ledger.retry(trial.id, "worker was killed by signal 11")
        assert trial.outcome is not None
        assert trial.status == "failed"
        assert trial.outcome.reason == "3 attempts ended without an outcome; the last: worker was killed by signal 11"
        assert ledger.resume() == ()
        assert ledger.worker_deaths() == {"itself": 3}


def test_what_others_kill_is_not_the_trials_fault(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        trial = ledger.claim(PLAN)
        for kill in range(1, 10):
            trial = ledger.retry(trial.id, "worker was killed by signal 9", "outside")
            assert (trial.attempt, trial.status) == (kill + 1, "claimed")
        for _ in range(MAX_CRASHES - 1):  # kills by others bring no crash of its own nearer to the last
            trial = ledger.retry(trial.id, "worker was killed by signal 11")
        assert trial.status == "claimed"
        assert ledger.retry(trial.id, "worker was killed by signal 9: memory ran out", "memory").status == "failed"
        assert ledger.worker_deaths() == {"outside": 9, "itself": 3}


def test_a_trial_that_only_seems_unlucky_ends_as_well(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        trial = ledger.claim(PLAN)
        for _ in range(MAX_KILLS):
            assert trial.outcome is None
            trial = ledger.retry(trial.id, "worker was killed by signal 9", "outside")
        assert trial.outcome is not None
        assert trial.status == "stopped"
        assert not trial.is_evidence
        assert trial.outcome.reason == "killed from outside 50 times; the last: worker was killed by signal 9"


def test_a_kill_of_the_campaign_itself_is_nobodys_fault(tmp_path: Path) -> None:
    for attempt in range(1, 10):
        ledger = open_ledger(tmp_path, IDENTITY)
        trials = ledger.resume() if attempt > 1 else (ledger.claim(PLAN),)
        assert [(trial.attempt, trial.status) for trial in trials] == [(attempt, "claimed")]
        ledger._claimed.clear()  # what a SIGKILL forgets
        ledger.close()
    with open_ledger(tmp_path, IDENTITY) as ledger:
        assert ledger.worker_deaths() == {}


def test_an_orderly_end_is_no_failed_attempt(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        ledger.claim(PLAN)
        assert ledger.resume() == ()  # it is running in this very process
    for _ in range(MAX_KILLS + 2):
        with open_ledger(tmp_path, IDENTITY) as ledger:
            (trial,) = ledger.resume()
            assert (trial.attempt, trial.status) == (1, "claimed")


@pytest.mark.parametrize("other", ["0.0.9", "9.0.0"])
def test_what_another_version_wrote_is_refused_by_its_number(tmp_path: Path, other: str) -> None:
    """Its records have other shapes: neither shown nor continued."""
    with open_ledger(tmp_path, replace(IDENTITY, software=other)):
        pass
    refused = f"was made by convlift {other}, and convlift {software_version()} cannot read it; use that version"
    with pytest.raises(LedgerError, match=refused):
        read_ledger(tmp_path)
    with pytest.raises(LedgerError, match=refused):
        open_ledger(tmp_path, IDENTITY)


def test_another_campaign_is_refused_in_words(tmp_path: Path) -> None:
    open_ledger(tmp_path, IDENTITY).close()
    other = Identity(data="e" * 64, baseline=SMOOTH, seed=1, metric="accuracy", software="9.9")
    with pytest.raises(LedgerError, match="belongs to another campaign") as caught:
        open_ledger(tmp_path, other)
    text = str(caught.value)
    for part in (
        "data was dddddddddddd..., is eeeeeeeeeeee...",
        "baseline.training.label_smoothing was 0.0, is 0.1",
        "seed was 0, is 1",
        f"software was {software_version()}, is 9.9",
        "--out",
    ):
        assert part in text
    assert "metric" not in text
    open_ledger(tmp_path, IDENTITY).close()  # the lock was given back


def test_other_groups_are_another_campaign(tmp_path: Path) -> None:
    open_ledger(tmp_path / "alone", IDENTITY).close()
    with pytest.raises(LedgerError, match=r"groups was absent, is gggggggggggg\.\.\."):
        open_ledger(tmp_path / "alone", replace(IDENTITY, groups="g" * 64))
    with open_ledger(tmp_path / "grouped", replace(IDENTITY, groups="g" * 64)) as ledger:
        assert ledger.identity.groups == "g" * 64


def test_the_budget_may_change_and_is_remembered(tmp_path: Path) -> None:
    for settings in ({"budget": 60.0}, {"budget": 60.0}, {"budget": 90.0}, None):
        with open_ledger(tmp_path, IDENTITY, settings) as ledger:
            pass
    with read_ledger(tmp_path) as ledger:
        assert ledger.settings == {"budget": 90.0}
        assert [value for _, value in ledger.history("settings")] == [{"budget": 60.0}, {"budget": 90.0}]


def test_facts_are_written_once(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        assert ledger.recall("start") is None
        ledger.record("start", {"name": "residual", "points": np.float32(1.5), "path": Path("a")})
        ledger.record("start", {"name": "residual", "points": 1.5, "path": "a"})
        with pytest.raises(LedgerError, match="'start' is already recorded with another value"):
            ledger.record("start", {"name": "plain"})
        ledger.record("start", {"name": "plain"}, replace=True)
        assert ledger.recall("start") == {"name": "plain"}
        assert len(ledger.history("start")) == 2


def test_the_test_is_opened_only_for_a_frozen_recipe(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        with pytest.raises(LedgerError, match="stays closed until the shipped recipe is frozen"):
            ledger.open_test()
        assert ledger.freeze(SMOOTH, PLAN.names) == SMOOTH.fingerprint()
        with pytest.raises(LedgerError, match="'freeze' is already recorded"):
            ledger.freeze(Recipe(), ())
        with pytest.raises(LedgerError, match="a search trial was claimed after the shipped recipe was frozen"):
            ledger.claim(PLAN)
        ledger.claim(Plan("final", TrialSpec(SMOOTH, seed=5), names=PLAN.names))
        ledger.open_test()
    with open_ledger(tmp_path, IDENTITY) as ledger:
        ledger.open_test()
        ((_, opened_for),) = ledger.history("test opened")
        assert opened_for == SMOOTH.fingerprint() == ledger.recall("freeze")["sha256"]


def test_seconds_add_up_over_processes(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY) as ledger:
        ledger.add_seconds(100.0)
        first = ledger.seconds_used()
        assert 100.0 <= first < 1000.0
    with open_ledger(tmp_path, IDENTITY) as ledger:
        ledger.add_seconds(10.0)
        assert first + 10.0 <= ledger.seconds_used()
    with read_ledger(tmp_path) as ledger:
        at_rest = ledger.seconds_used()
        assert first + 10.0 <= at_rest == ledger.seconds_used()


def test_the_heartbeat_notes_the_time(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY, heartbeat=0.002), read_ledger(tmp_path) as reader:
        deadline = time.monotonic() + 600
        while not (before := reader.seconds_used()) and time.monotonic() < deadline:
            time.sleep(0.002)
        while reader.seconds_used() == before and time.monotonic() < deadline:
            time.sleep(0.002)
        assert 0 < before < reader.seconds_used()


def test_two_cannot_hold_one_folder(tmp_path: Path) -> None:
    with (
        open_ledger(tmp_path, IDENTITY),
        pytest.raises(LedgerError, match=r"is held by pid \d+ on host .*; wait .* with --out"),
    ):
        open_ledger(tmp_path, IDENTITY)
    (tmp_path / "lock").write_text("pid 1 on host long-gone")  # a name is no lock
    open_ledger(tmp_path, IDENTITY).close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    open_ledger(tmp_path, IDENTITY).close()
    with read_ledger(tmp_path) as ledger, pytest.raises(LedgerError, match="readonly"):
        ledger.record("start", 1)
    with pytest.raises(LedgerError, match=r"holds no ledger\.sqlite"):
        read_ledger(tmp_path / "nowhere")


def a_long_ledger(folder: Path) -> Path:
    with open_ledger(folder, IDENTITY) as ledger:
        for _ in range(10):
            ledger.finish(ledger.claim(PLAN).id, finished())
    return folder / LEDGER_FILE


@pytest.mark.parametrize("where", ["header", "middle", "end"])
def test_damage_is_told_and_left_alone(where: str, tmp_path: Path) -> None:
    path = a_long_ledger(tmp_path)
    content = bytearray(path.read_bytes())
    if where == "header":
        content[:16] = bytes(16)
    elif where == "middle":
        content[4096 : len(content) // 2] = bytes([255]) * (len(content) // 2 - 4096)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    for open_it in (lambda: open_ledger(tmp_path, IDENTITY), lambda: read_ledger(tmp_path)):
        with pytest.raises(LedgerError, match=r"ledger\.sqlite is damaged .* it was left as it is") as caught:
            open_it()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == bytes(content)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"file cannot be made .*--out"):
        open_ledger(tmp_path / "file", IDENTITY)
    (tmp_path / "run" / "lock").mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"run cannot be written .*--out"):
        open_ledger(tmp_path / "run", IDENTITY)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path, IDENTITY, heartbeat=60) as ledger:
        kept = ledger.claim(PLAN)
        limit_pages(ledger, extra=2)
        large = np.random.default_rng(0).random((5000, 10), dtype=np.float32)
        with pytest.raises(DiskError, match=r"full.*free space"):
            ledger.finish(kept.id, Outcome("finished", large, NO_PROBABILITIES))
        assert ledger.trial(kept.id).status == "claimed"
        limit_pages(ledger, extra=10_000)
        assert ledger.finish(kept.id, Outcome("finished", large, NO_PROBABILITIES)).status == "finished"


def limit_pages(ledger: Ledger, extra: int) -> None:
    with ledger._database.write() as writer:
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages + extra}")


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5)))
def test_probabilities_are_kept_to_the_last_bit(array_NK: np.ndarray) -> None:
    back = unpack(pack(array_NK))
    assert back.tobytes() == array_NK.tobytes()
    assert back.shape == array_NK.shape
    assert not back.flags.writeable


def test_nothing_is_unpickled() -> None:
    with pytest.raises(ValueError, match="pickle"):
        unpack(zlib.compress(npy_of_objects()))


def npy_of_objects() -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"harm": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=50) | st.none(), max_size=5))
def test_equal_documents_have_no_differences(document: dict[str, object]) -> None:
    reversed_ = dict(reversed(document.items()))
    assert fingerprint(document) == fingerprint(reversed_)
    assert differences(document, reversed_) == ()
