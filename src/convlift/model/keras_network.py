"""A Keras 3 model as a plain torch module, and what it says of how it is trained.

Keras runs on torch too, but in NHWC order and with weights that no torch tool knows. Its graph of layers is walked once
and made of torch's own layers, with the same weights: as fast as any other network, and open to the same changes. Its
random preprocessing layers become the recipe's augmentation.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from convlift.errors import RecipeError
from convlift.model.keras_layers import Scaled, translated

WHITE = 255.0  # Keras' models get pixels up to here, ours up to 1


@dataclass(frozen=True)
class Told:
    """What a Keras model says beside its layers: the recipe's augmentation and training, and the side of its images in
    pixels, 0 for any."""

    augmentation: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    side: int = 0


class FromKeras(nn.Module):
    """A model's graph: images_NCHW -> what it gives. told: see `Told`."""

    def __init__(self, layers: list[nn.Module], steps: list[tuple[int, list[int], int]], told: Told) -> None:
        """steps: (layer, the values that it is given, the value that it makes), in their order; 0 is the image."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._steps, self.told = steps, told

    def forward(self, images_NCHW: Tensor) -> Tensor:
        values = {0: images_NCHW}
        made = 0
        for layer, given, made in self._steps:
            values[made] = self.layers[layer](*(values[each] for each in given))
        return values[made]


def is_keras(made: object) -> bool:
    """Whether that is a model of Keras 3; Keras is not imported for the question."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(made, keras.Model)


def from_keras(model: Any) -> FromKeras:
    """The same network, with its weights. Raises RecipeError for what is no graph of known layers."""
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
    layers, steps = _walk(model, read)
    if read.scales_pixels:  # else its images are taken to be scaled before, as ours are
        layers, steps = _from_white(layers, steps)
    return FromKeras(layers, steps, Told(read.augmentation, _training_of(model), read.side))


@dataclass
class _Read:
    """What is found on the way through a model; scales_pixels: whether a layer of it expects them up to 255."""

    augmentation: dict[str, float] = field(default_factory=dict)
    side: int = 0
    scales_pixels: bool = False


def _graph_of(model: Any) -> Any:
    """The functional graph. Raises RecipeError where there is none."""
    inner = getattr(model, "_functional", None) or model
    if not hasattr(inner, "_nodes_by_depth"):
        raise RecipeError(
            f"the Keras model {model.name!r} is no Sequential with keras.Input(shape=(side, side, channels)) as its "
            "first layer, nor made by keras.Model(inputs, outputs); write it as one of these."
        )
    return inner


def _walk(model: Any, read: _Read) -> tuple[list[nn.Module], list[tuple[int, list[int], int]]]:
    """Layers and steps of a model, models within it among its layers; a layer that is used twice is one."""
    inner = _graph_of(model)
    numbers = {id(inner.inputs[0]): 0}
    layers: list[nn.Module] = []
    places: dict[int, int] = {}
    steps: list[tuple[int, list[int], int]] = []
    for node in _nodes(inner):
        operation = node.operation
        if id(operation) not in places:
            places[id(operation)] = len(layers)
            layers.append(_module_of(operation, read))
        given = [numbers[id(tensor)] for tensor in node.input_tensors]
        numbers[id(node.outputs[0])] = len(numbers)
        steps.append((places[id(operation)], given, numbers[id(node.outputs[0])]))
    last = numbers[id(inner.outputs[0])]
    if not steps or steps[-1][2] != last:
        steps.append((len(layers), [last], len(numbers)))
        layers.append(nn.Identity())
    return layers, steps


def _nodes(inner: Any) -> Iterator[Any]:
    """Its nodes, each after those that it needs."""
    for depth in sorted(inner._nodes_by_depth, reverse=True):
        yield from (node for node in inner._nodes_by_depth[depth] if not node.is_input)


def _module_of(layer: Any, read: _Read) -> nn.Module:
    kind = type(layer).__name__
    if kind in RANDOM:
        for name, value in RANDOM[kind](layer).items():
            read.augmentation[name] = max(value, read.augmentation.get(name, 0.0))
        return nn.Identity()
    if kind == "Resizing" and layer.height == layer.width:  # images come in this size
        read.side = layer.height
        return nn.Identity()
    read.scales_pixels |= kind in ("Rescaling", "Normalization")
    if hasattr(layer, "_nodes_by_depth") or getattr(layer, "_functional", None) is not None:
        return FromKeras(*_walk(layer, read), Told())
    return translated(layer)


def _from_white(
    layers: list[nn.Module], steps: list[tuple[int, list[int], int]]
) -> tuple[list[nn.Module], list[tuple[int, list[int], int]]]:
    """The same graph on pixels from 0 to 1."""
    fresh = 1 + max(made for _, _, made in steps)
    first = (len(layers), [0], fresh)
    moved = [(layer, [fresh if each == 0 else each for each in given], made) for layer, given, made in steps]
    return [*layers, Scaled(torch.tensor([WHITE]), torch.tensor([0.0]))], [first, *moved]


def _training_of(model: Any) -> dict[str, Any]:
    """The levers of training that a model speaks of: the optimizer that it was compiled with, and its L2 penalties."""
    found: dict[str, Any] = {}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        kind = type(optimizer).__name__.lower()
        if kind not in ("adam", "adamw", "sgd", "rmsprop"):
            raise RecipeError(
                f"the Keras model {model.name!r} is compiled with {kind}; adam, adamw, sgd and rmsprop are known."
            )
        found |= {"optimizer": kind, "learning_rate": float(f"{float(optimizer.learning_rate):.6g}")}
        if kind in ("sgd", "rmsprop"):
            found["momentum"] = float(optimizer.momentum)
        if kind == "adamw" and optimizer.weight_decay:
            found["weight_decay"] = float(optimizer.weight_decay)
    penalties = {
        (type(layer).__name__ == "Dense", float(layer.kernel_regularizer.l2))
        for layer in _flat(model)
        if type(getattr(layer, "kernel_regularizer", None)).__name__ == "L2"
    }
    if penalties:
        found["l2"] = round(max(value for _, value in penalties), 10)
        found["l2_layers"] = "all" if any(is_dense for is_dense, _ in penalties) else "convolution"
    return found


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _flat(layer)


def _largest(layer: Any, *names: str) -> float:
    """The larger end of symmetric ranges, as Keras keeps them: a number, or (low, high)."""
    ends = []
    for name in names:
        value = getattr(layer, name, None)
        ends += [abs(float(each)) for each in (value if isinstance(value, tuple | list) else [value or 0.0])]
    return round(max(ends), 10)


def _flips(layer: Any) -> dict[str, float]:
    return {f"{way}_flip": 0.5 for way in ("horizontal", "vertical") if way in layer.mode}


RANDOM: dict[str, Callable[[Any], dict[str, float]]] = {
    "RandomFlip": _flips,
    "RandomRotation": lambda layer: {"rotation": min(_largest(layer, "factor"), 0.5)},
    "RandomZoom": lambda layer: {"zoom": _largest(layer, "height_factor", "width_factor")},
    "RandomTranslation": lambda layer: {"translation": min(_largest(layer, "height_factor", "width_factor"), 0.5)},
    "RandomContrast": lambda layer: {"contrast": _largest(layer, "factor")},
    "RandomBrightness": lambda layer: {"brightness": _largest(layer, "factor")},
}
