"""What makes a campaign the same campaign: its data, its baseline, its seed, its metric, the software."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from convlift.recipe.recipe import Recipe
from convlift.records.software import software_version


@dataclass(frozen=True)
class Identity:
    """A trial may be compared only with trials of the same identity.

    data: the image store's fingerprint (SHA-256 of contents, labels and classes).
    baseline: the recipe that every gain is measured against.
    seed: of the campaign.
    metric: name of the score.
    software: convlift's version.
    groups: fingerprint of which images belong together, "" where each stands alone.
    fold: which part of a nested cross-validation is the test, "" without one.
    latency: what a prediction of what ships may take, "" for the time of one network.
    network: "kept" where no other network than the baseline's is tried.
    given: SHA-256 of the trained weights that the user gave, "" without.
    shift: the shifted images on which what ships is scored too, "" for none.
    goal: what the search goes by where that is not the score on clean images, with the corruptions; "" where it is.
    plan: SHA-256 of what a plan changes of the data, "" where nothing.
    """

    data: str
    baseline: Recipe
    seed: int
    metric: str
    software: str = field(default_factory=software_version)
    groups: str = ""
    fold: str = ""
    latency: str = ""
    network: str = ""
    given: str = ""
    shift: str = ""
    goal: str = ""
    plan: str = ""

    def document(self) -> dict[str, Any]:
        """The identity as plain data, the baseline by what tells recipes apart."""
        known = {
            "data": self.data,
            "baseline": self.baseline.identity(),
            "seed": self.seed,
            "metric": self.metric,
            "software": self.software,
        }
        more = (
            ("groups", self.groups), ("fold", self.fold), ("latency", self.latency), ("network", self.network),
            ("given", self.given), ("shift", self.shift), ("goal", self.goal), ("plan", self.plan),
        )  # fmt: skip
        return known | {name: value for name, value in more if value}


def to_json(value: Any) -> str:
    """Canonical JSON: equal text exactly for equal values. Dataclasses, paths and numpy values become plain."""
    return json.dumps(value, sort_keys=True, default=_plain)


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed between two identity documents, in words: ("seed was 0, is 1", ...); empty where they agree."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    return tuple(
        f"{name} was {_short(before.get(name))}, is {_short(after.get(name))}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            # through JSON, so that a tuple equals the list that it was stored as
            yield f"{prefix}{name}", json.loads(to_json(value))


def _short(value: Any) -> str:
    if value is None:
        return "absent"
    text = str(value)
    return f"{text[:12]}..." if len(text) > 40 else text


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be kept in the ledger; give plain JSON values")
