"""Trials as the ledger keeps them: what was planned, how often it was attempted, what came of it."""

import hashlib
import io
import json
import math
import sqlite3
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.fingerprint import to_json
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome, Status

MOST_BYTES = 1 << 29  # of one array: 1,000 classes for 130,000 images
CAMPAIGN_ENDED = "the campaign's process ended"  # why an attempt ended that is not the trial's own fault

Role = Literal[
    "given", "baseline", "start", "low-fidelity", "search", "final", "refit", "average", "mirrored", "ensemble",
    "mirrored ensemble",
]  # fmt: skip
COMBINED: tuple[Role, ...] = ("average", "mirrored", "ensemble", "mirrored ensemble")  # no trainings
READ: tuple[Role, ...] = ("given", *COMBINED)  # networks that are there, and only predict
COUNTED: tuple[Role, ...] = ("baseline", "search", "final", "refit")  # of --trainings
TRAINED: tuple[Role, ...] = (*COUNTED, "start")  # what a reader counts as training runs


@dataclass(frozen=True)
class Plan:
    """A trial before it is claimed. names: the candidates that are on; combination: of networks that are there, to be
    made instead of a training."""

    role: Role
    spec: TrialSpec
    names: tuple[str, ...] = ()
    combination: Combination | None = None


@dataclass(frozen=True)
class TrialRecord:
    """One trial of the ledger.

    number: its place within its role, from 1.
    attempt: how often it was begun, from 1.
    outcome: None while the trial is claimed and has not ended. Its arrays are read-only.
    """

    id: int
    number: int
    role: Role
    spec: TrialSpec
    fingerprint: str
    names: tuple[str, ...]
    attempt: int
    outcome: Outcome | None

    @property
    def recipe(self) -> Recipe:
        """What it trains."""
        return self.spec.recipe

    @property
    def seed(self) -> int:
        """Of its spec."""
        return self.spec.seed

    @property
    def fidelity(self) -> float:
        """Of its spec."""
        return self.spec.fidelity

    @property
    def status(self) -> Status | Literal["claimed"]:
        """claimed, or how the trial ended."""
        return self.outcome.status if self.outcome else "claimed"

    @property
    def is_whole(self) -> bool:
        """Whether it had all of its training: no part of it was planned, and the clock cut nothing off."""
        return self.status == "finished" and self.fidelity >= 1.0

    @property
    def has_trained(self) -> bool:
        """Whether it got through an epoch, or a part of one; what has not holds nothing but guesses. What is
        only read has, or is of networks that have."""
        return self.outcome is not None and (bool(self.outcome.curve) or self.role in READ)

    @property
    def unseen(self) -> NDArray[np.float32]:
        """Its probabilities (n, K) of the validation images, where it was measured on them; (0, 0) where it left none,
        or learned from these images."""
        is_measured = self.outcome is not None and not self.spec.refit
        return self.outcome.validation_probabilities if self.outcome and is_measured else NO_PROBABILITIES

    @property
    def is_evidence(self) -> bool:
        """Whether it is evidence of its recipe's worth: it ended by itself, well or badly, not by the clock nor with
        the campaign's own process."""
        if self.outcome is None or self.outcome.status == "stopped":
            return False
        return not self.outcome.reason.endswith(CAMPAIGN_ENDED)


SELECT_TRIAL = """
    SELECT trials.*, outcomes.*,  -- a ledger that is only read may be of before the last columns
        (SELECT SUM(change) FROM claims WHERE claims.trial = trials.id) AS attempt
    FROM trials LEFT JOIN outcomes ON outcomes.trial = trials.id WHERE trials.id = ?"""


def trial_record(row: sqlite3.Row) -> TrialRecord:
    """A row of SELECT_TRIAL as a record. Raises LedgerError where its contents are damaged."""
    try:
        text = _text(row["recipe"])
        if hashlib.sha256(text.encode()).hexdigest() != row["fingerprint"]:
            raise ValueError("the recipe is not the one that was written")
        return TrialRecord(
            id=row["id"],
            number=_integer(row["number"]),
            role=row["role"] if row["role"] in get_args(Role) else _no(row["role"], "role"),
            spec=TrialSpec(
                recipe=parse_recipe(from_json(text), where=f"recipe of trial {row['id']}"),
                seed=_integer(row["seed"]),
                fidelity=_number(row["fidelity"]),
                refit=row["role"] == "refit",
            ),
            fingerprint=row["fingerprint"],
            names=tuple(_text(name) for name in _list(from_json(row["names"]))),
            attempt=_integer(row["attempt"]),
            outcome=_outcome(row) if row["status"] else None,
        )
    except (ConvliftError, ValueError, TypeError, EOFError, zlib.error) as error:
        raise LedgerError(
            f"trial {row['id']} of the ledger is damaged ({_short(error)}); what is whole can be saved by "
            "`convlift salvage`."
        ) from error


def _outcome(row: sqlite3.Row) -> Outcome:
    return Outcome(
        status=row["status"] if row["status"] in get_args(Status) else _no(row["status"], "status"),
        validation_probabilities=unpack(row["validation"]),
        test_probabilities=unpack(row["test"]),
        curve=tuple(_report(report) for report in _list(from_json(row["curve"]))),
        seconds=_number(row["seconds"]),
        reason=_text(row["reason"]),
        weights=_text(row["weights"]),
        shifted_probabilities=_shifted(row),
    )


def _shifted(row: sqlite3.Row) -> NDArray[np.float32]:
    known = "shifted" in row.keys() and row["shifted"] is not None  # noqa: SIM118 - a Row iterates over values
    return unpack(row["shifted"]) if known else NO_PROBABILITIES


def _report(found: dict[str, Any]) -> EpochReport:
    report = EpochReport(**found)
    _text(report.phase), _integer(report.epoch), _integer(report.epochs)
    for name, value in found.items():
        if name != "phase" and value is not None:
            _number(value)
    return report


def from_json(text: Any) -> Any:
    """What a column holds. Raises ValueError for what is no JSON, or nested deeper than anything of ours."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _no(value, "text")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else _no(value, "list")


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else _no(value, "whole number")


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _no(value, "number")


def _no(value: Any, expected: str) -> NoReturn:
    raise TypeError(f"{_short(value)} is no {expected}")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def outcome_row(trial: int, outcome: Outcome, at: str) -> tuple[Any, ...]:
    """The outcome in the order of the table's columns."""
    return (
        trial,
        outcome.status,
        outcome.reason,
        float(outcome.seconds),
        pack(outcome.validation_probabilities),
        pack(outcome.test_probabilities),
        to_json([asdict(report) for report in outcome.curve]),
        outcome.weights,
        at,
        pack(outcome.shifted_probabilities) if len(outcome.shifted_probabilities) else None,
    )


def pack(array_NK: NDArray[np.float32]) -> bytes:
    """Compressed npy file (it states shape and type). Kept in float32: a resumed campaign must believe, to the last
    bit, what the uninterrupted one believed, and a half-precision probability can change the class that wins.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array_NK, dtype=np.float32), allow_pickle=False)
    return zlib.compress(buffer.getvalue(), level=1)  # zlib's checksum also guards the contents


def unpack(blob: bytes) -> NDArray[np.float32]:
    """The read-only array of `pack`; never unpickles, and takes no memory that the blob only claims to need.

    Raises ValueError, TypeError or zlib.error where it is damaged.
    """
    inflater = zlib.decompressobj()
    data = inflater.decompress(blob, MOST_BYTES)
    if not inflater.eof:
        raise ValueError("the array is cut short or larger than any")
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("the array is of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or dtype != np.float32 or is_fortran or len(shape) != 2:
        raise ValueError("the array holds no probabilities, and nothing is unpickled")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError("the array is not as large as its header has it")
    array: NDArray[np.float32] = np.frombuffer(data, np.float32, offset=file.tell()).reshape(shape)
    return array
