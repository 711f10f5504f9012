"""A recipe is trained once and told what is wrong with it; and a training that is over, without training anything."""

import dataclasses
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from convlift import api
from convlift.campaign.diagnose_training import diagnose_training
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.errors import ConvliftError, Interrupted
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.records.events import EpochEnded
from convlift.records.training_events import DiagnosisPlanned, TryingAccused

DIGITS = load_digits()
SMALL = Recipe().edit(architecture={"width": 16, "head_units": 32}, training={"epochs": 4})
FAST = SMALL.edit(training={"learning_rate": 0.3})


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("diagnosis")


@pytest.fixture(scope="module")
def data(place):
    """400 digits, a part of the validation images among the training images too."""
    images = np.rint(DIGITS.images[:400] * (255 / 16)).astype(np.uint8)
    labels = DIGITS.target[:400]
    held = np.concatenate([images[250:320], images[:20]])
    given = np.concatenate([labels[250:320], labels[:20]])
    path = place / "digits.npz"
    np.savez(
        path, train_images=images[:250], train_labels=labels[:250], val_images=held, val_labels=given,
        test_images=images[320:], test_labels=labels[320:],
    )  # fmt: skip
    return path


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    found = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("CONVLIFT_CACHE", str(found))
    return found


def heard_by(request, heard, stop=lambda: 0, **options):
    with diagnose_training(request, Session(heard.append, stop), **options) as done:
        return done


def test_a_learning_rate_is_convicted_by_a_second_training_and_copies_are_counted(data, place, cache):
    heard = []
    done = heard_by(request_of(data, None, cache, current=FAST, out=place / "fast"), heard)
    found = {each.cause: each for each in done.checks}
    assert found["learning rate"].verdict == "found"
    assert found["learning rate"].prospects[0].points > 10
    (both,) = found["copies"].shown
    assert (found["copies"].verdict, both.shared, both.images) == ("found", 20, 90)
    plan = next(each for each in heard if isinstance(each, DiagnosisPlanned))
    assert plan.training > 0
    assert plan.again > 0
    assert sum(isinstance(each, TryingAccused) for each in heard) == 1
    assert len(done.trained.dataset.splits.test) == 80
    assert (done.trained.dataset.labels[done.trained.dataset.splits.test] == -1).all()


def test_the_page_of_a_finished_training_needs_no_training(data, place, cache):
    trained = api.train(data, FAST, out=place / "trained", quiet=True)
    found = api.diagnose(data, run=trained.folder / "model", quiet=True)
    assert found.folder == trained.folder
    assert found.page.is_file()
    assert {each.cause: each.verdict for each in found.checks}["learning rate"] == "suspected"
    assert found.story.training.score == trained.score
    assert found.story.training.shown.final_curve == trained.story.shown.final_curve
    named = [word for each in found.todo for word in each.command.split() if word.endswith(".yaml")]
    assert named
    assert all(load_recipe(Path(each)) for each in named)
    other = place / "other.npz"
    with np.load(data) as arrays:
        np.savez(other, **{name: values[:-1] for name, values in arrays.items()})
    with pytest.raises(ConvliftError, match="was trained on other images than those of other"):
        api.diagnose(other, run=trained.folder, quiet=True)
    with pytest.raises(ConvliftError, match="is no run folder of convlift train, diagnose or improve"):
        api.diagnose(data, run=place / "nowhere", quiet=True)


def test_a_stop_before_the_end_of_the_training_leaves_nothing(data, place, cache):
    heard = []
    request = request_of(data, None, cache, current=SMALL, out=place / "stopped")
    with pytest.raises(Interrupted) as stopped:
        heard_by(request, heard, lambda: signal.SIGINT if any(isinstance(e, EpochEnded) for e in heard) else 0)
    assert stopped.value.exit_code == 130
    assert not (place / "stopped").exists()


def test_once_and_a_small_budget_leave_out_what_they_have_no_room_for(data, place, cache):
    heard = []
    request = request_of(data, None, cache, current=FAST, out=place / "once")
    short = dataclasses.replace(request, budget_seconds=0.0)
    done = heard_by(short, heard, once=True)
    verdicts = {each.cause: each.verdict for each in done.checks}
    assert verdicts["labels"] == "cannot tell"
    assert not any(isinstance(each, TryingAccused) for each in heard)
