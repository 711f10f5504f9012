"""What a campaign is given, and the small questions that all its steps ask."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlift.ledger.records import Plan, Role, TrialRecord
from convlift.recipe import Recipe
from convlift.study.intervention import Facts
from convlift.study.pace import Pace, Timed
from convlift.study.starting_points import StartingPoint

BASELINE = "baseline"


@dataclass(frozen=True)
class Study:
    """baseline: the recipe to be improved, and its name; starts: other starting points to probe; validation_labels
    (n,); closing_seconds: kept at the end for judging and for the report."""

    baseline: Recipe
    baseline_name: str
    starts: tuple[StartingPoint, ...]
    facts: Facts
    pace: Pace
    validation_labels: NDArray[np.int64]
    seed: int
    ship: Literal["auto", "lean", "best"]
    closing_seconds: float

    @property
    def points(self) -> tuple[StartingPoint, ...]:
        """Every starting point, the baseline first."""
        return (StartingPoint(BASELINE, self.baseline, "the recipe to be improved"), *self.starts)

    def plan(self, role: Role, recipe: Recipe, number: int, names: tuple[str, ...] = (), fidelity: float = 1.0) -> Plan:
        """Trial number `number` of its role, with a seed that nothing else shares."""
        digest = hashlib.sha256(f"{self.seed} {role} {number}".encode()).digest()
        return Plan(role, recipe, int.from_bytes(digest[:4], "big") >> 1, names, fidelity)

    def score_points(self, record: TrialRecord) -> float:
        """Validation accuracy of a finished trial in points, 0 to 100; NaN where it left none."""
        if record.outcome is None or not len(record.outcome.validation_probabilities):
            return float("nan")
        said = record.outcome.validation_probabilities.argmax(axis=1)
        return 100.0 * float((said == self.validation_labels).mean())

    def seconds(
        self, recipe: Recipe, records: Iterable[TrialRecord], fidelity: float = 1.0, *, again: bool = False
    ) -> float:
        """What a training will take, from those that ended; again: when what can be stored is stored already."""
        return self.pace.seconds(
            recipe,
            [
                Timed(
                    record.recipe,
                    record.fidelity,
                    record.outcome.seconds,
                    sum(epoch.seconds for epoch in record.outcome.curve),
                )
                for record in records
                if record.outcome is not None and record.status == "finished"
            ],
            fidelity,
            again=again,
        )
