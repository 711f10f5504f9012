"""Trials from scratch: the same numbers every time, the deadline, and every lever felt."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import Countdown, assert_same, cross_entropy, differs, figures
from numpy.testing import assert_array_equal
from safetensors.torch import load_file

from convlift.augment.pipeline import normalize
from convlift.data.dataset import SEALED, Dataset
from convlift.data.normalization import statistics
from convlift.data.splits import make_splits
from convlift.errors import RecipeError
from convlift.model.build import build_network
from convlift.model.checkpoint import saved_normalization
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.built_in import built_in
from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import Training
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import EpochReport
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import to_tensor
from convlift.trial.from_scratch import train_from_scratch
from convlift.trial.run_trial import run_trial
from convlift.trial.worker_task import prepare

TINY = Recipe().edit(
    data={"resolution": 8},
    architecture={"width": 8, "head_units": 16, "normalization": "batch"},
    training={"epochs": 1, "learning_rate": 0.01},
)
EVERYTHING_RANDOM = TINY.edit(
    data={
        "augmentation": {"rotation": 0.1, "zoom": 0.2, "translation": 0.1, "contrast": 0.2, "noise": 0.1},
        "normalization": "standardize",
    },
    architecture={"dropout": 0.5, "stage_dropout": 0.2},
    training={"epochs": 3, "patience": 2, "label_smoothing": 0.1, "weight_decay": 0.1},
)


def test_the_same_order_gives_the_same_bits_and_another_seed_does_not(run, tmp_path):
    first = run(EVERYTHING_RANDOM, save_to=str(tmp_path / "first.safetensors"))
    torch.rand(7)
    np.random.default_rng().random()
    again = run(EVERYTHING_RANDOM, save_to=str(tmp_path / "again.safetensors"))
    assert_same(first, again)
    assert first.weights == str(tmp_path / "first.safetensors")
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    assert differs(first, run(EVERYTHING_RANDOM, seed=1))


def test_an_outcome_holds_what_it_promises(run, digits):
    outcome = run(TINY)
    assert outcome.status == "finished"
    assert outcome.reason == outcome.weights == ""
    for found, part in (
        (outcome.validation_probabilities, digits.splits.validation),
        (outcome.test_probabilities, digits.splits.test),
    ):
        assert found.dtype == np.float32
        assert found.shape == (len(part), 10)
        assert found.sum(axis=1) == pytest.approx(np.ones(len(part)), abs=1e-5)
    labels = digits.labels[digits.splits.validation]
    last = outcome.curve[-1]
    assert last.validation_accuracy == pytest.approx((outcome.validation_probabilities.argmax(1) == labels).mean())
    assert last.validation_loss == pytest.approx(cross_entropy(outcome.validation_probabilities, labels), rel=1e-4)
    assert 0 < last.seconds < outcome.seconds


def test_every_epoch_is_reported_as_it_ends(digits, tmp_path):
    heard: list[EpochReport] = []
    outcome = run_trial(TrialSpec(TINY.edit(training={"epochs": 3}), 0), digits, tmp_path, heard.append)
    assert tuple(heard) == outcome.curve
    assert [epoch.epoch for epoch in heard] == [0, 1, 2]


@pytest.mark.parametrize(("fidelity", "epochs"), [(1.0, 8), (0.5, 4), (0.125, 1)])
def test_fidelity_is_a_fraction_of_the_epochs_and_the_schedule_shrinks_with_them(run, fidelity, epochs):
    curve = run(TINY.edit(training={"epochs": 8, "schedule": "cosine"}), fidelity=fidelity).curve
    assert len(curve) == epochs
    assert {epoch.epochs for epoch in curve} == {epochs}
    steps = 6 * epochs
    assert curve[-1].learning_rate == pytest.approx(0.01 * (1 + np.cos(np.pi * (steps - 1) / steps)) / 2)


def test_a_fidelity_of_less_than_an_epoch_is_one_epoch_on_a_part_of_the_images(run):
    whole = run(TINY.edit(training={"epochs": 8}), fidelity=0.125).curve
    (part,) = run(TINY.edit(training={"epochs": 8}), fidelity=0.05).curve
    assert part.epochs == 1
    assert part.images == pytest.approx(0.4 * whole[0].images, abs=10)  # of every class the same share, rounded


def test_a_deadline_in_the_past_leaves_the_untrained_networks_probabilities(run, tmp_path):
    outcome = run(TINY, seconds=-1.0, save_to=str(tmp_path / "weights.safetensors"))
    assert (outcome.status, outcome.curve) == ("stopped", ())
    assert "time" in outcome.reason
    assert outcome.validation_probabilities.sum() == pytest.approx(len(outcome.validation_probabilities), rel=1e-4)
    assert outcome.test_probabilities.size
    torch.manual_seed(0)
    untrained = build_network(TINY.architecture, classes=10, channels=1, resolution=8)
    saved = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(tensor, saved[key]) for key, tensor in untrained.state_dict().items())


def test_a_deadline_in_the_middle_ends_the_training_there(run):
    outcome = run(TINY.edit(training={"epochs": 10_000}), seconds=0.5)
    assert outcome.status == "stopped"
    assert 0 < len(outcome.curve) < 10_000
    assert outcome.validation_probabilities.size


def test_the_deadline_is_asked_at_every_batch(digits):
    # six batches an epoch: one whole epoch, then one or two batches of the next
    curves, probabilities = [], []
    for questions in (7, 8):
        clock = Countdown(questions)
        torch.manual_seed(0)
        trained = train_from_scratch(TrialSpec(TINY.edit(training={"epochs": 9}), 0), digits, clock)
        probabilities.append(trained.validation)
        assert clock.stopped
        curves.append(figures(clock.curve))
    assert [len(curve) for curve in curves] == [2, 2]
    assert curves[0][0] == curves[1][0]
    assert curves[0][1] != curves[1][1]
    assert not np.array_equal(*probabilities)


def test_a_loss_that_explodes_is_an_outcome_and_leaves_nothing(run, tmp_path):
    # each step multiplies the weights by 1 - 2 * 10, so no rectifier dies before the numbers end
    wild = TINY.edit(training={"optimizer": "sgd", "learning_rate": 10, "l2": 1, "epochs": 20})
    outcome = run(wild, save_to=str(tmp_path / "weights.safetensors"))
    assert outcome.status == "diverged"
    assert outcome.validation_probabilities.shape == outcome.test_probabilities.shape == (0, 0)
    assert "learning rate of 10" in outcome.reason
    assert not outcome.weights
    assert not (tmp_path / "weights.safetensors").exists()


def test_no_trial_sees_a_test_label(store, digits, run):
    assert (digits.labels[digits.splits.test] == SEALED).all()
    assert (digits.store.labels[digits.splits.test] == SEALED).all()
    assert (digits.labels[digits.splits.train] >= 0).all()
    worker = prepare(store.folder, 0, store.folder).dataset
    assert_array_equal(worker.splits.test, digits.splits.test)
    assert_array_equal(worker.labels, digits.labels)
    lies = store.labels.copy()
    lies[digits.splits.test] = 9 - lies[digits.splits.test]
    lying = Dataset(replace(store, labels=lies), digits.splits)
    assert_same(run(EVERYTHING_RANDOM), run(EVERYTHING_RANDOM, on=lying))


def test_early_stopping_hands_over_the_best_epoch(run, digits, tmp_path):
    recipe = TINY.edit(training={"epochs": 40, "patience": 2, "learning_rate": 0.05})
    outcome = run(recipe, save_to=str(tmp_path / "weights.safetensors"))
    losses = [epoch.validation_loss for epoch in outcome.curve]
    best = int(np.argmin(losses))
    assert outcome.status == "finished"
    assert len(losses) == best + 3 < 40
    labels = digits.labels[digits.splits.validation]
    assert cross_entropy(outcome.validation_probabilities, labels) == pytest.approx(losses[best], rel=1e-4)
    shorter = run(recipe.edit(training={"epochs": best + 1}), save_to=str(tmp_path / "shorter.safetensors"))
    assert_array_equal(outcome.validation_probabilities, shorter.validation_probabilities)
    assert (tmp_path / "weights.safetensors").read_bytes() == (tmp_path / "shorter.safetensors").read_bytes()


STILL = {"epochs": 1, "learning_rate": 1e-12}  # steps so small that no weight of 32 bits moves


STRONG = {"perspective": 0.2, "elastic": 0.1, "blur": 0.1}  # the most that there is
LARGE = {"equalize": 24}  # pixels a side, of what leaves images of 8 as they are


@pytest.mark.parametrize("lever", Augmentation().strengths)
def test_every_augmentation_changes_training_and_nothing_else(run, strips, lever):
    # batch norm's statistics would follow the images
    plain = TINY.edit(data={"resolution": LARGE.get(lever, 8)}, architecture={"normalization": "none"})
    changed = plain.edit(data={"augmentation": {lever: STRONG.get(lever, 0.5)}})
    assert differs(run(plain, on=strips), run(changed, on=strips))
    first, second = (run(recipe.edit(training=STILL), on=strips) for recipe in (plain, changed))
    assert_array_equal(first.validation_probabilities, second.validation_probabilities)
    assert_array_equal(first.test_probabilities, second.test_probabilities)


def test_an_augmentation_that_is_off_for_all_epochs_but_the_first_is_seen_in_it_alone(run, strips):
    plain = TINY.edit(training={"epochs": 2})
    changed = plain.edit(data={"augmentation": {"rotation": 0.5}})
    never = changed.edit(data={"augmentation": {"grows_until": 0.5, "off_for_last": 0.5}})
    assert_array_equal(run(plain, on=strips).test_probabilities, run(never, on=strips).test_probabilities)
    once = changed.edit(data={"augmentation": {"off_for_last": 0.5}})
    assert differs(run(once, on=strips), run(plain, on=strips))
    assert differs(run(once, on=strips), run(changed, on=strips))


@pytest.mark.parametrize(
    ("lever", "values"),
    [
        ("resize", ["squash", "crop", "letterbox"]),
        ("normalization", ["unit", "standardize", "imagenet", "image"]),
        ("grey", [False, True]),
        ("contrast", ["none", "clahe"]),
        ("resolution", [8, 9]),
    ],
)
def test_preprocessing_reaches_the_network_at_once(run, strips, lever, values):
    # average pooling, so that the untrained network is the same at every resolution
    tiny = TINY.edit(architecture={"summary": "average"})
    outcomes = [run(tiny.edit(data={lever: value}, training=STILL), on=strips) for value in values]
    assert all(differs(one, other) for one, other in itertools.combinations(outcomes, 2))


def test_without_a_resolution_the_images_own_is_taken(run, strips):
    assert_same(run(TINY.edit(data={"resolution": None}), on=strips), run(TINY, on=strips))


def test_fewer_images_are_always_the_same_and_leave_no_class_out(run, digits):
    few = digits.with_fewer(0.5)
    assert_array_equal(few.splits.train, digits.with_fewer(0.5).splits.train)
    assert set(few.splits.train) < set(digits.splits.train)
    counts = [np.bincount(each.labels[each.splits.train], minlength=10) for each in (few, digits)]
    assert (np.abs(counts[0] - counts[1] / 2) <= 0.5).all()
    assert_array_equal(few.splits.validation, digits.splits.validation)
    assert_same(run(TINY.edit(data={"images": 0.5})), run(TINY, on=few))
    assert (np.bincount(digits.labels[digits.with_fewer(0.001).splits.train], minlength=10) == 1).all()


TRAINING_LEVERS = {
    "epochs": ({}, 2),
    "batch_size": ({}, 16),
    "optimizer": ({}, "rmsprop"),
    "learning_rate": ({}, 0.02),
    "momentum": ({"optimizer": "sgd"}, 0.5),
    "nesterov": ({"optimizer": "sgd"}, True),
    "schedule": ({}, "cosine"),
    "warmup": ({}, 0.5),
    "l2": ({}, 0.01),
    "l2_layers": ({"l2": 0.01}, "convolution"),
    "weight_decay": ({}, 0.1),
    "decay_norms_and_biases": ({"weight_decay": 0.1}, True),
    "label_smoothing": ({}, 0.1),
    "class_balance": ({}, 1.0),
    "effective_number": ({}, 0.9),
    "class_sampling": ({}, 1.0),
    "logit_adjustment": ({}, 1.0),
    "consistency": ({}, 12.0),
    "average": ({}, 0.9),
    "patience": ({"learning_rate": 0.05, "epochs": 40}, 2),
}


@pytest.mark.parametrize(("lever", "change"), TRAINING_LEVERS.items())
def test_every_training_lever_reaches_the_network(run, lever, change):
    beside, value = change
    # of which alone there are views to be consistent
    data = {"augmentation": {"aug_mix": 3.0}} if lever == "consistency" else {}
    before = TINY.edit(training=beside, data=data)
    assert differs(run(before), run(before.edit(training={lever: value})))


def test_no_training_lever_is_forgotten_here():
    assert set(TRAINING_LEVERS) == set(Training.model_fields) - {"fine_tuning"}


def test_the_saved_normalization_is_that_of_the_training_images_and_the_one_used(run, digits, tmp_path):
    path = tmp_path / "weights.safetensors"
    recipe = TINY.edit(data={"normalization": "standardize"})
    outcome = run(recipe, save_to=str(path))
    pixels = digits.store.pixels(8, Preparation("squash"))
    mean, std = (np.array(values, np.float32) for values in saved_normalization(path))
    for found, measured, leaky in zip(
        (mean, std),
        statistics("standardize", pixels[digits.splits.train]),
        statistics("standardize", pixels),
        strict=True,
    ):
        assert_array_equal(found, measured)
        assert not np.array_equal(found, leaky)
    network = build_network(recipe.architecture, classes=10, channels=1, resolution=8)
    network.load_state_dict(load_file(path))
    inputs = to_tensor(normalize(np.ascontiguousarray(pixels[digits.splits.validation]), mean, std))
    assert_array_equal(predict_probabilities(network, [inputs]), outcome.validation_probabilities)


def test_a_scratch_network_has_no_pretrained_statistics(run):
    with pytest.raises(RecipeError, match=r"'pretrained'.*no pretrained backbone.*choose unit"):
        run(TINY.edit(data={"normalization": "pretrained"}))


def test_the_image_that_is_left_over_is_trained_on(run, digits):
    # 170 training images in parts of 13 leave one
    assert run(TINY.edit(training={"batch_size": 13}), on=digits).status == "finished"
    assert len(digits.splits.train) % 13 == 1


def test_another_division_is_another_trial(store, digits, run):
    other = Dataset(store, make_splits(store, 1))
    assert differs(run(TINY), run(TINY, on=other))


def test_the_built_in_recipes_learn_digits(run, digits):
    labels = digits.labels[digits.splits.validation]
    for name, least in (("plain", 0.8), ("residual", 0.85)):
        predicted = run(built_in(name)).validation_probabilities.argmax(axis=1)
        assert (predicted == labels).mean() >= least, name


def test_a_curve_can_be_written_down(run):
    assert json.loads(json.dumps(figures(run(TINY).curve)))[0]["phase"] == "train"


def test_a_training_that_learns_nothing_is_given_up_at_half_where_that_was_asked(digits, tmp_path):
    ruined = TINY.edit(training={"epochs": 6, "optimizer": "sgd", "learning_rate": 1.0, "weight_decay": 0.9})
    sound = TINY.edit(training={"epochs": 6})
    given_up = run_trial(TrialSpec(ruined, 0), digits, tmp_path, limits=Limits(gives_up=True))
    assert given_up.status == "diverged"
    assert len(given_up.curve) == 3
    assert "after 3 of 6 epochs" in given_up.reason
    assert len(run_trial(TrialSpec(ruined, 0), digits, tmp_path).curve) == 6
    assert run_trial(TrialSpec(sound, 0), digits, tmp_path, limits=Limits(gives_up=True)).status == "finished"


def test_a_refit_learns_from_validation_images_too_and_measures_nothing_on_them(digits, tmp_path):
    recipe = TINY.edit(training={"epochs": 3, "patience": 1})
    reports: list[EpochReport] = []
    outcome = run_trial(TrialSpec(recipe, 0, refit=True), digits, tmp_path, reports.append)
    counts = digits.splits.counts
    assert [report.images for report in reports] == [counts["train"] + counts["validation"]] * 3
    assert all(np.isnan([report.validation_loss, report.validation_accuracy]).all() for report in reports)
    assert outcome.status == "finished"
    assert len(outcome.validation_probabilities) == counts["validation"]
    assert len(outcome.test_probabilities) == counts["test"]
    assert differs(outcome, run_trial(TrialSpec(recipe, 0), digits, tmp_path))
    assert_same(outcome, run_trial(TrialSpec(recipe, 0, refit=True), digits, tmp_path))


def test_of_no_refit_the_sealed_images_are_a_part(digits):
    refit = digits.with_validation_to_train()
    assert refit.refit
    assert not set(refit.splits.train.tolist()) & set(digits.splits.test.tolist())
    assert set(refit.splits.train.tolist()) == {*digits.splits.train.tolist(), *digits.splits.validation.tolist()}
    assert (refit.labels[refit.splits.train] != SEALED).all()
