"""What Keras' layers do and no single module of torch does: on maps NCHW, as Keras does it on maps NHWC."""

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class OnChannels(nn.Module):
    """A layer over vectors, at every position of a map: (N, C, H, W) -> (N, D, H, W)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        found: Tensor = self.layer(maps_NCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found
