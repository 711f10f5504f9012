"""Where in an image a network sees the class: Grad-CAM (Selvaraju et al. 2017, section 3.1)."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from convlift.data.square import centre_of
from convlift.errors import ConvliftError
from convlift.model.spatial_layer import Place, last_maps, see_at
from convlift.model.together import Together

Maps = NDArray[np.float32]


def places_of(network: nn.Module, images_NCHW: Tensor) -> tuple[Place, ...]:
    """Where the last maps are made, of each of the networks that predict together, or of the only one.

    images_NCHW: one is enough. Raises ConvliftError where one keeps no maps.
    """
    found = [last_maps(each, images_NCHW) for each in _networks(network)]
    if None in found:
        raise ConvliftError(
            "this network has no layer that keeps where in an image something is, which a heat map is made of; "
            "leave out the heat maps, or train one with convolutions."
        )
    return tuple(place for place in found if place is not None)


def heat_maps(network: nn.Module, places: tuple[Place, ...], images_NCHW: Tensor, classes_N: Tensor) -> Maps:
    """(N, H, W) float32 in [0, 1], 1 where most speaks for the class: the positive part of the last maps' sum, weighted
    by the mean gradients of the class's logit, over the largest of each image, and interpolated to the image's size.

    An image in which nothing speaks for it has zeros. Of several networks, and of mirror images, the mean, each laid
    on the image as it is.
    """
    found = []
    mirrors = (False, True) if isinstance(network, Together) and network.mirrored else (False,)
    for each, place in zip(_networks(network), places, strict=True):
        for mirrored in mirrors:
            seen = see_at(each, place, images_NCHW.flip(3) if mirrored else images_NCHW, classes_N)
            assert seen is not None, "places_of() found that the logits depend on it"
            weights_NC = seen.gradients.mean((2, 3), keepdim=True)
            map_NHW = (weights_NC * seen.maps).sum(1).clamp_min(0.0)
            found.append(_whole(map_NHW.flip(2) if mirrored else map_NHW, images_NCHW.shape[2:]))
    mean: Maps = torch.stack(found).mean(0).cpu().numpy()
    return mean


def on_image(square_RR: Maps, shape: tuple[int, int], resize: str) -> Maps:
    """A map of the square that the network saw, laid back on the image of (H, W) pixels that it was made from; 0 where
    the network saw nothing of it."""
    (height, width), side = shape, len(square_RR)
    if resize == "letterbox":
        scale = side / max(shape)
        inner_height, inner_width = (max(1, round(length * scale)) for length in shape)
        top, left = (side - inner_height) // 2, (side - inner_width) // 2
        return _sized(square_RR[top : top + inner_height, left : left + inner_width], shape)
    if resize == "squash":
        return _sized(square_RR, shape)
    left, top, right, bottom = (round(edge) for edge in centre_of((width, height), side))
    out = np.zeros(shape, np.float32)
    out[top:bottom, left:right] = _sized(square_RR, (bottom - top, right - left))
    return out


def _networks(network: nn.Module) -> list[nn.Module]:
    return list(network.networks) if isinstance(network, Together) else [network]


def _whole(map_NHW: Tensor, size: torch.Size) -> Tensor:
    largest = map_NHW.amax((1, 2), keepdim=True)
    unit = torch.where(largest > 0, map_NHW / largest.clamp_min(torch.finfo(torch.float32).tiny), 0.0)
    return functional.interpolate(unit[:, None].float(), tuple(size), mode="bilinear", align_corners=False)[:, 0]


def _sized(values: Maps, shape: tuple[int, int]) -> Maps:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR), np.float32)
