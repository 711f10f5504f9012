"""One recipe, one seed, one fidelity -> one outcome: the only room that wires data, network and training."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from convlift.console.disk import writing_into
from convlift.data.atomic import flush, temporary_beside
from convlift.data.dataset import Dataset
from convlift.data.normalization import Statistics
from convlift.errors import Diverged
from convlift.model.memory import keep_freed_memory
from convlift.model.weights import find_local_weights
from convlift.recipe.architecture import Architecture
from convlift.recipe.trial_spec import NO_LIMITS, Limits, TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.trial.from_scratch import train_from_scratch
from convlift.trial.trial_clock import Report, TrialClock

METADATA = "convlift"  # the entry of a weights file that says what the network needs beside its weights


def run_trial(
    spec: TrialSpec,
    dataset: Dataset,
    cache: Path,
    report: Report = lambda _epoch: None,
    limits: Limits = NO_LIMITS,
) -> Outcome:
    """Train and let the network speak on validation and test images; test labels are not in `dataset`.

    cache: where features of frozen backbones are kept. report: called with every epoch.
    The same spec, data and thread count give the same numbers, bit for bit, on a CPU.
    Raises RecipeError or WeightsError where the recipe cannot be built; a loss that stops being finite is an outcome.
    """
    spec = replace(spec, recipe=spec.recipe.at(dataset.store.native_resolution))
    dataset = dataset.with_fewer(spec.recipe.data.images * _part_of_an_epoch(spec))
    keep_freed_memory()
    clock = TrialClock(limits.seconds, report, gives_up=limits.gives_up)
    torch.manual_seed(spec.seed)
    try:
        if spec.recipe.architecture.kind == "pretrained":
            # timm takes seconds to import, which a network from scratch need not wait for
            from convlift.trial.transfer import train_transfer

            trained = train_transfer(spec, dataset, cache, clock)
        else:
            trained = train_from_scratch(spec, dataset, clock)
    except Diverged as error:
        curve, seconds = tuple(clock.curve), clock.elapsed()
        return Outcome("diverged", NO_PROBABILITIES, NO_PROBABILITIES, curve, seconds, str(error))
    if limits.save_to:
        padding = _padding(spec.recipe.architecture)
        save_network(Path(limits.save_to), trained.network, trained.normal, padding)
    return Outcome(
        "stopped" if clock.stopped or clock.hurried else "finished",
        trained.validation,
        trained.test,
        curve=tuple(clock.curve),
        seconds=clock.elapsed(),
        reason="the time allowed was too short for the whole training" if clock.stopped or clock.hurried else "",
        weights=limits.save_to,
    )


def _part_of_an_epoch(spec: TrialSpec) -> float:
    """The share of the images that a fidelity of less than one epoch leaves for one; 1 from there on."""
    training = spec.recipe.training
    epochs = max(training.epochs, training.fine_tuning.epochs if training.fine_tuning else 0)
    return min(1.0, spec.fidelity * epochs)


def save_network(path: Path, network: nn.Module, normal: Statistics, padding: str = "") -> None:
    """Weights as safetensors, with the normalization in the file's metadata; whole or not at all.

    padding: timm's `pad_type` of the backbone, where its weights ask for another than timm's own.
    Raises DiskError where the file cannot be written.
    """
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    mean, std = normal
    described = {"mean": mean.tolist(), "std": std.tolist(), "padding": padding}
    beside = temporary_beside(path)
    with writing_into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # one entry: safetensors writes several in an order of its own, and equal trials must leave equal files
            save_file(state, beside, {METADATA: json.dumps(described)})
            flush(beside)
            os.replace(beside, path)
            flush(path.parent)
        except SafetensorError as error:
            if number := re.search(r"os error (\d+)", str(error)):  # it hides what the disk said in its text
                raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
            raise
        finally:
            beside.unlink(missing_ok=True)


def saved_normalization(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) per channel of a file that `save_network` wrote."""
    described = _described(path)
    return tuple(described["mean"]), tuple(described["std"])


def saved_padding(path: Path) -> str:
    """What `save_network` was told of the backbone's padding."""
    return str(_described(path)["padding"])


def _described(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as weights:
        described: dict[str, Any] = json.loads(weights.metadata()[METADATA])
    return described


def _padding(architecture: Architecture) -> str:
    if architecture.kind != "pretrained":
        return ""
    file = find_local_weights(architecture.backbone, architecture.weights)
    return file.pad_type if file else ""
