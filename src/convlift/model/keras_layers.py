"""Keras layers as torch modules with the same weights: NHWC there, NCHW here, and what each of them does the same.

Checked layer by layer against Keras itself (tests/model/test_keras_network.py).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlift.errors import RecipeError
from convlift.model.keras_modules import FlattenedAsNHWC, GlobalPooling, OnChannels, SamePadding, Scaled, Together

Layer = Any  # of keras, which is not imported here: it may not be installed

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "softplus": nn.Softplus,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
}


def translated(layer: Layer) -> nn.Module:
    """The layer as a torch module. Raises RecipeError for one that is not known, or is used in a way that is not."""
    kind = type(layer).__name__
    if not is_keras_own(layer):
        raise RecipeError(
            f"the Keras model computes {kind} ({layer.name!r}) outside of Keras' own layers; write it as one of "
            f"{', '.join(sorted(LAYERS))}."
        )
    if kind not in LAYERS:
        raise RecipeError(
            f"the Keras layer {layer.name!r} is a {kind}, which is not known here; known are "
            f"{', '.join(sorted(LAYERS))}."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise RecipeError(f"the Keras layer {layer.name!r} has channels first; use Keras' default, channels_last.")
    return LAYERS[kind](layer)


def is_keras_own(layer: Layer) -> bool:
    """Whether it is a layer that comes with Keras: what `x * 2` computes is called Multiply, too, as somebody's own
    layer may be."""
    import keras  # whoever has a layer of it has it

    return isinstance(layer, keras.layers.Layer) and type(layer).__module__.split(".")[0] == "keras"


def weight(variable: Any) -> Tensor:
    """A Keras variable's values, as a tensor of their own."""
    import keras  # whoever has a layer of it has it

    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(variable), np.float32))


def activated(module: nn.Module, layer: Layer) -> nn.Module:
    """A layer's module, followed by its activation where it has one."""
    function = getattr(layer, "activation", None)
    name = activation_name(function)
    if name is None:
        shown = getattr(function, "__name__", type(function).__name__)
        raise RecipeError(
            f"the Keras layer {layer.name!r} has the activation {shown!r}, which is not one of Keras' that are known "
            f"here: {', '.join(ACTIVATIONS)}."
        )
    return module if name == "linear" else nn.Sequential(module, ACTIVATIONS[name]())


def activation_name(function: Any) -> str | None:
    """Of Keras' own function; None for another one, whatever it is called."""
    import keras

    if function is None:
        return "linear"
    return next((name for name in ACTIVATIONS if function is getattr(keras.activations, name, None)), None)


def _padded(layer: Layer, kernel: tuple[int, int], module: nn.Module, value: float = 0.0) -> nn.Module:
    """A layer whose own padding is none, with the padding that Keras gives it."""
    if layer.padding == "valid":
        return module
    if layer.padding != "same":
        raise RecipeError(f"the Keras layer {layer.name!r} has padding {layer.padding!r}; same and valid are known.")
    dilation = getattr(layer, "dilation_rate", (1, 1))
    if isinstance(module, nn.Conv2d) and set(layer.strides) == {1} and all(side % 2 for side in kernel):
        both = zip(kernel, dilation, strict=True)
        module.padding = tuple((side - 1) // 2 * step for side, step in both)
        return module
    return nn.Sequential(SamePadding(kernel, tuple(layer.strides), tuple(dilation), value), module)


def _convolution(layer: Layer) -> nn.Module:
    """Kernels lie as (height, width, inputs, outputs) there."""
    kernel = weight(layer.kernel).permute(3, 2, 0, 1)
    module = _conv(layer, kernel, groups=layer.groups)
    return activated(_padded(layer, tuple(layer.kernel_size), module), layer)


def _depthwise(layer: Layer) -> nn.Module:
    return activated(_padded(layer, tuple(layer.kernel_size), _conv_depthwise(layer, layer.kernel, bias=True)), layer)


def _separable(layer: Layer) -> nn.Module:
    depthwise = _padded(layer, tuple(layer.kernel_size), _conv_depthwise(layer, layer.depthwise_kernel, bias=False))
    pointwise = weight(layer.pointwise_kernel).permute(3, 2, 0, 1)
    second = nn.Conv2d(pointwise.shape[1], pointwise.shape[0], 1, bias=layer.use_bias)
    _fill(second, pointwise, layer.bias if layer.use_bias else None)
    return activated(nn.Sequential(depthwise, second), layer)


def _conv_depthwise(layer: Layer, variable: Any, *, bias: bool) -> nn.Conv2d:
    kernel = weight(variable)  # (height, width, inputs, outputs of each)
    shaped = kernel.permute(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    return _conv(layer, shaped, groups=kernel.shape[2], bias=bias)


def _conv(layer: Layer, kernel: Tensor, *, groups: int, bias: bool = True) -> nn.Conv2d:
    has_bias = bias and layer.use_bias
    module = nn.Conv2d(
        kernel.shape[1] * groups,
        kernel.shape[0],
        (kernel.shape[2], kernel.shape[3]),
        stride=tuple(layer.strides),
        dilation=tuple(layer.dilation_rate),
        groups=groups,
        bias=has_bias,
    )
    return _fill(module, kernel, layer.bias if has_bias else None)


def _fill(module: Any, kernel: Tensor, bias: Any) -> Any:
    with torch.no_grad():
        module.weight.copy_(kernel)
        if bias is not None:
            module.bias.copy_(weight(bias))
    return module


def _dense(layer: Layer) -> nn.Module:
    kernel = weight(layer.kernel).T
    module = nn.Linear(kernel.shape[1], kernel.shape[0], bias=layer.use_bias)
    filled = _fill(module, kernel, layer.bias if layer.use_bias else None)
    rank = len(layer.input.shape)
    if rank not in (2, 4):
        raise RecipeError(f"the Keras layer {layer.name!r} works on {rank} dimensions; 2 and 4 are known.")
    return activated(filled if rank == 2 else OnChannels(filled), layer)


def _pool(layer: Layer, kind: type[nn.Module], value: float) -> nn.Module:
    if layer.padding == "same" and kind is nn.AvgPool2d and tuple(layer.pool_size) != (1, 1):
        raise RecipeError(f"the Keras layer {layer.name!r} averages over a padded border, which is not known here.")
    module = kind(tuple(layer.pool_size), tuple(layer.strides))
    return _padded(layer, tuple(layer.pool_size), module, value)


def _batch_norm(layer: Layer) -> nn.Module:
    """Keras' momentum is the share of the old average that stays, torch's that of the new batch."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    rank = len(layer.input.shape)
    if axis not in (-1, rank - 1):
        raise RecipeError(f"the Keras layer {layer.name!r} normalizes axis {axis}; the channels, axis -1, are known.")
    kind = nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d
    module = kind(layer.moving_mean.shape[0], eps=layer.epsilon, momentum=1.0 - layer.momentum)
    with torch.no_grad():
        module.running_mean.copy_(weight(layer.moving_mean))  # type: ignore[union-attr]
        module.running_var.copy_(weight(layer.moving_variance))  # type: ignore[union-attr]
        if layer.scale:
            module.weight.copy_(weight(layer.gamma))
        if layer.center:
            module.bias.copy_(weight(layer.beta))
    module.weight.requires_grad_(bool(layer.scale))
    module.bias.requires_grad_(bool(layer.center))
    return module


def _leaky(layer: Layer) -> nn.Module:
    return nn.LeakyReLU(float(layer.negative_slope))


def _relu(layer: Layer) -> nn.Module:
    if layer.threshold or layer.max_value not in (None, 6, 6.0):
        raise RecipeError(f"the Keras layer {layer.name!r} cuts at {layer.max_value}; no limit and 6 are known.")
    if layer.negative_slope:
        return nn.LeakyReLU(float(layer.negative_slope))
    return nn.ReLU6() if layer.max_value else nn.ReLU()


def _softmax(layer: Layer) -> nn.Module:
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise RecipeError(f"the Keras layer {layer.name!r} has axis {layer.axis}; the channels, axis -1, are known.")
    return nn.Softmax(dim=1)


def _zero_padding(layer: Layer) -> nn.Module:
    (top, bottom), (left, right) = layer.padding
    return nn.ZeroPad2d((left, right, top, bottom))


def _reshape(layer: Layer) -> nn.Module:
    target, rank = tuple(layer.target_shape), len(layer.input.shape)
    if len(target) == 1:
        return FlattenedAsNHWC()
    if target[:2] != (1, 1) or len(target) != 3 or rank != 2:
        raise RecipeError(
            f"the Keras layer {layer.name!r} reshapes {tuple(layer.input.shape[1:])} to {target}; known are a vector, "
            "and (1, 1, channels) made of one."
        )
    return nn.Unflatten(1, (-1, 1, 1))


def _rescaling(layer: Layer) -> nn.Module:
    scale, offset = (torch.tensor(np.asarray(value, np.float32).reshape(-1)) for value in (layer.scale, layer.offset))
    return Scaled(scale, offset)


def _normalization(layer: Layer) -> nn.Module:
    mean, variance = (weight(value).reshape(-1) for value in (layer.mean, layer.variance))
    deviation = variance.sqrt().clamp_min(1e-7)
    return Scaled(1 / deviation, -mean / deviation)


def _joined(layer: Layer) -> nn.Module:
    kind = type(layer).__name__
    if kind == "Concatenate" and layer.axis not in (-1, 3):
        raise RecipeError(f"the Keras layer {layer.name!r} joins axis {layer.axis}; the channels, axis -1, are known.")
    return Together(kind)


LAYERS: dict[str, Callable[[Layer], nn.Module]] = {
    "Activation": lambda layer: activated(nn.Identity(), layer),
    "Add": _joined,
    "AveragePooling2D": lambda layer: _pool(layer, nn.AvgPool2d, 0.0),
    "BatchNormalization": _batch_norm,
    "Concatenate": _joined,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": lambda layer: nn.Dropout(layer.rate),
    "ELU": lambda layer: nn.ELU(float(layer.alpha)),
    "Flatten": lambda layer: FlattenedAsNHWC(),
    "GlobalAveragePooling2D": lambda layer: GlobalPooling(largest=False, keeps_sides=layer.keepdims),
    "GlobalMaxPooling2D": lambda layer: GlobalPooling(largest=True, keeps_sides=layer.keepdims),
    "LeakyReLU": _leaky,
    "MaxPooling2D": lambda layer: _pool(layer, nn.MaxPool2d, float("-inf")),
    "Multiply": _joined,
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    "Softmax": _softmax,
    "SpatialDropout2D": lambda layer: nn.Dropout2d(layer.rate),
    "ZeroPadding2D": _zero_padding,
}
