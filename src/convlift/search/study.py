"""What a campaign is given, and the small questions that all its steps ask."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.candidates import Candidate
from convlift.catalogue.priors import Expectations
from convlift.catalogue.starting_points import StartingPoint
from convlift.cost.seconds import Pace, Timed
from convlift.evidence import posterior
from convlift.evidence.image_variance import Groups, accuracy_variance, effective_number, run_variance
from convlift.evidence.metrics import ACCURACY, AUROC, Metric
from convlift.ledger.records import Plan, Role, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.facts import Facts
from convlift.records.outcome import NO_PROBABILITIES, EpochReport
from convlift.search.dispatcher import Dispatcher
from convlift.search.space import floored
from convlift.trial.label_checker import OpenLabelChecker

BASELINE = "baseline"
CHANCE = 0.5  # AUROC of a network that has learned nothing
COLLAPSED = 0.5  # of the way from there to the best run: what learns less has come to nothing
MOST_LAG, TRAININGS_A_LAG = 7, 8
UNTRIED = 0.8  # accuracy that is assumed before any run


@dataclass(frozen=True)
class Study:
    """baseline: the recipe to be improved, and its name; starts: other starting points to probe; validation_labels
    (n,); closing_seconds: kept at the end for judging and for the report; ask: opens a trained
    network for questions about augmentations (guard.py), None for none; metric: what is to be raised;
    pool: the changes to be tried instead of the catalogue's, unweighed and unguarded; expectations: what past campaigns
    lead one to expect of changes, None for those that come with the package;
    validation_groups (n,), test_groups (nt,): which images belong together, None where each stands alone.
    trainings: how many the campaign has, whatever they take, 0 where its time is given instead."""

    baseline: Recipe
    baseline_name: str
    starts: tuple[StartingPoint, ...]
    facts: Facts
    pace: Pace
    validation_labels: NDArray[np.int64]
    seed: int
    ship: Literal["auto", "lean", "best"]
    closing_seconds: float
    ask: OpenLabelChecker | None = None
    pool: tuple[Candidate, ...] | None = None
    expectations: Expectations | None = None
    metric: Metric = ACCURACY
    validation_groups: Groups = None
    test_groups: Groups = None
    trainings: int = 0
    _known: dict[bytes, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _areas: dict[bytes, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def left(self, desk: Dispatcher) -> float:
        """Seconds that trainings may still take: without those for judging and the report; never under 0."""
        return max(0.0, desk.left() - self.closing_seconds)

    def seen(self, trials: tuple[TrialRecord, ...]) -> tuple[TrialRecord, ...]:
        """Of one role's trials those that the next recipe may be drawn from: where trainings are counted, those before
        the last `lag`, whichever of the others have ended by now."""
        return trials[: max(0, len(trials) - self.lag)] if self.trainings else trials

    def may_draw(self, trials: tuple[TrialRecord, ...]) -> bool:
        """Whether the next recipe can be drawn now: where trainings are counted, once what it is drawn from ended."""
        return not self.trainings or all(record.outcome is not None for record in self.seen(trials))

    @property
    def lag(self) -> int:
        """Where trainings are counted, the k-th recipe is drawn from the trials before the last `lag` ones, whichever
        end first: as many as eight run at once, and the same recipes are drawn on every machine (up to eight at once
        cost the search nothing, simulated)."""
        return min(MOST_LAG, max(1, self.trainings // TRAININGS_A_LAG))

    @property
    def points(self) -> tuple[StartingPoint, ...]:
        """Every starting point, the baseline first."""
        return (StartingPoint(BASELINE, self.baseline, "the recipe to be improved"), *self.starts)

    def plan(self, role: Role, recipe: Recipe, number: int, names: tuple[str, ...] = (), fidelity: float = 1.0) -> Plan:
        """Trial number `number` of its role, with a seed that nothing else shares."""
        digest = hashlib.sha256(f"{self.seed} {role} {number}".encode()).digest()
        return Plan(role, TrialSpec(recipe, int.from_bytes(digest[:4], "big") >> 1, fidelity), names)

    def score_points(self, record: TrialRecord) -> float:
        """Validation score of a finished trial in points, 100 at best; NaN where it left none."""
        if record.outcome is None or not len(record.outcome.validation_probabilities):
            return float("nan")
        return float(self.image_points(record.outcome.validation_probabilities).mean())

    def image_points(self, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,): score of every validation image in points. Kept, since every belief asks for those of all runs."""
        key = hashlib.sha256(probabilities.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self.metric.points(probabilities, self.validation_labels)
        return self._known[key]

    def collapsed(self, records: Sequence[TrialRecord]) -> NDArray[np.bool_]:
        """(R,): which trials came to nothing: they diverged or failed, or tell validation images of one class from the
        others hardly better than chance. By AUROC, whatever the metric, since that is one half by chance however uneven
        the classes are and however much their weights move what is named."""
        areas = np.array([self.area(record) for record in records])
        return areas < CHANCE + COLLAPSED * max(float(areas.max(initial=CHANCE)) - CHANCE, 0.0)

    def area(self, record: TrialRecord) -> float:
        """AUROC of a trial on the validation images, 0 where it left no word."""
        said = NO_PROBABILITIES if record.outcome is None else record.outcome.validation_probabilities
        if not len(said):
            return 0.0
        key = hashlib.sha256(said.tobytes()).digest()
        if key not in self._areas:
            self._areas[key] = AUROC.score(said, self.validation_labels)
        return self._areas[key]

    def trials(
        self,
        on: NDArray[np.bool_],
        records: Sequence[TrialRecord],
        extra_cost: NDArray[np.float64] | None = None,
        scouts: posterior.Scouts | None = None,
    ) -> posterior.Trials:
        """Runs as the model wants them: in points of accuracy's size, on as many images as are independent.

        on (R, K): what each of `records` had on. The noise is judged by those that did not collapse; see `Metric.unit`
        and `image_variance.effective_number`.
        """
        collapsed = self.collapsed(records)
        sound = [record for record, lost in zip(records, collapsed, strict=True) if not lost]
        said = [record.outcome.validation_probabilities for record in sound if record.outcome is not None]
        images = np.array([self.image_points(each) for each in said]).reshape(len(said), len(self.validation_labels))
        unit = self.metric.unit(said, self.validation_labels)
        scores = np.array([self.score_points(record) for record in records]) / unit
        return posterior.Trials(
            on,
            floored(scores, collapsed),
            n_images=round(effective_number(images, self.validation_groups)),
            image_variance=run_variance(images) / unit**2 if said else accuracy_variance(UNTRIED),
            extra_cost=extra_cost,
            scouts=scouts and replace(scouts, score_points=scouts.score_points / unit),
            collapsed=collapsed,
        )

    def seconds(
        self, recipe: Recipe, records: Iterable[TrialRecord], fidelity: float = 1.0, *, again: bool = False
    ) -> float:
        """What a training will take, from those that ended; again: when what can be stored is stored already."""
        return self.pace.seconds(
            recipe,
            [timed for record in records if (timed := self._timed(record)) is not None],
            fidelity,
            again=again,
        )

    def _timed(self, record: TrialRecord) -> Timed | None:
        """What a trial says of the machine's speed; one that the clock stopped, by the part that it got through."""
        outcome = record.outcome
        if outcome is None or record.status not in ("finished", "stopped") or not outcome.curve:
            return None
        tuned = [epoch for epoch in outcome.curve if epoch.phase == "fine-tune"]
        first = [epoch for epoch in outcome.curve if epoch.phase != "fine-tune"]
        whole = record.status == "finished"
        return Timed(
            record.recipe,
            record.fidelity,
            outcome.seconds,
            sum(epoch.seconds for epoch in outcome.curve),
            sum(epoch.seconds for epoch in tuned),
            1.0 if whole else self._done(record, first),
            1.0 if whole else self._done(record, tuned),
        )

    def _done(self, record: TrialRecord, epochs: Sequence[EpochReport]) -> float:
        """The share of a phase that a stopped trial got through."""
        if not epochs:
            return 0.0
        images = max(1.0, record.recipe.data.images * self.facts.training_images)
        return min(1.0, sum(images if e.images is None else e.images for e in epochs) / (images * epochs[0].epochs))
