"""What the audit of the data found, in lines for the terminal and in a file of the run folder."""

from collections.abc import Iterable
from pathlib import Path

from convlift.console.atomic import write_text
from convlift.records.finding import Finding
from convlift.records.plan_applied import PlanApplied
from convlift.report.wording.phrases import counted, printable
from convlift.report.wording.plan_sentences import applied_sentences

FINDINGS = "findings.txt"
NAMED = 5  # files in one line


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """A line for each finding that is no mere note, with the first of the files that it is about."""
    return [_line(finding) for finding in findings if finding.severity != "note"]


def plan_lines(applied: PlanApplied | None) -> list[str]:
    """What a plan changed of the data, a line a sentence; [] where there was none."""
    return [f"plan: {printable(said)}" for said in applied_sentences(applied)]


def _line(finding: Finding) -> str:
    remedy = f" {finding.remedy}" if finding.remedy else ""
    named = [printable(item) for item in finding.items[:NAMED] if item not in finding.message]
    more = len(finding.items) - NAMED
    rest = f" and {more:,} more, all of them in {FINDINGS}" if more > 0 else ""
    files = f" [{', '.join(named)}{rest}]" if named else ""
    return f"{finding.severity}: {printable(finding.message + remedy)}{files}"


def write_findings(folder: Path, findings: Iterable[Finding]) -> Path | None:
    """Write every finding, with every file that it is about, to findings.txt in the run folder; the path, or None where
    there is none. A file of an earlier run is replaced or removed. Raises DiskError."""
    path, found = folder / FINDINGS, list(findings)
    if not found:
        path.unlink(missing_ok=True)
        return None
    return write_text(path, "\n".join(map(_block, found)))


def _block(finding: Finding) -> str:
    head = f"{finding.severity}: {finding.kind}. {finding.message} {finding.remedy}".rstrip()
    files = (
        [f"{counted(len(finding.items), 'file')}:", *(f"  {item}" for item in finding.items)] if finding.items else []
    )
    return "".join(f"{printable(line)}\n" for line in (head, *files))
