"""Statistics of batch norms, estimated anew from the images at hand, without labels (Schneider et al. 2020).

"Improving robustness against common corruptions by covariate shift adaptation", section 3: of n images and training's
statistics that count as N pseudo images, each layer takes N / (N + n) of training's mean and variance, and n / (N + n)
of the images' own. A network without batch norm has nothing to adapt.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convlift.deploy.classifier import Classifier
from convlift.deploy.images import Pixels
from convlift.deploy.predict import Model
from convlift.errors import ConvliftError

MOST_IMAGES = 256  # that statistics are of, at one time; from some hundred on the paper's figure 2 is flat
USUAL_PSEUDO = 16
Statistics = list[tuple[Tensor, Tensor]]  # of every layer: mean and variance (C,)


def adaptable(name: str, model: Classifier) -> Model:
    """The model, which has batch norms. Raises ConvliftError where it has none, or is an exported file."""
    if not isinstance(model, Model):
        raise ConvliftError(
            f"{name} is an exported file, whose batch norms are part of its convolutions; name the run folder with "
            "--adapt-batch-norm, or leave it out."
        )
    if not _layers(model.network):
        raise ConvliftError(f"the network of {name} has no batch norm to adapt; leave out --adapt-batch-norm.")
    return model


def has_batch_norm(model: Classifier) -> bool:
    """Whether there is something to adapt."""
    return isinstance(model, Model) and bool(_layers(model.network))


def adapted_statistics(model: Model, squares: Sequence[Pixels], pseudo: int) -> Statistics:
    """What each batch norm of the network takes on these images, once those before it have taken theirs.

    squares: images resized to (R, R, C), of which at most `MOST_IMAGES` count; at least one. pseudo: N, 0 or more.
    The network is left as it was.
    """
    layers = _layers(model.network)
    with model.speaking(), torch.inference_mode(), using(model, _statistics_of(layers)):
        hooks = [layer.register_forward_pre_hook(_adapting(layer, pseudo)) for layer in layers]
        try:
            model.network(model.inputs(squares[:MOST_IMAGES]))
        finally:
            for hook in hooks:
                hook.remove()
        return _statistics_of(layers)


@contextmanager
def using(model: Model, statistics: Statistics) -> Iterator[None]:
    """The network with these statistics, and with its own again afterwards."""
    layers = _layers(model.network)
    own = _statistics_of(layers)
    take(model, statistics)
    try:
        yield
    finally:
        take(model, own)


def take(model: Model, statistics: Statistics) -> None:
    """Give the network's batch norms these statistics."""
    with torch.no_grad():
        for layer, (mean, variance) in zip(_layers(model.network), statistics, strict=True):
            assert layer.running_mean is not None, "_layers() looked"
            assert layer.running_var is not None, "_layers() looked"
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)


def _layers(network: nn.Module) -> list[_BatchNorm]:
    return [each for each in network.modules() if isinstance(each, _BatchNorm) and each.running_mean is not None]


def _statistics_of(layers: Sequence[_BatchNorm]) -> Statistics:
    return [
        (layer.running_mean.clone(), layer.running_var.clone())
        for layer in layers
        if layer.running_mean is not None and layer.running_var is not None
    ]


def _adapting(layer: _BatchNorm, pseudo: int):  # type: ignore[no-untyped-def]
    (source,) = _statistics_of([layer])

    def adapt(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        across = [axis for axis in range(values.dim()) if axis != 1]
        share = values.shape[0] / (pseudo + values.shape[0])
        for kept, before, now in zip(
            (layer.running_mean, layer.running_var), source,
            (values.mean(across), values.var(across, unbiased=False)), strict=True,
        ):  # fmt: skip
            assert kept is not None, "_layers() looked"
            kept.copy_(before + share * (now - before))

    return adapt
