"""What a network is worth on images unlike those of training: corrupted copies, or images from elsewhere."""

from dataclasses import dataclass

from convlift.records.result import Estimate, NetworkGain


@dataclass(frozen=True)
class CorruptionScore:
    """Accuracy under one corruption. severity: 1 to 5, 0 for the mean of all."""

    name: str
    severity: int
    accuracy: Estimate


@dataclass(frozen=True)
class ShiftScores:
    """One network's accuracy on the images as they are and on corrupted copies of the same ones; intervals count an
    image with all its copies as one.

    mean: over corruptions and severities.
    lost_points: mean less clean, in percentage points, below 0 where corruption costs; paired.
    kept: mean over clean; None where nothing was right.
    by_severity, by_corruption: the means' parts.
    """

    model: str
    clean: Estimate
    mean: Estimate
    lost_points: Estimate
    kept: Estimate | None
    by_severity: tuple[CorruptionScore, ...]
    by_corruption: tuple[CorruptionScore, ...]


@dataclass(frozen=True)
class ShiftEvaluation:
    """A network under corruptions, and beside another one.

    corruptions: their names; copies: of every image.
    gain: of the evaluated network over the rival, on corrupted copies, by the metric; paired.
    of_images: of every image that was classified the share of its copies that is classified correctly.
    pseudo_images: how many images the statistics of training counted as; None where batch norm was left alone.
    """

    corruptions: tuple[str, ...]
    copies: int
    scores: ShiftScores
    rival: ShiftScores | None = None
    metric: str = "accuracy"
    gain: NetworkGain | None = None
    of_images: tuple[float, ...] = ()
    pseudo_images: int | None = None
