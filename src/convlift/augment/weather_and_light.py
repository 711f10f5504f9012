"""Weather and light over a whole image: cloud shadow, clouds, haze, fog, a low sun, night.

Each is a closed form of pixels in [0, 1], of the place in the image, and of a smooth random field where it has clouds
or swathes in it. Written once for numpy and torch, whose functions of these names agree: `xp` is either of them.

Haze and fog are Koschmieder's law, I = J t + A (1 - t) with the transmission t = exp(-density * depth) and the colour A
of the air, as in He et al. 2009, section 2; a photo's depth is taken to grow from its lower edge to its upper one.
The clouds' field has several scales, each half as wide and a little over half as strong as the one before
(Hendrycks and Dietterich 2019 make their fog so, by a plasma fractal). The constants were chosen by eye, from photos at
112 pixels: docs/augmentation.md has pictures.
"""

import math
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

NAMES = ("cloud_shadow", "clouds", "haze", "fog", "low_sun", "night")  # the order in which they come
# of the random fields: each scale's width, as a share of the side, and its weight
SCALES = {
    "clouds": ((0.25, 0.80), (0.125, 0.48), (0.0625, 0.30), (0.03125, 0.19)),
    "cloud_shadow": ((0.3, 0.9), (0.12, 0.4)),
    "fog": ((0.35, 0.9), (0.15, 0.4)),
}
_BEYOND = 3  # points of a scale beyond either border, whose noise still reaches inside


class Weather(NamedTuple):
    """strengths: of each of NAMES that is on, (N,), 0 where an image is not drawn. shapes: two numbers in [0, 1) for
    each image, (N, 2), of what they shape. noise: of each that has a field, one array (N, P, P) a scale.
    """

    strengths: dict[str, Floats]
    shapes: dict[str, Floats]
    noise: dict[str, list[Floats32]]


def draw_weather(augmentation: Augmentation, streams: Streams, count: int) -> Weather | None:
    """Each that is on meets an image with `effect_chance`, at a strength uniform from half of the lever's to all of
    it. Every image takes as many numbers, drawn or not. None where all are off."""
    drawn = Weather({}, {}, {})
    for name in NAMES:
        strength = getattr(augmentation, name)
        if not strength:
            continue
        sizes = [_points(width) ** 2 for width, _ in SCALES.get(name, ())]
        numbers = streams[name].random((count, 4 + sum(sizes)))
        drawn.strengths[name] = np.where(
            numbers[:, 0] < augmentation.effect_chance, strength * (1 + numbers[:, 1]) / 2, 0.0
        )
        drawn.shapes[name] = numbers[:, 2:4]
        parts = np.split(numbers[:, 4:], np.cumsum(sizes)[:-1], axis=1) if sizes else []
        drawn.noise[name] = [(2 * part - 1).astype(np.float32).reshape(count, *2 * (_side(part),)) for part in parts]
    return drawn if drawn.strengths else None


def weathered(
    images_NHWC: Any, name: str, weather: Weather, chosen: NDArray[np.int64], xp: ModuleType, lay: Any
) -> Any:
    """Images with one kind of weather; chosen: which of the drawn they are.

    images_NHWC: float32 in [0, 1]. lay: from a numpy array to one of xp, float32, beside the images.
    """
    _, H, W, channels = images_NHWC.shape
    strength = lay(weather.strengths[name][chosen][:, None, None, None])
    shapes = [lay(weather.shapes[name][chosen][:, place, None, None, None]) for place in (0, 1)]
    field = _field(weather.noise[name], chosen, (H, W), lay, name) if weather.noise[name] else None
    change = {
        "cloud_shadow": _cloud_shadow,
        "clouds": _clouds,
        "haze": _haze,
        "fog": _fog,
        "low_sun": _low_sun,
        "night": _night,
    }[name]
    scene = _Scene(
        xp, lay, channels, lay((np.arange(H) + 0.5)[:, None, None] / H), lay((np.arange(W) + 0.5)[:, None] / W)
    )
    return xp.clip(change(scene, images_NHWC, strength, shapes, field), 0.0, 1.0)


class _Scene(NamedTuple):
    """rows (H, 1, 1), columns (W, 1): places in [0, 1]."""

    xp: ModuleType
    lay: Any
    channels: int
    rows: Any
    columns: Any

    def colour(self, *rgb: float) -> Any:
        """(C,): a colour, of grey images its luma."""
        values = np.array(rgb)
        return self.lay(values if self.channels == 3 else np.array([values @ [0.299, 0.587, 0.114]]))

    def luma(self, images: Any) -> Any:
        """(..., 1)."""
        if self.channels == 1:
            return images
        return 0.299 * images[..., :1] + 0.587 * images[..., 1:2] + 0.114 * images[..., 2:]

    def smoothstep(self, values: Any) -> Any:
        """From 0 to 1 between 0 and 1, without a corner."""
        inside = self.xp.clip(values, 0.0, 1.0)
        return inside * inside * (3 - 2 * inside)


def _cloud_shadow(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """A soft-edged part of the ground lies in the shade, which skylight makes a little blue. shapes: how much of it."""
    mask = scene.smoothstep((field + 1.2 * shapes[0] - 0.4) / 0.7)
    return images * (1 - strength * mask * scene.colour(0.62, 0.58, 0.50))


def _clouds(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """White clouds cover a part of what is below, as seen from above; the stronger the more, and the less is seen
    through them. shapes: how much more."""
    mask = scene.smoothstep(field - 1.2 + 2.0 * strength + 0.5 * (shapes[0] - 0.5))
    cover = mask * (1 - scene.xp.exp(-6 * strength)) * 0.98
    white = scene.colour(0.95, 0.96, 0.98) * (1 - 0.10 * scene.smoothstep((field - 0.4) / 2.2))
    return images * (1 - cover) + white * cover


def _haze(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """Air that scatters a bluish light, more of it where the scene is far. shapes: how much farther its top is."""
    depth = 1 + shapes[0] * (1 - 2 * scene.rows)
    through = scene.xp.exp(-1.5 * strength * depth)
    return images * through + scene.colour(0.78, 0.84, 0.90) * (1 - through)


def _fog(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """Droplets that hide what is not near, in swathes, and take its colours. shapes: how much farther the top is."""
    depth = (1 + 0.7 * shapes[0] * (1 - 2 * scene.rows)) * scene.xp.exp(0.45 * field)
    through = scene.xp.exp(-2.4 * strength * depth)
    greyed = images + 0.4 * strength * (scene.luma(images) - images)
    return greyed * through + scene.colour(0.85, 0.86, 0.87) * (1 - through)


def _low_sun(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """Warm light from one side and deep, cool shadows. shapes: from where, and how much of it."""
    angle = 2 * np.pi * shapes[0]
    across = scene.xp.cos(angle) * (2 * scene.columns - 1) + 0.5 * scene.xp.sin(angle) * (2 * scene.rows - 1)
    luma = scene.luma(images)
    lit = scene.smoothstep((luma - 0.15) / 0.6)
    light = 1 + strength * (0.22 * lit + 0.25 * across - 0.45 * (1 - lit))
    warm = 1 + strength * (lit * scene.colour(0.12, -0.12, -0.42) + (1 - lit) * scene.colour(-0.05, -0.02, 0.12))
    return images * light * warm


def _night(scene: _Scene, images: Any, strength: Any, shapes: list[Any], field: Any) -> Any:
    """Little light: a higher gamma, less of it, and hardly a colour but blue. shapes: how dark."""
    dark = strength * (0.8 + 0.2 * shapes[0])
    deeper = (images + 1e-6) ** (1 + 0.9 * dark) * (1 - 0.62 * dark)
    greyed = deeper + 0.65 * dark * (scene.luma(deeper) - deeper)
    return greyed * (1 + dark * scene.colour(-0.28, -0.12, 0.30))


def _field(noise: list[Floats32], chosen: NDArray[np.int64], size_HW: tuple[int, int], lay: Any, name: str) -> Any:
    """(N, H, W, 1): smooth noise of several scales, each of an own weight; of each image its mean is 0 and its variance
    1, so that strengths alone say how much is covered."""
    found = None
    for (width, weight), grids in zip(SCALES[name], noise, strict=True):
        down, across = (lay(_basis(side, width)) for side in size_HW)
        part = weight * (down @ lay(grids[chosen]) @ across.T)
        found = part if found is None else found + part
    assert found is not None, "every name of SCALES has some"
    centred = found - found.mean((1, 2))[:, None, None]
    return (centred / ((centred**2).mean((1, 2)) ** 0.5 + 1e-3)[:, None, None])[..., None]


@cache
def _basis(side: int, width: float) -> Floats32:
    """(side, P): what each point's noise contributes to each pixel along one axis, as `elastic.basis`."""
    pixels, points = (np.arange(side) + 0.5) / side, (np.arange(_points(width)) - _BEYOND) * width
    bumps = np.exp(-(((pixels[:, None] - points) / width) ** 2) / 2)
    # noise in [-1, 1] has a variance of 1/3, and squared bumps add up to the root of pi
    unit: Floats32 = (bumps * (3 / np.pi) ** 0.25).astype(np.float32)
    return unit


def _points(width: float) -> int:
    return int(np.ceil(1 / width)) + 2 * _BEYOND + 1


def _side(part_NP: Floats) -> int:
    return math.isqrt(part_NP.shape[1])
