import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starts import FLOWERS, start

from convlift.errors import BudgetError
from convlift.study.budget import (
    extraction_key,
    extraction_work,
    finals_reserve,
    format_duration,
    may_start,
    parse_duration,
    plan,
    relative_cost,
    search_deadline,
    training_work,
)


def forward(recipe, stages=None):
    return 1e8 if stages is None else 1e8 * stages / 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3m", 180),
        ("90s", 90),
        ("1h30m", 5400),
        ("20m", 1200),
        ("1.5h", 5400),
        ("2 h 5 min", 7500),
        ("1H2M3S", 3723),
    ],
)
def test_durations_people_write(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["5 parsecs", "", "20", "-3m", "m", "nan", "3m 2h", "1e9s"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(BudgetError, match=r"is not a duration; write .* 20m") as caught:
        parse_duration(text)
    assert repr(text)[1:-1] in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_time_at_all_is_refused():
    with pytest.raises(BudgetError, match="'0m' leaves no time"):
        parse_duration("0m")


@given(st.integers(1, 500_000))
def test_a_duration_is_read_back_as_written(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


def test_work_of_training_from_scratch_is_three_passes_an_image_and_epoch():
    recipe = start("plain", FLOWERS)
    steps = 10 * math.ceil(2600 / 32)
    assert training_work(recipe, FLOWERS, forward) == 3 * 1e8 * 10 * 2600 + steps * 3e7
    assert extraction_work(recipe, FLOWERS, forward) == 0
    assert extraction_key(recipe) == ()


def test_a_head_on_cached_features_is_a_hundred_times_cheaper_than_fine_tuning():
    frozen, full = (start(name, FLOWERS) for name in ("frozen", "full"))
    assert training_work(full, FLOWERS, forward) > 20 * training_work(frozen, FLOWERS, forward)
    end_to_end = frozen.edit(training={"fine_tuning": {"epochs": 20}})
    assert training_work(end_to_end, FLOWERS, forward) > 60 * training_work(frozen, FLOWERS, forward)


def test_unfreezing_fewer_stages_costs_less():
    transfer, full = (start(name, FLOWERS) for name in ("transfer", "full"))
    assert training_work(transfer, FLOWERS, forward) < 0.7 * training_work(full, FLOWERS, forward)


def test_views_and_sizes_need_extractions_of_their_own_and_head_changes_share_one():
    recipe = start("frozen", FLOWERS)
    views = recipe.edit(data={"views": 2, "augmentation": {"horizontal_flip": 0.5}})
    head = recipe.edit(architecture={"head_units": 0}, training={"epochs": 40})
    unused = recipe.edit(data={"augmentation": {"horizontal_flip": 0.5}})
    larger = recipe.edit(data={"resolution": 160})
    assert extraction_key(head) == extraction_key(recipe) == extraction_key(unused)
    assert len({extraction_key(each) for each in (recipe, views, larger)}) == 3
    assert extraction_work(recipe, FLOWERS, forward, 1700) == 1e8 * (2600 + 1700)
    assert extraction_work(views, FLOWERS, forward, 1700) == 1e8 * (3 * 2600 + 1700)


def test_relative_cost_of_the_start_is_one_and_grows_with_the_epochs():
    recipe = start("plain", FLOWERS)
    assert relative_cost(recipe, recipe, FLOWERS, forward) == 1
    assert relative_cost(recipe.edit(training={"epochs": 30}), recipe, FLOWERS, forward) == pytest.approx(3)


def test_the_plan_counts_whole_trainings_of_all_workers():
    made = plan(900, 60, 30, workers=2, reserve_seconds=40)
    assert made.trainings == 53
    assert finals_reserve(3, 30, 2, slack=1) == 60
    assert search_deadline(made, 3, 30) == pytest.approx(900 - 40 - 72)
    assert may_start(made, 700, 30, 3, 30)
    assert not may_start(made, 765, 30, 3, 30)
    assert not may_start(made, 700, 30, 3, 120), "a dearer final recipe needs a longer reserve"


def test_a_budget_without_room_for_one_training_says_what_is_needed():
    with pytest.raises(
        BudgetError, match=r"budget 30s is too short: one training takes 90 s here; give at least 1m50s"
    ):
        plan(30, 10, 90, workers=2, reserve_seconds=10)


@given(st.floats(1, 1e5), st.floats(0, 1e5), st.floats(0.1, 1e4), st.integers(1, 64), st.floats(0, 100))
def test_a_plan_never_spends_more_than_there_is(budget, elapsed, each, workers, reserve):
    try:
        made = plan(budget, elapsed, each, workers=workers, reserve_seconds=reserve)
    except BudgetError:
        return
    assert made.trainings * each / workers <= budget - elapsed - reserve + 1e-6
