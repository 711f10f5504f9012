"""Everything that was observed of one training, for the rules that say what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.accusations import WORTH_REPORTING, Accusation, accuse
from convlift.catalogue.diagnose import Diagnosis, diagnose
from convlift.catalogue.prospects import Prospect, prospects
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe
from convlift.records.evidence_of_checks import (
    AuditSays,
    Confidences,
    DetailLost,
    ImagesInBoth,
    LabelsContradicted,
    PlainAccuracies,
)
from convlift.records.evidence_of_symptoms import Evidence
from convlift.records.facts import Facts
from convlift.records.outcome import EpochReport, Outcome
from convlift.records.recipe_findings import Confirmed, Fault


@dataclass(frozen=True)
class Tried:
    """What a second training has shown of an accusation.

    with_it, without_it: validation scores in [0, 1], NaN where that training failed to learn; error: standard error of
    their difference; found: None where undoing the lever did not help for certain.
    """

    fault: Fault
    with_it: float
    without_it: float
    error: float
    found: Confirmed | None


@dataclass(frozen=True, eq=False)
class Observed:
    """One training of `recipe`, and what was looked at beside it; None where nobody looked.

    labels: of the validation images, in the order of the outcome's rows; class_sizes (K,): training images a class.
    plain, contradicted, detail, confidences: see `records/evidence_of_checks.py`. both: validation images that are
    training images too.
    shortcuts, conflicts: what the audit says of files that give the class away, and of images under two classes.
    are_files: whether the images came as files, so that there was something to see.
    """

    outcome: Outcome
    labels: NDArray[np.int64]
    recipe: Recipe
    facts: Facts
    class_sizes: NDArray[np.int64]
    plain: PlainAccuracies | None = None
    contradicted: LabelsContradicted | None = None
    detail: DetailLost | None = None
    confidences: Confidences | None = None
    both: ImagesInBoth | None = None
    shortcuts: tuple[AuditSays, ...] = ()
    conflicts: tuple[AuditSays, ...] = ()
    are_files: bool = True
    tried: Tried | None = None

    @cached_property
    def symptoms(self) -> tuple[Diagnosis, ...]:
        """What its curve and its predictions show."""
        return diagnose(self.outcome, self.labels, self.recipe, self.facts)

    @cached_property
    def accusations(self) -> tuple[Accusation, ...]:
        """The levers that it accuses, the most suspected first; () where there is less to gain than is worth a finding,
        whatever its curve looks like."""
        said = self.outcome.validation_probabilities
        if len(said) == len(self.labels) > 0 and (said.argmax(axis=1) != self.labels).mean() < WORTH_REPORTING:
            return ()
        return accuse(self.outcome, self.labels, self.recipe, self.facts)

    @property
    def curve(self) -> tuple[EpochReport, ...]:
        """Of its last phase."""
        whole = self.outcome.curve
        return tuple(report for report in whole if report.phase == whole[-1].phase)

    def evidence(self, *symptoms: Symptom) -> Iterator[Evidence]:
        """What shows one of these symptoms."""
        yield from (each.evidence for each in self.symptoms if each.symptom in symptoms)

    def changes(self, *symptoms: Symptom) -> tuple[Prospect, ...]:
        """The changes that they call for."""
        return prospects(self.recipe, self.facts, symptoms)
