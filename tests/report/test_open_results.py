"""Results without a judgement, with a shortened baseline, or in which something else than the search's recipe ships."""

import dataclasses
import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from conftest import make_curve, make_result, make_story, make_verdicts
from convlift.records.goal import Goal
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.recipe_findings import Confirmed, OverAugmented
from convlift.records.result import ClassScore, Estimate, Result
from convlift.report.card import figures_of
from convlift.report.documents import result_document
from convlift.report.page import render
from convlift.report.terminal import print_result
from convlift.report.wording.headline import conclusion, flattered, headline, never_predicted

COUNTS = {"train": 1078, "validation": 359, "test": 360}
WHY_OPEN = NotShipped("no time for the baseline")
WHY_KEPT = NotShipped("below the baseline")


def make_open(result: Result, **more: object) -> Result:
    settled = {"proven": False, "judged": False, "verdicts": (), "gain_points": None, "counts": COUNTS, "notes": ()}
    return dataclasses.replace(result, **{**settled, **more})


def printed(result: Result) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_result(result, console)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def read(result: Result, of: Result | None = None) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(render(result, make_story(of or result)))
    return " ".join(" ".join(found).split())


@pytest.fixture
def alone(result: Result) -> Result:
    """Nothing to compare with."""
    return make_open(result, baseline=None, why=WHY_OPEN)


@pytest.fixture
def kept(result: Result) -> Result:
    """The baseline is better."""
    return make_open(result, ships="baseline", why=WHY_KEPT, final=result.baseline)


def test_what_was_not_judged_says_why_and_of_which_images_it_speaks(alone: Result) -> None:
    assert conclusion(alone) == "open"
    assert headline(alone) == (
        "accuracy 0.823 on 359 validation images, by which it was chosen. Not judged: no time for the baseline."
    )
    for text in (printed(alone), read(alone)):
        assert "Not judged: no time for the baseline." in text
        assert "359 validation images" in text
        assert "proven on " not in text
        assert "sealed test images" not in text


def test_a_comparison_that_was_not_judged_shows_both_scores(result: Result) -> None:
    found = headline(make_open(result, why=NotShipped("no time for final runs")))
    assert found.startswith("accuracy 0.712 -> 0.823 on 359 validation images, by which they were chosen.")


def test_a_baseline_that_stays_is_said_first(kept: Result) -> None:
    assert headline(kept).startswith(
        "accuracy 0.712 on 359 validation images; not judged. The searched recipe is below"
    )
    assert "Keep your baseline" in printed(kept)
    assert "Keep your baseline" in read(kept)


@pytest.mark.parametrize("goal", ["shifted", "mean"])
def test_under_another_goal_no_sentence_says_that_clean_images_alone_chose(result: Result, goal: Goal) -> None:
    """The scores are of clean images all the same."""
    found = dataclasses.replace(make_open(result, why=NotShipped("no time for final runs")), goal=goal)
    end = {"shifted": "corrupted copies of these", "mean": "these and corrupted copies of them"}[goal]
    assert headline(found).startswith(f"accuracy 0.712 -> 0.823 on 359 validation images; they were chosen by {end}.")
    assert next(iter(figures_of(found, {}))) == f"accuracy on 359 validation images; it was chosen by {end}"
    kept = dataclasses.replace(make_open(result, ships="baseline", why=WHY_KEPT, final=result.baseline), goal=goal)
    start = dataclasses.replace(result, ships="start", why=NotShipped("start is better"), goal=goal)
    for each in (found, kept, start, dataclasses.replace(result, goal=goal)):
        for text in (printed(each), read(each)):
            for wrong in ("by which it was", "by which they were", "by which the", "They guided every"):
                assert wrong not in text
            assert not re.search("(compared|best|baseline|runs|better) on the validation images[.:]", text)
    assert "corrupted copies" in read(kept)


def test_a_bare_start_that_ships_is_said(result: Result) -> None:
    bare = dataclasses.replace(result, ships="start", why=NotShipped("start is better"))
    why = "The bare start's runs are above the searched recipe's final runs on the validation images."
    for text in (printed(bare), read(bare)):
        assert "The bare start, transfer, ships without any change" in text
        assert why in text


def test_a_shortened_baseline_is_said_and_proves_nothing(result: Result) -> None:
    short = dataclasses.replace(result, shortened=Shortened(3.5, 10))
    assert conclusion(short) == "unclear"
    assert "not proven" in headline(short)
    for text in (printed(short), read(short)):
        assert "The baseline had only 3.5 of its 10 epochs" in text


def test_a_class_that_is_never_predicted_is_named(result: Result) -> None:
    classes = (
        ClassScore("daisy", 600, 1.0, 1.0, 648),
        ClassScore("rose", 6, 0.0, 0.0, 0),
        ClassScore("iris", 0, None, None, 0),
    )
    uneven = dataclasses.replace(result, classes=classes)
    assert never_predicted(uneven) == (
        "The network never predicts class 'rose' on 648 sealed test images; --metric balanced-accuracy counts "
        "every class the same, however rare."
    )
    assert "never predicts class 'rose'" in printed(uneven)
    assert "never predicts class" in read(uneven)
    assert never_predicted(dataclasses.replace(uneven, classes=classes[:1])) == ""
    balanced = dataclasses.replace(uneven, metric="balanced-accuracy", classes=(*classes[1:2], *classes[1:2]))
    assert never_predicted(balanced).endswith("add images of them.")


def test_validation_far_above_the_test_is_a_warning_in_words(result: Result) -> None:
    counted = dataclasses.replace(result, counts={"train": 2000, "validation": 648, "test": 648})
    error = 100 * (counted.final.high - counted.final.low) / 3.92 * 2**0.5
    assert flattered(dataclasses.replace(counted, optimism_points=2.9 * error)) == ""
    found = flattered(dataclasses.replace(counted, optimism_points=3.1 * error))
    assert "more than 3 standard errors" in found
    assert found in printed(dataclasses.replace(counted, optimism_points=3.1 * error))


def test_changes_that_no_trial_had_on_are_one_count(result: Result) -> None:
    few = make_verdicts(8)
    rest = tuple(
        dataclasses.replace(v, name=f"untouched {i}", trials=0, shipped=False) for i, v in enumerate(make_verdicts(20))
    )
    tried = dataclasses.replace(result, verdicts=few + rest)
    for text in (printed(tried), read(tried, of=result)):
        assert "20 changes of the list were never switched on: nothing is known of them." in text
        assert "untouched" not in text.split("schema_version")[0]


def test_one_column_has_one_precision(result: Result) -> None:
    near_zero = dataclasses.replace(result.verdicts[4], points=0.03, low=-0.02, high=0.2)
    text = printed(dataclasses.replace(result, verdicts=(*result.verdicts[:4], near_zero)))
    assert "+0.03" not in text
    proven = dataclasses.replace(near_zero, label="proven", low=0.01)
    text = printed(dataclasses.replace(result, verdicts=(*result.verdicts[:4], proven)))
    assert "+6.20" in text


def test_the_last_lines_say_how_to_go_on(result: Result) -> None:
    text = printed(dataclasses.replace(result, run="runs/my photos"))
    assert text.endswith(
        "report open runs/my photos/report.html in a browser predict convlift predict 'runs/my photos' IMAGES"
    )


def test_a_page_of_next_to_nothing_is_a_page(alone: Result) -> None:
    story = dataclasses.replace(
        make_story(make_result(make_verdicts(2))),
        trials=(),
        baseline_recall=(),
        final_recall=(),
        confusion=make_story(alone).confusion[:0],
        hard_images=(),
        baseline_curve=(),
        final_curve=make_curve((("train", 1),), 0.7),
    )
    nothing = dataclasses.replace(alone, counts={}, findings=(), final=Estimate(1.0, 1.0, 1.0))
    assert "No time" not in render(nothing, story)
    assert "not judged" in render(nothing, story)


def test_what_is_wrong_with_the_own_recipe_stands_at_the_top(result: Result) -> None:
    found = dataclasses.replace(result, recipe_findings=(Confirmed(OverAugmented((("rotation", 0.2),)), 0.57, 0.95),))
    said = "Your recipe is over-augmented: 0.570 with its augmentation (rotation 0.2), 0.950 without its augmentation"
    assert result_document(found)["recipe_findings"] == [f"{said}, on the validation images."]
    for text in (printed(found), read(found)):
        assert said in text
        assert text.index(said) < text.index("horizontal flip")


def test_the_network_that_ships_has_a_figure_of_its_own(result: Result) -> None:
    """The headline is of it and of the baseline's network; the recipe's mean scores are others."""
    assert result.network
    network = dataclasses.replace(result.network, final=Estimate(0.815, 0.78, 0.85))
    alone = dataclasses.replace(result, network=network, opened=3)
    for text in (printed(alone), read(alone)):
        assert "0.815" in text
        assert "Trained again, the recipe gains +10.9 points" in text
        assert "opened 3 times" in text


def test_of_a_recipe_that_was_trained_once_the_page_claims_nothing(result: Result) -> None:
    once = dataclasses.replace(result, gain_points=None, proven=False)
    assert "Nothing is claimed of the recipe, trained again" in read(once)
    assert "Trained again, the recipe gains" not in printed(once)
