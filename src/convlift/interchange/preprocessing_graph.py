"""What happens to an image before the network sees it, as an ONNX graph: `data/decode.py` after the decoding.

ONNX's antialiased cubic Resize follows Pillow's arithmetic pass by pass, for bytes to the fixed point (onnxruntime took
it from there), but goes through height and width in an order of its own. So each pass is a Resize for itself, in the
order that Pillow takes.
"""

from collections.abc import Iterable, Sequence

import PIL
from onnx import GraphProto, parser

from convlift.data.decode import LONGER, SHORTER_SIDE
from convlift.data.square import CROP
from convlift.deploy.onnx_classifier import IMAGES
from convlift.recipe.data import Preparation, is_bands, letterbox_fill

INPUTS = "inputs"
CONTRASTS = "contrasts"
OPSET = 18  # the first with an antialiased Resize
# Pillow goes through the height first where it shrinks by over twice as many pixels as the width; earlier ones never do
HEIGHT_FIRST_FROM = 13

_PASS = (
    'Resize<mode="cubic", antialias=1, cubic_coeff_a=-0.5, exclude_outside=1, '
    'coordinate_transformation_mode="half_pixel">'
)


def preprocessing_graph(
    channels: int,
    resolution: int,
    preparation: Preparation,
    mean_C: Sequence[float],
    std_C: Sequence[float] | None,
    kept: int = SHORTER_SIDE,
) -> GraphProto:
    """images, uint8 (N, H, W, 3) of any height and width, upright, grey ones with three equal channels, those of bands
    (N, H, W, channels) -> inputs, float32 (N, channels, resolution, resolution), as `data/square.py` and
    `pipeline.normalize` give them.
    kept: the `side` of `decode`. preparation: without a contrast, which ONNX has no words for.
    Also gives contrasts (N,), as `likeness.contrasts`.
    """
    assert preparation.contrast == "none", "an export of it is refused before"
    fit = {"squash": _squash, "crop": _crop, "letterbox": _letterbox}[preparation.resize]
    grey = _grey(channels) if preparation.grey and channels == 3 else "toned = Identity(fitted)"
    outputs = f"float[N,{channels},{resolution},{resolution}] {INPUTS}, float[N] {CONTRASTS}"
    text = f"""
    preprocessing (uint8[N,H,W,{given_channels(channels)}] {IMAGES}) => ({outputs}) {{
      zero = Constant<value = int64[1] {{0}}>()
      one = Constant<value = int64[1] {{1}}>()
      two = Constant<value = int64[1] {{2}}>()
      unit = Constant<value = double[1] {{1.0}}>()
      side = Constant<value = int64[1] {{{resolution}}}>()
      colours = Transpose<perm=[0, 3, 1, 2]>({IMAGES})
      {_limit(kept)}
      {_channels(channels)}
      {fit(channels, resolution)}
      {grey}
      pixels = Cast<to=1>(toned)
      {_normalized(mean_C, std_C) if std_C is not None else _standardized(channels * resolution**2)}
      {_contrasts()}
    }}"""
    return parser.parse_graph(text)


def given_channels(channels: int) -> int:
    """How many channels a graph is given of images that its network sees so many of: of grey ones, too, three."""
    return channels if is_bands(channels) else 3


def _contrasts() -> str:
    """pixels -> contrasts: the largest deviation of a channel."""
    return f"""
      positions = Constant<value = int64[2] {{2, 3}}>()
      others = Constant<value = int64[3] {{1, 2, 3}}>()
      middle = ReduceMean<keepdims=1>(pixels, positions)
      apart = Sub(pixels, middle)
      squared = Mul(apart, apart)
      variance = ReduceMean<keepdims=1>(squared, positions)
      deviation = Sqrt(variance)
      {CONTRASTS} = ReduceMax<keepdims=0>(deviation, others)"""


def _limit(side: int) -> str:
    """colours -> kept: as `decode` limits every image."""
    return f"""
      given = Shape<start=2, end=4>(colours)
      given_d = Cast<to=11>(given)
      least = ReduceMin<keepdims=1>(given_d)
      most = ReduceMax<keepdims=1>(given_d)
      least_kept = Constant<value = double[1] {{{float(side)}}}>()
      most_kept = Constant<value = double[1] {{{float(LONGER * side)}}}>()
      by_least = Div(least_kept, least)
      by_most = Div(most_kept, most)
      limit = Min(by_least, by_most, unit)
      {_scaled("given_d", "limit", "kept_sides")}
      {_resized("colours", "kept_sides", "kept")}"""


def _channels(channels: int) -> str:
    """kept -> seen. Grey is luma in Pillow's fixed point, which leaves three equal channels what they are."""
    if channels == given_channels(channels):
        return "seen = Identity(kept)"
    return f"""
      {_luma("kept")}
      seen = Cast<to=2>(luma)"""


def _grey(channels: int) -> str:
    """fitted -> toned: colours as their luma, in as many channels."""
    return f"""
      {_luma("fitted")}
      toned = Concat<axis=1>({", ".join(["luma"] * channels)})"""


def _luma(source: str) -> str:
    """source (N, 3, H, W) -> luma int32 (N, 1, H, W), as `tones.luma_of`."""
    return f"""
      wide = Cast<to=6>({source})
      weights = Constant<value = int32[1,3,1,1] {{19595, 38470, 7471}}>()
      half = Constant<value = int32[1] {{32768}}>()
      whole = Constant<value = int32[1] {{65536}}>()
      weighted = Mul(wide, weights)
      total = ReduceSum(weighted, one)
      raised = Add(total, half)
      luma = Div(raised, whole)"""


def _normalized(mean_C: Sequence[float], std_C: Sequence[float]) -> str:
    """pixels -> inputs, by fixed figures."""
    factors = _row(1.0 / (255.0 * std) for std in std_C)
    shifts = _row(-mean / std for mean, std in zip(mean_C, std_C, strict=True))
    return f"""
      factors = Constant<value = float[1,{len(mean_C)},1,1] {factors}>()
      shifts = Constant<value = float[1,{len(mean_C)},1,1] {shifts}>()
      scaled = Mul(pixels, factors)
      {INPUTS} = Add(scaled, shifts)"""


def _standardized(values: int) -> str:
    """pixels -> inputs, each image by its own mean and deviation, as `pipeline.standardize`; values: of an image. In
    float64, since onnxruntime adds thousands of float32 one after another."""
    return f"""
      white = Constant<value = double[1] {{255.0}}>()
      wide_pixels = Cast<to=11>(pixels)
      of_one = Div(wide_pixels, white)
      all = Constant<value = int64[3] {{1, 2, 3}}>()
      mean = ReduceMean<keepdims=1>(of_one, all)
      centred = Sub(of_one, mean)
      own_squares = Mul(centred, centred)
      own_variance = ReduceMean<keepdims=1>(own_squares, all)
      own_deviation = Sqrt(own_variance)
      least_deviation = Constant<value = double[1] {{{values**-0.5!r}}}>()
      divisor = Max(own_deviation, least_deviation)
      standardized = Div(centred, divisor)
      {INPUTS} = Cast<to=1>(standardized)"""


def _squash(channels: int, resolution: int) -> str:
    return f"""
      sides = Concat<axis=0>(side, side)
      {_resized("seen", "sides", "fitted")}"""


def _letterbox(channels: int, resolution: int) -> str:
    return f"""
      lengths = Shape<start=2, end=4>(seen)
      lengths_d = Cast<to=11>(lengths)
      longer = ReduceMax<keepdims=1>(lengths_d)
      side_d = Cast<to=11>(side)
      shrunk = Div(side_d, longer)
      {_scaled("lengths_d", "shrunk", "inside")}
      {_resized("seen", "inside", "small")}
      missing = Sub(side, inside)
      before = Div(missing, two)
      after = Sub(missing, before)
      neither = Concat<axis=0>(zero, zero)
      pads = Concat<axis=0>(neither, before, neither, after)
      fill = Constant<value = float[1,{channels},1,1] {_row(map(float, letterbox_fill(channels)))}>()
      small_f = Cast<to=1>(small)
      above = Sub(small_f, fill)
      padded = Pad(above, pads)
      fitted = Add(padded, fill)"""


def _crop(channels: int, resolution: int) -> str:
    """The whole image at the size of which the centre is kept: the passes that give its pixels are the same."""
    return f"""
      lengths = Shape<start=2, end=4>(seen)
      lengths_d = Cast<to=11>(lengths)
      shorter = ReduceMin<keepdims=1>(lengths_d)
      target = Constant<value = double[1] {{{float(round(resolution / CROP))}}}>()
      step = Div(shorter, target)
      whole_d = Div(lengths_d, step)
      whole_r = Round(whole_d)
      whole_i = Cast<to=7>(whole_r)
      over = Sub(whole_i, side)
      first = Div(over, two)
      last = Add(first, side)
      factor = Div(target, shorter)
      factor_f = Cast<to=1>(factor)
      unit_f = Cast<to=1>(unit)
      {_height_first("lengths", "side", "side", "tall")}
      factor_h = Where(tall, factor_f, unit_f)
      factor_w = Where(tall, unit_f, factor_f)
      scales_1 = Concat<axis=0>(unit_f, unit_f, factor_h, factor_w)
      scales_2 = Concat<axis=0>(unit_f, unit_f, factor_w, factor_h)
      half_way = {_PASS}(seen, , scales_1)
      large = {_PASS}(half_way, , scales_2)
      axes = Constant<value = int64[2] {{2, 3}}>()
      fitted = Slice(large, first, last, axes)"""


def _scaled(lengths: str, factor: str, into: str) -> str:
    """Sides times a factor, rounded as Python rounds, 1 at least."""
    return f"""
      {into}_d = Mul({lengths}, {factor})
      {into}_r = Round({into}_d)
      {into}_m = Max({into}_r, unit)
      {into} = Cast<to=7>({into}_m)"""


def _height_first(lengths: str, height: str, width: str, into: str) -> str:
    """Whether the height comes first, (1,) of bool; lengths (2,); height, width (1,)."""
    if int(PIL.__version__.partition(".")[0]) < HEIGHT_FIRST_FROM:
        return f"{into} = Less(one, zero)"
    return f"""
      {into}_from_h = Slice({lengths}, zero, one)
      {into}_from_w = Slice({lengths}, one, two)
      {into}_lost_h = Sub({into}_from_h, {height})
      {into}_lost_w = Sub({into}_from_w, {width})
      {into}_twice = Mul({into}_lost_w, two)
      {into}_shrinks = Greater({into}_lost_h, zero)
      {into}_by_more = Greater({into}_lost_h, {into}_twice)
      {into} = And({into}_shrinks, {into}_by_more)"""


def _resized(source: str, sides: str, into: str) -> str:
    """source uint8 (N, C, H, W) -> into, of the given sides (2,), in Pillow's order of passes."""
    return f"""
      {into}_outer = Shape<start=0, end=2>({source})
      {into}_lengths = Shape<start=2, end=4>({source})
      {into}_h = Slice({sides}, zero, one)
      {into}_w = Slice({sides}, one, two)
      {_height_first(f"{into}_lengths", f"{into}_h", f"{into}_w", f"{into}_tall")}
      {into}_old_h = Slice({into}_lengths, zero, one)
      {into}_old_w = Slice({into}_lengths, one, two)
      {into}_first_h = Where({into}_tall, {into}_h, {into}_old_h)
      {into}_first_w = Where({into}_tall, {into}_old_w, {into}_w)
      {into}_sizes_1 = Concat<axis=0>({into}_outer, {into}_first_h, {into}_first_w)
      {into}_sizes_2 = Concat<axis=0>({into}_outer, {into}_h, {into}_w)
      {into}_half_way = {_PASS}({source}, , , {into}_sizes_1)
      {into} = {_PASS}({into}_half_way, , , {into}_sizes_2)"""


def _row(values: Iterable[float]) -> str:
    return "{" + ", ".join(repr(float(value)) for value in values) + "}"
