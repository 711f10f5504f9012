"""A file that was written for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convlift.records.result import Estimate

Format = Literal["onnx", "torch-export"]
Precision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True)
class Parity:
    """How far a file is from convlift. images: that were compared; made_up: whether nobody's; network: the largest
    difference of a probability on the same pixels; whole: of one from the image on; milliseconds: of one image of 500 x
    375 pixels, one thread, the preprocessing with it; of a program of a square, without."""

    images: int
    made_up: bool
    network: float
    whole: float
    milliseconds: float


@dataclass(frozen=True)
class Agreement:
    """What the answers of a smaller file say of other images. images: that were compared; changed: answers that differ;
    most_changed: the upper bound of their share; gain: in accuracy, in points, None where the images have no labels."""

    images: int
    changed: int
    most_changed: float
    gain: Estimate | None


@dataclass(frozen=True)
class Exported:
    """file: that was written; card: the model card that lies beside it, None where it lies elsewhere; opset: of an
    ONNX graph, 0 of a program; parity: how far it is from convlift's own predictions; resolution: of the network's
    images; agreement: of a file of fewer bits on images of the user's; weights_only: whether only its
    weights have them."""

    file: Path
    card: Path | None
    megabytes: float
    classes: tuple[str, ...]
    opset: int
    parity: Parity
    resolution: int
    format: Format = "onnx"
    precision: Precision = "float32"
    agreement: Agreement | None = None
    weights_only: bool = False
