"""Whether an ONNX file predicts what convlift predicts: the gate that every file passes, or is not written."""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from convlift.augment.pipeline import normalize
from convlift.console.resources import usable_cpus
from convlift.data.decode import from_array
from convlift.data.normalization import of_figures
from convlift.data.square import square
from convlift.deploy.onnx_classifier import DISTANCES, IMAGES, PROBABILITIES
from convlift.deploy.predict import Model
from convlift.errors import ConvliftError
from convlift.interchange.preprocessing_graph import INPUTS, given_channels
from convlift.records.exported import Parity, Precision

# The network must agree on the same pixels. The pixels themselves may differ by one level of 255 where the sum of a
# resize lies half-way between two, and by two where both of its passes meet that: onnxruntime has its weights in
# float32, Pillow in float64. Up to .13% of them do, and of a network for tiny images one such pixel moves a probability
# by .006
NETWORK, LEVELS, SHARE, FEW, WHOLE = 1e-4, 2, 0.01, 3, 0.02
# what a probability may differ by, of the network on the same pixels and of the whole; half precision has 11 bits, and
# an answer changes only where two classes lie closer than twice that; of eight bits only the answers are judged
ALLOWED: dict[Precision, tuple[float, float]] = {
    "float32": (NETWORK, WHOLE),
    "float16": (0.01, 0.03),
    "int8": (1.0, 1.0),
}
NEAR = 0.02  # of a distance, which the same pixels decide
BATCHES = (1, 3, 8)
SIZES = ((48, 64), (128, 128), (320, 240), (200, 700), (1100, 900))  # height, width of made-up images
TIMED, TIMED_SIZE = 20, (375, 500)

Pixels = NDArray[np.uint8]


def check_parity(model: Model, made: ModelProto, images: Iterable[Pixels], precision: Precision = "float32") -> Parity:
    """Compare on images of one's own, one after another, (H, W, 3) or of as many bands as the model sees, or on made-up
    ones where there are none.

    model: on the CPU; precision: the file's. Raises ConvliftError where they do not agree, with the figure.
    """
    session = _session(made, usable_cpus(), with_inputs=True)
    own, made_up = iter(images), partial(made_up_images, given_channels(model.config.channels))
    first = next(own, None)
    network, whole = [], []
    for image in made_up() if first is None else itertools.chain([first], own):
        probabilities, inputs = session.run([PROBABILITIES, INPUTS], {IMAGES: image[None]})
        _compare_pixels(model, image, inputs)
        network.append(_difference(probabilities, _predicted(model, inputs)))
        whole.append(_difference(probabilities, _predicted(model, _prepared(model, image))))
    count = len(whole)
    network += [_of_a_batch(session, next(made_up()), size) for size in BATCHES]
    milliseconds = _milliseconds(made, given_channels(model.config.channels))
    found = Parity(count, first is None, float(np.max(network)), float(np.max(whole)), milliseconds)
    for difference, allowed in zip((found.network, found.whole), ALLOWED[precision], strict=True):
        if not difference <= allowed:  # NaN fails it too
            raise ConvliftError(
                f"the ONNX file would differ from convlift by {difference:.2g} in a probability, and at most "
                f"{allowed:g} "
                "is allowed; no file was written. Please report it with the recipe."
            )
    return found


def distances_agree(model: Model, made: ModelProto) -> bool:
    """Whether a file's distances from the images of training are convlift's, within NEAR, on made-up images."""
    session = _session(made, usable_cpus())
    for image in made_up_images(given_channels(model.config.channels)):
        (found,) = session.run([DISTANCES], {IMAGES: image[None]})
        (known,) = model.seen([model.prepared(from_array(image).pixels)])[1]
        if known is None or not abs(float(found[0]) - known) <= NEAR * known:
            return False
    return True


def made_up_images(channels: int = 3) -> Iterator[Pixels]:
    """Smooth colours, or bands, with noise on them, of several sizes and shapes; always the same ones."""
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        rows, columns = np.linspace(0, 9, height)[:, None, None], np.linspace(0, 7, width)[None, :, None]
        phases = rng.uniform(0, 6, channels)
        smooth = 127.5 + 90.0 * np.sin(rows + phases) * np.cos(columns * 1.7 - phases)
        yield np.clip(smooth + rng.normal(0, 25, (height, width, channels)), 0, 255).astype(np.uint8)


def _session(made: ModelProto, threads: int, *, with_inputs: bool = False) -> onnxruntime.InferenceSession:
    """with_inputs: also give what the preprocessing made of the images."""
    checked = made
    if with_inputs:
        checked = ModelProto()
        checked.CopyFrom(made)
        checked.graph.output.append(helper.make_tensor_value_info(INPUTS, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(checked.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _prepared(model: Model, image: Pixels) -> NDArray[np.float32]:
    """(1, C, R, R), as convlift prepares an image for its network."""
    config = model.config
    return inputs_of(model, square(from_array(image).pixels, config.channels, config.resolution, config.preparation))


def inputs_of(model: Model, pixels: Pixels) -> NDArray[np.float32]:
    """A square (R, R, C) as the network gets it, (1, C, R, R)."""
    return normalize(pixels[None], *of_figures(model.config.mean, model.config.std)).transpose(0, 3, 1, 2)


def _compare_pixels(model: Model, image: Pixels, inputs: NDArray[np.float32]) -> None:
    expected = _prepared(model, image)
    levels = np.abs(inputs - expected) * _level(model, image) * 255.0
    if not levels.max() <= LEVELS + 0.1 or (levels > 0.5).sum() > max(FEW, SHARE * levels.size):
        raise ConvliftError(
            f"the ONNX file would prepare an image of {image.shape[1]} x {image.shape[0]} pixels otherwise than "
            f"convlift (by up to {levels.max():.1f} of 255 levels); no file was written. Please report it with the "
            "versions of Pillow and onnxruntime."
        )


def _level(model: Model, image: Pixels) -> NDArray[np.float64]:
    """What a difference of 1 in the inputs is, in pixels of [0, 1]: (C, 1, 1), or (1,) of an image standardized by
    itself."""
    config = model.config
    if config.std is not None:
        return np.asarray(config.std, np.float64)[:, None, None]
    pixels = square(from_array(image).pixels, config.channels, config.resolution, config.preparation)
    return np.array([max(pixels.std() / 255.0, pixels.size**-0.5)])


def _predicted(model: Model, inputs_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: torch.Tensor = model.network(torch.from_numpy(np.ascontiguousarray(inputs_NCHW)))
        return (logits / model.config.confidence.temperature).softmax(1).numpy()


def _difference(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max())


def _of_a_batch(session: onnxruntime.InferenceSession, image: Pixels, count: int) -> float:
    """How far the same image, and others of its size, are from themselves in a batch."""
    images = np.stack([np.roll(image, 5 * number, axis=1) for number in range(count)])
    (together,) = session.run([PROBABILITIES], {IMAGES: images})
    alone = np.concatenate([session.run([PROBABILITIES], {IMAGES: each[None]})[0] for each in images])
    return _difference(together, alone)


def _milliseconds(made: ModelProto, channels: int) -> float:
    """Of one image of TIMED_SIZE, with one thread: the median of TIMED."""
    session = _session(made, threads=1)
    image = np.random.default_rng(0).integers(0, 256, (1, *TIMED_SIZE, channels), dtype=np.uint8)
    taken = []
    for _ in range(TIMED):
        began = perf_counter()
        session.run([PROBABILITIES], {IMAGES: image})
        taken.append(1000.0 * (perf_counter() - began))
    return median(taken)
