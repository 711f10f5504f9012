"""One recipe, one seed, one fidelity -> one outcome: the only room that wires data, network and training."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from convlift.data.dataset import Dataset
from convlift.errors import Diverged, RecipeError
from convlift.model.checkpoint import save_network
from convlift.model.memory import keep_freed_memory
from convlift.model.source_loader import speaking_aside
from convlift.model.weights import find_local_weights
from convlift.recipe.architecture import Architecture
from convlift.recipe.trial_spec import NO_LIMITS, Limits, TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.train.device import has_no_room, settle_on
from convlift.trial.from_scratch import Trained, train_from_scratch
from convlift.trial.trial_clock import Report, TrialClock


def run_trial(
    spec: TrialSpec,
    dataset: Dataset,
    cache: Path,
    report: Report = lambda _epoch: None,
    limits: Limits = NO_LIMITS,
    device: Device = CPU,
) -> Outcome:
    """Train, and predict validation and test images; test labels are not in `dataset`.

    cache: where features of frozen backbones are kept. report: called with every epoch.
    The same spec, data, device and thread count give the same numbers, bit for bit on a CPU.
    Raises RecipeError or WeightsError where the recipe cannot be built, or its network does not fit the device's
    memory; a loss that stops being finite is an outcome.
    """
    spec = replace(spec, recipe=spec.recipe.at(dataset.store.native_resolution))
    dataset = dataset.with_validation_to_train() if spec.refit else dataset
    dataset = dataset.with_fewer(spec.recipe.data.images * _part_of_an_epoch(spec))
    keep_freed_memory()
    clock = TrialClock(limits.seconds, report, gives_up=limits.gives_up)
    settle_on(torch.device(device.place))
    torch.manual_seed(spec.seed)
    try:
        trained = _trained(spec, dataset, cache, clock, device)
    except Diverged as error:
        curve, seconds = tuple(clock.curve), clock.elapsed()
        return Outcome("diverged", NO_PROBABILITIES, NO_PROBABILITIES, curve, seconds, str(error))
    except RuntimeError as error:
        if not has_no_room(error):
            raise
        # not even a part of a batch, or the network itself, finds room
        raise RecipeError(
            f"the memory of {device.name} is too small for this recipe's network; lower its width, blocks, head_units "
            "or resolution, or use --device cpu."
        ) from error
    if limits.save_to:
        padding = _padding(spec.recipe.architecture)
        save_network(Path(limits.save_to), trained.network, trained.normal, padding)
    return Outcome(
        "stopped" if clock.stopped or clock.hurried else "finished",
        trained.validation,
        trained.test,
        curve=tuple(clock.curve),
        seconds=clock.elapsed(),
        reason="; ".join(_circumstances(clock)),
        weights=limits.save_to,
        shifted_probabilities=trained.shifted,
    )


def _trained(spec: TrialSpec, dataset: Dataset, cache: Path, clock: TrialClock, device: Device) -> Trained:
    if spec.recipe.architecture.kind == "pretrained":
        # timm takes seconds to import, which a network from scratch need not wait for
        from convlift.trial.transfer import train_transfer

        return train_transfer(spec, dataset, cache, clock, device)
    if spec.recipe.architecture.kind == "convnet":
        return train_from_scratch(spec, dataset, clock, device)
    with speaking_aside():  # somebody's own network may print
        return train_from_scratch(spec, dataset, clock, device)


def _circumstances(clock: TrialClock) -> Iterator[str]:
    """What made the training another one than its recipe has it."""
    if clock.stopped or clock.hurried:
        yield "the time allowed was too short for the whole training"
    if clock.micro.fewest:
        yield (
            f"the device's memory held no whole batch: gradients were added up over {clock.micro.parts} parts, and "
            f"batch norm saw as few as {clock.micro.fewest} images"
        )


def _part_of_an_epoch(spec: TrialSpec) -> float:
    """The share of the images that a fidelity of less than one epoch leaves for one; 1 from there on."""
    training = spec.recipe.training
    epochs = max(training.epochs, training.fine_tuning.epochs if training.fine_tuning else 0)
    return min(1.0, spec.fidelity * epochs)


def _padding(architecture: Architecture) -> str:
    if architecture.kind != "pretrained":
        return ""
    file = find_local_weights(architecture.backbone, architecture.weights)
    return file.pad_type if file else ""
