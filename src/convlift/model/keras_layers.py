"""Keras layers as torch modules with the same weights: NHWC there, NCHW here, and what each of them does the same.

Checked layer by layer against Keras itself (tests/model/test_keras_network.py).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.errors import RecipeError

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
}


class SamePadding(nn.Module):
    """A border around maps, so that steps of `stride` leave ceil(side / stride) positions; where its width is odd, the
    larger half lies below and on the right. TensorFlow's rule, which torch has for strides of 1 alone."""

    def __init__(
        self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], value: float
    ) -> None:
        super().__init__()
        self._sides = tuple(zip(kernel, stride, dilation, strict=True))
        self._value = value

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        pads: list[int] = []
        for side, (kernel, stride, dilation) in zip(maps_NCHW.shape[:1:-1], self._sides[::-1], strict=True):
            whole = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
            pads += [whole // 2, whole - whole // 2]
        return functional.pad(maps_NCHW, pads, value=self._value) if any(pads) else maps_NCHW


class FlattenedAsNHWC(nn.Module):
    """(N, C, H, W) -> (N, H * W * C), in Keras' order, which the next layer's weights have."""

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        return maps_NCHW.permute(0, 2, 3, 1).flatten(1) if maps_NCHW.ndim == 4 else maps_NCHW.flatten(1)


class GlobalPooling(nn.Module):
    """(N, C, H, W) -> (N, C), or (N, C, 1, 1)."""

    def __init__(self, *, largest: bool, keeps_sides: bool) -> None:
        super().__init__()
        self._largest, self._keeps_sides = largest, keeps_sides

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        if self._largest:
            return maps_NCHW.amax((2, 3), keepdim=self._keeps_sides)
        return maps_NCHW.mean((2, 3), keepdim=self._keeps_sides)


class Scaled(nn.Module):
    """values * scale + offset, for each channel or for all; not trained."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        return maps_NCHW * self.scale.view(1, -1, 1, 1) + self.offset.view(1, -1, 1, 1)


class Together(nn.Module):
    """Several inputs as one: their sum, product, or all of their channels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def forward(self, *values: Tensor) -> Tensor:
        if self._kind == "Concatenate":
            return torch.cat(values, dim=1)
        found = values[0]
        for each in values[1:]:
            found = found * each if self._kind == "Multiply" else found + each
        return found


def translated(layer: Layer) -> nn.Module:
    """The layer as a torch module. Raises RecipeError for one that is not known, or is used in a way that is not."""
    kind = type(layer).__name__
    if kind not in LAYERS:
        raise RecipeError(
            f"the Keras layer {layer.name!r} is a {kind}, which is not known here; known are "
            f"{', '.join(sorted(LAYERS))}."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise RecipeError(f"the Keras layer {layer.name!r} has channels first; use Keras' default, channels_last.")
    return LAYERS[kind](layer)


def weight(variable: Any) -> Tensor:
    """A Keras variable's values, as a tensor of their own."""
    import keras  # whoever has a layer of it has it

    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(variable), np.float32))


def activated(module: nn.Module, layer: Layer) -> nn.Module:
    """A layer's module, followed by its activation where it has one."""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "linear" if function is None else type(function).__name__)
    if name not in ACTIVATIONS:
        raise RecipeError(
            f"the Keras layer {layer.name!r} has the activation {name!r}, which is not known here; known are "
            f"{', '.join(ACTIVATIONS)}."
        )
    return module if name == "linear" else nn.Sequential(module, ACTIVATIONS[name]())


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
    return activated(_fill(module, kernel, layer.bias if layer.use_bias else None), layer)


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


def _zero_padding(layer: Layer) -> nn.Module:
    (top, bottom), (left, right) = layer.padding
    return nn.ZeroPad2d((left, right, top, bottom))


def _reshape(layer: Layer) -> nn.Module:
    if tuple(layer.target_shape[:2]) != (1, 1) or len(layer.target_shape) != 3:
        raise RecipeError(
            f"the Keras layer {layer.name!r} reshapes to {layer.target_shape}; (1, 1, channels) is known."
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
    "Softmax": lambda layer: nn.Softmax(dim=1),
    "SpatialDropout2D": lambda layer: nn.Dropout2d(layer.rate),
    "ZeroPadding2D": _zero_padding,
}
