"""Trials as the ledger keeps them: what was planned, how often it was attempted, what came of it."""

import io
import json
import sqlite3
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convlift.errors import LedgerError
from convlift.ledger.fingerprint import to_json
from convlift.outcome import EpochReport, Outcome, Status
from convlift.recipe import Recipe, parse_recipe

CAMPAIGN_ENDED = "the campaign's process ended"  # why an attempt ended that is not the trial's own fault

Role = Literal["pilot", "probe", "scout", "search", "final"]
Cause = Literal["itself", "outside", "memory"]
"""Why a trial's process died: by its own doing; killed by somebody, or with the campaign's own process; killed by the
kernel for want of memory."""


@dataclass(frozen=True)
class Plan:
    """A trial before it is claimed. names: the candidates that are on; fidelity: fraction of the full training."""

    role: Role
    recipe: Recipe
    seed: int
    names: tuple[str, ...] = ()
    fidelity: float = 1.0


@dataclass(frozen=True)
class TrialRecord:
    """One trial of the ledger. number: its place within its role, from 1; attempt: how often it was begun, from 1.

    outcome: None while the trial is claimed and has not ended. Its arrays are read-only.
    """

    id: int
    number: int
    role: Role
    recipe: Recipe
    fingerprint: str
    names: tuple[str, ...]
    seed: int
    fidelity: float
    attempt: int
    outcome: Outcome | None

    @property
    def status(self) -> Status | Literal["claimed"]:
        """claimed, or how the trial ended."""
        return self.outcome.status if self.outcome else "claimed"

    @property
    def is_evidence(self) -> bool:
        """Whether it says something of its recipe: it ended by itself, well or badly, and not by the clock nor with the
        campaign's own process."""
        if self.outcome is None or self.outcome.status == "stopped":
            return False
        return not self.outcome.reason.endswith(CAMPAIGN_ENDED)


SELECT_TRIAL = """
    SELECT trials.*, outcomes.status, outcomes.reason, outcomes.seconds, outcomes.validation, outcomes.test,
        outcomes.curve, outcomes.weights,
        (SELECT SUM(change) FROM claims WHERE claims.trial = trials.id) AS attempt
    FROM trials LEFT JOIN outcomes ON outcomes.trial = trials.id WHERE trials.id = ?"""


def trial_record(row: sqlite3.Row) -> TrialRecord:
    """A row of SELECT_TRIAL as a record. Raises LedgerError where its contents are damaged."""
    try:
        return TrialRecord(
            id=row["id"],
            number=row["number"],
            role=row["role"],
            recipe=parse_recipe(json.loads(row["recipe"]), where=f"recipe of trial {row['id']}"),
            fingerprint=row["fingerprint"],
            names=tuple(json.loads(row["names"])),
            seed=row["seed"],
            fidelity=row["fidelity"],
            attempt=row["attempt"],
            outcome=_outcome(row) if row["status"] else None,
        )
    except (ValueError, TypeError, EOFError, zlib.error) as error:
        raise LedgerError(
            f"trial {row['id']} of the ledger is damaged ({error}); restore a copy of the run folder or start anew."
        ) from error


def _outcome(row: sqlite3.Row) -> Outcome:
    return Outcome(
        status=row["status"],
        validation_probabilities=unpack(row["validation"]),
        test_probabilities=unpack(row["test"]),
        curve=tuple(EpochReport(**report) for report in json.loads(row["curve"])),
        seconds=row["seconds"],
        reason=row["reason"],
        weights=row["weights"],
    )


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
    )


def pack(array_NK: NDArray[np.float32]) -> bytes:
    """Compressed npy file (it states shape and type). Kept in float32: a resumed campaign must believe, to the last
    bit, what the uninterrupted one believed, and a half-precision probability can change the class that wins.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array_NK, dtype=np.float32), allow_pickle=False)
    return zlib.compress(buffer.getvalue(), level=1)  # zlib's checksum also guards the contents


def unpack(blob: bytes) -> NDArray[np.float32]:
    """The read-only array of `pack`; never unpickles. Raises ValueError or zlib.error where it is damaged."""
    array: NDArray[np.float32] = np.load(io.BytesIO(zlib.decompress(blob)), allow_pickle=False)
    array.setflags(write=False)
    return array
