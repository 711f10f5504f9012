import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlift.console.duration import format_duration, parse_duration
from convlift.cost.work import extraction_key, extraction_work, training_work, tuning_work
from convlift.errors import BudgetError
from starts import FLOWERS, start


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


AUG_MIX = {"data": {"augmentation": {"aug_mix": 3.0}}, "training": {"consistency": 12.0}}


def test_with_aug_mix_a_training_costs_three_of_them():
    plain = start("plain", FLOWERS)
    steps = 10 * math.ceil(2600 / 32)
    compared = plain.edit(**AUG_MIX)
    assert training_work(compared, FLOWERS, forward) == 3 * 3 * 1e8 * 10 * 2600 + steps * 3e7
    alone = compared.edit(training={"consistency": 0.0})
    assert training_work(alone, FLOWERS, forward) == training_work(plain, FLOWERS, forward)
    half = compared.edit(data={"augmentation": {"off_for_last": 0.5}})
    assert training_work(half, FLOWERS, forward) == 2 * 3 * 1e8 * 10 * 2600 + steps * 3e7
    full = start("full", FLOWERS)
    changed = full.edit(data={"augmentation": {"horizontal_flip": 0.5}})
    assert tuning_work(full.edit(**AUG_MIX), FLOWERS, forward, 0.0) == 3 * tuning_work(changed, FLOWERS, forward, 0.0)


def test_of_stored_features_aug_mix_compares_nothing_and_costs_nothing():
    for recipe in (start("frozen", FLOWERS), start("transfer", FLOWERS).edit(data={"views": 2})):
        compared = recipe.edit(**AUG_MIX)
        assert training_work(compared, FLOWERS, forward) == training_work(recipe, FLOWERS, forward)


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
