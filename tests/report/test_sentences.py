"""The words: what is claimed, and how figures and hostile names are shown."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_result, make_verdict
from convlift.records.result import Estimate, Result
from convlift.report.wording.headline import conclusion, headline, ranked
from convlift.report.wording.phrases import duration, interval, labels_for, printable, shorten, signed, wrapped


def test_the_headline_states_scores_gain_interval_and_test(result: Result) -> None:
    assert headline(result) == (
        "accuracy 0.712 -> 0.823: +11.1 points (95% interval +8.0 to +14.2), proven on 648 sealed test images"
    )


def test_the_headline_names_the_metric_as_it_is_shown(result: Result) -> None:
    assert headline(dataclasses.replace(result, metric="log-loss")).startswith("log-loss skill 0.712 -> 0.823")


@pytest.mark.parametrize(
    ("gain", "expected"),
    [((3.0, 1.0, 5.0), "better"), ((0.9, -0.8, 2.6), "unclear"), ((-2.3, -4.0, -0.6), "worse")],
)
def test_the_conclusion_follows_the_interval(gain: tuple[float, float, float], expected: str) -> None:
    assert conclusion(make_result((), gain)) == expected


def test_a_gain_that_was_not_proven_is_never_claimed(result: Result) -> None:
    assert conclusion(dataclasses.replace(result, proven=False)) == "unclear"


def test_a_proven_gain_never_reads_as_zero() -> None:
    assert interval(Estimate(0.3, 0.03, 0.6)) == ("+0.30", "+0.03", "+0.60")


def test_figures_have_signs_and_no_negative_zero() -> None:
    assert [signed(points) for points in (1.26, -0.04, 0.0, -2.0, float("nan"))] == [
        "+1.3",
        "+0.0",
        "+0.0",
        "-2.0",
        "n/a",
    ]


def test_durations_read_as_a_person_says_them() -> None:
    assert [duration(s) for s in (0.42, 9.97, 61, 900, 3600, 5000)] == [
        "0.4 s",
        "10 s",
        "1 min 01 s",
        "15 min",
        "1 h",
        "1 h 23 min",
    ]


@given(st.text(st.characters(), max_size=80), st.integers(4, 40))
def test_shortened_names_fit_on_one_printable_line(name: str, longest: int) -> None:
    short = shorten(name, longest)
    assert len(short) <= longest
    assert short == printable(short)
    assert "\n" not in short
    short.encode()


def test_unsafe_characters_are_shown_as_escapes() -> None:
    assert printable("a\x1b[31m\udcff\u202eb\nü 日本") == "a\\x1b[31m\\udcff\\u202eb\nü 日本"


def test_shipped_changes_come_first_and_missing_figures_last() -> None:
    missing = dataclasses.replace(make_verdict("missing", "data", 0, "undecided"), points=float("nan"))
    small, large = (make_verdict(str(points), "data", points, "likely") for points in (0.6, 2.0))
    left_out = dataclasses.replace(make_verdict("left out", "data", 3.0, "undecided"), shipped=False)
    found = ranked((missing, left_out, small, large))
    assert [verdict.name for verdict in found] == ["2.0", "0.6", "left out", "missing"]


def test_labels_keep_what_tells_them_apart() -> None:
    assert labels_for(("late blight of tomatoes", "rust"), 11) == ["late bligh…", "rust"]
    same = ("Tomato_leaf_early", "Tomato_leaf_late")
    assert labels_for(same, 8) == ["…f_early", "…af_late"]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.integers(8, 40))
def test_labels_always_fit(names: list[str], longest: int) -> None:
    found = labels_for(names, longest)
    assert len(found) == len(names)
    assert max(map(len, found)) <= longest
    for name in names:
        lines = wrapped(name, longest).split("\n")
        assert len(lines) <= 2
        assert max(map(len, lines)) <= longest
