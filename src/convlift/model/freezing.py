"""The two phases of transfer learning: a new head on a frozen backbone, then the backbone's last stages with it.

Batch norm. A frozen backbone runs in evaluation mode altogether: its batch norms use the pretrained running statistics
and leave them alone, as the new head would otherwise follow features that drift while nothing learns (Chollet 2020,
Keras guide to transfer learning and fine-tuning, "BatchNormalization"; Keras' `trainable = False` means the same).
In the second phase, `batch_norm="frozen"` keeps those statistics in the unfrozen stages too and trains only scale and
shift, since the statistics of small batches would undo what the backbone has learned (same guide: `training=False`);
`"update"` lets the unfrozen stages, and only those, normalize by the batch and move their statistics (Ioffe and
Szegedy 2015), which pays where the images differ much from ImageNet's. Frozen stages stay in evaluation mode, dropout
and stochastic depth included, so their activations are constants that can be cached.
"""

from torch import nn

from convlift.model.backbone import split_at
from convlift.model.pretrained import BatchNormRule, Classifier


def freeze(network: Classifier) -> list[nn.Parameter]:
    """First phase: no backbone parameter has a gradient, no batch norm moves. Returns what trains: the head's."""
    network.backbone.requires_grad_(False)
    network.head.requires_grad_(True)
    network.batch_norm = "frozen"
    network.train(network.training)
    return list(network.head.parameters())


def unfreeze(network: Classifier, stages: int | None, batch_norm: BatchNormRule) -> list[nn.Parameter]:
    """Second phase: the last `stages` stages of the backbone (None: all, the stem too) train together with the head.

    Returns what trains. Raises RecipeError where the backbone has not so many stages.
    """
    freeze(network)
    opened = network.backbone if stages is None else split_at(network.backbone, stages)[1]
    opened.requires_grad_(True)
    network.batch_norm = batch_norm
    network.train(network.training)
    return [*opened.parameters(), *network.head.parameters()]


def rate_factors(network: Classifier, decay: float) -> dict[nn.Parameter, float]:
    """Factors on the learning rates of a backbone: `decay` for its last stage, its square for the one before, and so
    on to the stem; the head's is 1 and not named. One factor for all where the stages cannot be told apart."""
    parts = network.backbone.parts
    factors: dict[nn.Parameter, float] = {}
    for depth, units in enumerate(reversed(parts), 1):
        modules = [network.backbone.network.get_submodule(unit) for unit in units] or [network.backbone.network]
        factors |= {parameter: decay**depth for module in modules for parameter in module.parameters()}
    return factors


def train_mode(network: nn.Module) -> None:
    """Training mode, except for what the phase holds in evaluation mode; any other network: training mode."""
    network.train()
