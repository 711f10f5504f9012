"""Exported files that no torch had to make: of networks that are written as graphs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper, parser

from convlift.console.extras import TRAIN
from convlift.deploy.model_folder import ModelConfig, model_digest, write_model_folder
from convlift.deploy.onnx_classifier import MODEL, PREFIX
from convlift.interchange.onnx_file import whole_graph
from convlift.recipe.recipe import Recipe

CLASSES = ("ant", "bee", "größe")
RECIPE = Recipe()


def config_of(channels: int, side: int, policy: str) -> ModelConfig:
    return ModelConfig(CLASSES, channels, side, policy, (0.4,) * channels, (0.3,) * channels, {}, alpha="black")


def weights_of(config: ModelConfig) -> NDArray[np.float32]:
    size = (config.channels * config.resolution**2, len(CLASSES))
    return np.random.default_rng(0).normal(0, 2.0 / np.sqrt(size[0]), size).astype(np.float32)


def linear(config: ModelConfig, weights: NDArray[np.float32] | None = None) -> ModelProto:
    """The graph of a network of one layer, whose answer every pixel has a part in."""
    return whole_graph(linear_network(config, weights_of(config) if weights is None else weights), config, RECIPE)


def linear_network(config: ModelConfig, weights: NDArray[np.float32]) -> ModelProto:
    """Without the preprocessing."""
    side = config.resolution
    graph = parser.parse_graph(f"""
        linear (float[N,{config.channels},{side},{side}] inputs) => (float[N,{len(CLASSES)}] probabilities) {{
          flat = Flatten<axis=1>(inputs)
          logits = MatMul(flat, weights)
          probabilities = Softmax<axis=1>(logits)
        }}""")
    graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def folder_of(path: Path, config: ModelConfig) -> Path:
    """A model folder with its exported file."""
    path.mkdir(parents=True)
    (path / "trained").write_bytes(b"weights that only torch reads")
    write_model_folder(path / "model", path / "trained", RECIPE, config)
    made = linear(config)
    made.metadata_props.add(key=PREFIX + MODEL, value=model_digest(path / "model"))
    (path / "model" / "model.onnx").write_bytes(made.SerializeToString())
    return path


def hiding_torch(*lines: str) -> list[str]:
    """The command of a Python process in which nothing of the extra train can be imported."""
    before = f"import sys\nsys.modules.update(dict.fromkeys({TRAIN}))\n"
    return [sys.executable, "-c", before + "\n".join(lines)]


def without_torch(*lines: str) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(hiding_torch(*lines), capture_output=True, text=True)
