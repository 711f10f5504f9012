"""What people see of a plan that they decide on: one page, driven by keys, and the lines about it."""

import shlex
from pathlib import Path
from typing import Any

from convlift.records.data_plan import KINDS, DataPlan, Entry
from convlift.report.page import templates
from convlift.report.wording.phrases import counted, printable
from convlift.report.wording.plan_sentences import SECTIONS, entry_document

MOST_KEYS = 9  # classes that have a key of their own: 1 to 9


def shown_images(plan: DataPlan) -> tuple[str, ...]:
    """The images that a plan names, each once: those that its page may show, by their numbers."""
    return tuple(dict.fromkeys(key for each in plan.entries for key in each.shown))


def entry_shown(entry: Entry) -> dict[str, Any]:
    """An entry as the page takes it."""
    return {**entry_document(entry), "images": list(entry.images), "beside": list(entry.beside)}


def render_review(plan: DataPlan, path: Path, classes: tuple[str, ...], edition: str, nonce: str) -> str:
    """The page as text. edition: which entries it speaks of, told with every decision; nonce: of its script, which is
    all that may run on it."""
    number = {key: place for place, key in enumerate(shown_images(plan))}
    page = (
        templates()
        .get_template("review.html.j2")
        .render(
            plan=plan,
            nonce=nonce,
            told={
                "edition": edition,
                "entries": [entry_shown(each) for each in plan.entries],
                "kinds": KINDS,
                "sections": SECTIONS,
                "numbers": number,
                "classes": list(classes),
                "keys": MOST_KEYS,
                "command": f"convlift improve {_data(plan)} --plan {shlex.quote(str(path))}",
            },
        )
    )
    return printable(page)


def review_line(address: str) -> str:
    """Where the page is."""
    return f"review the plan at {address} (only this machine can; Ctrl-C ends it)"


def reviewed_line(plan: DataPlan) -> str:
    """How far somebody came."""
    left = plan.in_state("to review")
    return f"{counted(len(plan.entries) - left, 'entry', 'entries')} decided, {left:,} to review"


def _data(plan: DataPlan) -> str:
    return shlex.quote(plan.reading.get("data", "DATA"))
