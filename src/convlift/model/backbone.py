"""Pretrained convolutional backbones by their timm name, as a stem and an ordered list of stages.

The only place that imports timm.
"""

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convlift.errors import RecipeError, WeightsError
from convlift.model.deferred_compiler import compiler_deferred
from convlift.model.operators import declare_missing_operators
from convlift.model.weights import Statistics, find_local_weights, find_weights, load_weights
from convlift.recipe.data import is_bands

declare_missing_operators()

with compiler_deferred():
    import timm  # its torchvision needs the operators above

# modules that timm's networks keep their stages in
CONTAINERS = ("blocks", "stages", "features", "layers")
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d)
# enough for five halvings and the unpadded stems of the Inception family
PROBE_PIXELS = 96


class Backbone(nn.Module):
    """A timm network without its classifier: images_NCHW -> feature map (N, channels, h, w).

    parts: the stem, then the stages, each as the names of the modules of `network` that run one after another; a single
    part without names where the network is no such sequence. widths: channels of what each of them gives, 0 where that
    is no map. What makes no features is replaced by an identity.
    """

    def __init__(self, network: nn.Module, parts: tuple[tuple[str, ...], ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.parts = parts
        self.widths = widths

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.network.forward_features(images_NCHW)  # type: ignore[operator]

    @property
    def stages(self) -> int:
        """How many stages can be told apart (the stem is none)."""
        return max(1, len(self.parts) - 1)


def create_backbone(name: str, weights: str, channels: int = 3) -> Backbone:
    """Build a backbone in channels-last memory order; weights: "auto", "random" or a path (see weights.py).

    channels: of the images. Of grey ones it is built for colour, as which they are shown to it; of bands its first
    convolution takes as many as there are, with weights as `over_bands` says.
    Random weights are drawn from torch's global generator. Raises RecipeError for an unknown name, a network without a
    convolutional feature map or of three channels alone, WeightsError for weights that are missing or do not fit.
    """
    file = find_weights(_known(name), weights, _published(name).hf_hub_id)
    pad_type = file.pad_type if file else ""
    structure = _structure(name, pad_type)
    network = _build(name, pad_type, channels) if is_bands(channels) else _build(name, pad_type)
    if file is not None:
        load_weights(network, file, structure.used, structure.unused, partial(over_bands, name=name, channels=channels))
    for child in structure.unused:
        if hasattr(network, child):
            setattr(network, child, nn.Identity())
    return Backbone(network, structure.parts, structure.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def over_bands(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], *, name: str, channels: int
) -> dict[str, Tensor]:
    """Pretrained weights for images of bands: what reads the image, with three input planes in the file, has them
    repeated in their order, red, green, blue, red, ..., over so many bands, times 3 / channels.

    own: the network's weights, of the wanted shapes. Where channels is a multiple of 3, the sum over all inputs, and so
    what it makes of equal bands, stays what it was; else the scale does, about. Which band is red nobody knows.
    A file that has as many planes already is taken as it is. Source: `timm.models.adapt_input_conv` (Wightman 2019),
    which calls it better than random weights. Raises RecipeError for a network that folds pixels into channels first.
    """
    found = dict(state)
    for key, tensor in own.items() if is_bands(channels) else ():
        given = state.get(key)
        if given is None or given.ndim != 4 or given.shape == tensor.shape:
            continue
        planes, wanted = given.shape[1], tensor.shape[1]
        if planes == 3 and wanted == channels:
            found[key] = timm.models.adapt_input_conv(channels, given).contiguous()
        elif planes % 3 == 0 and wanted == planes // 3 * channels:
            raise RecipeError(
                f"the weights of {name} are for three channels, which it folds in a way that is not adapted to the "
                f"{channels} bands of the images; name another backbone, or give --weights random."
            )
    return found


def backbone_statistics(name: str, weights: str = "auto") -> Statistics:
    """Mean and deviation per channel, of pixels in [0, 1], that a backbone was trained with; builds no network.

    Those that a weights file states come before timm's. Raises RecipeError for an unknown name, WeightsError for a file
    that is not there.
    """
    published = _published(_known(name))
    file = find_local_weights(name, weights)
    if file is not None and file.statistics is not None:
        return file.statistics
    return tuple(map(float, published.mean)), tuple(map(float, published.std))


def split_at(backbone: Backbone, stages: int) -> tuple[nn.Sequential, nn.Sequential]:
    """(lower, upper): all before the last `stages` stages, and those; `upper(lower(x))` is `backbone(x)` to the bit.

    Both share the backbone's weights. The stem belongs to lower always, a final convolution after the last stage (such
    as EfficientNet's conv_head) to the last stage. Raises RecipeError where the backbone has not so many stages.
    """
    if len(backbone.parts) < 2 or not 1 <= stages <= backbone.stages:
        count = backbone.stages if len(backbone.parts) > 1 else 0
        raise RecipeError(
            f"fine_tuning.stages is {stages}, but the backbone has {count} stages that can be told apart; "
            f"use {f'1 to {count}, or ' if count else ''}null for all of it."
        )
    cut = len(backbone.parts) - stages
    lower = [unit for part in backbone.parts[:cut] for unit in part]
    upper = [unit for part in backbone.parts[cut:] for unit in part]
    return _run_of(backbone.network, lower), _run_of(backbone.network, upper)


def last_stages(backbone: Backbone, stages: int, above: int | None = None) -> tuple[nn.Module, list[nn.Module]]:
    """(below, [stage, ...]): the last `stages` stages one by one, and what lies between them and the cut below the last
    `above` stages, or below them all; of fewer stages where not so many can be told apart, or give a map. They share
    the backbone's weights. Raises RecipeError where there are not `above` stages.
    """
    assert above is None or stages <= above, "parse_recipe() refuses a head that reads below the cut"
    maps = itertools.takewhile(bool, reversed(backbone.widths))
    stages = max(1, min(stages, backbone.stages, len(list(maps))))
    if stages == 1:
        return nn.Identity(), [backbone if above is None else split_at(backbone, above)[1]]
    first = 0 if above is None else len(backbone.parts) - above
    parts = backbone.parts[len(backbone.parts) - stages :]
    between = [unit for part in backbone.parts[first : len(backbone.parts) - stages] for unit in part]
    return _run_of(backbone.network, between), [_run_of(backbone.network, list(part)) for part in parts]


def _run_of(network: nn.Module, units: list[str]) -> nn.Sequential:
    run = nn.Sequential(*(network.get_submodule(unit) for unit in units))
    # Sequential starts in training mode and would report it, whatever its modules do
    run.training = network.training
    return run


def _known(name: str) -> str:
    plain = name.split(".")[0]
    tagged = [known for known in timm.list_pretrained(f"{plain}.*") if known != plain]
    if timm.is_model(plain) and (name == plain or name in tagged):
        return name
    near = difflib.get_close_matches(name, tagged or timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() gives the valid names."
    raise RecipeError(f"architecture.backbone '{name}' is no network of timm {timm.__version__}; {hint}")


def _published(name: str) -> Any:
    return timm.models.get_pretrained_cfg(name)


def _classifier_names(name: str) -> set[str]:
    classifier = _published(name).classifier or ()
    return {path.split(".")[0] for path in ((classifier,) if isinstance(classifier, str) else classifier)}


def _build(name: str, pad_type: str, channels: int = 3) -> Any:
    padding: dict[str, Any] = {"pad_type": pad_type} if pad_type else {}
    inputs: dict[str, Any] = {} if channels == 3 else {"in_chans": channels}
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, **padding, **inputs)
    except TypeError as error:
        if inputs:
            raise RecipeError(
                f"architecture.backbone '{name}' is for three channels, and the images have {channels} bands; name "
                "another backbone, or train a network from scratch."
            ) from error
        if not padding:
            raise
        raise WeightsError(
            f"the weights need pad_type='{pad_type[:40]}', which {name} does not have; give weights of this network."
        ) from error


class _Structure(NamedTuple):
    """How a timm network is built.

    parts, widths: as in Backbone.
    used, unused: names of top-level modules that make the features, and of the others.
    """

    parts: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    used: frozenset[str]
    unused: frozenset[str]


@lru_cache(maxsize=64)
def _structure(name: str, pad_type: str) -> _Structure:
    """How a network makes its features, found by running it once; leaves torch's generator as it was."""
    # on the CPU even where the caller builds a network without memory (the meta device)
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.inference_mode():
        network = _build(name, pad_type).eval()
        images = torch.randn(1, 3, PROBE_PIXELS, PROBE_PIXELS)
        features = _probe(name, network, images)
        units = _matching_run(network, images, features)
        parts = _parts(network, units)
        widths = (*_widths(network, parts[:-1], images), features.shape[1])
    children = {child for child, _ in network.named_children()}
    classifier = _classifier_names(name)
    used = {unit.split(".")[0] for unit in units} or children - classifier
    return _Structure(parts, widths, frozenset(used), frozenset((children | classifier) - used))


def _probe(name: str, network: Any, images: Tensor) -> Tensor:
    try:
        features = network.forward_features(images)
    except Exception as error:
        raise _no_feature_map(name, f"it refuses images of {PROBE_PIXELS} pixels") from error
    if not isinstance(features, Tensor) or features.ndim != 4:
        raise _no_feature_map(name, "its features are a sequence")
    if getattr(network, "output_fmt", "NCHW") != "NCHW" or features.shape[2] != features.shape[3]:
        raise _no_feature_map(name, "its features have the channels last")
    return features


def _widths(network: nn.Module, parts: Sequence[tuple[str, ...]], images_NCHW: Tensor) -> Iterator[int]:
    """Channels of what each part gives, the others before it."""
    value: Any = images_NCHW
    for part in parts:
        value = _run_of(network, list(part))(value)
        yield value.shape[1] if isinstance(value, Tensor) and value.ndim == 4 else 0


def _no_feature_map(name: str, reason: str) -> RecipeError:
    return RecipeError(
        f"architecture.backbone '{name}' gives no convolutional feature map at any resolution ({reason}); "
        "choose a CNN such as tf_efficientnet_lite0, resnet50 or convnext_tiny."
    )


def _matching_run(network: nn.Module, images: Tensor, features: Tensor) -> list[str]:
    """The longest run of modules, in the order they were declared, whose result is `features` to the bit.

    Empty where there is none (HRNet, whose branches run side by side).
    """
    run: list[str] = []
    matching: list[str] = []
    value: Any = images.clone()
    for unit in _units(network):
        try:
            value = network.get_submodule(unit)(value)
        except Exception:
            break
        run.append(unit)
        if isinstance(value, Tensor) and torch.equal(value, features):
            matching = list(run)
        elif matching:
            break
    return matching


def _units(network: nn.Module) -> list[str]:
    units = []
    for name, child in network.named_children():
        if name in CONTAINERS and isinstance(child, nn.Sequential | nn.ModuleList):
            units += [f"{name}.{inner}" for inner, _ in child.named_children()]
        else:
            units.append(name)
    return units


def _parts(network: nn.Module, units: list[str]) -> tuple[tuple[str, ...], ...]:
    """Group the units into stem and stages: a stage starts at a module of two or more convolutions, or after pooling.

    So ResNet has layer1 to layer4, EfficientNet its blocks, DenseNet its dense blocks (each with its transition), VGG
    the convolutions between two poolings.
    """
    if not units:
        return ((),)
    parts = [[units[0]]]
    for before, unit in itertools.pairwise(units):
        convolutions = sum(isinstance(m, nn.Conv2d) for m in network.get_submodule(unit).modules())
        if convolutions >= 2 or (convolutions and isinstance(network.get_submodule(before), POOLINGS)):
            parts.append([])
        parts[-1].append(unit)
    return tuple(map(tuple, parts))
