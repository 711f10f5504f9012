"""A trained network as one ONNX file: uint8 images of any size in, probabilities out."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnx import ModelProto, compose, helper
from torch import Tensor, nn

from convlift.deploy.model_folder import ModelConfig
from convlift.deploy.onnx_classifier import DISTANCES, PREFIX, PROBABILITIES
from convlift.deploy.predict import Model
from convlift.deploy.preprocessing_document import preprocessing_document
from convlift.errors import ConvliftError
from convlift.interchange.distance_graph import with_distances
from convlift.interchange.preprocessing_graph import CONTRASTS, INPUTS, OPSET, preprocessing_graph
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe

PRODUCER = "convlift"
LARGEST = 2_000_000_000  # bytes of a protocol buffer, a little under its limit


class _Probabilities(nn.Module):
    """inputs_NCHW -> probabilities_NK, of logits divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, inputs: Tensor) -> Tensor:
        probabilities: Tensor = (self.network(inputs) / self.temperature).softmax(1)
        return probabilities


def onnx_model(model: Model, *, distances: bool = False) -> ModelProto:
    """The preprocessing and the network as one graph: `images` uint8 (N, H, W, 3), upright and of one size, grey ones
    with three equal channels, those of C bands (N, H, W, C) -> `probabilities` float32 (N, K), in the order of the
    classes in its metadata; where asked for also `distances` float32 (N,) from the images of training, above 1 for
    those unlike them.

    Raises ConvliftError where torch's exporter cannot follow the network, or the file would pass ONNX's 2 GB.
    """
    return whole_graph(network_graph(model, distances=distances), model.config, model.recipe)


def network_graph(model: Model, *, distances: bool = False) -> ModelProto:
    """The network alone, of any number of images: `inputs` float32 (N, C, R, R) -> `probabilities` float32 (N, K). With
    distances, which the model must know, it also takes `contrasts` (N,) and gives `distances` (N,).

    Raises ConvliftError as `onnx_model` does."""
    try:
        network = _exported(model, distances=distances)
    except Exception as error:  # of a network that it cannot follow torch raises nearly anything
        kind = model.recipe.architecture
        what = kind.backbone if isinstance(kind, Pretrained) else "the network"
        raise ConvliftError(
            f"torch cannot write {what} as ONNX ({type(error).__name__}: {' '.join(str(error).split())[:200]}); use "
            "campaign.model.network in PyTorch, or another backbone."
        ) from error
    if network.ByteSize() > LARGEST:
        raise ConvliftError(f"the network takes {network.ByteSize() / 1e9:.1f} GB, and one ONNX file holds 2 at most.")
    return network


def whole_graph(network: ModelProto, config: ModelConfig, recipe: Recipe) -> ModelProto:
    """What `onnx_model` gives, of a network of `network_graph` or one like it."""
    normal, prepared = (config.mean, config.std), config.preparation
    before = preprocessing_graph(config.channels, config.resolution, prepared, *normal, config.side)
    opsets = [each for each in network.opset_import if each.domain == ""]
    preparing = helper.make_model(before, opset_imports=opsets, ir_version=network.ir_version)
    preparing = compose.add_prefix(preparing, "preprocessing.", rename_inputs=False, rename_outputs=False)
    taken, given = ([each.name for each in ends] for ends in (network.graph.input, network.graph.output))
    pairs = [(name, name) for name in taken]
    whole = compose.merge_models(preparing, network, io_map=pairs, outputs=given, name=PRODUCER, producer_name=PRODUCER)
    whole.producer_name = PRODUCER
    helper.set_model_props(whole, {PREFIX + name: value for name, value in _described(config, recipe).items()})
    onnx.checker.check_model(whole, full_check=True)
    return whole


def _exported(model: Model, *, distances: bool) -> ModelProto:
    """The network alone, of any number of images."""
    side = model.config.resolution
    inputs, contrasts = torch.zeros(2, model.config.channels, side, side), torch.ones(2)
    answer = _Probabilities(model.network, model.config.confidence.temperature).eval()
    asked = with_distances(model, answer) if distances else nullcontext(answer)
    number = {0: torch.export.Dim("N")}
    with _quiet(), TemporaryDirectory() as folder, asked as module:
        file = Path(folder) / "network.onnx"
        program = torch.onnx.export(
            module,
            (inputs, contrasts) if distances else (inputs,),
            dynamo=True,
            input_names=[INPUTS, CONTRASTS] if distances else [INPUTS],
            output_names=[PROBABILITIES, DISTANCES] if distances else [PROBABILITIES],
            dynamic_shapes=(number, number) if distances else (number,),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        assert program is not None, "torch gives none only where it writes the file itself"
        program.save(file)
        return onnx.load(file)


def _described(config: ModelConfig, recipe: Recipe) -> dict[str, str]:
    """What a file says of itself: all that a program needs that has nothing but the file."""
    return {
        "classes": json.dumps(list(config.classes), ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing_document(config)),
        "confidence": json.dumps({**asdict(config.confidence), "temperature_is": "inside the graph"}),
        "scores": json.dumps(config.scores),
        "recipe": recipe.to_yaml(),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter tells of its own steps, which nobody asked for."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
