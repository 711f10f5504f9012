"""How long judging on shifted images takes: every step that it has counts, and measuring leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request, request_of
from convlift.campaign.session import Session
from convlift.campaign.shift_asked import shift_seconds
from convlift.campaign.time_shift import SLACK, StepSeconds, judging_seconds, time_shift
from convlift.data.dataset import Dataset
from convlift.recipe.recipe import Recipe

SMALL = Recipe().edit(architecture={"width": 8})
NORMED = SMALL.edit(architecture={"normalization": "batch"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("place")
    for number, image in enumerate(load_digits().images[:20]):
        folder = found / "dark" / str(number % 10)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * 8).astype(np.uint8)).save(folder / f"{number}.png")
    (found / "dark/0/broken.png").write_bytes(b"none")
    return found


@pytest.fixture(scope="module")
def asked(place: Path) -> Request:
    return request_of("digits", "1m", place / "cache", shift="fog,snow", shift_data=place / "dark", workers=1)


@pytest.fixture(scope="module")
def dataset(asked: Request) -> Dataset:
    return open_data(asked, Session())[0]


def test_every_step_counts_as_often_as_it_is_done() -> None:
    plain = StepSeconds(making=1.0, reading=10.0, before=100.0, after=1000.0, adapting=0.0)
    assert judging_seconds(plain, 1, 0, 1) == SLACK * 1101
    assert judging_seconds(plain, 0, 1, 1) == SLACK * 1130  # told from others by its pixels, then seen twice
    assert judging_seconds(plain, 2, 0, 3) == SLACK * 2 * 3101
    adapts = plain._replace(adapting=5000.0)
    assert judging_seconds(adapts, 1, 0, 1) == SLACK * (1101 + 1 + 6000)
    # statistics are of 256 images at most
    assert judging_seconds(adapts, 0, 1000, 1) == SLACK * (1000 * 1130 + 1000 * 1010 + 256 * 5010)


def test_it_is_measured_and_nothing_is_left_of_it(asked: Request, dataset: Dataset) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    seconds = [time_shift(asked, dataset, SMALL, each, 1) for each in (SMALL, NORMED)]
    assert all(np.isfinite(seconds))
    assert min(seconds) > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_network_that_cannot_be_made_tells_nothing(asked: Request, dataset: Dataset) -> None:
    impossible = Recipe().edit(architecture={"stages": 5}, data={"resolution": 8})
    assert time_shift(asked, dataset, SMALL, impossible, 1) == 0.0


def test_who_measures_is_named_only_where_there_is_time_to_keep(asked: Request, dataset: Dataset) -> None:
    problem = problem_of(replace(asked, keep_network=True), dataset)
    assert problem.time_shift is not None
    assert problem.shift_seconds == shift_seconds(asked, len(dataset.splits.test), 8) > 0
    without = problem_of(replace(asked, keep_network=True, shift=(), shift_data=None), dataset)
    assert (without.time_shift, without.shift_seconds) == (None, 0.0)
    assert problem.closing_seconds - without.closing_seconds == pytest.approx(problem.shift_seconds)
    counted = problem_of(replace(asked, keep_network=True, trainings=4, budget_seconds=float("inf")), dataset)
    assert (counted.time_shift, counted.closing_seconds, counted.shift_seconds) == (None, 0.0, 0.0)
