"""What is written of a campaign, and when: a result of before is never made anew, and never left standing."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.deploy.model_folder import CARD, ModelConfig, write_model_folder
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger
from convlift.recipe.recipe import Recipe
from convlift.records.events import CampaignEnded, Event, OfNullCampaign, ResultWithdrawn
from convlift.records.result import Result
from convlift.report import write
from convlift.report.write import MODEL, REPORT, write_when_told
from convlift.search.result_in_ledger import note_result

IDENTITY = Identity(data="d" * 64, baseline=Recipe(), seed=0, metric="accuracy")
CONFIG = ModelConfig(("cat", "dog"), 1, 8, "squash", (0.5,), (0.25,), {})


@pytest.fixture
def run(tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished campaign with a model, and neither page nor card."""
    monkeypatch.setattr(write, "story_of", lambda _: None)
    monkeypatch.setattr(write, "render", lambda found, _: f"<h1>{found.data}</h1>")
    with open_ledger(tmp_path / "run", IDENTITY) as ledger:
        note_result(ledger, replace(result, counts={"train": 1078, "validation": 359, "test": 360}))
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    write_model_folder(tmp_path / "run" / MODEL, weights, Recipe(), CONFIG)
    return tmp_path / "run"


def tell(*events: Event) -> None:
    listen = write_when_told(lambda _: None)
    for event in events:
        listen(event)


def test_a_new_end_has_its_page_and_its_card(run: Path) -> None:
    tell(CampaignEnded(run, is_new=True))
    assert "<h1>" in (run / REPORT).read_text()
    assert "sealed test images" in (run / MODEL / CARD).read_text()


def test_what_a_kill_left_out_is_written_and_what_is_there_stays(run: Path) -> None:
    tell(CampaignEnded(run, is_new=False))
    (run / MODEL / CARD).write_text("Mine, of the left greenhouse.")
    (run / REPORT).write_text("seen")
    tell(CampaignEnded(run, is_new=False))
    assert (run / MODEL / CARD).read_text() == "Mine, of the left greenhouse."
    assert (run / REPORT).read_text() == "seen"
    (run / REPORT).unlink()
    tell(CampaignEnded(run, is_new=False))
    assert "<h1>" in (run / REPORT).read_text()
    assert (run / MODEL / CARD).read_text() == "Mine, of the left greenhouse."


def test_a_campaign_that_goes_on_takes_its_old_words_back(run: Path) -> None:
    tell(CampaignEnded(run, is_new=True), ResultWithdrawn(run))
    assert not (run / REPORT).exists()
    assert not (run / MODEL / CARD).exists()
    assert (run / MODEL / "recipe.yaml").is_file()
    tell(ResultWithdrawn(run))


def test_a_campaign_of_an_aa_test_has_its_page_too(run: Path) -> None:
    tell(OfNullCampaign(CampaignEnded(run)))
    assert (run / REPORT).is_file()
