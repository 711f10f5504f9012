"""What each change is expected to gain: the catalogue's guess, corrected by what finished campaigns found.

For one change in one kind of network, campaign i found y_i points with standard error s_i. The campaigns differ in
data, so their effects scatter by tau^2 around a common mean (random effects, DerSimonian and Laird 1986, section 2):

    w_i = 1 / (s_i^2 + tau^2)      mean = (w_0 prior + sum w_i y_i) / (w_0 + sum w_i)      w_0 = 1 / CATALOGUE_SD^2

The catalogue's prior is one more observation, so a change that few campaigns tried stays near it. tau^2 is estimated
from all changes together (their moment estimator, numerators and denominators summed), and moderated by what is known
before: TAU_BEFORE counts like TAU_WEIGHT campaigns (Smyth 2004 does the same for variances of repeats).

A share (`evidence/attribution.py`) is itself a posterior mean that leans on the prior of its own campaign: what is
gathered here moves more slowly than the truth, which is the careful side.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from convlift.catalogue.intervention import Kind
from convlift.errors import ConvliftError

CATALOGUE_SD = 1.5  # points: how far effects scatter around what is expected of them (tau of evidence/posterior.py)
TAU_BEFORE = 1.0  # points: how far the same change's effect differs between data sets
TAU_WEIGHT = 4.0
MOST_POINTS = 10.0  # a larger expectation is a mistyped file, not a change
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Origin:
    """A campaign that was learned from.

    run: its run folder's name.
    data, fingerprint: the data set's name and fingerprint (SHA-256).
    changes: of how many changes it learned something.
    """

    run: str
    data: str
    fingerprint: str
    changes: int


@dataclass(frozen=True)
class Observation:
    """What one campaign found of one change: gain in points, and its standard error."""

    kind: Kind
    name: str
    points: float
    standard_error: float


@dataclass(frozen=True)
class Learned:
    """Expected gain of a change in points with its standard deviation; campaigns: how many it comes from."""

    points: float
    sd: float
    campaigns: int


@dataclass(frozen=True)
class Expectations:
    """What past campaigns lead one to expect.

    origins: the campaigns.
    learned: kind of network -> change -> what is expected of it.
    """

    origins: tuple[Origin, ...] = ()
    learned: Mapping[Kind, Mapping[str, Learned]] = field(default_factory=dict)

    def of(self, kind: Kind, name: str) -> Learned | None:
        """What is expected of a change; None where no campaign tried it, so that the catalogue's prior stands."""
        return self.learned.get(kind, {}).get(name)


def learn(
    observations: Sequence[Observation], origins: Sequence[Origin], catalogue: Mapping[str, float]
) -> Expectations:
    """Expectations from what campaigns found; catalogue: prior of every change in points. Others are passed over."""
    by_change: dict[tuple[Kind, str], list[Observation]] = {}
    for each in observations:
        if each.name in catalogue:
            by_change.setdefault((each.kind, each.name), []).append(each)
    tau2 = between_variance(list(by_change.values()))
    learned: dict[Kind, dict[str, Learned]] = {kind: {} for kind in get_args(Kind)}
    for (kind, name), found in sorted(by_change.items()):
        learned[kind][name] = _combined(found, catalogue[name], tau2)
    return Expectations(tuple(origins), learned)


def between_variance(changes: Sequence[Sequence[Observation]]) -> float:
    """tau^2 in points^2: how much the effect of the same change differs between campaigns, moderated.

    With Q = sum w (y - mean)^2, w = 1 / s^2, over the k campaigns of one change, E[Q] = k - 1 + tau^2 C, where
    C = sum w - sum w^2 / sum w; numerators and denominators are summed over the changes.
    """
    excess = scale = degrees = 0.0
    for found in changes:
        weights = [each.standard_error**-2 for each in found]
        total = sum(weights)
        mean = sum(w * each.points for w, each in zip(weights, found, strict=True)) / total
        spread = sum(w * (each.points - mean) ** 2 for w, each in zip(weights, found, strict=True))
        excess += spread - (len(found) - 1)
        scale += total - sum(w**2 for w in weights) / total
        degrees += len(found) - 1
    found_tau2 = max(0.0, excess / scale) if degrees else 0.0
    return (TAU_WEIGHT * TAU_BEFORE**2 + degrees * found_tau2) / (TAU_WEIGHT + degrees)


def _combined(found: Sequence[Observation], prior: float, tau2: float) -> Learned:
    weights = [CATALOGUE_SD**-2, *(1 / (each.standard_error**2 + tau2) for each in found)]
    values = [prior, *(each.points for each in found)]
    total = sum(weights)
    mean = sum(w * value for w, value in zip(weights, values, strict=True)) / total
    return Learned(round(mean, 3), round(total**-0.5, 3), len(found))


def document(expectations: Expectations) -> dict[str, Any]:
    """Plain data for a priors file; `parse_expectations` gives the expectations back."""
    return {
        "schema_version": SCHEMA_VERSION,
        "from": [asdict(origin) for origin in expectations.origins],
        "expected": {
            kind: {name: asdict(each) for name, each in expectations.learned.get(kind, {}).items()}
            for kind in get_args(Kind)
        },
    }


@cache
def shipped_expectations() -> Expectations:
    """Those that come with the package."""
    text = resources.files("convlift.catalogue").joinpath("priors.json").read_text(encoding="utf-8")
    return parse_expectations(json.loads(text), "the packaged priors.json")


def load_expectations(path: Path) -> Expectations:
    """Read a priors file. Raises ConvliftError where it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConvliftError(f"priors {path} cannot be read ({error}); make one with `convlift priors`.") from error
    except ValueError as error:
        raise ConvliftError(f"priors {path} is not JSON ({error}); make one with `convlift priors`.") from error
    return parse_expectations(found, str(path))


def parse_expectations(found: Any, where: str) -> Expectations:
    """Expectations from plain data. Raises ConvliftError naming the fault."""
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        raise ConvliftError(
            f"priors {where} is no priors file of schema version {SCHEMA_VERSION}; make one with `convlift priors`."
        )
    try:
        origins = tuple(Origin(**origin) for origin in found["from"])
        learned = {
            kind: {name: Learned(**each) for name, each in found["expected"].get(kind, {}).items()}
            for kind in get_args(Kind)
        }
        for kind in learned:
            for name, each in learned[kind].items():
                _check(each, f"'{name}' ({kind})", where)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConvliftError(
            f"priors {where} lacks a field or has one too many ({error}); make it anew with `convlift priors`."
        ) from error
    return Expectations(origins, learned)


def _check(each: Learned, what: str, where: str) -> None:
    is_number = isinstance(each.points, int | float) and not isinstance(each.points, bool)
    if not is_number or not abs(each.points) <= MOST_POINTS:
        raise ConvliftError(
            f"priors {where}: {what} is expected to gain {each.points!r} points; it must be a number from "
            f"-{MOST_POINTS:g} to {MOST_POINTS:g}."
        )
