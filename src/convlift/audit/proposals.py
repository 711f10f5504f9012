"""From what an audit found to a plan: what to leave out, to keep together, to give another class.

Accepted by itself is only what takes no judgement: an image whose copies contradict each other or sit in the test too,
and near copies that every split keeps together anyway.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from convlift.audit import plan_reasons as why
from convlift.audit.findings import copies
from convlift.audit.natural_groups import NATURAL_GROUPS, expression_of
from convlift.audit.near_copies import LEAST_SIDE, alike
from convlift.records.data_plan import Entry, State
from convlift.records.doubted_label import DoubtedLabel
from convlift.records.finding import Finding

_STAYS = ("test", "validation", "train", "")  # of copies in several parts those in the first of these stay

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Audit:
    """What proposals are made of. sides (N,): the shorter one in pixels; grey: a row -> (32, 32); names (N,): as
    `names_of_scenes` gave them; groups (N,): that somebody named; the rest as in `ImageStore`."""

    keys: Sequence[str]
    classes: Sequence[str]
    labels: Indices
    official: NDArray[np.str_]
    hashes: NDArray[np.str_]
    names: NDArray[np.str_]
    sides: Indices
    grey: Callable[[int], NDArray[np.uint8]]
    findings: Sequence[Finding]
    doubts: Sequence[DoubtedLabel] = ()
    groups: Indices | None = None
    place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", {key: row for row, key in enumerate(self.keys)})

    def rows_of(self, kind: str) -> list[list[int]]:
        """The images of each item of a finding."""
        found = [each for each in self.findings if each.kind == kind]
        rows = [[self.place[key] for key in row if key in self.place] for each in found for row in each.rows]
        return [row for row in rows if row]

    def class_of(self, row: int) -> str:
        """The class that an image is filed under."""
        return str(self.classes[self.labels[row]])


def propose(audit: Audit) -> tuple[Entry, ...]:
    """The entries of a plan, in the order of its sections; of relabel the surest first. The same audit gives the same.

    An image is proposed once to be left out, for the gravest reason; images whose copies contradict each other are not
    proposed to be relabelled, for it is enough to leave one of them in.
    """
    excluded: dict[int, Entry] = {}
    for entry in [*_copies(audit), *_near_copies(audit), *_junk(audit)]:
        excluded.setdefault(audit.place[entry.images[0]], entry)
    disputed = {audit.keys[row] for rows in copies(audit.hashes) if _is_disputed(audit, rows) for row in rows}
    relabelled = [
        Entry("relabel", "to review", (each.key,), why.doubted(each), label=each.given, suggested=each.looks_like)
        for each in audit.doubts
        if each.key not in disputed
    ]
    return (*excluded.values(), *_together(audit), *_resplit(audit), *relabelled)


def keep_decisions(new: Sequence[Entry], old: Sequence[Entry]) -> tuple[Entry, ...]:
    """New proposals with what was decided on them before. What somebody decided that is not proposed stays, too, and so
    does another class than the one that is proposed now, with its reason."""
    known = {each.about: each for each in old}
    kept = [_as_before(each, known[each.about]) if each.about in known else each for each in new]
    own = {each.about for each in new}
    return (*kept, *(each for each in old if each.about not in own and each.state != "to review"))


def _as_before(new: Entry, old: Entry) -> Entry:
    if new.suggested == old.suggested:
        return replace(new, state=old.state)
    return old


def _is_disputed(audit: Audit, rows: Sequence[int]) -> bool:
    return len(set(audit.labels[rows].tolist())) > 1


def _copies(audit: Audit) -> Iterator[Entry]:
    """Exact copies under two classes, all of them; and across official parts, those that do not stay."""
    flat = {row for rows in audit.rows_of("flat") + audit.rows_of("clear") for row in rows}
    doubts = {each.key: each for each in audit.doubts}
    for group in copies(audit.hashes):
        # of few pixels, or of none that say anything, two images may be the same by chance
        is_sure = audit.sides[group[0]] >= LEAST_SIDE and group[0] not in flat
        state: State = "accepted" if is_sure else "to review"
        if _is_disputed(audit, group):
            for row in group:
                others = [each for each in group if audit.labels[each] != audit.labels[row]]
                reason = why.copies_of_two_classes(
                    [(audit.keys[each], audit.class_of(each)) for each in others], doubts.get(audit.keys[row])
                )
                yield _exclusion(audit, row, state, reason, others)
        elif len(set(audit.official[group].tolist())) > 1:
            stay = _staying(audit, group)
            for row in [each for each in group if each not in stay]:
                there = [(audit.keys[each], str(audit.official[each])) for each in stay]
                reason = why.copy_across_parts(str(audit.official[row]), there)
                yield _exclusion(audit, row, state, reason, stay)


def _near_copies(audit: Audit) -> Iterator[Entry]:
    """Near copies across official parts, those that do not stay; and under two classes, each of them. To review: a
    correlation is no proof."""
    for rows in audit.rows_of("near-copy leak"):
        stay = _staying(audit, rows)
        for row in [each for each in rows if each not in stay]:
            other, likeness, how = _likest(audit, row, stay)
            stays = str(audit.official[other])
            reason = why.near_copy_across_parts(str(audit.official[row]), audit.keys[other], stays, likeness, how)
            yield _exclusion(audit, row, "to review", reason, [other])
    for rows in audit.rows_of("near-copy conflict"):
        for row in rows:
            others = [each for each in rows if audit.labels[each] != audit.labels[row]]
            other, likeness, how = _likest(audit, row, others)
            given, name = audit.class_of(row), audit.class_of(other)
            reason = why.near_copy_of_two_classes(given, audit.keys[other], name, likeness, how)
            yield _exclusion(audit, row, "to review", reason, [other])


def _junk(audit: Audit) -> Iterator[Entry]:
    """Images that show nothing or are unlike all others. To review: a rare image may be worth most."""
    for kind, reason in why.JUNK.items():
        for rows in audit.rows_of(kind):
            yield _exclusion(audit, rows[0], "to review", reason, [])


def _exclusion(audit: Audit, row: int, state: State, reason: str, beside: Sequence[int]) -> Entry:
    others = tuple(audit.keys[each] for each in beside)
    return Entry("exclude", state, (audit.keys[row],), reason, part=str(audit.official[row]), beside=others)


def _together(audit: Audit) -> Iterator[Entry]:
    """Near copies in one part, as a split keeps them anyway; those that it would cut, and natural groups, to review."""
    _, unit, counts = np.unique(audit.names, return_inverse=True, return_counts=True)
    scenes = [np.flatnonzero(unit == each).tolist() for each in np.flatnonzero(counts > 1)]
    several = [
        rows for rows in scenes if len(set(audit.hashes[rows].tolist())) > 1 == len(set(audit.official[rows].tolist()))
    ]
    for rows in sorted(several):
        likeness, how = _least(audit, rows)
        if audit.groups is not None and len(set(audit.groups[rows].tolist())) == 1:
            continue
        # who names groups knows better: images of two of them are kept together only if somebody says so
        state: State = "accepted" if audit.groups is None else "to review"
        yield _kept(audit, rows, state, why.near_copies_together(len(rows), likeness, how))
    sizes = Counter(audit.labels.tolist())
    for rows in audit.rows_of("large scenes"):
        share = len(rows) / sizes[int(audit.labels[rows[0]])]
        yield _kept(audit, rows, "to review", why.large_scene(len(rows), share, _least(audit, rows)[0]))
    for each in audit.findings:
        if each.kind == NATURAL_GROUPS:
            yield Entry("keep together", "to review", (), each.message, groups=expression_of(each))


def _kept(audit: Audit, rows: Sequence[int], state: State, reason: str) -> Entry:
    return Entry("keep together", state, tuple(audit.keys[row] for row in rows), reason)


def _resplit(audit: Audit) -> Iterator[Entry]:
    kinds = {each.kind: each for each in audit.findings}
    is_cut = NATURAL_GROUPS in kinds and "official part" in kinds[NATURAL_GROUPS].message
    leaks = audit.rows_of("near-copy leak")
    leaks += [rows for rows in copies(audit.hashes) if len(set(audit.official[rows].tolist())) > 1]
    if leaks or is_cut:
        shared = {row for rows in leaks for row in rows if audit.official[row] == "test"}
        if test := int((audit.official == "test").sum()):
            yield Entry("resplit", "to review", (), why.leaking_parts(len(shared), test, is_cut))


def _staying(audit: Audit, rows: Sequence[int]) -> list[int]:
    """Those in the part that is measured on: the test, or else validation."""
    first = min((str(audit.official[row]) for row in rows), key=_STAYS.index)
    return [row for row in rows if audit.official[row] == first]


def _likest(audit: Audit, row: int, others: Sequence[int]) -> tuple[int, float, str]:
    """Which of these images is most like one, their correlation, and how it was moved."""
    found = [(each, *alike(audit.grey(row), audit.grey(each))) for each in others]
    return max(found, key=lambda each: each[1])


def _least(audit: Audit, rows: Sequence[int]) -> tuple[float, str]:
    """Of the likest neighbours of a scene's images the least alike."""
    found = [_likest(audit, row, [each for each in rows if each != row])[1:] for row in rows[:20]]
    return min(found, key=lambda each: each[0])
