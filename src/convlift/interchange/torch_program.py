"""A model as a program of `torch.export`, for PyTorch without convlift: squares in, probabilities out.

The resizing stays outside: torch's own takes its passes in another order than Pillow's.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlift.augment.batched import standardized
from convlift.deploy.predict import Model
from convlift.deploy.preprocessing_document import preprocessing_document
from convlift.errors import ConvliftError
from convlift.interchange.parity import BATCHES, NETWORK, TIMED, made_up_images
from convlift.interchange.preprocessing_graph import given_channels
from convlift.recipe.architecture import Pretrained
from convlift.records.exported import Parity

ABOUT = "convlift.json"  # in the file: what `told` gives


class _FromSquares(nn.Module):
    """squares uint8 (N, R, R, C) -> probabilities (N, K)."""

    mean: Tensor
    std: Tensor | None

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network
        config = model.config
        self.temperature = config.confidence.temperature
        self.register_buffer("mean", torch.tensor(config.mean).reshape(1, -1, 1, 1))
        std = None if config.std is None else torch.tensor(config.std).reshape(1, -1, 1, 1)
        self.register_buffer("std", std)

    def forward(self, squares: Tensor) -> Tensor:
        pixels = squares.permute(0, 3, 1, 2).float() / 255.0
        inputs = standardized(pixels) if self.std is None else (pixels - self.mean) / self.std
        probabilities: Tensor = (self.network(inputs) / self.temperature).softmax(1)
        return probabilities


def write_program(model: Model, path: Path) -> None:
    """Write the program of a model on the CPU. Raises ConvliftError where torch cannot follow the network."""
    config = model.config
    example = torch.zeros(2, config.resolution, config.resolution, config.channels, dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.export.export(
                _FromSquares(model).eval(), (example,), dynamic_shapes=({0: torch.export.Dim("N")},)
            )
    except Exception as error:  # of a network that it cannot follow torch raises nearly anything
        kind = model.recipe.architecture
        what = kind.backbone if isinstance(kind, Pretrained) else "the network"
        raise ConvliftError(
            f"torch.export cannot follow {what} ({type(error).__name__}: {' '.join(str(error).split())[:200]}); export "
            "it as ONNX, or use campaign.model.network."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how tensors that share memory are stored
        torch.export.save(program, path, extra_files={ABOUT: json.dumps(told(model), ensure_ascii=False)})


def told(model: Model) -> dict[str, Any]:
    """What the file says of itself."""
    config = model.config
    preprocessing = preprocessing_document(config)
    return {
        "classes": list(config.classes),
        "preprocessing": {key: value for key, value in preprocessing.items() if key not in ("mean", "std")},
        "confidence": {**asdict(config.confidence), "temperature_is": "inside the graph"},
        "scores": config.scores,
    }


def check_program(model: Model, path: Path) -> Parity:
    """Compare the written program with the model, on made-up images in batches of several sizes.

    Raises ConvliftError where they do not agree, with the figure."""
    run = torch.export.load(path).module()
    seen = model.config.channels
    images = [model.prepared(image[:, :, :seen]) for image in made_up_images(given_channels(seen))]
    differences = []
    with torch.inference_mode():
        for size in (*BATCHES, len(images)):
            squares = np.stack([images[place % len(images)] for place in range(size)])
            differences.append(
                np.abs(run(torch.from_numpy(squares)).numpy() - model.probabilities(list(squares))).max()
            )
        milliseconds = _milliseconds(run, torch.from_numpy(images[0][None].copy()))
    most = float(np.max(differences))
    if not most <= NETWORK:  # NaN fails it too
        raise ConvliftError(
            f"the program would differ from convlift by {most:.2g} in a probability, and at most {NETWORK:g} is "
            "allowed; no file was written. Please report it with the recipe."
        )
    return Parity(len(images), True, most, most, milliseconds)


def _milliseconds(run: Callable[[Tensor], Tensor], square: Tensor) -> float:
    """Of one square, with one thread: the median of TIMED."""
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(TIMED):
            began = perf_counter()
            run(square)
            taken.append(1000.0 * (perf_counter() - began))
    finally:
        torch.set_num_threads(threads)
    return median(taken)
