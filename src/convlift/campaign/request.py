"""What a campaign is asked for, and what follows from it before anything is trained: seed, identity, run folder."""

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convlift.campaign.goal_asked import check_goal
from convlift.catalogue.candidates import Candidate
from convlift.catalogue.priors import load_expectations
from convlift.console.duration import parse_duration
from convlift.console.resources import GPU_WORKER_BYTES, usable_cpus, usable_memory, usable_workers
from convlift.data.decode import Alpha
from convlift.data.readers.layout import Layout
from convlift.data.splits import Fold
from convlift.data.stretch import BITS, asked_range
from convlift.errors import BudgetError, ConvliftError
from convlift.evidence.metrics import metric_named
from convlift.model.source_files import code_of, reference_to
from convlift.recipe.combination import ONE_NETWORK, MostLatency, most_latency
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU, Device
from convlift.records.goal import Goal
from convlift.robustness.names import named_corruptions
from convlift.search.allocate import FEWEST_COUNTED
from convlift.train.device import choose_devices, trainings_at_once


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a campaign is asked for; the options of `improve`, each declared here and in `cli.py`.

    data: where the images lie, or a data set in memory: what `open_source` takes.
    budget_seconds: wall clock of the whole campaign; infinite where trainings are counted.
    trainings: how many the campaign has, whatever they take; 0 where its time is given instead.
    cache: folder where decoded images and stored features lie.
    workers: processes of one thread each.
    devices: what they compute on, all of one make; the option is called device, and is one word for them.
    current: the recipe to be improved: a built-in name, a file or a Recipe.
    model: FILE.py:NAME or PACKAGE.MODULE:NAME of the user's own network, in place of the recipe's.
    model_weights: a file of the weights that the user trained that network to: the one that is compared with.
    keep_network: whether no other network is tried than that of the recipe to be improved.
    out: run folder; None for runs/NAME-HASH, the same for the same question.
    backbone, weights: a timm name and a file, instead of the packaged network; of several names, with commas between
        them, each is a starting point.
    root: where the files of a named data set lie.
    seed: of the split, of every trial and of the search.
    ship: which changes the shipped recipe takes; see `posterior.ship`.
    max_latency: what a prediction of what ships may take.
    shift: corruptions, under which the two networks of the headline are scored too; shift_data: a folder of shifted
        images, on which they are; optimize: what the search goes by.
    refit: whether what ships is trained once more on all images, those of the test too, once it was judged.
    metric: what is raised and judged, a name of `evidence.metrics.METRICS`.
    group_from: which images belong together: FILE.csv:COLUMN, or a regular expression on their paths; docs/data.md.
    plan: a file that `audit --fix` wrote, whose accepted entries say how the images are read; docs/plan.md.
    priors: a file that `learn_priors` wrote, in place of the packaged one.
    value_range: what makes bytes of values of more than 8 bits: bits, percentiles, LOW:HIGH or LOW%:HIGH%.
    layout, alpha, follow_links: how a folder is read; columns, images: how a table is; see docs/data.md.
    pool: the changes to be tried instead of the catalogue's, from the baseline alone.
    fold: the campaign is this part of a nested cross-validation.
    """

    data: Any
    budget_seconds: float
    cache: Path
    workers: int
    trainings: int = 0
    devices: tuple[Device, ...] = (CPU,)
    current: str | Path | Recipe = "plain"
    model: str | None = None
    model_weights: Path | None = None
    keep_network: bool = False
    out: Path | None = None
    backbone: str | None = None
    weights: str | None = None
    root: Path | None = None
    seed: int = 0
    ship: Literal["auto", "lean", "best"] = "auto"
    max_latency: MostLatency = ONE_NETWORK
    shift: tuple[str, ...] = ()
    shift_data: Path | None = None
    optimize: Goal = "clean"
    refit: bool = False
    metric: str = "accuracy"
    group_from: str | None = None
    plan: Path | None = None
    priors: Path | None = None
    layout: Layout = "auto"
    alpha: Alpha = "white"
    value_range: str = BITS
    follow_links: bool = False
    columns: str | None = None
    images: Path | None = None
    pool: tuple[Candidate, ...] | None = None
    fold: Fold | None = None

    @property
    def backbones(self) -> tuple[str, ...]:
        """The timm names that were given."""
        return tuple(self.backbone.split(",")) if self.backbone else ()

    @property
    def settings(self) -> dict[str, Any]:
        """What may change between resumes, as the ledger keeps it."""
        if self.trainings:
            return {"budget_seconds": None, "trainings": self.trainings}
        return {"budget_seconds": self.budget_seconds}


# options of `improve` whose names a caller may give; what `train` takes of them; what reads the images
OPTIONS = frozenset({
    "trainings", "workers", "current", "model", "model_weights", "keep_network", "out", "backbone", "weights", "root",
    "seed", "ship", "metric", "group_from", "priors", "layout", "alpha", "follow_links", "device", "max_latency",
    "value_range", "refit", "columns", "images", "plan", "shift", "shift_data", "optimize",
})  # fmt: skip
TRAINING_OPTIONS = OPTIONS - {
    "trainings", "workers", "current", "model_weights", "keep_network", "ship", "priors", "backbone", "weights",
    "max_latency", "refit", "shift", "shift_data", "optimize",
}  # fmt: skip
READING_OPTIONS = frozenset({
    "root", "group_from", "plan", "layout", "alpha", "follow_links", "device", "columns", "images", "value_range",
})  # fmt: skip
MAY_BE_MISSING = {
    "trainings", "model", "model_weights", "out", "backbone", "weights", "root", "workers", "group_from", "priors",
    "columns", "images", "plan", "shift", "shift_data", "optimize",
}  # fmt: skip


def request_of(data: object, budget: str | None, cache: Path, *, usual: str = "20m", **options: Any) -> Request:
    """A request from what a user gave: a budget such as "90s" (`usual` where neither that nor trainings are given), and
    fields of `Request`; None for the default of those in MAY_BE_MISSING.

    Raises BudgetError or ConvliftError where a value makes no sense, TypeError where an option is none.
    """
    given: dict[str, Any] = {n: value for n, value in options.items() if value is not None or n not in MAY_BE_MISSING}
    given |= {
        name: Path(given[name])
        for name in ("out", "root", "priors", "model_weights", "images", "plan", "shift_data")
        if given.get(name)
    }
    if "shift" in given:
        given["shift"] = named_corruptions(given["shift"])
    given["value_range"] = asked_range(given.get("value_range", BITS))
    check_goal(given.get("optimize", "clean"), has_shift=bool(given.get("shift") or given.get("shift_data")))
    trainings = given.get("trainings")
    if trainings is not None and budget is not None:
        raise BudgetError(
            f"--budget {budget} and --trainings {trainings} are two lengths of one campaign; give one of them."
        )
    if trainings is not None and trainings < FEWEST_COUNTED:
        raise BudgetError(
            f"--trainings {trainings} is too few: a baseline, a search and what ships need at least {FEWEST_COUNTED}."
        )
    given |= _network_of(given)
    seed = given.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:  # as torch and numpy take it
        raise ConvliftError(f"seed {str(seed)[:40]!r} is no whole number from 0 to {2**63 - 1}; give one, such as 0.")
    _check_backbones(given.get("backbone"), given.get("weights"))
    if given.get("keep_network") and (given.get("backbone") or given.get("weights")):
        raise ConvliftError(
            "--keep-network tries no other network, and --backbone or --weights names one; leave one out."
        )
    given["max_latency"] = most_latency(given.get("max_latency", 1))
    if trainings is not None and given["max_latency"].milliseconds:
        raise ConvliftError(
            f"--max-latency {given['max_latency']} depends on the machine, and --trainings gives the same everywhere; "
            "give --max-latency as a number of networks, or --budget."
        )
    seconds = parse_duration(budget or usual) if trainings is None else math.inf
    devices = choose_devices(given.pop("device", "auto"))
    workers = given.pop("workers", None) or _usual_workers(devices)
    data = str(data) if isinstance(data, os.PathLike) else data
    return Request(data=data, budget_seconds=seconds, cache=cache, workers=workers, devices=devices, **given)


def _network_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """`current` and `model`, where one of them is a function or class that makes a network; what `model` names is
    looked for. Raises RecipeError."""
    current, model = given.get("current", "plain"), given.get("model")
    made = [each for each in (current, model) if callable(each)]
    if not made and model is None:
        return {}
    if not made:
        code_of(str(model))
        return {"model": str(model)}
    if len(made) == 2 or (made == [current] and model):
        raise ConvliftError("current and model both name a network; give it as one of them.")
    return {"model": reference_to(made[0]), "current": "plain" if made == [current] else current}


def _check_backbones(backbone: str | None, weights: str | None) -> None:
    """Raises ConvliftError where several names make no sense."""
    names = backbone.split(",") if backbone else []
    if "" in names or len(set(names)) < len(names):
        raise ConvliftError(
            f"--backbone {backbone!r} names one twice or not at all; give timm names with single commas between them, "
            "such as tf_efficientnet_lite0,resnet50."
        )
    if len(names) > 1 and weights:
        raise ConvliftError(
            f"--weights {weights} is the file of one backbone, and --backbone names {len(names)}; give one name."
        )


def _usual_workers(devices: tuple[Device, ...]) -> int:
    """One a core, as far as there is memory; of GPUs as many as each trains at once, as far as there are cores."""
    cores, memory = usable_cpus(), usable_memory()
    if devices[0].is_cpu:
        return usable_workers(cores, memory)
    wanted = len(devices) * trainings_at_once(devices[0])
    return max(len(devices), min(wanted, usable_workers(cores, memory, GPU_WORKER_BYTES)))


def check_request(request: Request) -> None:
    """Say a fault in the metric or the priors before the images are read. Raises ConvliftError."""
    metric_named(request.metric)
    if request.priors:
        load_expectations(request.priors)


def seed_of(request: Request) -> int:
    """The seed of the trainings and of the search: a fold's are its own, only the splits share the seed of them all."""
    if request.fold is None:
        return request.seed
    return int.from_bytes(hashlib.sha256(f"{request.seed} {request.fold}".encode()).digest()[:4], "big") >> 1
