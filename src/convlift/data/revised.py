"""A source as a plan has it: without the images that are left out, with the labels that were given, and what no split
may cut. The files stay as they are."""

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.audit.scenes import Ties
from convlift.data.depth import Range
from convlift.data.groups import find_groups
from convlift.data.intake import Way
from convlift.data.plan_file import read_plan, refuse_faults
from convlift.data.readers.source import Item, Source, printable
from convlift.data.store import data_fingerprint, names_digest
from convlift.data.stretch import BITS
from convlift.errors import ConvliftError
from convlift.records.data_plan import DataPlan, Entry
from convlift.records.finding import Finding
from convlift.records.plan_applied import PlanApplied


@dataclass(frozen=True, eq=False)
class RevisedSource:
    """A source with other labels and without some of its images. places: in it, of those that are left."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    value_range: Range
    whole: Source
    places: tuple[int, ...]

    def read(self, index: int) -> bytes | NDArray[Any]:
        """See `Source`."""
        return self.whole.read(self.places[index])


@dataclass(frozen=True, eq=False)
class Revised:
    """A source as a plan has it. ties: which near copies are kept together, or may be cut."""

    source: Source
    ties: Ties
    applied: PlanApplied

    def named_groups(self, group_from: str | None) -> str | None:
        """What names the groups: `group_from`, or the plan. Raises ConvliftError where both do."""
        own = [each for each in self.applied.of("keep together") if each.groups]
        if own and group_from not in (None, own[0].groups):
            raise ConvliftError(
                f"--group-from {printable(str(group_from))} and the plan {self.applied.name}, line {own[0].line}, both "
                "say which images belong together; reject the plan's entry or leave out --group-from."
            )
        return own[0].groups if own else group_from

    def groups(self, group_from: str | None, keys: Sequence[str]) -> NDArray[np.int64] | None:
        """The groups (n,) of these images, by what names them or by the source, joined where the plan keeps images
        together; None where there are none."""
        found = find_groups(self.source, self.named_groups(group_from), keys)
        if found is None:
            return None
        joined, place = found.copy(), {key: row for row, key in enumerate(keys)}
        for kept in self.ties.together:
            numbers = joined[[place[key] for key in kept if key in place]]
            if len(numbers):
                joined[np.isin(joined, numbers)] = numbers.min()
        return joined


def revise(source: Source, path: Path, plan: DataPlan) -> Revised:
    """The source as a plan has it; path: of its file.

    Raises ConvliftError where it is for other data, or with every entry that these data do not know.
    """
    check_fingerprint(source, path, plan)
    accepted = [each for each in plan.entries if each.state == "accepted"]
    refuse_faults(path, _faults(source, plan, accepted))
    left_out = {each.images[0] for each in accepted if each.kind == "exclude"}
    numbers = {name: number for number, name in enumerate(source.classes)}
    given = {each.images[0]: numbers[each.suggested] for each in accepted if each.kind == "relabel"}
    is_resplit = any(each.kind == "resplit" for each in accepted)
    places = tuple(place for place, item in enumerate(source.items) if item.key not in left_out)
    items = tuple(
        replace(item, label=given.get(item.key, item.label), split=None if is_resplit else item.split)
        for item in (source.items[place] for place in places)
    )
    kept = RevisedSource(source.name, source.classes, items, source.findings, source.value_range, source, places)
    return Revised(kept, _ties(plan, left_out), _applied(path, plan, left_out))


def check_fingerprint(source: Source, path: Path, plan: DataPlan) -> None:
    """Raise ConvliftError where a plan is for other data than these."""
    if len(source.items) != plan.images or data_fingerprint(source, way_of(plan)) != plan.fingerprint:
        raise of_other_data(path, plan, source.name, len(source.items))
    if plan.names and names_digest(source) != plan.names:  # the same images, called otherwise: entries go by names
        raise of_other_data(path, plan, source.name, len(source.items), "names")


def way_of(plan: DataPlan) -> Way:
    """How the images were read that a plan was made of, but for their size."""
    alpha: Any = plan.reading.get("alpha", "white")
    return Way(alpha, value_range=plan.reading.get("value_range", BITS))


def of_other_data(
    path: Path, plan: DataPlan, name: str, images: int, differ: str = "files, labels or parts"
) -> ConvliftError:
    """What is said where a plan is for other data than those of this name with so many images; differ: what does."""
    now = f"{name} has {images:,}" if images != plan.images else f"the {differ} of {name} are others"
    return ConvliftError(
        f"plan {printable(str(path))} is for other data: it was made of {printable(plan.data)} with {plan.images:,} "
        f"images, and {now}; make one for these with `convlift audit DATA --fix FILE`."
    )


def load_plan(path: Path) -> DataPlan:
    """The plan in a file, `~` as the home folder. Raises ConvliftError."""
    return read_plan(path.expanduser())


def _ties(plan: DataPlan, left_out: set[str]) -> Ties:
    both = (plan.of("keep together"), plan.of("keep together", "rejected"))
    together, apart = ([tuple(key for key in each.images if key not in left_out) for each in one] for one in both)
    return Ties(tuple(each for each in together if each), tuple(each for each in apart if each))


def _applied(path: Path, plan: DataPlan, left_out: set[str]) -> PlanApplied:
    entries = tuple(
        each
        for each in plan.entries
        if (each.state == "accepted" and not (each.kind == "relabel" and each.images[0] in left_out))
        or (each.state == "rejected" and each.kind == "keep together" and each.images)
    )
    effects = [[each.kind, each.state, sorted(each.images), each.groups, each.suggested] for each in entries]
    digest = hashlib.sha256(json.dumps(sorted(effects)).encode()).hexdigest() if effects else ""
    return PlanApplied(
        path.name, digest, entries, plan.in_state("to review"), plan.in_state("rejected"), data=plan.fingerprint,
        alpha=plan.reading.get("alpha", "white"), value_range=plan.reading.get("value_range", BITS),
    )  # fmt: skip


def _faults(source: Source, plan: DataPlan, accepted: list[Entry]) -> list[str]:
    """What these data do not know of the plan's entries, whatever was decided on them; and what contradicts itself."""
    label_of = {item.key: source.classes[item.label] for item in source.items}
    faults = []
    for each in plan.entries:
        unknown = [key for key in each.images if key not in label_of]
        faults += [f"line {each.line}: there is no image {_named(key, label_of)}" for key in unknown]
        if each.kind != "relabel" or unknown:
            continue
        filed = label_of[each.images[0]]
        if each.label != filed:
            said = f"{each.images[0]} is labelled '{filed}', not '{printable(each.label)}'"
            faults.append(f"line {each.line}: {said}")
        if each.suggested not in source.classes:
            near = difflib.get_close_matches(each.suggested, source.classes, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(source.classes[:20])}"
            faults.append(f"line {each.line}: there is no class '{printable(each.suggested)}'; {hint}")
    first: dict[tuple[str, str], Entry] = {}
    for each in accepted:
        if each.kind in ("exclude", "relabel") and each.images:
            other = first.setdefault((each.kind, each.images[0]), each)
            if other.suggested != each.suggested:
                said = f"{each.images[0]} is given another class than in line {other.line}"
                faults.append(f"line {each.line}: {said}")
    if len(groups := [each for each in accepted if each.groups]) > 1:
        faults.append(f"line {groups[1].line}: groups are named in line {groups[0].line} already; accept one")
    return faults


def _named(key: str, known: dict[str, str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8) if len(known) <= 20_000 else []
    return f"{printable(key)}; did you mean {near[0]}?" if near else printable(key)
