"""The model card: every figure says of which images it is."""

from dataclasses import replace

import pytest

from convlift.data.stretch import Stretch
from convlift.deploy.model_folder import ModelConfig
from convlift.recipe.recipe import Recipe
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.result import Result
from convlift.report.card import MOST_CLASSES, card, figures_before_the_end, figures_of

COUNTS = {"train": 1078, "validation": 359, "test": 360}


@pytest.fixture
def counted(result: Result) -> Result:
    return replace(result, counts=COUNTS)


def test_a_judged_network_has_its_score_its_baseline_and_its_gain(counted: Result) -> None:
    assert figures_of(counted, {}) == {
        "accuracy on 360 sealed test images": "0.823 (95% interval 0.806 to 0.846)",
        "accuracy of the baseline there": "0.712 (95% interval 0.681 to 0.743)",
        "gain in points": "+11.1 (95% interval +8.0 to +14.2), proven",
        "the recipe": "Trained again, the recipe gains +10.9 points (95% interval +7.0 to +14.8), proven.",
    }


def test_a_network_that_nobody_judged_says_why(counted: Result) -> None:
    closed = replace(counted, judged=False, baseline=None, gain_points=None, why=NotShipped("no time for the baseline"))
    assert figures_of(closed, {}) == {
        "accuracy on 359 validation images, by which it was chosen": "0.823 (95% interval 0.806 to 0.846)",
        "not judged": "Not judged: no time for the baseline.",
    }
    compared = replace(closed, baseline=counted.baseline)
    assert "accuracy of the baseline there" in figures_of(compared, {})


def test_a_cross_validation_is_of_the_procedure(counted: Result) -> None:
    found = figures_of(replace(counted, folds=5), {"validation": 0.8765})
    assert list(found) == [
        "accuracy (nested estimate over 5 folds, 360 images; of the procedure, this network itself was not tested)",
        "accuracy of the baseline there",
        "gain in points",
        "accuracy of this network on 359 validation images",
    ]
    assert found["accuracy of this network on 359 validation images"] == "0.876"


def test_what_a_reader_must_not_miss_stands_in_the_card(counted: Result) -> None:
    short = replace(counted, ships="start", shortened=Shortened(3.5, 10))
    found = figures_of(short, {})
    assert found["note"] == "The bare start, transfer, ships without any change of the search."
    assert found["warning 1"].startswith("The baseline had only 3.5 of its 10 epochs")


def test_before_the_end_nothing_is_confirmed() -> None:
    assert figures_before_the_end({"metric": "log-loss", "unconfirmed": 0.91234}) == {
        "validation log-loss skill": "0.9123 (unconfirmed: the sealed test is still closed)"
    }
    own = {"metric": "accuracy", "of": "validation", "images": 24, "final": {"value": 0.5, "low": 0.3, "high": 0.7}}
    assert figures_before_the_end(own) == {"accuracy on 24 validation images": "0.500 (95% interval 0.300 to 0.700)"}


def test_the_card_names_network_pixels_and_classes() -> None:
    config = ModelConfig(
        classes=tuple(f"class {number}" for number in range(MOST_CLASSES + 1)),
        channels=3,
        resolution=32,
        resize="area",
        mean=(0.5,),
        std=(0.25,),
        scores={},
        value_range=255.0,
        alpha="white",
    )
    text = card(Recipe(), config, {"accuracy": "0.9"})
    assert f"one of {MOST_CLASSES + 1} classes: class 0," in text
    assert f"class {MOST_CLASSES - 1}, ..." in text
    assert "convolutional network from scratch; input 3 x 32 x 32" in text
    assert "| accuracy | 0.9 |" in text
    pretrained = Recipe().edit(architecture={"kind": "pretrained"})
    assert f"pretrained {pretrained.architecture.backbone};" in card(pretrained, config, {})


def test_the_card_says_by_what_deep_values_are_scaled() -> None:
    for value_range, said in (
        (None, "scaled to [0, 1], then"),
        (4095.0, "scaled to [0, 1] (of files of more than 8 bits by 4095), then"),
        (Stretch((-100.0,), (900.0,), "-100:900"), "(of files of more than 8 bits from -100 to 900), then"),
        ((1.0, 65535.0), "scaled to [0, 1] (of files of more than 8 bits by 1, 65535 band by band), then"),
    ):
        channels = 2 if isinstance(value_range, tuple) else 1
        figures = (0.5,) * channels
        config = ModelConfig(("ant", "bee"), channels, 16, "squash", figures, figures, {}, value_range=value_range)
        assert said in card(Recipe(), config, {})
