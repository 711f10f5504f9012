"""What one training leaves: its diagnosis in words, its page, its lines for the terminal, its JSON document."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from convlift.campaign.page_material import hard_images
from convlift.campaign.train_once import Trained
from convlift.catalogue.diagnose import Diagnosis, diagnose
from convlift.data.dataset import facts_of
from convlift.evidence.metrics import title_of
from convlift.records.finding import Finding
from convlift.records.recipe_findings import Confirmed, Suspected
from convlift.records.result import ClassScore, Estimate
from convlift.report.document import SCHEMA_VERSION
from convlift.report.findings import finding_lines, write_findings
from convlift.report.page import model_parts, templates
from convlift.report.story import HardImage, Story
from convlift.report.terminal import print_places
from convlift.report.wording.diagnoses import sentence
from convlift.report.wording.headline import unpredicted
from convlift.report.wording.phrases import counted, duration, printable
from convlift.report.wording.recipe_faults import finding_in_words

REPORT = "report.html"


@dataclass(frozen=True)
class TrainingStory:
    """One training of one recipe, judged by nobody: every figure is of the validation images.

    score: with its 95% interval, of `metric`; suspicions: of its recipe, where none was tried; probes: what was found
    where one was; shown: what the page shares with a campaign's.
    """

    run: str
    data: str
    metric: str
    score: Estimate
    images: int
    seconds: float
    classes: tuple[ClassScore, ...]
    diagnosis: tuple[Diagnosis, ...]
    suspicions: tuple[Suspected, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    shown: Story
    probes: tuple[Confirmed, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """That a class is never predicted, or ""."""
        return unpredicted(self.classes, self.metric, counted(self.images, "validation image"))


def tell_training(trained: Trained, probes: Sequence[Confirmed] = ()) -> TrainingStory:
    """The story of one training; probes: findings about its recipe, where accusations were tried."""
    dataset, outcome = trained.dataset, trained.outcome
    splits, classes = dataset.splits, len(dataset.classes)
    labels, said = dataset.labels[splits.validation], outcome.validation_probabilities
    confusion = np.zeros((classes, classes), np.int64)
    pictures: list[dict[str, Any]] = []
    if len(said) == len(labels) > 0:
        np.add.at(confusion, (labels, said.argmax(axis=1)), 1)
        pictures = hard_images(said, dataset, splits.validation, labels)
    totals = confusion.sum(axis=1)
    recalls = [float(confusion[k, k] / total) if total else None for k, total in enumerate(totals)]
    rows = zip(dataset.classes, totals.tolist(), recalls, confusion.sum(axis=0).tolist(), strict=True)
    return TrainingStory(
        run=str(trained.run),
        data=dataset.name,
        metric=trained.metric,
        score=trained.score,
        images=len(labels),
        seconds=outcome.seconds,
        classes=tuple(ClassScore(name, images, None, right, predicted) for name, images, right, predicted in rows),
        diagnosis=diagnose(outcome, labels, trained.recipe, facts_of(dataset)),
        suspicions=() if probes else tuple(each.suspected for each in trained.accusations()),
        findings=dataset.store.findings,
        counts=splits.counts,
        shown=Story(
            shipped_recipe=trained.recipe.to_yaml(),
            baseline_recipe="",
            start_recipe="",
            classes=dataset.classes,
            confusion=confusion,
            baseline_recall=(),
            final_recall=tuple(float("nan") if right is None else right for right in recalls),
            class_counts={},
            final_curve=outcome.curve,
            hard_images=tuple(
                HardImage(base64.b64decode(i["png"]), i["true_class"], i["predicted_class"], i["confidence"])
                for i in pictures
            ),
        ),
        probes=tuple(probes),
        environment=trained.environment,
    )


def render_training(story: TrainingStory) -> str:
    """The page as text: one file without script or network request, as a campaign's."""
    page = (
        templates()
        .get_template("training.html.j2")
        .render(
            training=story,
            story=story.shown,
            metric=title_of(story.metric),
            findings=story.findings,
            image_kind="validation image",
            shipped_words="this training",
            json=json.dumps(training_document(story), indent=2, allow_nan=False),
            **model_parts(story.shown),
        )
    )
    return printable(page)


def write_training(story: TrainingStory) -> Path:
    """Write the page, and what the audit found, into the run folder; the path of the page. Raises OSError."""
    run = Path(story.run)
    write_findings(run, story.findings)
    path, beside = run / REPORT, run / f".{REPORT}.part"
    beside.write_text(render_training(story), encoding="utf-8")
    os.replace(beside, path)
    return path


def print_training(story: TrainingStory, console: Console) -> None:
    """Print the score, the diagnosis, and how to go on."""
    score = story.score
    console.print(
        Text(
            f"validation {title_of(story.metric)} {score.value:.4f} (95% interval {score.low:.4f} to {score.high:.4f}) "
            f"on {counted(story.images, 'image')}, trained in {duration(story.seconds)}",
            "bold",
        )
    )
    if story.warning:
        console.print(Text(f"warning: {story.warning}", "red"))
    for found in story.probes:
        console.print(Text(printable(finding_in_words(found)), "bold"))
    for diagnosis in story.diagnosis:
        console.print(Text(f"diagnosis: {printable(sentence(diagnosis))}"))
    for suspicion in story.suspicions:
        console.print(Text(f"suspicion: {printable(finding_in_words(suspicion))}"))
    for line in finding_lines(story.findings):
        console.print(Text(line))
    print_places(Path(story.run), (("model", "model"),), console)


def training_document(story: TrainingStory) -> dict[str, Any]:
    """Plain data for `json.dumps`: what `convlift train --json` prints. Scores are in [0, 1]."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": story.run,
        "data": story.data,
        "metric": story.metric,
        "validation": {"score": story.score.value, "low": story.score.low, "high": story.score.high},
        "seconds": story.seconds,
        "images": dict(story.counts),
        "classes": [
            {"name": each.name, "images": each.images, "score": each.final, "predicted": each.predicted}
            for each in story.classes
        ],
        "diagnosis": [sentence(each) for each in story.diagnosis],
        "suspicions": [finding_in_words(each) for each in story.suspicions],
        "probes": [finding_in_words(each) for each in story.probes],
        "warnings": [story.warning] if story.warning else [],
        "findings": [asdict(finding) for finding in story.findings],
    }
