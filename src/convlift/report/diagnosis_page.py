"""What people see of a diagnosis: its page, its lines, its document, and the files that its commands name."""

import csv
import io
import json
import math
from base64 import b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from convlift.campaign.diagnose_training import Diagnosed
from convlift.campaign.looks import DoubtedImage, SeenImage
from convlift.catalogue.checks import Cause, Check, ranked
from convlift.console.atomic import write_text
from convlift.console.disk import writing_into
from convlift.evidence.metrics import title_of
from convlift.report.finding_lines import finding_lines, plan_lines, write_findings
from convlift.report.page import model_parts, templates
from convlift.report.page_records import TrainingStory
from convlift.report.summary import tell_training
from convlift.report.thumbnails import thumbnail
from convlift.report.wording.checks_in_words import CAUSES, VERDICTS, expectation, figures, headline, no_fault
from convlift.report.wording.phrases import counted, duration, printable, typographic
from convlift.report.wording.plan_sentences import applied_document
from convlift.report.wording.remedies import DOUBTED, FOLDER, RECIPE, Remedy, file_of, remedies

PAGE = "diagnosis.html"
SCHEMA_VERSION = 1
# what the curves show; other causes have pictures of their own
_IN_CURVES: frozenset[Cause] = frozenset({
    "learning rate", "training length", "augmentation", "regularization", "batch size", "overfitting", "underfitting",
})  # fmt: skip
_MARKS = {"found": "harmful", "suspected": "likely", "not found": "proven", "cannot tell": "undecided"}


@dataclass(frozen=True)
class DiagnosisStory:
    """What the page of a diagnosis shows. training: its one training; checks: of every cause; faults: of these, ranked;
    todo: what to do; doubted, example: see `Diagnosed`."""

    training: TrainingStory
    checks: tuple[Check, ...]
    faults: tuple[Check, ...]
    todo: tuple[Remedy, ...]
    doubted: tuple[DoubtedImage, ...]
    example: SeenImage | None
    status: str

    @property
    def headline(self) -> str:
        """The answer, as one sentence."""
        return headline(self.faults)

    @property
    def has_score(self) -> bool:
        """Whether the training came to a score."""
        return math.isfinite(self.training.score.value)

    @property
    def lead(self) -> str:
        """What stands behind it, and what the score is."""
        why = figures(self.faults[0]) if self.faults else no_fault(self.checks)
        more = len(self.faults) - 1
        others = f" {counted(more, 'further fault')} below." if more > 0 else ""
        return typographic(f"{why}{others}")


def tell_diagnosis(done: Diagnosed) -> DiagnosisStory:
    """The story of a diagnosis."""
    faults = ranked(done.checks)
    is_found = any(each.cause == "labels" and each.verdict != "not found" for each in done.checks)
    return DiagnosisStory(
        training=tell_training(done.trained),
        checks=done.checks,
        faults=faults,
        todo=remedies(faults, done.trained.run, done.asked),
        doubted=done.doubted if is_found else (),
        example=done.example,
        status=done.trained.outcome.status,
    )


def render_diagnosis(story: DiagnosisStory) -> str:
    """The page as text: one file without script or network request."""
    training = story.training
    page = (
        templates()
        .get_template("diagnosis.html.j2")
        .render(
            **{
                "diagnosis": story,
                "training": training,
                "story": training.shown,
                "metric": title_of(training.metric),
                "findings": training.findings,
                "image_kind": "validation image",
                "shipped_words": "this training",
                "rows": _rows(story),
                "doubted": [(each, _uri(each.png)) for each in story.doubted if each.png],
                "example": (story.example, _uri(story.example.whole), _uri(story.example.shrunk))
                if story.example
                else None,
                "json": json.dumps(diagnosis_document(story), indent=2, allow_nan=False),
                **_with_picture(story, model_parts(training.shown)),
            }
        )
    )
    return printable(page)


def _with_picture(story: DiagnosisStory, parts: dict[str, Any]) -> dict[str, Any]:
    """The curves stand beside the answer where they show it, and then not a second time."""
    on_top = bool(parts["curves"]) and (not story.faults or story.faults[0].cause in _IN_CURVES)
    return {**parts, "curves_on_top": parts["curves"] if on_top else "", "curves": "" if on_top else parts["curves"]}


def _rows(story: DiagnosisStory) -> list[dict[str, Any]]:
    """Of the table: faults as they are ranked, then the others."""
    others = sorted((c for c in story.checks if not c.is_fault), key=lambda check: check.verdict != "cannot tell")
    return [
        {
            "cause": CAUSES[check.cause],
            "verdict": VERDICTS[check.verdict],
            "mark": _MARKS[check.verdict],
            "figures": typographic(figures(check)),
            "changes": [(each.name, typographic(expectation(each))) for each in check.prospects],
        }
        for check in (*story.faults, *others)
    ]


def _uri(png: bytes) -> Markup:
    return Markup(f"data:image/png;base64,{b64encode(thumbnail(png)).decode()}")


def write_diagnosis(story: DiagnosisStory) -> Path:
    """Write the page, what the audit found, the recipes that the commands name and the list of doubtful labels; the
    path of the page. Raises DiskError."""
    run = Path(story.training.run)
    write_findings(run, story.training.findings)
    with writing_into(run):
        (run / FOLDER).mkdir(exist_ok=True)
    write_text(run / FOLDER / RECIPE, story.training.shown.shipped_recipe)
    for check in story.faults:
        for each in check.prospects:
            write_text(run / FOLDER / file_of(each.name), each.recipe.to_yaml())
    if story.doubted:
        write_text(run / FOLDER / DOUBTED, _csv(story.doubted))
    return write_text(run / PAGE, render_diagnosis(story))


def _csv(doubted: tuple[DoubtedImage, ...]) -> str:
    content = io.StringIO()
    rows = csv.writer(content, lineterminator="\n")
    rows.writerow(["image", "part", "label", "looks like", "confidence"])
    rows.writerows([printable(d.key), d.part, d.given, d.taken_for, f"{d.confidence:.3f}"] for d in doubted)
    return content.getvalue()


def print_diagnosis(story: DiagnosisStory, console: Console) -> None:
    """Print the answer, what to do, the causes that were looked at, and where the page lies."""
    training = story.training
    console.print(Text(printable(story.headline), "bold"))
    console.print(Text(_score(story)))
    for number, each in enumerate(story.todo, 1):
        brings = f" ({each.brings})" if each.brings else ""
        console.print(Text(f"{number}. {printable(each.todo)}{printable(brings)}"))
        if each.command:
            console.print(Text(f"   {printable(each.command)}"), soft_wrap=True)
    if not story.faults:
        console.print(Text(no_fault(story.checks)))
    for check in (*story.faults, *(c for c in story.checks if not c.is_fault)):
        style = {"found": "red", "suspected": "yellow"}.get(check.verdict, "")
        console.print(Text(f"{CAUSES[check.cause]}: {VERDICTS[check.verdict]}. {printable(figures(check))}", style))
    for line in [*plan_lines(training.plan), *finding_lines(training.findings)]:
        console.print(Text(line))
    console.print(Text(f"page: {printable(str(Path(training.run) / PAGE))}"), soft_wrap=True)


def _score(story: DiagnosisStory) -> str:
    training, score = story.training, story.training.score
    if not math.isfinite(score.value):
        return f"The training failed to learn after {duration(training.seconds)}."
    return (
        f"validation {title_of(training.metric)} {score.value:.4f} (95% interval {score.low:.4f} to {score.high:.4f}) "
        f"on {counted(training.images, 'image')}, trained in {duration(training.seconds)}"
    )


def diagnosis_document(story: DiagnosisStory) -> dict[str, Any]:
    """Plain data for `json.dumps`: what `convlift diagnose --json` prints. Scores are in [0, 1], gains in points."""
    training, score = story.training, story.training.score
    is_known = math.isfinite(score.value)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": training.run,
        "data": training.data,
        "metric": training.metric,
        "status": story.status,
        "validation": {"score": score.value, "low": score.low, "high": score.high} if is_known else None,
        "seconds": training.seconds,
        "images": dict(training.counts),
        "answer": story.headline,
        "faults": [check.cause for check in story.faults],
        "todo": [asdict(each) for each in story.todo],
        "checks": [_check(check) for check in story.checks],
        "doubtful_labels": [
            {n: getattr(d, n) for n in ("key", "part", "given", "taken_for", "confidence")} for d in story.doubted
        ],
        "findings": [asdict(finding) for finding in training.findings],
        **({"plan": applied_document(training.plan)} if training.plan else {}),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "cause": check.cause,
        "verdict": check.verdict,
        "words": figures(check),
        "figures": [_finite(asdict(shown)) for shown in check.shown],
        "changes": [
            {
                "name": each.name,
                "points": each.points,
                "low": each.low,
                "high": each.high,
                "basis": each.basis,
                "source": each.source,
            }
            for each in check.prospects
        ],
    }


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
