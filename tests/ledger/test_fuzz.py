"""A ledger file may hold anything: what comes back is what was written, or one LedgerError; no hang, no other error,
no memory that the file only claims to need."""

import json
import resource
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convlift.errors import ConvliftError, DiskError, LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import LEDGER_FILE, open_ledger, read_ledger
from convlift.ledger.migrations import MIGRATIONS
from convlift.ledger.salvage import salvage
from convlift.ledger.trials import Plan, pack, unpack
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome

IDENTITY = Identity(data="d" * 64, baseline=Recipe(), seed=0, metric="accuracy")
GROWTH = 1.4  # gigabytes that hostile contents may take
FUZZ = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Contents(bytes):
    """A file's contents that are not shown: hypothesis would print every byte of them."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes"


def outcome(trial: int) -> Outcome:
    probabilities = np.random.default_rng(trial).dirichlet(np.ones(5), 20).astype(np.float32)
    curve = (EpochReport("train", 0, 1, 0.5, 0.9, 0.6, 0.8, 0.01, 1.0),)
    return Outcome("finished", probabilities, NO_PROBABILITIES, curve, seconds=float(trial))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    with open_ledger(folder, IDENTITY, {"budget_seconds": 60.0}) as ledger:
        for trial in range(1, 6):
            ledger.finish(ledger.claim(Plan("search", TrialSpec(Recipe(), seed=trial))).id, outcome(trial))
        ledger.record("start", {"name": "residual"})
    return Contents((folder / LEDGER_FILE).read_bytes())


def read_everything(folder: Path) -> str:
    """All that a reader asks for; "read", or what was said instead. Whatever else is raised fails the test."""
    try:
        with read_ledger(folder) as ledger:
            for trial in ledger.trials():
                assert trial.outcome is None or trial.outcome.validation_probabilities.ndim == 2
            _ = ledger.identity, ledger.settings, ledger.seconds_used(), ledger.worker_deaths()
            for row in ledger._database.rows("SELECT DISTINCT key FROM facts"):
                ledger.history(row["key"])
    except (LedgerError, DiskError) as error:
        return in_one_line(error)
    return "read"


def try_everything(folder: Path) -> str:
    """Read it, open it to go on, and salvage it."""
    said = read_everything(folder)
    for attempt in (lambda: open_ledger(folder, IDENTITY).close(), lambda: salvage(folder, folder / "saved")):
        try:
            attempt()
        except ConvliftError as error:
            in_one_line(error)
    return said


def in_one_line(error: Exception) -> str:
    assert "\n" not in str(error)
    assert len(str(error)) < 2000
    return str(error)


def put(folder: Path, content: bytes) -> Path:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / LEDGER_FILE).write_bytes(content)
    return folder


@FUZZ
@given(bits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=30))
def test_flipped_bits(bits: list[tuple[float, int]], whole: bytes, tmp_path: Path) -> None:
    data = bytearray(whole)
    for place, bit in bits:
        data[int(place * len(data))] ^= 1 << bit
    try_everything(put(tmp_path / "run", bytes(data)))


@FUZZ
@given(share=st.floats(0, 1), rest=st.binary(max_size=200))
def test_cut_short_and_continued_with_something_else(share: float, rest: bytes, whole: bytes, tmp_path: Path) -> None:
    try_everything(put(tmp_path / "run", whole[: int(share * len(whole))] + rest))


@FUZZ
@given(pages=st.permutations(range(12)))
def test_pages_in_another_order(pages: list[int], whole: bytes, tmp_path: Path) -> None:
    each = [whole[first : first + 4096] for first in range(0, len(whole), 4096)]
    order = [page for page in pages if 0 < page < len(each)] + list(range(12, len(each)))
    try_everything(put(tmp_path / "run", each[0] + b"".join(each[page] for page in order)))


@FUZZ
@given(content=st.binary(max_size=5000))
def test_any_bytes(content: bytes, tmp_path: Path) -> None:
    said = try_everything(put(tmp_path / "run", content))
    # an empty file is an empty database
    assert "damaged" in said or "never began" in said or "no such table" in said


COLUMNS = [
    ("trials", "recipe"),
    ("trials", "names"),
    ("trials", "seed"),
    ("trials", "fidelity"),
    ("trials", "role"),
    ("trials", "number"),
    ("trials", "fingerprint"),
    ("outcomes", "validation"),
    ("outcomes", "curve"),
    ("outcomes", "seconds"),
    ("outcomes", "reason"),
    ("outcomes", "weights"),
    ("claims", "reason"),
    ("facts", "value"),
    ("campaign", "identity"),
    ("sessions", "seconds"),
]
NONSENSE: tuple[Any, ...] = (
    "",
    "null",
    "[]",
    "{}",
    "3",
    '"text"',
    "[" * 100_000,
    '{"a":' * 50_000,
    "9" * 100_000,
    "NaN",
    "[[1]]",
    '[{"phase": "train"}]',
    '[{"phase": 1, "epoch": "x", "epochs": {}, "train_loss": [], "train_accuracy": 0, "validation_loss": 0, '
    '"validation_accuracy": 0, "learning_rate": 0, "seconds": 0}]',
    '{"data": 3, "baseline": [], "seed": "x", "metric": 0, "software": {}}',
    '{"baseline": {}}',
    b"\xff\xfe\x00",
    zlib.compress(b"\x93NUMPY"),
    2**62,
    -1,
    1e308,
)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_nonsense_in_a_column(table: str, column: str, whole: bytes, tmp_path: Path) -> None:
    for number, value in enumerate(NONSENSE):
        folder = put(tmp_path / "run", whole)
        change(folder, lambda c, v=value: c.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (v,)))  # type: ignore[misc]
        if number % 5 == 0:
            try_everything(folder)
        else:
            read_everything(folder)


@pytest.mark.parametrize("key", ["result", "story", "freeze"])
def test_nonsense_in_what_a_report_is_made_of(key: str, whole: bytes, tmp_path: Path) -> None:
    from convlift.api import report

    facts = {"result": {}, "story": {}, "freeze": {}}
    for value in ({}, [], 3, "text", None, {"baseline": 3, "final": [], "verdicts": {}, "findings": 1, "notes": None}):
        folder = put(tmp_path / "run", whole)
        with open_ledger(folder, IDENTITY) as ledger:
            for name, made_up in {**facts, key: value}.items():
                ledger.record(name, made_up)
        with pytest.raises(LedgerError) as caught:
            report(folder)
        in_one_line(caught.value)


def change(folder: Path, edit: Callable[[sqlite3.Connection], object]) -> None:
    """Do what no ledger allows, as somebody with another program may."""
    connection = sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA synchronous = OFF")
    edit(connection)
    connection.close()


def made_by(folder: Path, *statements: str) -> str:
    put(folder, b"")
    connection = sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return try_everything(folder)


def test_another_programs_file(tmp_path: Path) -> None:
    assert "is no ledger of convlift" in made_by(tmp_path / "run", "CREATE TABLE notes (id INTEGER, text TEXT)")
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"
    migrations = "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, at TEXT)"
    for table in ("trials", "facts", "sessions"):  # a view that would never end
        assert "is no ledger of convlift" in made_by(tmp_path / "run", migrations, f"CREATE VIEW {table} AS {endless}")
    assert "is no ledger of convlift" in made_by(tmp_path / "run", f"CREATE VIEW migrations AS {endless}")


def test_a_ledger_of_the_future_is_not_guessed_at(whole: bytes, tmp_path: Path) -> None:
    folder = put(tmp_path / "run", whole)
    number = len(MIGRATIONS) + 1
    change(folder, lambda c: c.execute("INSERT INTO migrations VALUES (?, 'later', 'now')", (number,)))
    assert f"has schema {number}" in try_everything(folder)


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def header(shape: str, kind: str = "<f4") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        header("(1000000000, 1000)"),  # four terabytes, it says
        header("(-1, 10)"),
        header("(2, 2)") + bytes(8),
        header("(2, 2)") + bytes(24),
        header("(4,)") + bytes(16),
        header("(2, 2)", "|O") + bytes(32),
        header("(2, 2)", "<f8") + bytes(32),
        header("(" + "2, " * 1000 + ")"),
        b"\x93NUMPY\x09\x00",
        b"",
    ],
)
def test_an_array_is_as_large_as_it_says(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        unpack(zlib.compress(data))


def zeros_squeezed(megabytes: int) -> bytes:
    """What zlib makes of so many megabytes of zeros; after a full flush each is as the first."""
    squeezer = zlib.compressobj(9)
    head, each = (squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    checksum = (megabytes << 20) % 65521 << 16 | 1  # Adler-32
    last = squeezer.flush()[:-4]
    return head + each * (megabytes - 1) + last + checksum.to_bytes(4, "big")


def test_a_bomb_takes_no_memory() -> None:
    before = peak_gigabytes() + GROWTH
    bomb = zeros_squeezed(3 << 10)
    assert len(bomb) < 4e6
    assert zlib.decompress(zeros_squeezed(5)) == bytes(5 << 20)
    with pytest.raises(ValueError, match="larger than any"):
        unpack(bomb)
    assert peak_gigabytes() < before


def test_a_blob_that_only_claims_to_be_there(whole: bytes, tmp_path: Path) -> None:
    before = peak_gigabytes() + GROWTH
    folder = put(tmp_path / "run", whole)
    change(folder, lambda c: c.execute("UPDATE outcomes SET validation = zeroblob(300000000) WHERE trial = 2"))
    assert "trial 2 of the ledger is damaged" in read_everything(folder)
    assert peak_gigabytes() < before


@given(st.binary(max_size=300))
def test_no_bytes_are_an_array_by_accident(blob: bytes) -> None:
    with pytest.raises((ValueError, TypeError, EOFError, zlib.error)):
        unpack(blob)


@given(st.integers(0, 400), st.integers(0, 7))
def test_one_flipped_bit_in_an_array_is_noticed(place: int, bit: int) -> None:
    array = np.random.default_rng(0).random((9, 10), dtype=np.float32)
    blob = bytearray(pack(array))
    blob[place % len(blob)] ^= 1 << bit
    try:
        back = unpack(bytes(blob))
    except (ValueError, TypeError, EOFError, zlib.error):
        return
    assert back.tobytes() == array.tobytes()  # a bit of zlib's header that means nothing


def test_json_of_a_fact_survives(whole: bytes, tmp_path: Path) -> None:
    folder = put(tmp_path / "run", whole)
    assert read_everything(folder) == "read"
    with read_ledger(folder) as ledger:
        assert json.loads(json.dumps(ledger.recall("start"))) == {"name": "residual"}
