"""What makes a model's probabilities mean what they say, and where they may be cut."""

from dataclasses import dataclass
from typing import Literal

FittedOn = Literal["validation", "validation, by runs that had not seen it", "nothing"]
BY_OTHERS: FittedOn = "validation, by runs that had not seen it"
Target = Literal["sensitivity 0.90", "sensitivity 0.95", "sensitivity 0.99", "Youden's J"]


@dataclass(frozen=True)
class Threshold:
    """An image is called positive where the probability of the class `positive` is at least `threshold`; target: what
    it was chosen for."""

    positive: str
    target: Target
    threshold: float


@dataclass(frozen=True)
class Confidence:
    """temperature: by which logits are divided before the softmax; fitted_on: the images that it, and the thresholds,
    come from; "nothing" where it is 1 for want of images that nothing had learned from."""

    temperature: float = 1.0
    fitted_on: FittedOn = "nothing"
    thresholds: tuple[Threshold, ...] = ()


AS_GIVEN = Confidence()


@dataclass(frozen=True)
class Calibrated:
    """The temperature of what ships, and its probabilities on the test. fitted_on: see `Confidence`; images: of the
    test; log_loss_before, log_loss: in nats an image, without the temperature and with it; error: the expected
    calibration error with it, and its interval; by_chance: see `evaluation.Calibration`.
    None where the test stayed closed."""

    temperature: float
    fitted_on: FittedOn
    images: int | None = None
    log_loss_before: float | None = None
    log_loss: float | None = None
    error: float | None = None
    error_low: float | None = None
    error_high: float | None = None
    by_chance: float | None = None
    kind: Literal["calibrated"] = "calibrated"
