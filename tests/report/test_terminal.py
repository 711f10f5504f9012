"""The terminal table: readable at 80 columns, without colour, whatever the names."""

import dataclasses
import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from conftest import make_result, make_verdicts
from convlift.records.notes import Combined, NotAsked, Refitted
from convlift.records.result import Estimate, Result
from convlift.report.terminal import print_result


def printed(result: Result, *, colour: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=colour, color_system="truecolor" if colour else None)
    print_result(result, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_it_fits_80_columns_and_says_everything_without_colour(result: Result) -> None:
    text = printed(result)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    joined = " ".join(text.split())
    assert "+11.1 points (95% interval +8.0 to +14.2), proven on 648 sealed test images" in joined
    for words in (
        "horizontal flip",
        "likely",
        "harmful",
        "-3.7 to -1.0",
        "yes",
        "no",
        "unexplained",
        "warning",
    ):
        assert words in joined
    assert "runs/flowers-20/report.html" in joined


def test_what_the_network_has_over_its_recipes_runs_is_told_and_why(result: Result) -> None:
    assert result.network
    better = replace(result.network, final=Estimate(result.final.value + 0.064, 0.8, 0.95))
    lucky = replace(result, network=better)
    said = "this network beside the mean of its recipe's runs: +6.4 points;"
    assert f"{said} that is the luck of one run." in " ".join(printed(lucky).split())
    made = replace(lucky, notes=(Combined(2, averaged=True, mirrored=False), Refitted(90, 20)))
    why = "it is made of 2 networks and it learned from the validation images too."
    assert f"{said} {why}" in " ".join(printed(made).split())
    assert "beside the mean" not in printed(result)


def test_long_lists_and_long_names_stay_readable() -> None:
    text = printed(make_result(make_verdicts(40, long_names=True)))
    assert max(map(len, text.splitlines())) <= 80
    assert "and 28 more changes, in the report" in text
    assert "architecture" in text


def test_names_can_neither_colour_nor_steer_the_terminal(result: Result) -> None:
    name = "[red]x[/red] \x1b[2J[/]"
    hostile = dataclasses.replace(
        result,
        data=name,
        metric=name,
        run=f"runs/{name}",
        notes=(NotAsked((name,)),),
        verdicts=(dataclasses.replace(result.verdicts[0], name=name),),
    )
    text = printed(hostile)
    assert "\x1b" not in text
    assert text.count("[red]") >= 4


def test_a_path_is_never_broken_over_two_lines(result: Result) -> None:
    run = "runs/" + "deep/" * 40
    assert f"{run}report.html" in printed(dataclasses.replace(result, run=run))


def test_a_model_of_all_images_is_named_where_there_is_one(result: Result, tmp_path: Path) -> None:
    found = replace(result, run=str(tmp_path))
    assert "model-all" not in printed(found)
    (tmp_path / "model-all").mkdir()
    assert f"of all  {tmp_path / 'model-all'}" in printed(found)


def test_no_change_and_no_gain_are_said_in_words() -> None:
    text = printed(make_result((), (-2.3, -4.0, -0.6)), colour=True)
    assert "No change was tried." in text
    assert "worse" in text
