"""The commonest input of all, end to end: a small folder of class folders, without official parts."""

from pathlib import Path

import numpy as np
import pytest

from convlift import api
from convlift.errors import BudgetError, LedgerError
from convlift.ledger.ledger import read_ledger


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 made-up photos of two classes: bright and dark ones."""
    from PIL import Image

    root, rng = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for name, base in (("bright", 150), ("dark", 60)):
        (root / name).mkdir(parents=True)
        for number in range(60):
            pixels = np.clip(base + rng.normal(0, 30, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def campaign(photos: Path, small_backbone: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> api.Campaign:
    place, (name, weights) = tmp_path_factory.mktemp("place"), small_backbone
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(place / "cache"))
        return api.improve(
            photos, trainings=4, out=place / "run", workers=2, quiet=True, backbone=name, weights=str(weights)
        )


def test_it_ends_with_a_model_a_report_and_an_honest_word(campaign: api.Campaign) -> None:
    result = campaign.result
    assert sum(result.counts.values()) == 120
    assert min(result.counts.values()) > 0
    assert campaign.report.is_file()
    assert result.judged or result.why
    assert campaign.model.predict(np.full((24, 24, 3), 150, np.uint8)).label in ("bright", "dark")


def test_its_trainings_are_as_many_as_were_asked_for(campaign: api.Campaign) -> None:
    with read_ledger(campaign.folder) as ledger:
        roles = [trial.role for trial in ledger.trials()]
        shipment = ledger.recall("shipment")
    counted = roles.count("baseline") + roles.count("search") + roles.count("final")
    # the final run falls away where nothing ships, and one more decides where the bare start is in doubt
    assert counted in ((4, 5) if shipment["ships"] != "baseline" else (3, 4))


def test_the_same_command_reads_the_result(
    campaign: api.Campaign, photos: Path, small_backbone: tuple[str, Path]
) -> None:
    name, weights = small_backbone
    options = {"out": campaign.folder, "workers": 1, "quiet": True, "backbone": name, "weights": str(weights)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(campaign.folder.parent / "cache"))
        assert api.improve(photos, trainings=4, **options).result == campaign.result  # type: ignore[arg-type]
        with pytest.raises(LedgerError, match="was begun with --trainings 4"):
            api.improve(photos, "5m", **options)  # type: ignore[arg-type]
        with pytest.raises(LedgerError, match="was begun with --trainings 4"):
            api.improve(photos, trainings=9, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("budget", "trainings", "words"), [("5m", 8, "two lengths"), (None, 3, "at least 4")])
def test_lengths_that_mean_nothing_are_refused(photos: Path, budget: str | None, trainings: int, words: str) -> None:
    with pytest.raises(BudgetError, match=words):
        api.improve(photos, budget, trainings=trainings, quiet=True)
