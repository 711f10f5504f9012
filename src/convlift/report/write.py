"""The files for people in a run folder: the page, the list of findings, the model card."""

from pathlib import Path

from convlift.console.atomic import write_text
from convlift.deploy.model_folder import CARD, read_card_facts
from convlift.ledger.ledger import Ledger, read_ledger
from convlift.records.events import (
    CampaignEnded,
    Event,
    Listener,
    ModelWritten,
    OfNullCampaign,
    ResultWithdrawn,
)
from convlift.records.result import Result
from convlift.records.training_events import TrainedOnAll, TrainingEnded
from convlift.report.card import UNJUDGED, card, figures_before_the_end, figures_of, learned_from_all
from convlift.report.finding_lines import write_findings
from convlift.report.page import render
from convlift.report.summary import story_of
from convlift.search.result_in_ledger import result_of

REPORT, MODEL = "report.html", "model"


def write_when_told(listen: Listener) -> Listener:
    """A listener that has written what belongs to an event before it passes it on."""

    def heard(event: Event) -> None:
        match event.event if isinstance(event, OfNullCampaign) else event:
            case CampaignEnded(folder, is_new):
                _write_what_is_missing(folder, is_new=is_new)
            case ResultWithdrawn(folder):
                for path in (folder / REPORT, folder / MODEL / CARD):
                    path.unlink(missing_ok=True)
            case ModelWritten(folder) | TrainingEnded(folder):
                write_card(folder)
            case TrainedOnAll(folder, images):
                _write_card_of_all(folder, images)
        listen(event)

    return heard


def _write_what_is_missing(folder: Path, *, is_new: bool) -> None:
    """All of it for a new result; for one that was there, what a kill between the result and its page has left out. A
    card that is there may be somebody's own."""
    with read_ledger(folder) as ledger:
        if is_new or not (folder / REPORT).is_file():
            write_report(ledger)
        if is_new or not (folder / MODEL / CARD).is_file():
            write_card(folder, result_of(ledger))


def write_report(ledger: Ledger) -> Path:
    """Write the page of a finished campaign and its findings; the path of the page.

    Raises LedgerError where the campaign is not finished, DiskError where nothing can be written.
    """
    result = result_of(ledger)
    page = write_text(ledger.folder / REPORT, render(result, story_of(ledger)))
    write_findings(ledger.folder, result.findings)
    return page


def _write_card_of_all(folder: Path, images: int) -> None:
    """The card of the model that learned from all images, with the score of the one that was judged; a card that is
    there may be somebody's own."""
    facts = read_card_facts(folder)
    if facts is None or (folder / CARD).is_file():
        return
    recipe, config = facts
    with read_ledger(folder.parent) as ledger:
        figures = figures_of(result_of(ledger), config.scores)
    figures.pop("learned from", None)
    figures = {**learned_from_all(images, MODEL), **figures}
    write_text(folder / CARD, card(recipe, config, figures, UNJUDGED))


def write_card(folder: Path, result: Result | None = None) -> None:
    """The card of the model in a run folder; result: of its campaign, where that has ended. Nothing where there is no
    model."""
    facts = read_card_facts(folder / MODEL)
    if facts is None:
        return
    recipe, config = facts
    figures = figures_of(result, config.scores) if result else figures_before_the_end(config.scores)
    write_text(folder / MODEL / CARD, card(recipe, config, figures))
