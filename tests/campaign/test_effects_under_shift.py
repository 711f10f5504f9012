"""Which change bought robustness: told where trials saw corrupted copies, and only there."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from convlift.campaign.effects_under_shift import effects_under_shift
from convlift.records.goal import ShiftedCopies
from convlift.records.result import EffectUnderShift, Estimate, Result
from convlift.report.documents import result_document
from convlift.report.shift_lines import effect_sentences
from convlift.search.context import Search
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.space import Configuration, bare
from made_up import HOUR, Weather, flipped, in_weather, ledger_in, normalized, problem_of, zoomed
from timeline import Timeline

WORLD = Weather(
    seed=5, effects={zoomed: -4.0, normalized: 4.0, flipped: 0.0}, outside={zoomed: 9.0, normalized: 4.0, flipped: -6.0}
)


class Done(NamedTuple):
    search: Search
    frozen: Configuration


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A search by corrupted copies, under which zoom is worth nine points; on clean images it costs four."""
    problem = replace(problem_of(WORLD), goal="shifted", copies=ShiftedCopies(("fog", "snow"), 2))
    with ledger_in(tmp_path_factory.mktemp("run") / "run", WORLD) as ledger:
        search = Search(problem, Dispatcher(ledger, Timeline(in_weather, WORLD, ledger, 1), 30 * HOUR))
        yield Done(search, run_search(search).frozen)


def test_each_shipped_change_has_its_price_and_its_worth(done: Done) -> None:
    found = {each.name: each for each in effects_under_shift(done.search, done.frozen)}
    assert set(found) == set(done.frozen.names)
    recipes = {c.name: c.intervention.edit(done.frozen.start.recipe) for c in done.frozen.candidates}
    zooms = [each for name, each in found.items() if zoomed(recipes[name]) and not normalized(recipes[name])]
    assert zooms
    for each in zooms:
        assert each.shifted.value > 0.0 > each.clean.value  # both drawn towards what is expected of it
        assert each.shifted.low < 9.0
        assert each.clean.low < -2.0


def test_nothing_is_claimed_where_nothing_was_searched_or_seen(done: Done) -> None:
    blind = Search(replace(done.search.problem, goal="clean", copies=None), done.search.dispatcher)
    assert effects_under_shift(blind, done.frozen) == ()
    assert effects_under_shift(done.search, bare(done.frozen.space)) == ()


def test_it_is_said_in_words_and_as_a_document() -> None:
    effect = EffectUnderShift("zoom", Estimate(-1.0, -2.0, 0.5), Estimate(4.0, 2.0, 6.0))
    half = Estimate(0.5, 0.4, 0.6)
    result = Result("run", "accuracy", "d", "plain", "plain", half, half, half, False, (), 0.0, 1, 1.0, 1.0, 0.0)
    assert effect_sentences(result) == []
    (said,) = effect_sentences(replace(result, effects=(effect,)))
    assert "zoom: +4.0 points (95% interval +2.0 to +6.0) under corruptions, -1.0 points" in said
    (document,) = result_document(replace(result, effects=(effect,), counts={"test": 1, "validation": 1}))["effects"]
    assert document == {
        "name": "zoom",
        "clean": {"points": -1.0, "low": -2.0, "high": 0.5},
        "shifted": {"points": 4.0, "low": 2.0, "high": 6.0},
    }
