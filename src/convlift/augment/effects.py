"""What is done to the images that are drawn for it: blur, shot noise, tables of bytes, sharpness, JPEG.

Bytes in, bytes out, between the one map and the one colour matrix. Where an image is not drawn for an effect, nothing
is computed for it. `batched_effects` does the same to a whole batch.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from convlift.augment import shot_noise, tables, weather_and_light
from convlift.augment.policies import Policy
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import Weather, draw_weather
from convlift.recipe.augmentation import Augmentation

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Chosen = NDArray[np.bool_]

NAMES = ("gamma", "equalize", "solarize", "posterize", "sharpness", "blur", "shot_noise", "jpeg")
NOISE_STREAM = "shot noise of pixels"  # beside "shot_noise", which says whose
IDENTITY = np.arange(256)[None]
REACH = 3.0  # deviations to which a blur is computed
LEAST_BLUR = 0.1  # pixels: a neighbour's part is then nothing
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL's SMOOTH, which its Sharpness blends with


class Effects(NamedTuple):
    """What was drawn for each of N images; (N,) each but `weather` and `deviation`, and neutral where nothing was.

    weather: what there is of it, or None.
    blur: deviation, pixels (0). noisy: whether it gets shot noise, of the `deviation` of all. gamma: exponent (1).
    stretched: whether each channel is stretched to all of [0, 1]. equalize: part of the way to an even histogram (0).
    solarize: the byte from which on pixels are inverted (256). posterize: bits set to 0 (0). sharpness: factor (1).
    jpeg: quality, 1 to 100 (0: not saved).
    """

    weather: Weather | None
    blur: Floats
    noisy: Chosen
    deviation: float
    gamma: Floats
    stretched: Chosen
    equalize: Floats
    solarize: Whole
    posterize: Whole
    sharpness: Floats
    jpeg: Whole


def draw_effects(
    augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int], policy: Policy | None = None
) -> Effects | None:
    """What is done to each image, with what a policy adds; None where all effects and policies are off. Each that is on
    takes two numbers an image, of gamma one."""
    a = augmentation
    weather = draw_weather(a, streams, count)
    if policy is None and weather is None and not any(getattr(a, name) for name in NAMES):
        return None
    equal, solar, poster, sharp, blurry, noisy, coded = (draw_chosen(name, a, streams, count) for name in NAMES[1:])
    blurs_N = a.blur * min(size_HW) * blurry[1]
    effects = Effects(
        weather=weather,
        blur=np.where(blurry[0] & (blurs_N > LEAST_BLUR), blurs_N, 0.0),
        noisy=noisy[0],
        deviation=a.shot_noise,
        gamma=np.exp(streams.symmetric("gamma", -math.log(1 - a.gamma), count)),
        stretched=np.zeros(count, bool),
        equalize=np.where(equal[0], a.equalize * equal[1], 0.0),
        solarize=np.where(solar[0], np.ceil(255 * (1 - a.solarize * solar[1])), tables.NEVER).astype(np.int64),
        posterize=np.where(poster[0], 1 + np.floor(math.ceil(a.posterize) * poster[1]), 0).astype(np.int64),
        sharpness=np.where(sharp[0], 1 + a.sharpness * (2 * sharp[1] - 1), 1.0),
        jpeg=np.where(coded[0], np.maximum(1, np.rint(100 * (1 - a.jpeg * coded[1]))), 0).astype(np.int64),
    )
    return effects if policy is None else _with_policy(effects, policy)


def _with_policy(effects: Effects, policy: Policy) -> Effects:
    return effects._replace(
        stretched=policy.stretched,
        equalize=np.maximum(effects.equalize, policy.equalized),
        solarize=np.minimum(effects.solarize, policy.solarize),
        posterize=np.maximum(effects.posterize, policy.posterize),
        sharpness=effects.sharpness * policy.sharpness,
    )


def those_of(effects: Effects, chosen: Whole) -> Effects:
    """What was drawn for some of the images; of effects without weather."""
    e = effects
    assert e.weather is None, "its noise is of all images together"
    return Effects(
        weather=None,
        blur=e.blur[chosen],
        noisy=e.noisy[chosen],
        deviation=e.deviation,
        gamma=e.gamma[chosen],
        stretched=e.stretched[chosen],
        equalize=e.equalize[chosen],
        solarize=e.solarize[chosen],
        posterize=e.posterize[chosen],
        sharpness=e.sharpness[chosen],
        jpeg=e.jpeg[chosen],
    )


def draw_chosen(name: str, augmentation: Augmentation, streams: Streams, count: int) -> tuple[Chosen, Floats]:
    """Which images are drawn for an effect, and uniform numbers in [0, 1); nothing is drawn where it is off."""
    if not getattr(augmentation, name):
        return np.zeros(count, bool), np.zeros(count)
    drawn_N2 = streams[name].random((count, 2))
    return drawn_N2[:, 0] < augmentation.effect_chance, drawn_N2[:, 1]


def affected(image_HWC: Pixels, index: int, effects: Effects, streams: Streams) -> Pixels:
    """Image number `index` with what is done to it; C-contiguous, and the same array where nothing is."""
    image = image_HWC
    if effects.weather is not None:
        image = _under_weather(image, index, effects.weather)
    if effects.blur[index]:
        image = blurred(image, effects.blur[index])
    if effects.noisy[index]:
        image = _with_shot_noise(image, effects.deviation, streams[NOISE_STREAM])
    if (table := _table(image, index, effects)) is not None:
        image = _through(image, table)
    if effects.sharpness[index] != 1:
        image = sharpened(image, effects.sharpness[index])
    if effects.jpeg[index]:
        image = through_jpeg(image, int(effects.jpeg[index]))
    return image


def _under_weather(image_HWC: Pixels, index: int, weather: Weather) -> Pixels:
    """The image under all weather that was drawn for it, rounded to bytes once."""
    here = [name for name, strengths_N in weather.strengths.items() if strengths_N[index]]
    if not here:
        return image_HWC
    seen, chosen = image_HWC[None] * np.float32(1 / 255), np.array([index])
    for name in here:
        seen = weather_and_light.weathered(seen, name, weather, chosen, np, np.float32)
    found: Pixels = np.rint(255 * seen[0]).astype(np.uint8)
    return found


def blurred(image_HWC: Pixels, deviation: float) -> Pixels:
    """Convolved with a Gaussian, what lies beyond the border mirrored; deviation: pixels."""
    reach = math.ceil(REACH * deviation)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / deviation) ** 2) / 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    found = cv2.sepFilter2D(image_HWC, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.rint(found).astype(np.uint8).reshape(image_HWC.shape)


def sharpened(image_HWC: Pixels, factor: float) -> Pixels:
    """Blended with its smoothed copy, as PIL's `Sharpness`: 0 is that copy, 1 the image; the outermost pixels stay."""
    if min(image_HWC.shape[:2]) < 3:
        return image_HWC
    smooth = cv2.filter2D(image_HWC, cv2.CV_32F, SMOOTH).reshape(image_HWC.shape)
    found = image_HWC.copy()
    blend = smooth + np.float32(factor) * (image_HWC - smooth)
    found[1:-1, 1:-1] = np.rint(blend[1:-1, 1:-1].clip(0, 255))
    return found


def through_jpeg(image_HWC: Pixels, quality: int) -> Pixels:
    """Saved and read again."""
    shape, colour = image_HWC.shape, image_HWC.shape[2] == 3
    sent = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR) if colour else image_HWC
    file = cv2.imencode(".jpg", sent, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    found = cv2.imdecode(file, cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE)
    assert found is not None, "what was encoded just now"
    return found.reshape(shape).astype(np.uint8, copy=False)


def _table(image_HWC: Pixels, index: int, effects: Effects) -> Whole | None:
    """(C, 256), or (1, 256) for all channels; None where bytes stay."""
    e, found = effects, IDENTITY
    if e.gamma[index] != 1:
        found = tables.gamma_tables(e.gamma[index][None])
    if e.stretched[index]:
        found = tables.then(found, tables.stretched(_counts(image_HWC, found), np), np)
    if e.equalize[index]:
        even = tables.equalized(_counts(image_HWC, found), np)
        found = tables.then(found, tables.part_of_the_way(even, tables.in_256ths(e.equalize[index]), np), np)
    if e.solarize[index] < tables.NEVER or e.posterize[index]:
        found = tables.then(found, tables.cut_tables(e.solarize[index][None], e.posterize[index][None]), np)
    return None if np.array_equal(found, IDENTITY) else found


def _counts(image_HWC: Pixels, table: Whole) -> Whole:
    """(C, 256): how often each byte is there, after a table."""
    seen = image_HWC if np.array_equal(table, IDENTITY) else _through(image_HWC, table)
    channels = range(seen.shape[2])
    # whole numbers, which float32 holds up to 4,096 pixels a side
    counts = [cv2.calcHist([seen], [channel], None, [256], [0, 256]).ravel() for channel in channels]
    return np.stack(counts).astype(np.int64)


def _through(image_HWC: Pixels, table_CL: Whole) -> Pixels:
    table = np.ascontiguousarray(table_CL.T.astype(np.uint8))[None]
    if table.shape[2] < image_HWC.shape[2]:
        table = table[..., 0]
    return cv2.LUT(image_HWC, table).astype(np.uint8, copy=False).reshape(image_HWC.shape)


def _with_shot_noise(image_HWC: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    places = image_HWC.astype(np.int32)
    places *= shot_noise.CASES
    places += shot_noise.draw_cases(image_HWC.size, rng).reshape(image_HWC.shape)
    return shot_noise.quantiles(deviation).take(places, mode="wrap")
