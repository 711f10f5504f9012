"""The files for people in a run folder: the page, the list of findings, the model card."""

from pathlib import Path

from convlift.console.atomic import write_text
from convlift.deploy.model_folder import CARD, read_card_facts
from convlift.ledger.ledger import Ledger, read_ledger
from convlift.records.events import CampaignEnded, Event, Listener, ModelWritten, OfNullCampaign, TrainingEnded
from convlift.records.result import Result
from convlift.report.card import card, figures_before_the_end, figures_of
from convlift.report.finding_lines import write_findings
from convlift.report.page import render
from convlift.report.summary import story_of
from convlift.search.result_in_ledger import result_of

REPORT = "report.html"


def write_when_told(listen: Listener) -> Listener:
    """A listener that has written what belongs to an event before it passes it on."""

    def heard(event: Event) -> None:
        match event.event if isinstance(event, OfNullCampaign) else event:
            case CampaignEnded(folder, is_new):
                if is_new or not (folder / REPORT).is_file():  # killed between its result and its page
                    with read_ledger(folder) as ledger:
                        write_report(ledger)
            case ModelWritten(folder) | TrainingEnded(folder):
                write_card(folder)
        listen(event)

    return heard


def write_report(ledger: Ledger) -> Path:
    """Write the page of a finished campaign, its findings and its model's card; the path of the page.

    Raises LedgerError where the campaign is not finished, DiskError where nothing can be written.
    """
    result = result_of(ledger)
    write_card(ledger.folder, result)
    write_findings(ledger.folder, result.findings)
    return write_text(ledger.folder / REPORT, render(result, story_of(ledger)))


def write_card(folder: Path, result: Result | None = None) -> None:
    """The card of the model in a run folder; result: of its campaign, where that has ended. Nothing where there is no
    model."""
    facts = read_card_facts(folder / "model")
    if facts is None:
        return
    recipe, config = facts
    figures = figures_of(result, config.scores) if result else figures_before_the_end(config.scores)
    write_text(folder / "model" / CARD, card(recipe, config, figures))
