"""What a change is expected to bring to a recipe, for whoever asks before anything was tried.

An expectation is the catalogue's, or what past campaigns found (`priors.py`). Its interval is that of the change's
effect on data that nobody has seen: effects scatter by CATALOGUE_SD around what a source reports, and by TAU_BEFORE
between data sets around what campaigns found.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from convlift.catalogue.accusations import Accusation
from convlift.catalogue.candidates import CATALOGUE, Candidate, candidates
from convlift.catalogue.priors import CATALOGUE_SD, TAU_BEFORE, Expectations, shipped_expectations
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.recipe_findings import Confirmed

MOST = 3  # changes that are named for one cause
Z = 1.96

Basis = Literal["measured", "campaigns", "published", "default", "unknown"]


@dataclass(frozen=True)
class Prospect:
    """A change of the recipe and what is expected of it.

    name: of the change.
    recipe: with it.
    points, low, high: expected gain in percentage points with its 95% interval; None where nobody knows.
    basis: measured here by one training each; found by past campaigns; from a published figure, `source`; a default.
    """

    name: str
    recipe: Recipe
    points: float | None = None
    low: float | None = None
    high: float | None = None
    basis: Basis = "unknown"
    source: str = ""


def prospects(
    recipe: Recipe, facts: Facts, symptoms: Collection[Symptom], expectations: Expectations | None = None
) -> tuple[Prospect, ...]:
    """The changes that any of the symptoms calls for and that are expected to gain, the most first; at most MOST, one
    of each factor. recipe: with its resolution written down."""
    fitting, _ = candidates(recipe, facts, symptoms, len(CATALOGUE), expectations=expectations)
    called = [each for each in fitting if each.why and each.why.called and each.prior > 0.0]
    called.sort(key=lambda each: -each.promise)
    found: dict[str, Prospect] = {}
    for each in called:
        found.setdefault(each.intervention.group or each.name, _of(each, recipe, expectations))
    return tuple(found.values())[:MOST]


def undoing(accusation: Accusation, name: str, found: Confirmed | None = None, error: float = 0.0) -> Prospect:
    """The accused lever undone: what was measured, or nothing where nobody tried. error: standard error of the
    difference of the two scores."""
    if found is None or found.with_it is None:
        return Prospect(name, accusation.probe)
    gain, within = 100 * (found.without_it - found.with_it), 100 * Z * error
    return Prospect(name, accusation.probe, gain, gain - within, gain + within, "measured")


def _of(candidate: Candidate, recipe: Recipe, expectations: Expectations | None) -> Prospect:
    known = (expectations or shipped_expectations()).of(recipe.architecture.kind, candidate.name)
    sd = math.hypot(known.sd, TAU_BEFORE) if known else CATALOGUE_SD
    reported = candidate.intervention.reported
    basis: Basis = "campaigns" if known else "published" if reported else "default"
    source = str(known.campaigns) if known else reported
    edited, points = candidate.intervention.edit(recipe), candidate.prior
    return Prospect(candidate.name, edited, points, points - Z * sd, points + Z * sd, basis, source)


def best(found: Collection[Prospect]) -> float:
    """The most that is expected of any; 0 where nothing is."""
    return max(_points(found), default=0.0)


def _points(found: Collection[Prospect]) -> Iterator[float]:
    yield from (each.points for each in found if each.points is not None)
