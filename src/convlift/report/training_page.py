"""What people see of one training: its page, and its lines for the terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from convlift.console.atomic import write_text
from convlift.evidence.metrics import title_of
from convlift.report.documents import training_document
from convlift.report.finding_lines import finding_lines, plan_lines, write_findings
from convlift.report.page import model_parts, templates
from convlift.report.page_records import TrainingStory
from convlift.report.terminal import print_places
from convlift.report.wording.diagnoses import sentence
from convlift.report.wording.phrases import counted, duration, printable
from convlift.report.wording.recipe_faults import finding_in_words

REPORT = "report.html"


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
    """Write the page, and what the audit found, into the run folder; the path of the page. Raises DiskError."""
    run = Path(story.run)
    write_findings(run, story.findings)
    return write_text(run / REPORT, render_training(story))


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
    for found in story.confirmed:
        console.print(Text(printable(finding_in_words(found)), "bold"))
    for diagnosis in story.diagnosis:
        console.print(Text(f"diagnosis: {printable(sentence(diagnosis))}"))
    for suspicion in story.suspicions:
        console.print(Text(f"suspicion: {printable(finding_in_words(suspicion))}"))
    for line in [*plan_lines(story.plan), *finding_lines(story.findings)]:
        console.print(Text(line))
    print_places(Path(story.run), (("model", "model"),), console)
