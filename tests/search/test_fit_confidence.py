"""A network's temperature comes from images that it did not learn from, or it stays 1, and it is said which."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.evidence.temperature import fit_temperature
from convlift.records.confidence import BY_OTHERS, Confidence
from convlift.search.context import Search
from convlift.search.fit_confidence import confidence_from, confidence_of
from convlift.search.loop import run_search
from made_up import World, desk_in, flipped, problem_of

WORLD = World(seed=1, effects={flipped: 6.0}, n=400, nt=400, seconds_noise=0.0)
LABELS = WORLD.labels[:400]


def test_what_learned_from_validation_takes_that_of_runs_that_did_not(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, 24) as desk:
        search = Search(problem_of(WORLD), desk)
        shipment = run_search(search)
        assert shipment.network.role == "refit"
        refit = confidence_of(search.problem, search.ledger, shipment.network)
        final = shipment.after[0]
        own = [confidence_of(search.problem, search.ledger, run) for run in shipment.after]
        assert refit.fitted_on == BY_OTHERS
        assert refit.temperature == pytest.approx(np.exp(np.mean([np.log(each.temperature) for each in own])))
        assert own[0] == Confidence(fit_temperature(final.unseen, LABELS), "validation")
        alone = replace(shipment.network, spec=replace(shipment.network.spec, recipe=search.problem.baseline))
        assert confidence_of(search.problem, search.ledger, alone) == Confidence(1.0, "nothing")


def test_without_images_it_is_one() -> None:
    assert confidence_from([], "validation", LABELS) == Confidence()
    assert confidence_from([np.zeros((0, 0), np.float32)], "validation", LABELS) == Confidence()


def test_thresholds_are_of_the_mended_probabilities() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.5
    score = 1 / (1 + np.exp(-6.0 * (rng.normal(size=400) + 2.0 * positive - 1.0)))
    said = np.stack([1 - score, score], axis=1).astype(np.float32)
    found = confidence_from([said], "validation", positive.astype(int), classes=("well", "ill"))
    assert found.temperature > 2.0
    assert [each.target for each in found.thresholds if each.positive == "ill"] == [
        "sensitivity 0.90", "sensitivity 0.95", "sensitivity 0.99", "Youden's J",
    ]  # fmt: skip
    mended = score ** (1 / found.temperature) / (
        score ** (1 / found.temperature) + (1 - score) ** (1 / found.temperature)
    )
    for each in found.thresholds:
        own, other = (positive, mended) if each.positive == "ill" else (~positive, 1 - mended)
        if each.target.startswith("sensitivity"):
            assert (other[own] >= each.threshold).mean() >= float(each.target[-4:])
    assert confidence_from([said], "validation", positive.astype(int)).thresholds == ()
