"""From trials to scores on the validation images, to which of them collapsed, and to what the regression is given."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from convlift.evidence import posterior
from convlift.evidence.image_variance import accuracy_variance, effective_number, run_variance
from convlift.evidence.metrics import AUROC
from convlift.evidence.shifted_scores import points_of_copies
from convlift.evidence.temperature import as_it_ships
from convlift.ledger.trials import TrialRecord
from convlift.records.outcome import NO_PROBABILITIES
from convlift.search.problem import Problem
from convlift.search.space import floored

CHANCE = 0.5  # AUROC of a network that has learned nothing
COLLAPSED = 0.5  # of the way from there to the best run: what learns less has failed to learn
UNTRIED = 0.8  # accuracy that is assumed before any run
# standard errors of a difference on validation images: 300 photos fine-tuned for 16 / 40 epochs score .713 / .739 where
# their features score .692, and with 80 validation images the features were ahead by two; of 4,317 photos, 648 of them
# for validation, a shorter way to fine-tune was ahead by one, and all that was searched from it ended 1.6 points lower.
# Between .5 and 2 the choice hardly matters (.1 points at most, simulated); in the third real case `transfer` was ahead
# by 1.7 on pneumonia, and 8.5 points lower on its test (docs/decisions/0072). Of networks from scratch no such is known
DOUBT, DOUBT_OF_TUNED = 1.0, 2.0


@dataclass(frozen=True)
class Scores:
    """Scores of a problem's trials; owns the memory of those that were computed, since every belief asks for all."""

    problem: Problem
    _known: dict[bytes, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _areas: dict[bytes, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def score_points(self, record: TrialRecord) -> float:
        """What a finished trial is chosen by, in points, 100 at best: its score on the validation images, on corrupted
        copies of them, or both (`Problem.goal`); NaN where it left none, or learned from these images."""
        points = self.image_points(record)
        return float(points.mean()) if len(points) else float("nan")

    def clean_score_points(self, record: TrialRecord) -> float:
        """Its score on the validation images, whatever is chosen by."""
        return float(self.clean_points(record.unseen).mean()) if len(record.unseen) else float("nan")

    def shifted_score_points(self, record: TrialRecord) -> float:
        """Its score on corrupted copies of them; NaN where it left none."""
        points = self.shifted_points(record)
        return float(points.mean()) if len(points) else float("nan")

    def rank(self, record: TrialRecord) -> float:
        """`score_points` to compare by: minus infinity where there is none, since nothing compares with NaN."""
        points = self.score_points(record)
        return points if points == points else -math.inf

    def doubt(self, one: TrialRecord, other: TrialRecord) -> float:
        """Points by which another trial may be ahead on the validation images and say nothing against what is known of
        the recipe of this one: DOUBT standard errors of the difference, DOUBT_OF_TUNED where it is fine-tuned."""
        first, second = (self.image_points(record) for record in (one, other))
        times = DOUBT_OF_TUNED if one.recipe.training.fine_tuning else DOUBT
        return times * float(np.std(first - second) / math.sqrt(len(first)))

    def image_points(self, record: TrialRecord) -> NDArray[np.float64]:
        """(n,): what every validation image adds to what the trial is chosen by, in points; (0,) where it left none.
        With copies an image counts once: by its mean over them, and over itself where the goal is the mean of both."""
        if not len(record.unseen):
            return np.zeros(0)
        if self.problem.goal == "clean":
            return self.clean_points(record.unseen)
        shifted = self.shifted_points(record)
        if self.problem.goal == "shifted" or not len(shifted):
            return shifted
        return 0.5 * (self.clean_points(record.unseen) + shifted)

    def shifted_points(self, record: TrialRecord) -> NDArray[np.float64]:
        """(n,): mean score of every validation image's corrupted copies in points, of a log-loss at the temperature
        fitted to the images as they are; (0,) where the trial left none."""
        said = record.outcome.shifted_probabilities if record.outcome else NO_PROBABILITIES
        copies, labels = self.problem.copies, self.problem.validation_labels
        if copies is None or not len(record.unseen) or len(said) != copies.each * len(labels):
            return np.zeros(0)
        key = hashlib.sha256(said.tobytes() + record.unseen.tobytes()).digest()
        if key not in self._known:
            groups = self.problem.validation_groups
            self._known[key] = points_of_copies(self.problem.metric, said, record.unseen, labels, groups)
        return self._known[key]

    def clean_points(self, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,): score of every validation image in points, of a log-loss at the temperature fitted to them."""
        key = hashlib.sha256(probabilities.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self.problem.metric.points(self._shipped(probabilities), self.problem.validation_labels)
        return self._known[key]

    def _shipped(self, probabilities: NDArray[np.float32]) -> NDArray[np.floating]:
        problem = self.problem
        return as_it_ships(problem.metric, probabilities, problem.validation_labels, problem.validation_groups)

    def collapsed(self, records: Sequence[TrialRecord]) -> NDArray[np.bool_]:
        """(R,): which trials failed to learn: they diverged or failed, or tell validation images of one class from the
        others hardly better than chance. By AUROC, whatever the metric, since that is one half by chance however uneven
        the classes are and however much their weights move what is predicted."""
        areas = np.array([self.area(record) for record in records])
        return areas < CHANCE + COLLAPSED * max(float(areas.max(initial=CHANCE)) - CHANCE, 0.0)

    def area(self, record: TrialRecord) -> float:
        """AUROC of a trial on the validation images, 0 where it left no probabilities, or learned from these images."""
        probabilities = record.unseen
        if not len(probabilities) or (self.problem.copies and not len(self.shifted_points(record))):
            return 0.0
        key = hashlib.sha256(probabilities.tobytes()).digest()
        if key not in self._areas:
            self._areas[key] = AUROC.score(probabilities, self.problem.validation_labels)
        return self._areas[key]

    def unit(self, records: Sequence[TrialRecord]) -> float:
        """How many points of the metric a point of accuracy is worth, by the records that learned something."""
        collapsed = self.collapsed(records)
        return self._unit([record for record, lost in zip(records, collapsed, strict=True) if not lost])

    def _unit(self, sound: Sequence[TrialRecord]) -> float:
        said = [self._shipped(record.outcome.validation_probabilities) for record in sound if record.outcome]
        return self.problem.metric.unit(said, self.problem.validation_labels)

    def trials(
        self,
        on: NDArray[np.bool_],
        records: Sequence[TrialRecord],
        extra_cost: NDArray[np.float64] | None = None,
        low_fidelity: posterior.LowFidelityRuns | None = None,
    ) -> posterior.Trials:
        """Runs as the model wants them: in points of accuracy's size, on as many images as are independent.

        on (R, K): what each of `records` had on. The noise is judged by those that did not collapse; see `Metric.unit`
        and `image_variance.effective_number`.
        """
        collapsed = self.collapsed(records)
        sound = [record for record, lost in zip(records, collapsed, strict=True) if not lost]
        labels = self.problem.validation_labels
        images = np.array([self.image_points(record) for record in sound]).reshape(len(sound), len(labels))
        unit = self._unit(sound)
        scores = np.array([self.score_points(record) for record in records]) / unit
        return posterior.Trials(
            on,
            floored(scores, collapsed),
            n_images=round(effective_number(images, self.problem.validation_groups)),
            image_variance=run_variance(images) / unit**2 if sound else accuracy_variance(UNTRIED),
            extra_cost=extra_cost,
            low_fidelity=low_fidelity and replace(low_fidelity, score_points=low_fidelity.score_points / unit),
            collapsed=collapsed,
        )
