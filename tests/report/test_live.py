"""The words of a campaign while it works."""

import dataclasses
import math
from pathlib import Path
from typing import Any, get_args

import pytest

from convlift.console.progress import Progress
from convlift.records.events import (
    BudgetUnused,
    CachePlaced,
    CampaignBegan,
    CampaignEnded,
    ClassifyingShifted,
    DiskTight,
    EpochEnded,
    Event,
    FoldBegan,
    FoldEnded,
    FolderOpened,
    ImagesDecoded,
    ImagesRead,
    JudgingFolds,
    Loading,
    ModelWritten,
    Moment,
    NullCampaignBegan,
    NullCampaignEnded,
    NullCampaignLeftOut,
    OfNullCampaign,
    PowerExpected,
    ReadingImages,
    ResultWithdrawn,
    TestOpening,
    TimingStart,
    TrialBegan,
    TrialEnded,
)
from convlift.records.finding import Finding
from convlift.records.not_shipped import NotShipped
from convlift.records.notes import Detectable
from convlift.records.outcome import EpochReport
from convlift.records.recipe_findings import WrongLearningRate
from convlift.records.training_events import (
    DiagnosisPlanned,
    ImagesLookedAt,
    Looking,
    NotTrainedOnAll,
    OwnNetworkSeen,
    TrainedBefore,
    TrainedOnAll,
    TrainingBegan,
    TrainingEnded,
    TrainingOnAll,
    TryingAccused,
)
from convlift.report.live import LOG, Live, first_words, lasting_lines, live_line, passing_line

COUNTS = {"train": 1078, "validation": 359, "test": 360}
BEGAN = CampaignBegan(
    "digits", 10, COUNTS, "plain", 2, "CPU", "runs/digits-1a2b3c4d", budget_seconds=1200.0, trainings=0, resumed=False
)
EPOCH = EpochReport("train", 3, 15, 0.2, 0.9, 0.3, 0.88, 1e-3, 2.0)
MOMENT = Moment(
    "search",
    ("label smoothing 0.1", "horizontal flip", "cosine"),
    EPOCH,
    "accuracy",
    0.957,
    "residual",
    0.9899,
    left_seconds=192.0,
    budget_seconds=300.0,
)
BROKEN = Finding("unreadable", "warning", "1 of 121 files cannot be read.", ("a/broken.png",), "Replace it.")
ENDLESS = float("inf")
# what stays on the screen and in the log
LASTING: list[tuple[Event, tuple[str, ...]]] = [
    (ImagesRead((BROKEN,)), ("warning: 1 of 121 files cannot be read. Replace it. [a/broken.png]",)),
    (ImagesRead(()), ()),
    (
        BEGAN,
        (
            "Improving 'plain' on digits: 20 min in all, with 2 workers on the CPU. Everything goes to "
            "runs/digits-1a2b3c4d.",
            "10 classes; 1,078 images to learn from, 359 to choose by, 360 sealed until the end.",
        ),
    ),
    (
        PowerExpected(Detectable(60, 3, 3, 4.04, 6.2), 240),
        (
            "With 60 test images, a gain under about 4.0 points can hardly be proven, and one of 6.2 points is in four "
            "of five campaigns (if nine in ten images are classified correctly).",
        ),
    ),
    (
        DiskTight("/", 2.5e9, 4e9),
        (
            "The disk at / has 2,500 MB free; a campaign like this one usually takes 4,000 MB. Where it becomes full "
            "the campaign stops, loses nothing, and goes on once there is room.",
        ),
    ),
    (
        BudgetUnused(),
        (
            "This campaign is finished and its sealed test was opened, so a longer budget is not used: this is its "
            "result, as it was. A new campaign on these images would be judged on the same test, which has been seen "
            "by then.",
        ),
    ),
    (FoldEnded(2, 5, True, 31, "transfer"), ("fold 2 of 5 is done: 31 trials, started from transfer",)),
    (FoldEnded(2, 5), ()),
    (
        NullCampaignEnded(3, 20, -0.04, 1, False, 0.7, True),
        ("campaign 3 of 20: recipe +0.0 points, not proven; network +0.7 points, proven; 1 change proven",),
    ),
    (
        NullCampaignEnded(3, 20, 1.26, 0, True, 0.0, False),
        ("campaign 3 of 20: recipe +1.3 points, proven; network +0.0 points, not proven; 0 changes proven",),
    ),
    (
        NullCampaignLeftOut(NotShipped("no time for the baseline")),
        ("a campaign is left out, since no baseline was trained. Not judged: no time for the baseline.",),
    ),
    (NullCampaignLeftOut(), ("a campaign is left out, since no baseline was trained.",)),
    (TrainingBegan("CPU"), ("Training on the CPU.",)),
    (
        OwnNetworkSeen("net.py:Net", 62_006, 3, 32, "logits", "fc3", 2),
        (
            "Your network net.py:Net has 62,006 weights and gets images of 3 x 32 x 32. Its last layer, fc3, is "
            "replaced by one with 2 outputs.",
        ),
    ),
    (
        OwnNetworkSeen("net.py:Net", 100, 1, 28, "probabilities", "", 10),
        (
            "Your network net.py:Net has 100 weights and gets images of 1 x 28 x 28. It ends with probabilities, whose "
            "logarithm the loss is computed from.",
        ),
    ),
    (
        DiagnosisPlanned(40.0, 20.0, 40.0, ENDLESS),
        (
            "One training of this recipe takes about 40 s here, the looks at its images and labels 20 s more. Where it "
            "accuses a setting of the recipe, that is undone and trained once more (about 40 s; --once leaves it out).",
        ),
    ),
    (
        DiagnosisPlanned(40.0, 20.0, 0.0, 30.0),
        (
            "One training of this recipe takes about 40 s here, the looks at its images and labels 20 s more. The "
            "budget of 30 s is shorter: what it has no room for is left out.",
        ),
    ),
    (
        DiagnosisPlanned(0.0, 20.0, 0.0, ENDLESS),
        ("Nothing is trained; the looks at its images and labels take about 20 s.",),
    ),
    (
        TryingAccused(WrongLearningRate(0.1, 0.01), 40.0),
        (
            "The recipe may be trained with a learning rate that is too high: it is trained once more with that "
            "undone, in about 40 s.",
        ),
    ),
    (TrainingBegan("NVIDIA L4"), ("Training on NVIDIA L4.",)),
    (
        TrainedBefore(Path("runs/a")),
        ("note: runs/a holds this training already; it is done again and replaces the old model.",),
    ),
    (
        TrainedOnAll(Path("runs/a/model-all"), 1797),
        (
            "What ships was trained again on all 1,797 images: runs/a/model-all. No image is left to judge it by; the "
            "score is that of runs/a/model.",
        ),
    ),
    (
        NotTrainedOnAll("sealed"),
        ("note: nothing was judged, so the test stays sealed and nothing is trained on all images.",),
    ),
    (
        NotTrainedOnAll("worse"),
        ("note: the baseline was better on the test, so nothing is trained on all images.",),
    ),
    (
        NotTrainedOnAll("ignorant", right=0.25),
        (
            "note: there is no network of all images (what was trained classifies only 0.250 of its own images "
            "correctly). Use the one that was judged.",
        ),
    ),
    (
        NotTrainedOnAll("failed", "the loss was no number"),
        ("note: there is no network of all images (the loss was no number). Use the one that was judged.",),
    ),
    (
        CachePlaced(Path("/tmp/convlift-7"), Path("/home/me/.cache")),
        (
            "note: images are cached in /tmp/convlift-7, since /home/me/.cache cannot be written; set CONVLIFT_CACHE "
            "to keep them elsewhere.",
        ),
    ),
    (
        CachePlaced(Path("/tmp/convlift-7"), None),
        (
            "note: images are cached in /tmp/convlift-7, since this user has no home folder; set CONVLIFT_CACHE to "
            "keep them elsewhere.",
        ),
    ),
]
# what the next line replaces
PASSING: list[tuple[Event, str]] = [
    (ReadingImages(), "reading the images"),
    (ImagesDecoded(40, 121), "decoding images: 40 of 121"),
    (ClassifyingShifted(64, 360), "classifying shifted images: 64 of 360"),
    (Loading(), "loading"),
    (
        MOMENT,
        "search: label smoothing 0.1 and 2 more, epoch 4 of 15; best validation accuracy: baseline 0.957, start "
        "residual 0.990; 3 min 12 s of 5 min left",
    ),
    (EpochEnded(0, EPOCH), "train epoch 4 of 15: validation accuracy 0.8800, 0:22 left"),
    (TestOpening(), "opening the sealed test"),
    (TrainingOnAll(75.0), "training what ships on all images, 1:15 left"),
    (TrainingOnAll(ENDLESS), "training what ships on all images"),
    (JudgingFolds(), "judging all folds together"),
    (Looking("labels"), "looking at the labels"),
    (ImagesLookedAt(64, 121), "looking at images: 64 of 121"),
    (TimingStart("residual"), "timing some steps of residual"),
    (NullCampaignBegan(3, 20, 540.0), "campaign 3 of 20: about 9:00 left"),
    (NullCampaignBegan(3, 20, ENDLESS), "campaign 3 of 20"),
]
# the log alone
LOGGED: list[tuple[Event, str]] = [
    (EpochEnded(7, EPOCH), "trial 7 train epoch 4/15: train loss 0.2000, validation 0.8800")
]
# for programs, or told by what comes next: the live line names what runs, and the end prints where things lie
SILENT: list[Event] = [
    FolderOpened(Path("runs/a")),
    FoldBegan(2, 5),
    TrialBegan(7, "search", ("horizontal flip",)),
    TrialEnded(7, "search", ("horizontal flip",), "finished", 0.9, 12.0),
    ModelWritten(Path("runs/a")),
    CampaignEnded(Path("runs/a")),
    TrainingEnded(Path("runs/a")),
    ResultWithdrawn(Path("runs/a")),
    OfNullCampaign(Loading()),
]


class Heard(Progress):
    """Progress that keeps what it is given instead of showing it."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.lines.append(("said", self._part + text))
        super().say(text)

    def show(self, text: str) -> None:
        self.lines.append(("shown", self._part + text))

    def log(self, text: str) -> None:
        self.lines.append(("logged", text))
        super().log(text)


def heard(*events: Event) -> list[tuple[str, str]]:
    """What people are told of these events; what is said goes into the log too."""
    with Heard() as progress:
        live = Live(progress)
        for event in events:
            live(event)
    said = {text for how, text in progress.lines if how == "said"}
    return [line for line in progress.lines if line[0] != "logged" or line[1] not in said]


def test_every_event_has_its_line_or_is_silent_on_purpose() -> None:
    told = [event for event, _ in (*LASTING, *PASSING, *LOGGED)] + SILENT
    assert {type(event) for event in told} == set(get_args(Event))


@pytest.mark.parametrize(("event", "lines"), LASTING, ids=lambda value: type(value).__name__)
def test_lasting_lines(event: Event, lines: tuple[str, ...]) -> None:
    assert lasting_lines(event) == lines
    assert heard(event) == [("said", line) for line in lines]


@pytest.mark.parametrize(("event", "line"), PASSING, ids=lambda value: type(value).__name__)
def test_passing_lines(event: Event, line: str) -> None:
    assert passing_line(event) == line
    assert heard(event) == [("shown", line)]


@pytest.mark.parametrize(("event", "line"), LOGGED, ids=lambda value: type(value).__name__)
def test_lines_for_the_log_alone(event: Event, line: str) -> None:
    assert heard(event) == [("logged", line)]


@pytest.mark.parametrize("event", SILENT, ids=lambda value: type(value).__name__)
def test_silent_events(event: Any, tmp_path: Path) -> None:
    here = dataclasses.replace(event, folder=tmp_path) if hasattr(event, "folder") else event
    assert heard(here) == []


def test_a_campaign_that_goes_on_or_counts_trainings_says_so() -> None:
    counted = dataclasses.replace(BEGAN, trainings=24, budget_seconds=ENDLESS, resumed=True)
    assert first_words(counted)[0].startswith("Going on with 'plain' on digits: 24 trainings, however long they take")


def test_a_small_data_set_hears_that_all_of_its_images_could_be_tested() -> None:
    (line,) = lasting_lines(PowerExpected(Detectable(60, 3, 1, 4.0, 6.2), 240, cv_folds=5))
    assert line.endswith(
        "classified correctly). All 240 images would be test images with --cv: 5 campaigns, each tested on images "
        "of its own, which takes 5 times as many trainings."
    )


def test_what_is_said_of_a_fold_begins_with_its_name(tmp_path: Path) -> None:
    fold = tmp_path / "fold-1"
    fold.mkdir()
    ended = FoldEnded(1, 2, True, 31, "transfer")
    began = (FolderOpened(tmp_path), FoldBegan(1, 2), FolderOpened(fold), Loading())
    assert heard(*began, ended, JudgingFolds()) == [
        ("shown", "fold 1 of 2: loading"),
        ("said", "fold 1 of 2 is done: 31 trials, started from transfer"),
        ("shown", "judging all folds together"),
    ]
    assert "is done" in (tmp_path / LOG).read_text()
    assert (fold / LOG).is_file()


def test_what_a_campaign_of_an_aa_test_says_stands_in_its_own_log(tmp_path: Path) -> None:
    """Also what it says before its folder is known."""
    own = [tmp_path / "campaign-001", tmp_path / "campaign-002"]
    events: list[Event] = []
    for number, folder in enumerate(own, 1):
        folder.mkdir()
        events += [NullCampaignBegan(number, 2, ENDLESS), OfNullCampaign(ImagesRead((BROKEN,)))]
        events += [OfNullCampaign(FolderOpened(folder)), OfNullCampaign(EpochEnded(number, EPOCH))]
    assert {text for _, text in heard(*events)} == {"campaign 1 of 2", "campaign 2 of 2"}
    for number, folder in enumerate(own, 1):
        broken, epoch = (folder / LOG).read_text().splitlines()
        assert "1 of 121 files cannot be read" in broken
        assert f"trial {number} train epoch" in epoch


def test_a_fold_that_breaks_off_ends_its_part() -> None:
    assert heard(FoldBegan(1, 2), FoldEnded(1, 2), Loading()) == [("shown", "loading")]


def test_what_is_not_known_is_left_out() -> None:
    assert live_line(Moment("baseline")) == "baseline"
    assert live_line(Moment("", left_seconds=-3.0, budget_seconds=60.0)) == "preparing; 0.0 s of 1 min left"
    nothing = dataclasses.replace(MOMENT, baseline=math.nan, start=None, trying=(), epoch=None)
    assert live_line(nothing) == "search; 3 min 12 s of 5 min left"


def test_a_metric_is_called_by_its_title() -> None:
    assert "best validation log-loss skill: baseline" in live_line(dataclasses.replace(MOMENT, metric="log-loss"))


def test_a_campaign_of_trainings_counts_them() -> None:
    counted = dataclasses.replace(MOMENT, trainings=24, trainings_done=7)
    assert live_line(counted).endswith("; 7 of 24 trainings done")


def test_the_second_phase_is_named() -> None:
    tuned = dataclasses.replace(MOMENT, epoch=dataclasses.replace(EPOCH, phase="fine-tune"))
    assert "epoch 4 of 15 of fine-tuning" in live_line(tuned)


def test_names_from_outside_cannot_steer_the_terminal() -> None:
    hostile = "\x1b[2J"
    events: list[Event] = [
        dataclasses.replace(BEGAN, data=hostile, baseline=hostile, run=hostile),
        ImagesRead((Finding("unreadable", "warning", hostile, (hostile,)),)),
        DiskTight(hostile, 1.0, 2.0),
        TrainedBefore(Path(hostile)),
        TrainedOnAll(Path(hostile), 3),
        NotTrainedOnAll("failed", hostile),
        CachePlaced(Path(hostile), Path(hostile)),
        TimingStart(hostile),
        FoldEnded(1, 2, True, 3, hostile),
        dataclasses.replace(MOMENT, trying=(hostile,), start_name=hostile),
    ]
    said = [*(line for event in events for line in lasting_lines(event)), *map(passing_line, events)]
    assert "\x1b" not in "".join(said)
