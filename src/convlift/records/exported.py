"""A file that was written for other programs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parity:
    """How far a file is from convlift. images: that were compared; made_up: whether nobody's; network: the largest
    difference of a probability on the same pixels; whole: of one from the image on; milliseconds: of one image of 500 x
    375 pixels, one thread, the preprocessing with it."""

    images: int
    made_up: bool
    network: float
    whole: float
    milliseconds: float


@dataclass(frozen=True)
class Exported:
    """file: that was written; card: the model card that lies beside it, None where it lies elsewhere; opset: of the
    ONNX graph; parity: how far it is from convlift's own predictions."""

    file: Path
    card: Path | None
    megabytes: float
    classes: tuple[str, ...]
    opset: int
    parity: Parity
