"""What a trained network makes of an augmentation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A validation image before and after an augmentation.

    before, after: as PNG bytes.
    true_class, taken_for: its class, and the one predicted afterwards.
    confidence_before, confidence_after: the network's probability of either, in [0, 1].
    """

    before: bytes
    after: bytes
    true_class: str
    taken_for: str
    confidence_before: float
    confidence_after: float


@dataclass(frozen=True)
class LabelCheck:
    """One augmentation, checked by one network.

    accuracy, augmented_accuracy: of the network as it is, in [0, 1], on the same validation images as they are and
        augmented.
    loss_points: their difference in percentage points.
    standard_error: of it, paired over images.
    recognized: what is left of the accuracy beyond chance, 1 where nothing is lost (affinity, Gontijo-Lopes et al.
        2021, section 3, with chance taken off).
    harm_points: how much worse untouched images are classified when its last layer is fitted to augmented instead of
        untouched ones, in points of accuracy.
    p_value: of that against "no worse", one-sided.
    confused: (true class, taken for) of the most frequent new mistake, () where there is none.
    """

    accuracy: float
    augmented_accuracy: float
    loss_points: float
    standard_error: float
    recognized: float
    harm_points: float
    p_value: float
    confused: tuple[str, ...]
    example: Example | None
