"""What is said while a campaign runs: events, worded for the terminal and for the log."""

import math
from contextlib import AbstractContextManager
from pathlib import Path

from convlift.console.progress import Progress, clock_text
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
    Moment,
    NullCampaignBegan,
    NullCampaignEnded,
    NullCampaignLeftOut,
    OfNullCampaign,
    PowerExpected,
    ReadingImages,
    TestOpening,
    TimingStart,
)
from convlift.records.outcome import EpochReport
from convlift.records.result import Result
from convlift.records.training_events import (
    DiagnosisPlanned,
    ImagesLookedAt,
    Looking,
    NotTrainedOnAll,
    OwnNetworkSeen,
    TrainedBefore,
    TrainedOnAll,
    TrainingBegan,
    TrainingOnAll,
    TryingAccused,
)
from convlift.report.finding_lines import finding_lines
from convlift.report.wording.before_training import cache_placed, diagnosing, disk_tight, looking, own_network_seen
from convlift.report.wording.goal_in_words import score_title
from convlift.report.wording.headline import headline, recipe_line, why_sentence
from convlift.report.wording.phrases import counted, duration, printable, processor, shorten, signed
from convlift.report.wording.power_sentence import folds_advice, power_sentence

PHASES = {
    "baseline": "baseline",
    "start": "starting points",
    "low-fidelity": "low-fidelity trials",
    "given": "your network",
    "search": "search",
    "final": "final runs",
    "refit": "final runs",
    "average": "averaging the final runs",
    "mirrored": "predicting together",
    "ensemble": "predicting together",
    "mirrored ensemble": "predicting together",
}
LONGEST_NAME = 32
LOG = "log.txt"


class Live:
    """A listener that tells people; owns which part of a cross-validation its lines are of, and which log those of a
    campaign that nobody watches go to."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._part: AbstractContextManager[None] | None = None
        self._unwatched: Path | None = None
        self._waiting: list[str] = []

    def __call__(self, event: Event) -> None:
        match event:
            case FolderOpened(folder):
                self._progress.keep_log(folder / LOG)
            case FoldBegan(fold, folds):
                self._part = self._progress.part(f"fold {fold} of {folds}")
                self._part.__enter__()
            case FoldEnded():
                self._end_part()
            case NullCampaignBegan():
                self._unwatched, self._waiting = None, []
            case OfNullCampaign(inner):
                self._tell_apart(inner)
        for line in lasting_lines(event):
            self._progress.say(line)
        if line := passing_line(event):
            self._progress.show(line)
        if line := logged_line(event):
            self._progress.log(line)

    def _tell_apart(self, event: Event) -> None:
        """Into the log of that campaign alone; what comes before its folder is known waits."""
        lines = [*lasting_lines(event), *filter(None, [logged_line(event)])]
        self._waiting += [f"{self._progress.clock()} {line}\n" for line in lines]
        if isinstance(event, FolderOpened):
            self._unwatched = event.folder / LOG
        if self._unwatched is not None and self._waiting:
            with self._unwatched.open("a", encoding="utf-8") as log:
                log.writelines(self._waiting)
            self._waiting = []

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.__exit__(None, None, None)
            self._part = None


def lasting_lines(event: Event) -> tuple[str, ...]:  # noqa: C901 - one case a record
    """What stays on the screen, and goes into the log."""
    match event:
        case ImagesRead(findings):
            return tuple(finding_lines(findings))
        case CampaignBegan():
            return first_words(event)
        case PowerExpected(detectable, images, folds):
            advice = f" {folds_advice(images, folds)}" if folds else ""
            return (power_sentence(detectable) + advice,)
        case DiskTight():
            return (disk_tight(event),)
        case BudgetUnused():
            return (_UNUSED,)
        case CachePlaced():
            return (cache_placed(event),)
        case OwnNetworkSeen():
            return (own_network_seen(event),)
        case TrainingBegan(device):
            return (f"Training on {processor(device)}.",)
        case DiagnosisPlanned() | TryingAccused():
            return (diagnosing(event),)
        case TrainedBefore(folder):
            where = printable(str(folder))
            return (f"note: {where} holds this training already; it is done again and replaces the old model.",)
        case FoldEnded(fold, folds, True):
            start = printable(event.start_name)
            return (f"fold {fold} of {folds} is done: {event.trials} trials, started from {start}",)
        case TrainedOnAll(folder, images):
            return (
                f"What ships was trained again on all {images:,} images: {printable(str(folder))}. No image is left to "
                f"judge it by; the score is that of {printable(str(folder.parent / 'model'))}.",
            )
        case NotTrainedOnAll():
            return (f"note: {_not_on_all(event)}",)
        case NullCampaignEnded():
            return (_null_campaign(event),)
        case NullCampaignLeftOut(why):
            judged = f" {why_sentence(why)}" if why else ""
            return (f"a campaign is left out, since no baseline was trained.{printable(judged)}",)
    return ()


def passing_line(event: Event) -> str:  # noqa: C901 - one case a record
    """What the next line replaces; "" for what leaves the line as it is."""
    match event:
        case ReadingImages():
            return "reading the images"
        case ImagesDecoded(done, images):
            return f"decoding images: {done} of {images}"
        case ClassifyingShifted(done, images):
            return f"classifying shifted images: {done} of {images}"
        case ImagesLookedAt(done, images):
            return f"looking at images: {done} of {images}"
        case Loading():
            return "loading"
        case Moment():
            return live_line(event)
        case EpochEnded(0, epoch):  # one training, with nothing else going on
            return _epoch_of_one_training(epoch)
        case Looking():
            return looking(event)
        case TestOpening():
            return "opening the sealed test"
        case TrainingOnAll(left):
            return "training what ships on all images" + (f", {clock_text(left)} left" if math.isfinite(left) else "")
        case JudgingFolds():
            return "judging all folds together"
        case TimingStart(name):
            return f"timing some steps of {printable(name)}"
        case NullCampaignBegan(campaign, campaigns, left):
            about = f": about {clock_text(left)} left" if math.isfinite(left) else ""
            return f"campaign {campaign} of {campaigns}{about}"
    return ""


def logged_line(event: Event) -> str:
    """What goes into the log alone; "" for nothing."""
    match event:
        case EpochEnded(trial, epoch) if trial:
            return (
                f"trial {trial} {epoch.phase} epoch {epoch.epoch + 1}/{epoch.epochs}: "
                f"train loss {epoch.train_loss:.4f}"
                + (f", validation {epoch.validation_accuracy:.4f}" if math.isfinite(epoch.validation_loss) else "")
            )
        case CampaignEnded(result=Result() as result):
            return ". ".join(said for said in (headline(result).removesuffix("."), recipe_line(result)) if said)
    return ""


def _not_on_all(event: NotTrainedOnAll) -> str:
    match event.why:
        case "sealed":
            return "nothing was judged, so the test stays sealed and nothing is trained on all images."
        case "worse":
            return "the baseline was better on the test, so nothing is trained on all images."
        case "failed":
            why = printable(event.reason)
        case "ignorant":
            why = f"what was trained classifies only {event.right:.3f} of its own images correctly"
    return f"there is no network of all images ({why}). Use the one that was judged."


_UNUSED = (
    "This campaign is finished and its sealed test was opened, so a longer budget is not used: this is its result, "
    "as it was. A new campaign on these images would be judged on the same test, which has been seen by then."
)


def first_words(began: CampaignBegan) -> tuple[str, ...]:
    """The first lines on the screen: what is done with which images, how long it takes, where it goes."""
    counts = began.counts
    length = (
        f"{counted(began.trainings, 'training')}, however long they take"
        if began.trainings
        else f"{duration(began.budget_seconds)} in all"
    )
    verb = "Going on with" if began.resumed else "Improving"
    return (
        f"{verb} '{printable(began.baseline)}' on {printable(began.data)}: {length}, with "
        f"{counted(began.workers, 'worker')} on {processor(began.device)}. Everything goes to {printable(began.run)}.",
        f"{counted(began.classes, 'class', 'classes')}; {counts['train']:,} images to learn from, "
        f"{counts['validation']:,} to choose by, {counts['test']:,} sealed until the end.",
    )


def _null_campaign(event: NullCampaignEnded) -> str:
    changes = f"{counted(event.changes_proven, 'change')} proven"
    recipe = "recipe trained once"
    if event.gain_points is not None:
        recipe = f"recipe {signed(event.gain_points)} points, {'proven' if event.total_proven else 'not proven'}"
    network = f"network {signed(event.network_points)} points, {'proven' if event.network_proven else 'not proven'}"
    return f"campaign {event.campaign} of {event.campaigns}: {recipe}; {network}; {changes}"


def _epoch_of_one_training(epoch: EpochReport) -> str:
    left = clock_text((epoch.epochs - epoch.epoch - 1) * epoch.seconds)
    return (
        f"{epoch.phase} epoch {epoch.epoch + 1} of {epoch.epochs}: validation accuracy "
        f"{epoch.validation_accuracy:.4f}, {left} left"
    )


def live_line(moment: Moment) -> str:
    """One line: the phase, what is tried, the epoch, the best scores so far, what is left."""
    parts = [f"{PHASES.get(moment.role, 'preparing')}{_trying(moment)}{_epoch(moment)}", _scores(moment), _left(moment)]
    return "; ".join(part for part in parts if part)


def _trying(moment: Moment) -> str:
    if not moment.trying:
        return ""
    first, others = shorten(moment.trying[0], LONGEST_NAME), len(moment.trying) - 1
    return f": {first}{f' and {others} more' if others else ''}"


def _epoch(moment: Moment) -> str:
    epoch = moment.epoch
    if epoch is None:
        return ""
    return f", epoch {epoch.epoch + 1} of {epoch.epochs}{' of fine-tuning' if epoch.phase == 'fine-tune' else ''}"


def _scores(moment: Moment) -> str:
    known = (
        ("baseline", moment.baseline),
        (f"start {shorten(moment.start_name, LONGEST_NAME)}".rstrip(), moment.start),
    )
    shown = ", ".join(f"{name} {score:.3f}" for name, score in known if score is not None and math.isfinite(score))
    return f"best validation {score_title(moment.metric, moment.goal)}: {shown}" if shown else ""


def _left(moment: Moment) -> str:
    if moment.trainings:
        return f"{moment.trainings_done} of {counted(moment.trainings, 'training')} done"
    if not math.isfinite(moment.budget_seconds):
        return ""
    return f"{duration(max(0.0, moment.left_seconds))} of {duration(moment.budget_seconds)} left"
