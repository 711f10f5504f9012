"""A Keras 3 model as a plain torch module, and what it says of how it is trained.

Keras runs on torch too, but in NHWC order and with weights that no torch tool knows. Its graph of layers is walked once
and made of torch's own layers, with the same weights: as fast as any other network, and open to the same changes. Its
random preprocessing layers become the recipe's augmentation. Both are compared on a batch each time.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from convlift.errors import RecipeError, WeightsError
from convlift.model.keras_layers import is_keras_own, translated
from convlift.model.keras_modules import Scaled
from convlift.model.keras_training import training_of

WHITE = 255.0  # Keras' models that scale their pixels get them up to here, ours up to 1
SCALED_BELOW = 1 / 64  # a first Rescaling by less is one of such pixels
SIDE = 96  # of the images that both are compared on, where a model takes any
PARITY = 1e-3  # of the largest output: a hundred layers round that far apart at most


@dataclass(frozen=True)
class Told:
    """What a Keras model says beside its layers: the recipe's augmentation and training, the side of its images in
    pixels, 0 for any, and what of it is passed over."""

    augmentation: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    side: int = 0
    unread: tuple[str, ...] = ()


class Step(NamedTuple):
    """A layer's place, the values that it is given, the one that it makes (0 is the image), and whether it is held in
    evaluation mode."""

    layer: int
    given: list[int]
    made: int
    is_held: bool = False


class FromKeras(nn.Module):
    """A model's graph: images_NCHW -> what it gives. told: see `Told`."""

    def __init__(self, layers: list[nn.Module], steps: list[Step], told: Told) -> None:
        """steps: in their order."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._steps, self.told = steps, told

    def forward(self, images_NCHW: Tensor) -> Tensor:
        values = {0: images_NCHW}
        for step in self._steps:
            values[step.made] = self.layers[step.layer](*(values[each] for each in step.given))
        return values[self._steps[-1].made]

    def train(self, mode: bool = True) -> Self:
        """Batch norms that are not trainable stay in evaluation mode, as in Keras."""
        super().train(mode)
        for step in self._steps:
            if step.is_held:
                self.layers[step.layer].eval()
        return self


@dataclass
class _Read:
    """What is found on the way through a model; is_white: whether it expects pixels up to 255."""

    augmentation: dict[str, Any] = field(default_factory=dict)
    side: int = 0
    is_white: bool = False


def is_keras(made: object) -> bool:
    """Whether that is a model of Keras 3; Keras is not imported for the question."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(made, keras.Model)


def with_weights(model: Any, path: Path) -> Any:
    """The model with the weights of a file that Keras wrote. Raises WeightsError where they are not its."""
    try:
        model.load_weights(str(path))
    except Exception as error:  # h5py, zipfile and Keras raise nearly anything
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"--model-weights {path} do not fit the Keras model {model.name!r} ({reason}).") from error
    return model


def from_keras(model: Any) -> FromKeras:
    """The same network, with its weights. Raises RecipeError for what is no graph of known layers, or comes out
    otherwise than in Keras."""
    inner = _graph_of(model)
    if len(inner.inputs) != 1 or len(inner.outputs) != 1:
        raise RecipeError(f"the Keras model {model.name!r} has several inputs or outputs; one of each is needed.")
    shape = inner.inputs[0].shape
    if len(shape) != 4 or shape[1] != shape[2]:
        raise RecipeError(
            f"the Keras model {model.name!r} takes {tuple(shape)}; it must take square images, (None, side, side, "
            "channels)."
        )
    read = _Read(side=int(shape[1] or 0))
    layers, steps, _ = _walk(model, read, is_image=True)
    if read.is_white:  # else its images are taken to be scaled before, as ours are
        layers, steps = _from_white(layers, steps)
    training, unread = training_of(model)
    found = FromKeras(layers, steps, Told(read.augmentation, training, read.side, unread))
    _compare(model, found, (int(shape[1] or SIDE), int(shape[3] or 3)), WHITE if read.is_white else 1.0)
    return found


def _graph_of(model: Any) -> Any:
    """The functional graph. Raises RecipeError where there is none."""
    inner = getattr(model, "_functional", None) or model
    if not hasattr(inner, "_nodes_by_depth"):
        raise RecipeError(
            f"the Keras model {model.name!r} is no Sequential with keras.Input(shape=(side, side, channels)) as its "
            "first layer, nor made by keras.Model(inputs, outputs); write it as one of these."
        )
    return inner


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "_nodes_by_depth") or getattr(layer, "_functional", None) is not None


def _walk(model: Any, read: _Read, *, is_image: bool) -> tuple[list[nn.Module], list[Step], bool]:
    """Layers and steps of a model, models within it among its layers, a layer that is used twice is one; and whether it
    gives the image as it came, scaled at most. is_image: whether it is given that."""
    inner = _graph_of(model)
    numbers = {id(inner.inputs[0]): 0}
    images = {0} if is_image else set()  # values that are the image as it came, scaled at most
    layers: list[nn.Module] = []
    places: dict[int, int] = {}
    steps: list[Step] = []
    for node in _nodes(inner):
        layer = node.operation
        given = [numbers[id(tensor)] for tensor in node.input_tensors]
        is_first = set(given) <= images
        is_untouched = False
        if id(layer) not in places:
            places[id(layer)] = len(layers)
            module, is_untouched = _module_of(layer, read, is_image=is_first)
            layers.append(module)
        made = numbers[id(node.outputs[0])] = len(numbers)
        if is_first and is_untouched:
            images.add(made)
        # `training=False` in the graph is overruled by Keras 3 itself while it trains; only this is not
        is_held = type(layer).__name__ == "BatchNormalization" and not layer.trainable
        steps.append(Step(places[id(layer)], given, made, is_held))
    last = numbers[id(inner.outputs[0])]
    if not steps or steps[-1].made != last:
        steps.append(Step(len(layers), [last], len(numbers)))
        layers.append(nn.Identity())
    return layers, steps, last in images


def _nodes(inner: Any) -> Iterator[Any]:
    """Its nodes, each after those that it needs."""
    for depth in sorted(inner._nodes_by_depth, reverse=True):
        yield from (node for node in inner._nodes_by_depth[depth] if not node.is_input)


def _module_of(layer: Any, read: _Read, *, is_image: bool) -> tuple[nn.Module, bool]:
    """The layer's module, and whether it gives the image that it was given, scaled at most. is_image: whether that is
    the image as it came, scaled at most."""
    kind = type(layer).__name__
    is_own = is_keras_own(layer)
    if is_own and kind in RANDOM | {"Resizing": None}:
        if not is_image:
            raise RecipeError(
                f"the Keras layer {layer.name!r} changes images in the middle of the network; put it before all others."
            )
        _note(layer, kind, read)
        return nn.Identity(), True
    if is_own and is_image and kind in ("Rescaling", "Normalization"):
        read.is_white |= _expects_white(layer, kind)
    if _is_model(layer):
        layers, steps, is_untouched = _walk(layer, read, is_image=is_image)
        module: nn.Module = FromKeras(layers, steps, Told())
    else:
        # what turns or flips pixels does so before they are scaled as well as after it
        module, is_untouched = translated(layer), is_own and is_image and kind in ("Rescaling", "Normalization")
    if not layer.trainable:
        module.requires_grad_(False)
    return module, is_untouched


def _note(layer: Any, kind: str, read: _Read) -> None:
    """What a first layer says of the recipe."""
    if kind == "Resizing":
        if layer.height != layer.width:
            raise RecipeError(f"the Keras layer {layer.name!r} resizes to an oblong; square images are known.")
        read.side = layer.height
        return
    for name, value in RANDOM[kind](layer).items():
        read.augmentation[name] = max(value, read.augmentation.get(name, 0.0))
    fill = FILLS.get(getattr(layer, "fill_mode", "reflect"))
    if fill and not getattr(layer, "fill_value", 0.0):
        read.augmentation["fill_mode"] = fill


def _expects_white(layer: Any, kind: str) -> bool:
    """Whether a first layer that scales pixels is made for those up to 255."""
    if kind == "Rescaling":
        return float(np.abs(np.asarray(layer.scale)).max()) <= SCALED_BELOW
    import keras

    return float(np.abs(keras.ops.convert_to_numpy(layer.mean)).max()) > 2.0


def _from_white(layers: list[nn.Module], steps: list[Step]) -> tuple[list[nn.Module], list[Step]]:
    """The same graph on pixels from 0 to 1."""
    fresh = 1 + max(step.made for step in steps)
    first = Step(len(layers), [0], fresh)
    moved = [step._replace(given=[fresh if each == 0 else each for each in step.given]) for step in steps]
    return [*layers, Scaled(torch.tensor([WHITE]), torch.tensor([0.0]))], [first, *moved]


def _compare(model: Any, found: FromKeras, shape: tuple[int, int], white: float) -> None:
    """Raises RecipeError where the two give different outputs for the same images. shape: side and channels."""
    import keras

    side, channels = shape
    images = np.random.default_rng(0).random((2, side, side, channels), np.float32)
    with torch.no_grad():
        theirs = np.asarray(keras.ops.convert_to_numpy(model(white * images, training=False)))
        ours = found.eval()(torch.from_numpy(images).permute(0, 3, 1, 2))
    found.train()
    ours = (ours.permute(0, 2, 3, 1) if ours.ndim == 4 else ours).numpy()
    largest = max(float(np.abs(theirs).max(initial=0.0)), 1e-30)
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=PARITY * largest, rtol=0.0, equal_nan=True):
        raise RecipeError(
            f"the Keras model {model.name!r} gives other outputs once it is made of torch's layers, so one of them is "
            "not understood here; leave out what is unusual in it."
        )


def _largest(layer: Any, *names: str) -> float:
    """The larger end of symmetric ranges, as Keras keeps them: a number, or (low, high)."""
    ends = []
    for name in names:
        value = getattr(layer, name, None)
        ends += [abs(float(each)) for each in (value if isinstance(value, tuple | list) else [value or 0.0])]
    return round(max(ends), 10)


def _flips(layer: Any) -> dict[str, float]:
    return {f"{way}_flip": 0.5 for way in ("horizontal", "vertical") if way in layer.mode}


FILLS = {"nearest": "edge", "constant": "constant"}  # how Keras calls what is beyond the border -> how we do
RANDOM: dict[str, Callable[[Any], dict[str, float]]] = {
    "RandomFlip": _flips,
    "RandomRotation": lambda layer: {"rotation": min(_largest(layer, "factor"), 0.5)},
    "RandomZoom": lambda layer: {"zoom": _largest(layer, "height_factor", "width_factor")},
    "RandomTranslation": lambda layer: {"translation": min(_largest(layer, "height_factor", "width_factor"), 0.5)},
    "RandomContrast": lambda layer: {"contrast": _largest(layer, "factor")},
    "RandomBrightness": lambda layer: {"brightness": _largest(layer, "factor")},
}
