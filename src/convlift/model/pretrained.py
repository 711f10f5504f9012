"""A pretrained backbone under a new head."""

from collections import OrderedDict
from typing import Literal, Self

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convlift.model.backbone import create_backbone, split_at
from convlift.recipe.architecture import Pretrained

BatchNormRule = Literal["frozen", "update"]


class Classifier(nn.Module):
    """backbone -> global average pooling -> head: images_NCHW (C is 3, or 1 for grey) -> logits_NK.

    The head works on pooled features (N, D): Dense(head_units, relu) unless head_units is 0, dropout, Dense(classes).
    `train()` keeps in evaluation mode what transfer.py froze, so that no training loop has to know of it.
    """

    def __init__(self, architecture: Pretrained, classes: int) -> None:
        """Raises RecipeError for an unknown backbone, WeightsError for weights that are missing or do not fit."""
        super().__init__()
        self.backbone = create_backbone(architecture.backbone, architecture.weights)
        self.head = _head(self.backbone.channels, architecture, classes)
        self.batch_norm: BatchNormRule = "update"

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Globally averaged features (N, D)."""
        return pool(self.backbone(as_colour(images_NCHW)))

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
        _, self.upper = split_at(classifier.backbone, stages)
        self.head = classifier.head
        self.batch_norm = classifier.batch_norm

    def forward(self, activations_NCHW: Tensor) -> Tensor:
        return self.head(pool(self.upper(activations_NCHW)))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        _hold(self.upper, self.batch_norm)
        return self


def pool(maps_NCHW: Tensor) -> Tensor:
    """Global average pooling: (N, C, h, w) -> (N, C)."""
    return maps_NCHW.mean((2, 3))


def as_colour(images_NCHW: Tensor) -> Tensor:
    """Grey images as three equal channels, which is what a backbone trained on colour expects."""
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
