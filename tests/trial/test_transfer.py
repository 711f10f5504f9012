"""Transfer trials: what each phase may move, and that stored features stand for the images themselves."""

import math

import numpy as np
import pytest
import torch
from comparing import Countdown, assert_same, cross_entropy, differs, figures
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file

from convlift.augment.pipeline import normalize
from convlift.errors import RecipeError, WeightsError
from convlift.model.backbone import create_backbone
from convlift.model.build import build_network
from convlift.model.checkpoint import saved_normalization
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import FineTuning
from convlift.recipe.trial_spec import TrialSpec
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import to_tensor
from convlift.trial.transfer import train_transfer

BACKBONE = {"kind": "pretrained", "backbone": "mobilenetv3_small_050", "head_units": 16}
HEAD = {"head.hidden.weight", "head.hidden.bias", "head.output.weight", "head.output.bias"}
LAST_STAGE = ("backbone.network.blocks.4.", "backbone.network.blocks.5.")


@pytest.fixture(scope="module")
def frozen(backbone_file):
    return Recipe().edit(
        data={"resolution": 32, "normalization": "pretrained"},
        architecture={**BACKBONE, "weights": str(backbone_file)},
        training={"epochs": 2, "learning_rate": 0.01},
    )


@pytest.fixture(scope="module")
def tuned(frozen):
    return frozen.edit(training={"fine_tuning": {"epochs": 1, "stages": 1, "learning_rate": 0.001}})


@pytest.fixture(scope="module")
def afresh(tuned):
    return tuned.edit(data={"augmentation": {"rotation": 0.2}})


@pytest.fixture(scope="module")
def views(afresh):
    return afresh.edit(data={"views": 2})


@pytest.fixture
def recipe(request):
    """The recipe of that name above."""
    return request.getfixturevalue(request.param)


def network_of(recipe, seed=0):
    """The network that a trial of this seed starts from."""
    torch.manual_seed(seed)
    return build_network(recipe.architecture, classes=10, channels=1, resolution=recipe.data.resolution)


def moved(path, recipe):
    """Names of the numbers in the saved file that are not those that the trial started from."""
    saved = load_file(path)
    start = network_of(recipe).state_dict()
    assert saved.keys() == start.keys()
    return {key for key, tensor in saved.items() if not torch.equal(tensor, start[key])}


def on_images(recipe, path, dataset, part):
    """The saved network's probabilities for the images themselves, nothing stored."""
    network = network_of(recipe, seed=99)
    network.load_state_dict(load_file(path))
    mean, std = (np.array(values, np.float32) for values in saved_normalization(path))
    pixels = dataset.store.pixels(recipe.data.resolution, recipe.data.preparation)[part]
    return predict_probabilities(network, [to_tensor(normalize(np.ascontiguousarray(pixels), mean, std))])


def files(cache):
    """(features, activations) that lie in the cache."""
    return sorted(cache.glob("features/*.features.npy")), sorted(cache.glob("features/*.last*.npy"))


def counts(cache):
    return [len(found) for found in files(cache)]


@pytest.mark.parametrize("recipe", ["tuned", "afresh", "views"], indirect=True)
def test_the_same_order_gives_the_same_bits_whether_features_are_stored_yet_or_not(run, tmp_path, recipe):
    first = run(recipe, cache=tmp_path / "one", save_to=str(tmp_path / "first.safetensors"))
    torch.rand(5)
    assert_same(first, run(recipe, cache=tmp_path / "one", save_to=str(tmp_path / "warm.safetensors")))
    assert_same(first, run(recipe, cache=tmp_path / "other", save_to=str(tmp_path / "cold.safetensors")))
    assert len({(tmp_path / f"{name}.safetensors").read_bytes() for name in ("first", "warm", "cold")}) == 1
    assert [(epoch.phase, epoch.epoch) for epoch in first.curve] == [("head", 0), ("head", 1), ("fine-tune", 0)]
    assert differs(first, run(recipe, seed=1, cache=tmp_path / "one"))


def test_the_frozen_phase_leaves_the_whole_backbone_as_it_was(run, tmp_path, frozen):
    run(frozen, save_to=str(tmp_path / "weights.safetensors"))
    assert moved(tmp_path / "weights.safetensors", frozen) == HEAD


def test_random_weights_are_those_of_the_seed(run, tmp_path, frozen):
    recipe = frozen.edit(architecture={"weights": "random"})
    run(recipe, save_to=str(tmp_path / "weights.safetensors"))
    assert all(key in HEAD for key in moved(tmp_path / "weights.safetensors", recipe))


@pytest.mark.parametrize("batch_norm", ["frozen", "update"])
@pytest.mark.parametrize("recipe", ["tuned", "afresh"], indirect=True)
def test_fine_tuning_moves_the_last_stage_and_the_head_alone(run, tmp_path, batch_norm, recipe):
    recipe = recipe.edit(training={"fine_tuning": {"batch_norm": batch_norm}})
    run(recipe, save_to=str(tmp_path / "weights.safetensors"))
    changed = moved(tmp_path / "weights.safetensors", recipe)
    assert all(key in HEAD or key.startswith(LAST_STAGE) for key in changed)
    assert changed >= HEAD
    assert all(any(key.startswith(part) for key in changed) for part in LAST_STAGE)
    assert any("running_mean" in key for key in changed) == (batch_norm == "update")


def test_without_a_number_of_stages_the_whole_backbone_moves(run, tmp_path, tuned):
    recipe = tuned.edit(training={"fine_tuning": {"stages": None}})
    run(recipe, cache=tmp_path / "cache", save_to=str(tmp_path / "weights.safetensors"))
    changed = moved(tmp_path / "weights.safetensors", recipe)
    assert "backbone.network.conv_stem.weight" in changed
    assert not any("running" in key for key in changed)
    assert counts(tmp_path / "cache") == [1, 0]


@pytest.mark.parametrize(
    ("recipe", "tolerance"),
    [("frozen", 1e-5), ("tuned", 2e-3), ("views", 2e-3), ("afresh", 1e-6)],
    indirect=["recipe"],
)
def test_predictions_from_stored_results_are_those_of_the_saved_network(run, digits, tmp_path, recipe, tolerance):
    # features are float32, activations float16
    path = tmp_path / "weights.safetensors"
    outcome = run(recipe, save_to=str(path))
    for stored, part in (
        (outcome.validation_probabilities, digits.splits.validation),
        (outcome.test_probabilities, digits.splits.test),
    ):
        assert_allclose(stored, on_images(recipe, path, digits, part), atol=tolerance)
    labels = digits.labels[digits.splits.validation]
    last = outcome.curve[-1].validation_loss
    assert cross_entropy(outcome.validation_probabilities, labels) == pytest.approx(last, rel=1e-4)


def test_training_on_stored_activations_is_training_on_the_images(run, tmp_path, tuned):
    # so weak a change that the images stay as they are, yet each goes through the whole network
    images = tuned.edit(data={"augmentation": {"brightness": 1e-9}})
    fresh, stored = run(images, cache=tmp_path / "fresh"), run(tuned)
    assert counts(tmp_path / "fresh") == [1, 0]
    assert_allclose(fresh.validation_probabilities, stored.validation_probabilities, atol=5e-3)
    assert fresh.curve[-1].train_loss == pytest.approx(stored.curve[-1].train_loss, rel=2e-3)


def test_augmentation_without_views_leaves_the_head_phase_and_augments_the_second_afresh(run, tmp_path, tuned, afresh):
    clean, augmented = run(tuned), run(afresh, cache=tmp_path / "afresh")
    assert figures(augmented.curve)[:2] == figures(clean.curve)[:2]
    assert augmented.curve[2].train_loss > 1.02 * clean.curve[2].train_loss
    assert counts(tmp_path / "afresh") == [1, 0]


def test_mixes_are_compared_where_images_change_and_nowhere_else(run, tuned, afresh, views):
    mixes = {"augmentation": {"aug_mix": 3.0}}
    for recipe, is_compared in ((afresh, True), (views, False)):
        alone = recipe.edit(data=mixes)
        compared = alone.edit(training={"consistency": 12.0})
        once, twice = figures(run(alone).curve), figures(run(compared).curve)
        assert once[:2] == twice[:2], "the head's phase"
        assert (once[2:] != twice[2:]) == is_compared


def test_views_are_drawn_among_the_stored_copies(run, digits, tmp_path, tuned, views):
    cache, clean = tmp_path / "views", run(tuned)
    with_views = run(views, cache=cache)
    assert abs(with_views.curve[0].train_loss - clean.curve[0].train_loss) > 1e-3
    assert counts(cache) == [3, 3]
    # copies that hold the clean results again: training among them is training without views
    train = digits.splits.train
    for kind in files(cache):
        whole = next(np.load(path) for path in kind if len(np.load(path)) == len(digits.labels))
        for path in kind:
            if len(np.load(path)) == len(train):
                np.save(path, whole[train])
    assert_same(run(views, cache=cache), clean)


def test_views_of_unaugmented_images_are_no_views(run, tmp_path, frozen):
    assert_same(run(frozen), run(frozen.edit(data={"views": 3}), cache=tmp_path / "views"))
    assert counts(tmp_path / "views") == [1, 0]


@pytest.mark.parametrize(
    ("questions", "phases"),
    [(0, []), (3, []), (8, ["head"]), (18, ["head", "head"]), (22, ["head", "head", "fine-tune"])],
    ids=["before", "in the features", "in the head", "between the phases", "in the second"],
)
def test_a_deadline_anywhere_leaves_probabilities(digits, tmp_path, tuned, questions, phases):
    # it asks six times around the features, at twelve batches for the head, once between, at six batches more
    clock = Countdown(questions)
    torch.manual_seed(0)
    trained = train_transfer(TrialSpec(tuned, 0), digits, tmp_path, clock)
    assert clock.stopped
    assert [epoch.phase for epoch in clock.curve] == phases
    for found, part in ((trained.validation, digits.splits.validation), (trained.test, digits.splits.test)):
        assert found.shape == (len(part), 10)
        assert found.sum(axis=1) == pytest.approx(np.ones(len(part)), abs=1e-5)
    if not phases:
        assert_allclose(trained.validation, 0.1)


def test_a_deadline_in_the_past_is_an_outcome(run, tmp_path, tuned):
    outcome = run(tuned, seconds=-1.0, cache=tmp_path)
    assert (outcome.status, outcome.curve) == ("stopped", ())
    assert outcome.validation_probabilities.size
    assert outcome.test_probabilities.size
    assert counts(tmp_path) == [0, 0]


def test_a_head_that_explodes_is_an_outcome(run, frozen):
    wild = frozen.edit(training={"optimizer": "sgd", "learning_rate": 10, "l2": 1, "epochs": 20})
    outcome = run(wild)
    assert outcome.status == "diverged"
    assert not outcome.validation_probabilities.size


def test_early_stopping_hands_over_the_best_epoch_of_each_phase(run, digits, tuned):
    recipe = tuned.edit(
        training={
            "epochs": 60,
            "patience": 2,
            "learning_rate": 0.05,
            "fine_tuning": {"epochs": 30, "learning_rate": 0.01},
        }
    )
    outcome = run(recipe)
    labels = digits.labels[digits.splits.validation]
    head, second = (
        [epoch.validation_loss for epoch in outcome.curve if epoch.phase == phase] for phase in ("head", "fine-tune")
    )
    assert len(head) == int(np.argmin(head)) + 3 < 60
    assert len(second) == int(np.argmin(second)) + 3 < 30
    found = cross_entropy(outcome.validation_probabilities, labels)
    assert found == pytest.approx(min(second), rel=1e-4)


def test_fidelity_shortens_both_phases(run, tuned):
    recipe = tuned.edit(training={"epochs": 4, "fine_tuning": {"epochs": 6}})
    curve = run(recipe, fidelity=0.5).curve
    assert [epoch.phase for epoch in curve] == ["head"] * 2 + ["fine-tune"] * 3


FINE_TUNING_LEVERS = {
    "epochs": 2,
    "stages": 2,
    "learning_rate": 0.01,
    "schedule": "constant",
    "warmup": 0.5,
    "batch_size": 16,
    "batch_norm": "update",
    "layer_decay": 0.5,
    "small_first": 0.5,
    "average_from": 0.5,
}


@pytest.mark.parametrize(("lever", "value"), FINE_TUNING_LEVERS.items())
def test_every_lever_of_the_second_phase_reaches_it_and_not_the_first(run, tuned, lever, value):
    assert set(FINE_TUNING_LEVERS) == set(FineTuning.model_fields)
    if lever == "small_first":  # of stored activations there are none of another size
        tuned = tuned.edit(training={"fine_tuning": {"stages": None, "epochs": 2}})
    before, after = run(tuned), run(tuned.edit(training={"fine_tuning": {lever: value}}))
    assert figures(before.curve)[:2] == figures(after.curve)[:2]
    assert differs(before, after)


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"normalization": "standardize"}},
        {"data": {"normalization": "imagenet"}},
        {"data": {"normalization": "image"}},
        {"data": {"contrast": "clahe"}},
        {"data": {"resolution": 40}},
        {"data": {"resize": "crop"}},
        {"architecture": {"head_units": 0}},
        {"architecture": {"dropout": 0.8}},
        {"architecture": {"weights": "random"}},
        {"training": {"label_smoothing": 0.2}},
    ],
    ids=str,
)
def test_the_levers_of_the_first_phase_reach_it(run, frozen, change):
    assert differs(run(frozen), run(frozen.edit(**change)))


def test_the_weights_files_own_statistics_are_used_for_grey_images_too(run, tmp_path, frozen):
    path = tmp_path / "weights.safetensors"
    run(frozen, save_to=str(path))
    assert saved_normalization(path) == (pytest.approx((0.3,)), pytest.approx((0.2,)))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"training": {"fine_tuning": {"stages": 16}}}, RecipeError, r"fine_tuning\.stages is 16, .*use 1 to"),
        ({"architecture": {"backbone": "mobilenetv3_smal_050"}}, RecipeError, "did you mean mobilenetv3_small_050"),
        ({"architecture": {"weights": "gone.safetensors"}}, WeightsError, r"gone\.safetensors are not there"),
    ],
)
def test_what_cannot_be_built_is_said_before_anything_is_saved(run, tmp_path, tuned, change, error, words):
    with pytest.raises(error, match=words):
        run(tuned.edit(**change), save_to=str(tmp_path / "out" / "weights.safetensors"))
    assert not (tmp_path / "out").exists()


def test_real_pretrained_features_name_digits_and_stay_as_the_package_has_them(run, digits, tmp_path):
    recipe = Recipe().edit(
        data={"normalization": "pretrained", "resolution": 64},
        architecture={"kind": "pretrained", "head_units": 0, "dropout": 0},
        training={"epochs": 30, "learning_rate": 0.01},
    )
    path = tmp_path / "weights.safetensors"
    outcome = run(recipe, save_to=str(path))
    labels = digits.labels[digits.splits.validation]
    assert (outcome.validation_probabilities.argmax(axis=1) == labels).mean() > 0.8
    saved = load_file(path)
    package = create_backbone("tf_efficientnet_lite0", "auto").state_dict()
    assert all(torch.equal(saved[f"backbone.{key}"], tensor) for key, tensor in package.items())
    mean, std = saved_normalization(path)
    assert math.isclose(mean[0], 127 / 255, rel_tol=1e-6)
    assert math.isclose(std[0], 128 / 255, rel_tol=1e-6)
    found = on_images(recipe, path, digits, digits.splits.validation)
    assert_allclose(found, outcome.validation_probabilities, atol=1e-4)
    assert_array_equal(found.argmax(axis=1), outcome.validation_probabilities.argmax(axis=1))
