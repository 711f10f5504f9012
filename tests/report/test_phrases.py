"""How figures, durations and hostile names are shown."""

from hypothesis import given
from hypothesis import strategies as st

from convlift.records.result import Estimate
from convlift.report.wording.phrases import duration, interval, labels_for, printable, shorten, signed, wrapped


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
