"""From the architecture of a recipe to a network."""

import torch
from torch import nn

from convlift.model.convnet import build_convnet
from convlift.model.own_network import build_own
from convlift.recipe.architecture import Architecture, ConvNet, Own


def build_network(architecture: Architecture, *, classes: int, channels: int, resolution: int) -> nn.Module:
    """A network in channels-last memory: images_NCHW float, (channels, resolution, resolution) each -> logits_NK.

    Weights are drawn from torch's global generator: seed it first. Raises RecipeError where the architecture does not
    fit the resolution or the user's code does not make it, WeightsError where pretrained weights are missing or do not
    fit.
    """
    if isinstance(architecture, ConvNet):
        network: nn.Module = build_convnet(architecture, classes=classes, channels=channels, resolution=resolution)
    elif isinstance(architecture, Own):
        # in the order that it takes
        return build_own(architecture, classes=classes, channels=channels, resolution=resolution)
    else:
        # timm takes a second to import, which a network from scratch need not wait for
        from convlift.model.pretrained import Classifier

        network = Classifier(architecture, classes, channels)
    # mypy: torch's stubs leave out this overload
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
