"""The words of a campaign while it works."""

import dataclasses

from convlift.records.outcome import EpochReport
from convlift.report.live import Moment, Opening, first_words, live_line

COUNTS = {"train": 1078, "validation": 359, "test": 360}
OPENING = Opening("digits", 10, COUNTS, "plain", 2, "runs/digits-1a2b3c4d", budget_seconds=1200.0)
EPOCH = EpochReport("train", 3, 15, 0.2, 0.9, 0.3, 0.88, 1e-3, 2.0)
MOMENT = Moment(
    "search",
    ("label smoothing 0.1", "horizontal flip", "cosine"),
    EPOCH,
    "accuracy",
    0.957,
    "residual",
    0.9899,
    0.993,
    left_seconds=192.0,
    budget_seconds=300.0,
)


def test_the_first_words_say_what_is_done_how_long_and_where() -> None:
    first, second = first_words(OPENING)
    assert first == (
        "Improving 'plain' on digits: 20 min in all, with 2 workers. Everything goes to runs/digits-1a2b3c4d."
    )
    assert second == "10 classes; 1,078 images to learn from, 359 to choose by, 360 sealed until the end."
    counted = dataclasses.replace(OPENING, trainings=24, budget_seconds=float("inf"), resumed=True)
    assert first_words(counted)[0].startswith("Going on with 'plain' on digits: 24 trainings, however long they take")


def test_the_live_line_says_what_is_tried_how_far_and_how_good() -> None:
    assert live_line(MOMENT) == (
        "search: label smoothing 0.1 and 2 more, epoch 4 of 15; best validation accuracy: baseline 0.957, "
        "start residual 0.990, search 0.993; 3 min 12 s of 5 min left"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert live_line(Moment("pilot")) == "baseline"
    assert live_line(Moment("", left_seconds=-3.0, budget_seconds=60.0)) == "preparing; 0.0 s of 1 min left"
    assert live_line(
        dataclasses.replace(MOMENT, baseline=float("nan"), start=None, best=None, trying=(), epoch=None)
    ) == ("search; 3 min 12 s of 5 min left")


def test_a_campaign_of_trainings_counts_them() -> None:
    counted = dataclasses.replace(MOMENT, trainings=24, trainings_done=7)
    assert live_line(counted).endswith("; 7 of 24 trainings done")


def test_the_second_phase_is_named() -> None:
    tuned = dataclasses.replace(MOMENT, epoch=dataclasses.replace(EPOCH, phase="fine-tune"))
    assert "epoch 4 of 15 of fine-tuning" in live_line(tuned)
