"""How long a training will take: speeds of similar ones, extraction apart, and nothing that is counted twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from convlift.cost.seconds import NEAREST, Pace, Speeds, Timed
from convlift.cost.work import extraction_work, training_work, tuning_work
from convlift.recipe.recipe import Recipe
from starts import PHOTOS, start

HELD_OUT = 700
PLAIN, FROZEN = start("plain", PHOTOS), start("frozen", PHOTOS)


def forward(recipe: Recipe, stages: int | None = None) -> float:
    side = recipe.data.resolution or 64
    return 1e4 * side**2 * (4 if recipe.architecture.kind == "pretrained" else recipe.architecture.width / 32)


PACE = Pace(PHOTOS, forward, HELD_OUT)


def timed(recipe: Recipe, rate: float, extraction_rate: float | None = None, fidelity: float = 1.0) -> Timed:
    """A training at `rate` multiply-adds a second; extraction_rate: of the features it made itself."""
    in_epochs = training_work(recipe, PHOTOS, forward) * fidelity / rate
    extra = extraction_work(recipe, PHOTOS, forward, HELD_OUT) / extraction_rate if extraction_rate else 0.0
    return Timed(recipe, fidelity, in_epochs + extra, in_epochs)


@given(rate=st.floats(1e6, 1e12), epochs=st.integers(1, 60), fidelity=st.floats(0.1, 1.0))
def test_at_one_speed_every_length_is_predicted(rate: float, epochs: int, fidelity: float) -> None:
    recipe = PLAIN.edit(training={"epochs": epochs})
    predicted = PACE.seconds(recipe, [timed(PLAIN, rate, fidelity=fidelity)])
    assert abs(predicted / timed(recipe, rate).seconds - 1) < 1e-9


def test_a_fraction_of_a_training_takes_a_fraction_of_its_time() -> None:
    known = [timed(PLAIN, 1e9)]
    assert abs(PACE.seconds(PLAIN, known, 0.25) / PACE.seconds(PLAIN, known) - 0.25) < 1e-9


def test_the_slow_start_of_a_process_is_not_taken_for_the_training() -> None:
    slow = Timed(PLAIN, 1.0, 500.0, 3.0)
    assert PACE.seconds(PLAIN, [slow]) == 3.0


def test_the_nearest_of_the_same_kind_speak_and_an_odd_one_is_outvoted() -> None:
    wide = PLAIN.edit(architecture={"width": 64})
    known = [timed(PLAIN, 1e8)] * NEAREST + [timed(wide, 1e9)] * (NEAREST - 1) + [timed(wide, 1e5)]
    known += [timed(FROZEN, 1e12, 1e12)] * NEAREST
    assert abs(PACE.seconds(wide, known) / timed(wide, 1e9).seconds - 1) < 1e-9
    assert abs(PACE.seconds(PLAIN, known) / timed(PLAIN, 1e8).seconds - 1) < 1e-9


def test_of_equally_near_ones_the_latest_speak() -> None:
    known = [timed(PLAIN, 1e9)] * NEAREST + [timed(PLAIN, 5e8)] * NEAREST
    assert abs(PACE.seconds(PLAIN, known) / timed(PLAIN, 5e8).seconds - 1) < 1e-9


def test_another_kind_of_network_speaks_where_there_is_no_other() -> None:
    assert PACE.seconds(FROZEN, [timed(PLAIN, 1e9)]) > timed(FROZEN, 1e9).seconds
    assert PACE.seconds(FROZEN, [timed(PLAIN, 1e9)], again=True) == timed(FROZEN, 1e9).seconds


def test_an_extraction_counts_for_the_first_training_that_needs_it() -> None:
    first = timed(FROZEN, 1e8, 1e9)
    epochs = FROZEN.edit(training={"epochs": 40})
    assert abs(PACE.seconds(epochs, [first]) / timed(epochs, 1e8).seconds - 1) < 1e-9
    larger = FROZEN.edit(data={"resolution": 224})
    whole = timed(larger, 1e8, 1e9)
    assert abs(PACE.seconds(larger, [first]) / whole.seconds - 1) < 1e-9
    assert PACE.seconds(larger, [first], again=True) < PACE.seconds(larger, [first])


def test_features_that_an_earlier_campaign_had_stored_do_not_make_extraction_look_free() -> None:
    """The first training found its features on the disk; the second, at another size, made its own."""
    larger, largest = (FROZEN.edit(data={"resolution": side}) for side in (192, 224))
    known = [timed(FROZEN, 1e8), timed(larger, 1e8, 1e9)]
    assert abs(PACE.seconds(largest, known) / timed(largest, 1e8, 1e9).seconds - 1) < 1e-9
    # nor does it make the epochs look fast
    assert abs(PACE.seconds(FROZEN, known[:1]) / timed(FROZEN, 1e8).seconds - 1) < 1e-9


def test_a_second_phase_is_foreseen_at_the_speed_of_the_extraction_and_then_at_its_own() -> None:
    """A multiply-add takes longer in a head than in a backbone: the head says nothing of the second phase."""
    transfer = start("transfer", PHOTOS)
    head = training_work(transfer, PHOTOS, forward) - tuning_work(transfer, PHOTOS, forward)
    expected = head / 1e8 + tuning_work(transfer, PHOTOS, forward) / 1e9
    first = timed(FROZEN, 1e8, 1e9)
    assert abs(PACE.seconds(transfer, [first], again=True) / expected - 1) < 1e-9
    tuned = Timed(transfer, 1.0, head / 1e8 + 500.0, head / 1e8 + 500.0, 500.0)
    longer = transfer.edit(training={"fine_tuning": {"epochs": 2 * transfer.training.fine_tuning.epochs}})
    assert abs(PACE.seconds(longer, [first, tuned], again=True) / (head / 1e8 + 1000.0) - 1) < 1e-9
    # features that were read from the disk are no measure of a backbone's speed
    stored = timed(FROZEN, 1e8, 1e12)
    assert PACE.seconds(transfer, [stored], again=True) > 2 * expected


def test_on_a_measured_device_what_was_not_tuned_yet_takes_what_was_measured() -> None:
    """The first extraction on a GPU takes seconds in which libraries load."""
    speeds = Speeds(single=1e-12, dense=1e-12, head=1e-12, tuning=2e-12, extraction=1e-12)
    measured, transfer = replace(PACE, speeds=speeds), start("transfer", PHOTOS)
    work = tuning_work(transfer, PHOTOS, forward)
    head = training_work(transfer, PHOTOS, forward) - work
    slow_to_load = timed(FROZEN, 1e8, 1e6)
    assert abs(measured.seconds(transfer, [slow_to_load], again=True) / (head / 1e8 + 2e-12 * work) - 1) < 1e-9
    assert PACE.seconds(transfer, [slow_to_load], again=True) > head / 1e8 + work / 1e6 - 1.0


def test_what_was_measured_of_fine_tuning_counts_until_a_training_like_it_has_ended() -> None:
    tune, transfer = start("fine-tune", PHOTOS), start("transfer", PHOTOS)
    work = tuning_work(tune, PHOTOS, forward)
    head = (training_work(tune, PHOTOS, forward) - work) / 1e8
    measured, first = PACE.with_tuning(tune, 300.0), timed(FROZEN, 1e8, 1e9)
    half = tune.edit(training={"fine_tuning": {"epochs": tune.training.fine_tuning.epochs // 2}})
    assert abs(measured.seconds(tune, [first], again=True) / (head + 300.0) - 1) < 1e-9
    assert abs(measured.seconds(half, [first], again=True) / (head + 150.0) - 1) < 1e-9
    # the user's own network fine-tunes too, other stages on stored activations: that is another speed
    own_head = (training_work(transfer, PHOTOS, forward) - tuning_work(transfer, PHOTOS, forward)) / 1e8
    other = Timed(transfer, 1.0, own_head + 800.0, own_head + 800.0, 800.0)
    assert abs(measured.seconds(tune, [first, other], again=True) / (head + 300.0) - 1) < 1e-9
    assert abs(measured.seconds(transfer, [first, other], again=True) / (own_head + 800.0) - 1) < 1e-9
    alike = Timed(half, 1.0, head + 200.0, head + 200.0, 200.0)
    assert abs(measured.seconds(tune, [first, other, alike], again=True) / (head + 400.0) - 1) < 1e-9


def test_what_was_measured_of_a_network_from_scratch_counts_until_it_has_trained() -> None:
    wide = PLAIN.edit(architecture={"width": 64})
    longer = wide.edit(training={"epochs": 2 * wide.training.epochs})
    measured = PACE.with_scratch(wide, 300.0)
    assert abs(measured.seconds(longer, [timed(PLAIN, 1e8)]) - 600.0) < 1e-6
    assert measured.seconds(PLAIN, [timed(PLAIN, 1e8)]) == PACE.seconds(PLAIN, [timed(PLAIN, 1e8)])
    own = timed(wide, 1e9)
    assert abs(measured.seconds(wide, [timed(PLAIN, 1e8), own]) / own.seconds - 1) < 1e-9
