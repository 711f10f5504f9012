"""What a long run says, and where: live lines, plain lines, the log."""

from pathlib import Path

import pytest

from convlift.console.progress import Progress, clock_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (4.4, "0:04"), (59.6, "1:00"), (245, "4:05"), (3600, "1:00:00"), (3723, "1:02:03"), (-3, "0:00")],
)
def test_seconds_as_a_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_lasting_lines_are_on_stderr_and_in_the_log_from_the_first_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as progress:
        progress.say("warning: 3 images [photos/a.jpg] are grey")  # before the run folder is known
        progress.keep_log(tmp_path / "log.txt")
        progress.log("trial 1 epoch 1/10")
        progress.say("done")
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning: 3 images [photos/a.jpg] are grey" in err
    assert "trial 1" not in err
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "warning: 3 images [photos/a.jpg] are grey",
        "trial 1 epoch 1/10",
        "done",
    ]


def test_the_log_of_a_continued_run_goes_on(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with Progress(quiet=True) as progress:
            progress.keep_log(tmp_path / "log.txt")
            progress.log(text)
    assert [line.split()[1] for line in (tmp_path / "log.txt").read_text().splitlines()] == ["first", "second"]


def test_without_a_terminal_passing_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for done in range(100):
            progress.show(f"decoding images: {done} of 100 [x]")
    assert capsys.readouterr().err.splitlines() == ["decoding images: 0 of 100 [x]"]


def test_quiet_says_nothing_but_keeps_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as progress:
        progress.keep_log(tmp_path / "log.txt")
        progress.show("searching")
        progress.say("finding")
    assert capsys.readouterr() == ("", "")
    assert "finding" in (tmp_path / "log.txt").read_text()


def test_on_a_terminal_a_line_with_brackets_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Progress() as progress:
        progress.show("reading photos/[/bold]/1.jpg")
        progress.show("searching [2 of 3]")
