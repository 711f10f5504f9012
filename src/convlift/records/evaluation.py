"""What a trained network makes of labelled images."""

from dataclasses import dataclass, field

from convlift.records.confidence import AS_GIVEN, Confidence
from convlift.records.finding import Finding
from convlift.records.plan_applied import PlanApplied
from convlift.records.result import Estimate, NetworkGain
from convlift.records.shift import ShiftEvaluation


@dataclass(frozen=True)
class ClassFigures:
    """images: of the class; predicted: images that are taken for it; recall: the share of its images that are found;
    precision: the share of what is taken for it that is of it; None where there are none of them."""

    name: str
    images: int
    predicted: int
    recall: Estimate | None
    precision: Estimate | None


@dataclass(frozen=True)
class ConfidenceBin:
    """Images whose confidence lies in [low, high): how many, their mean confidence, and the share that is right."""

    low: float
    high: float
    images: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """error: the expected calibration error, in [0, 1]; by_chance: what it would be on average, on as many images, were
    every confidence true; confidence: the mean one."""

    error: Estimate
    by_chance: float
    confidence: float
    bins: tuple[ConfidenceBin, ...]


@dataclass(frozen=True)
class GroupFigures:
    """One group of images: its name, how many were classified, the share that is right."""

    name: str
    images: int
    right: float


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold that was chosen on validation images, see `confidence.Threshold`, and what it gives on these.

    sensitivity: the share of images of the class that pass it; specificity: the share of the others that do not; None
    where there are none of them.
    """

    positive: str
    target: str
    threshold: float
    sensitivity: Estimate | None
    specificity: Estimate | None


@dataclass(frozen=True)
class RocCurve:
    """Of one class against the rest: its name, the area, and the corners of the curve, a part of them where there are
    many: shares of the other images, and of its own, that pass a threshold."""

    positive: str
    area: float
    false_rates: tuple[float, ...]
    true_rates: tuple[float, ...]


@dataclass(frozen=True)
class Answer:
    """One image: its name, its class, what it is taken for, with what probability, and the probability of its class."""

    image: str
    label: str
    predicted: str
    confidence: float
    probability: float

    @property
    def is_right(self) -> bool:
        """Whether it is taken for what it is."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Comparison:
    """rival: the other model; metric: by which they are compared; gain: of the evaluated one over the rival."""

    rival: str
    metric: str
    gain: NetworkGain


@dataclass(frozen=True)
class Evaluation:
    """data: their name; part: of them, "" for all; scores: by metric, 1 at best; confusion[i][j]: images of class i
    that are taken for class j, of the classes in their order; unreadable: a sentence each; notes: on how images were
    read, and of how many; learned_from: the models that were trained on these very images; findings: of the data;
    confidence: the model's; groups: those that the images come in, the weakest first; operating_points: of two classes,
    or of the one that was asked for; plan: what a plan changed of the data; curves: of every class with images, the
    only one of two classes; shift: what it is worth on corrupted copies; pseudo_images: how many images training's
    statistics of batch norms counted as, which were estimated anew on these images; None where they were left alone."""

    model: str
    data: str
    part: str
    scores: dict[str, Estimate]
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    unreadable: tuple[str, ...] = ()
    notes: tuple[tuple[str, int], ...] = ()
    learned_from: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    comparison: Comparison | None = None
    shift: ShiftEvaluation | None = None
    pseudo_images: int | None = None
    confidence: Confidence = AS_GIVEN
    groups: tuple[GroupFigures, ...] = ()
    operating_points: tuple[OperatingPoint, ...] = ()
    plan: PlanApplied | None = None
    curves: tuple[RocCurve, ...] = field(default=(), repr=False)
    answers: tuple[Answer, ...] = field(default=(), repr=False)

    @property
    def images(self) -> int:
        """How many were classified."""
        return len(self.answers)
