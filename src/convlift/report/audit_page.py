"""What people see of an audit: its page, its lines, its document."""

import json
from base64 import b64encode
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from convlift.audit.feature_findings import LABEL_ERRORS
from convlift.campaign.audit_data import IN_A_ROW, ROWS, SHOWN, Audited
from convlift.console.atomic import write_text
from convlift.console.disk import writing_into
from convlift.records.finding import Finding
from convlift.report.finding_lines import plan_lines
from convlift.report.page import templates
from convlift.report.wording.phrases import counted, printable, typographic
from convlift.report.wording.plan_sentences import applied_document, entry_document, plan_sentence

SCHEMA_VERSION = 1
_NAMED = 3  # files in one line of the terminal
_CLASS_ROWS = 200
_LEAST = 0.0005  # of the labels that are wrong: less is written 0.0%
_PARTS = {"": "images", "train": "training images", "validation": "validation images", "test": "test images"}


def headline(found: Audited) -> str:
    """The answer, as one sentence."""
    number = Counter(each.severity for each in found.findings)
    if not number:
        return "Nothing was found."
    grave, notes = number["error"] + number["warning"], number["note"]
    said = [counted(grave, "warning")] * bool(grave) + [counted(notes, "note")] * bool(notes)
    return f"{' and '.join(said)}."


def labels_sentence(found: Audited) -> str:
    """What is known of the labels as a whole; "" where they were not looked at."""
    if (quality := found.quality) is None:
        return ""
    few = f", of {found.images:,} in all" if quality.looked_at < found.images else ""
    share = f"{quality.least:.1%} to {quality.most:.1%}" if quality.least >= _LEAST else f"at most {quality.most:.1%}"
    return (
        f"Of {counted(quality.looked_at, 'label')}{few}, {quality.flagged:,} are doubtful; {share} are wrong, by a "
        f"classifier that gives {quality.right:.1%} of all images their label."
    )


def render_audit(found: Audited) -> str:
    """The page as text: one file without script or network request."""
    page = (
        templates()
        .get_template("audit.html.j2")
        .render(
            found=found,
            headline=headline(found),
            labels_sentence=typographic(labels_sentence(found)),
            parts=[(_PARTS[part], number) for part, number in found.counts.items()],
            findings=[(each, _rows(each, found), _more(each)) for each in found.findings],
            label_errors=LABEL_ERRORS,
            doubts=[(each, _uri(found.pictures.get(each.key, b""))) for each in found.doubts[:SHOWN]],
            classes=sorted(found.classes.items(), key=lambda each: -each[1])[:_CLASS_ROWS],
            json=json.dumps(audit_document(found), indent=2, allow_nan=False),
        )
    )
    return printable(page)


def _rows(finding: Finding, found: Audited) -> list[list[tuple[str, Markup]]]:
    """The images of each item, those that have a picture; label errors are shown with what they look like instead."""
    if finding.kind == LABEL_ERRORS:
        return []
    shown = [
        [(key, _uri(found.pictures[key])) for key in row[:IN_A_ROW] if key in found.pictures]
        for row in finding.rows[:ROWS]
    ]
    return [row for row in shown if row]


def _more(finding: Finding) -> int:
    return max(0, len(finding.items) - (SHOWN if finding.kind == LABEL_ERRORS else ROWS))


def _uri(jpeg: bytes) -> Markup:
    return Markup(f"data:image/jpeg;base64,{b64encode(jpeg).decode()}") if jpeg else Markup("")


def write_audit(found: Audited, path: Path) -> Path:
    """Write the page, and the folder that it lies in where there is none; its path. Raises DiskError."""
    with writing_into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, render_audit(found))


def print_audit(found: Audited, page: Path, console: Console, plan: Path | None = None) -> None:
    """Print what was found, the gravest first, and where the page lies; plan: a file of what was proposed."""
    classes = counted(sum(number > 0 for number in found.classes.values()), "class", "classes")
    console.print(
        Text(f"{printable(found.data)}: {counted(found.images, 'image')} of {classes}. {headline(found)}", "bold")
    )
    for line in plan_lines(found.applied):
        console.print(Text(line))
    for finding in found.findings:
        remedy = f" {finding.remedy}" if finding.remedy else ""
        said = f"{finding.severity}: {finding.kind}. {finding.message}{remedy}{_files(finding)}"
        console.print(Text(printable(said), "" if finding.severity == "note" else "red"))
    console.print(Text(f"page: {printable(str(page))}"), soft_wrap=True)
    if plan is not None and found.plan is not None:
        console.print(Text(f"plan: {printable(str(plan))}; {plan_sentence(found.plan)}"), soft_wrap=True)


def _files(finding: Finding) -> str:
    named = [item for item in finding.items[:_NAMED] if item not in finding.message]
    more = len(finding.items) - _NAMED
    return f" [{', '.join(named)}{f' and {more:,} more' if more > 0 else ''}]" if named else ""


def audit_document(found: Audited) -> dict[str, Any]:
    """Plain data for `json.dumps`: what `convlift audit --json` prints. Shares and probabilities are in [0, 1]."""
    return {
        "schema_version": SCHEMA_VERSION,
        "data": found.data,
        "images": found.images,
        "parts": {part or "all": number for part, number in found.counts.items()},
        "classes": dict(found.classes),
        "answer": headline(found),
        "findings": [asdict(finding) for finding in found.findings],
        "labels": asdict(found.quality) if found.quality else None,
        "label_errors": [asdict(doubt) for doubt in found.doubts],
        **({"applied": applied_document(found.applied)} if found.applied else {}),
        **({"plan": [entry_document(each) for each in found.plan.entries]} if found.plan else {}),
        "seconds": found.seconds,
    }
