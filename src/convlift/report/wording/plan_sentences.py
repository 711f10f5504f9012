"""What a plan proposes, and what it changed, in words."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from convlift.records.data_plan import DataPlan, Entry, Kind
from convlift.records.plan_applied import AsFiled, PlanApplied
from convlift.report.wording.phrases import counted

_WHAT: dict[Kind, tuple[str, str]] = {
    "exclude": ("image to leave out", "images to leave out"),
    "keep together": ("set to keep together", "sets to keep together"),
    "resplit": ("new split", "new splits"),
    "relabel": ("label to change", "labels to change"),
}


# of each section of a plan: its name, what it asks, and what accepting and rejecting an entry of it does
SECTIONS: dict[Kind, dict[str, str]] = {
    "exclude": {
        "name": "Leave out",
        "asks": "Leave this image out?",
        "accept": "Leave out",
        "reject": "Keep",
    },
    "keep together": {
        "name": "Keep together",
        "asks": "Keep these images in one part?",
        "accept": "Keep together",
        "reject": "May be cut",
    },
    "resplit": {
        "name": "New split",
        "asks": "Put the official parts aside?",
        "accept": "Split anew",
        "reject": "Keep the parts",
    },
    "relabel": {
        "name": "Relabel",
        "asks": "Is the label wrong?",
        "accept": "Change it",
        "reject": "Keep it",
    },
}


def plan_sentence(plan: DataPlan) -> str:
    """How much there is to decide."""
    if not plan.entries:
        return "it proposes nothing."
    waiting = Counter(each.kind for each in plan.entries if each.state == "to review")
    decided = len(plan.entries) - sum(waiting.values())
    said = ", ".join(counted(waiting[kind], *names) for kind, names in _WHAT.items() if waiting[kind])
    left = f"to review: {said}. `convlift review` shows them" if said else "nothing is left to review"
    return f"{counted(decided, 'entry', 'entries')} decided; {left}; `--plan` obeys what is accepted."


def applied_sentence(applied: PlanApplied) -> str:
    """What a plan changed, in one sentence."""
    numbers = {kind: len(applied.of(kind)) for kind in _WHAT}
    sets = sum(bool(each.images) for each in applied.of("keep together"))
    tested = sum(each.part == "test" for each in applied.of("exclude"))
    of_test = f" ({tested:,} of the test part)" if tested else ""
    done = [
        f"left out {counted(numbers['exclude'], 'image')}{of_test}" if numbers["exclude"] else "",
        f"gave {counted(numbers['relabel'], 'image')} another class" if numbers["relabel"] else "",
        f"kept {counted(sets, 'set')} of images together" if sets else "",
        "kept groups together" if numbers["keep together"] > sets else "",
        f"let a split cut {counted(len(applied.cut), 'set')} of near copies" if applied.cut else "",
        "put the official parts aside" if numbers["resplit"] else "",
    ]
    done = [each for each in done if each]
    said = f"{', '.join(done[:-1])} and {done[-1]}" if len(done) > 1 else done[0] if done else "changed nothing"
    waiting = f" {counted(applied.waiting, 'entry', 'entries')} of it {_wait(applied.waiting)} for somebody to decide."
    return f"The plan {applied.name} {said}. No file was changed.{waiting if applied.waiting else ''}"


def applied_sentences(applied: PlanApplied | None) -> tuple[str, ...]:
    """What a plan changed, and what that means for the sealed test; () where there was none."""
    if applied is None:
        return ()
    said = (applied_sentence(applied), as_filed_sentence(applied.as_filed) if applied.as_filed else "")
    return tuple(each for each in said if each)


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def as_filed_sentence(filed: AsFiled) -> str:
    """What the sealed test says with the labels as they were filed."""
    share = f"{filed.changed:,} of the {counted(filed.images, 'test image')}"
    carry = "carries" if filed.changed == 1 else "carry"
    said = f"{share} {carry} a label that the plan changed, before the test was sealed; both networks are judged by it."
    if filed.final is None:
        return said
    before = f" and the baseline {filed.baseline:.4f}" if filed.baseline is not None else ""
    return f"{said} By the labels as they are filed, the network that ships scores {filed.final:.4f}{before}."


def entry_in_words(entry: Entry) -> str:
    """What an entry does, without its reason."""
    images = ", ".join(entry.images[:4]) + (f" and {len(entry.images) - 4:,} more" if len(entry.images) > 4 else "")
    if entry.kind == "relabel":
        return f"{images}: {entry.label} became {entry.suggested}"
    if entry.kind == "resplit":
        return "the official parts"
    return images or f"groups by {entry.groups}"


def applied_document(applied: PlanApplied) -> dict[str, Any]:
    """What a plan changed, as plain data."""
    return {
        "file": applied.name,
        "sha256": applied.digest,
        "said": list(applied_sentences(applied)),
        "to_review": applied.waiting,
        "rejected": applied.rejected,
        "as_filed": asdict(applied.as_filed) if applied.as_filed else None,
        "entries": [entry_document(each) for each in applied.entries],
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """An entry as plain data, without what is empty."""
    fields = {
        "kind": entry.kind, "state": entry.state, "images": list(entry.images), "groups": entry.groups,
        "part": entry.part, "label": entry.label, "suggested": entry.suggested, "beside": list(entry.beside),
        "reason": entry.reason,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value}
