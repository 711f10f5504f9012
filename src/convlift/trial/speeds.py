"""How fast a device is, measured once and kept in the cache folder, so that a campaign can plan its first training."""

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from convlift.cost.multiply_adds import cost
from convlift.cost.seconds import USUAL_CORE, Speeds
from convlift.model.build import build_network
from convlift.model.placement import lay_on
from convlift.recipe.built_in import built_in
from convlift.records.compute_device import Device
from convlift.trial.calibrate import draws, measuring, repeated, seconds_a_step

CLASSES, CHANNELS = 10, 3
FIXED = 0.9  # of a large step at most: it takes some time for its arithmetic


class Probe(NamedTuple):
    """A training whose steps are timed: of `residual`, so wide, on images so large, so many at a time."""

    width: int
    side: int
    batch: int


# next to no arithmetic, and about that of CIFAR-10
SMALL, LARGE = Probe(8, 8, 8), Probe(64, 32, 256)


def speeds_of(device: Device, cache: Path, small: Probe = SMALL, large: Probe = LARGE) -> Speeds:
    """What was measured of this model of device under this torch, some seconds of which the first call takes; of a CPU
    what is usual."""
    if device.is_cpu:
        return USUAL_CORE
    key = hashlib.sha256(repr((device.model, torch.__version__, small, large)).encode()).hexdigest()[:16]
    path = cache / "speeds" / f"{key}.json"
    if known := _read(path):
        return known
    found = measure(device, small, large)
    with suppress(OSError):  # a cache that cannot be written costs the same seconds again
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(asdict(found)), encoding="utf-8")
        beside.replace(path)
    return found


def measure(device: Device, small: Probe, large: Probe) -> Speeds:
    """Steps of a small network tell what a step costs in any case, those of a large one what its arithmetic does."""
    with measuring(torch.device(device.place)):
        fixed, _ = _timed(device, small)
        whole, forward = _timed(device, large)
    work = large.batch * _multiply_adds(large)
    each = max(whole - fixed, (1 - FIXED) * whole) / (3 * work)
    return Speeds(single=each, dense=each, head=each, tuning=each, extraction=forward / work, step=fixed / each)


def _timed(device: Device, probe: Probe) -> tuple[float, float]:
    """Seconds of a step, and of a forward pass, on random images."""
    place, recipe = torch.device(device.place), built_in("residual").edit(architecture={"width": probe.width})
    built = build_network(recipe.architecture, classes=CLASSES, channels=CHANNELS, resolution=probe.side)
    network = lay_on(built, place)
    pixels = np.random.default_rng(0).integers(0, 256, (probe.batch, probe.side, probe.side, CHANNELS), np.uint8)
    draw = draws(recipe, pixels, probe.batch, place)
    step, inputs = seconds_a_step(network, draw, CLASSES, recipe.training), draw()
    with torch.inference_mode():
        return step, repeated(lambda: network(inputs), place)


def _multiply_adds(probe: Probe) -> float:
    network = built_in("residual").edit(architecture={"width": probe.width}).architecture
    return float(cost(network, classes=CLASSES, channels=CHANNELS, resolution=probe.side).multiply_adds)


def _read(path: Path) -> Speeds | None:
    try:
        found = Speeds(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    is_whole = all(isinstance(each, float) and math.isfinite(each) and each > 0 for each in asdict(found).values())
    return found if is_whole else None
