"""A pretrained backbone under a new head."""

from collections import OrderedDict
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convlift.model.backbone import Backbone, create_backbone, last_stages
from convlift.recipe.architecture import Pretrained

TINY = 1e-12

BatchNormRule = Literal["frozen", "update"]


class Classifier(nn.Module):
    """backbone -> global average pooling -> head: images_NCHW (C is 3, 1 for grey, or a number of bands) -> logits_NK.

    The head works on pooled features (N, D), of the last stage or of several: Dense(head_units, relu) unless head_units
    is 0, dropout, Dense(classes).
    `train()` keeps in evaluation mode what transfer.py froze, so that no training loop has to know of it.
    """

    def __init__(self, architecture: Pretrained, classes: int, channels: int = 3) -> None:
        """channels: C. Raises RecipeError for an unknown backbone, WeightsError for weights that are missing or do not
        fit."""
        super().__init__()
        self.backbone = create_backbone(architecture.backbone, architecture.weights, channels)
        self.pooled_stages = architecture.pooled_stages
        # in a tuple, which is not searched for modules: these are the backbone's own, and would be saved twice
        self._reads = (StageFeatures(self.backbone, self.pooled_stages),)
        self.width = sum(self.backbone.widths[-len(self._reads[0].stages) :])
        self.head = _head(self.width, architecture, classes)
        self.batch_norm: BatchNormRule = "update"

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Globally averaged features (N, D)."""
        features: Tensor = self._reads[0](as_colour(images_NCHW))
        return features

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.head(self.features(images_NCHW))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        _hold(self.backbone, self.batch_norm)
        return self


class Tail(nn.Module):
    """The last stages of a classifier and its head: activations (N, C, h, w) at the cut -> logits_NK.

    Shares the classifier's weights: training the tail trains the classifier.
    """

    def __init__(self, classifier: Classifier, stages: int) -> None:
        """Raises RecipeError where the backbone has not so many stages."""
        super().__init__()
        self.upper = StageFeatures(classifier.backbone, classifier.pooled_stages, stages)
        self.head = classifier.head
        self.batch_norm = classifier.batch_norm

    def forward(self, activations_NCHW: Tensor) -> Tensor:
        return self.head(self.upper(activations_NCHW))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        _hold(self.upper, self.batch_norm)
        return self


class StageFeatures(nn.Module):
    """What a head reads: images_NCHW, or activations below the last `above` stages -> features (N, D).

    The maps of the last `pooled` stages are pooled and lie side by side: the last stage's at the end as they are, the
    others scaled image by image to its root mean square, since a few large numbers would drown the rest (Evci et al.
    2022, section 4, give each the same norm). Shares the backbone's weights.
    """

    def __init__(self, backbone: Backbone, pooled: int, above: int | None = None) -> None:
        """Raises RecipeError where the backbone has not so many stages."""
        super().__init__()
        self.below, stages = last_stages(backbone, pooled, above)
        self.stages = nn.ModuleList(stages)

    def forward(self, inputs_NCHW: Tensor) -> Tensor:
        value, pooled = self.below(inputs_NCHW), []
        for stage in self.stages:
            value = stage(value)
            pooled.append(pool(value))
        *earlier, last = pooled
        if not earlier:
            return last
        size = root_mean_square(last)
        return torch.cat([*(each * (size / root_mean_square(each)) for each in earlier), last], dim=1)


def root_mean_square(features_ND: Tensor) -> Tensor:
    """Of each row, (N, 1); a little above 0 at least."""
    return features_ND.square().mean(dim=1, keepdim=True).add(TINY).sqrt()


def pool(maps_NCHW: Tensor) -> Tensor:
    """Global average pooling: (N, C, h, w) -> (N, C)."""
    return maps_NCHW.mean((2, 3))


def as_colour(images_NCHW: Tensor) -> Tensor:
    """Grey images as three equal channels, which is what a backbone trained on colour expects; others as they are."""
    return images_NCHW.repeat(1, 3, 1, 1) if images_NCHW.shape[1] == 1 else images_NCHW


def _head(features: int, architecture: Pretrained, classes: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = features
    if architecture.head_units:
        layers["hidden"] = nn.Linear(features, architecture.head_units)
        layers["relu"] = nn.ReLU()
        width = architecture.head_units
    layers["dropout"] = nn.Dropout(architecture.dropout)
    layers["output"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def _hold(backbone: nn.Module, batch_norm: BatchNormRule) -> None:
    """Put back into evaluation mode what must not move: modules all of whose parameters are frozen, and batch norms."""
    for module in backbone.modules():
        parameters = list(module.parameters())
        frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        if frozen or (batch_norm == "frozen" and isinstance(module, _BatchNorm)):
            module.eval()
