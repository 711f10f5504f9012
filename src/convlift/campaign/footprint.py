"""How much disk a campaign will take, told before anything is trained."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from convlift.console.disk import check_room, disk_of, free_bytes
from convlift.records.events import DiskTight
from convlift.search.problem import Problem

SQUARES = 5
"""Copies of all pixels, for resolutions and fits that the search comes to; 4.2 were measured on hymenoptera in 4
minutes, a part of them smaller."""
FEATURE_BYTES = 100_000  # of one image, over all views and cuts; 48 kB were measured there
NETWORKS = (
    15  # weights that lie in a run folder at once: baseline, first runs, what runs, the best; 8 were counted there
)
FEWEST_NETWORKS = 3
RECORD_BYTES = 200_000  # of one trial in the ledger, and its lines in the log


class Footprint(NamedTuple):
    """Bytes in the cache and in the run folder. least: what no campaign does without; usual: what most have taken."""

    cache_least: int
    cache_usual: int
    run_least: int
    run_usual: int


def footprint(images: int, channels: int, sides: Sequence[int], parameters: Sequence[int]) -> Footprint:
    """What a campaign on so many images takes. sides: resolutions of the starting points, the baseline's first;
    parameters: of their networks, 4 bytes each."""
    first, largest = images * channels * sides[0] ** 2, images * channels * max(sides) ** 2
    return Footprint(
        cache_least=first,
        cache_usual=SQUARES * largest + FEATURE_BYTES * images,
        run_least=FEWEST_NETWORKS * 4 * parameters[0] + RECORD_BYTES,
        run_usual=NETWORKS * 4 * max(parameters) + 100 * RECORD_BYTES,
    )


def footprint_of(problem: Problem, images: int, channels: int) -> Footprint:
    """The campaign's own. images: of the data set; channels: of the images."""
    from convlift.cost.multiply_adds import cost

    native, classes = problem.facts.native_resolution, problem.facts.classes
    recipes = [point.recipe.at(native) for point in problem.points]
    sides = [recipe.data.resolution or native for recipe in recipes]
    parameters = [
        cost(recipe.architecture, classes=classes, channels=channels, resolution=side).parameters
        for recipe, side in zip(recipes, sides, strict=True)
    ]
    return footprint(images, channels, sides, parameters)


def check_disk(run: Path, cache: Path, needed: Footprint) -> DiskTight | None:
    """Fail before any time is spent where the campaign cannot fit; what may become full, where it may.

    Raises DiskError that names the folder, what it needs and what is free.
    """
    if _same_disk(run, cache):
        check_room(run, needed.cache_least + needed.run_least)
        return _tight(run, needed.cache_usual + needed.run_usual)
    check_room(cache, needed.cache_least)
    check_room(run, needed.run_least)
    return _tight(cache, needed.cache_usual) or _tight(run, needed.run_usual)


def _tight(folder: Path, usual_bytes: float) -> DiskTight | None:
    """That a disk may become full, where it has less than what is usually needed."""
    free = free_bytes(folder)
    return None if free is None or free >= usual_bytes else DiskTight(str(disk_of(folder)), free, usual_bytes)


def _same_disk(run: Path, cache: Path) -> bool:
    return _device(run) == _device(cache)


def _device(folder: Path) -> int:
    """Number of the disk on which the folder lies, or will lie."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return os.stat(there).st_dev
