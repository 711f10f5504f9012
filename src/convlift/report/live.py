"""What a campaign says while it works: its first words, and the line that says what is going on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from convlift.records.outcome import EpochReport
from convlift.report.sentences import counted, duration, printable, shorten

PHASES = {
    "pilot": "baseline",
    "probe": "starting points",
    "scout": "questions to stored features",
    "search": "search",
    "final": "final runs",
}
LONGEST_NAME = 32


@dataclass(frozen=True)
class Opening:
    """What is known when a campaign begins. counts: images by "train", "validation", "test"; budget_seconds: infinite
    where `trainings` says how long it is; run: the run folder."""

    data: str
    classes: int
    counts: Mapping[str, int]
    baseline: str
    workers: int
    run: str
    budget_seconds: float = math.inf
    trainings: int = 0
    resumed: bool = False


def first_words(opening: Opening) -> tuple[str, ...]:
    """The first lines on the screen: what is done with which images, how long it takes, where it goes."""
    counts = opening.counts
    length = (
        f"{counted(opening.trainings, 'training')}, however long they take"
        if opening.trainings
        else f"{duration(opening.budget_seconds)} in all"
    )
    verb = "Going on with" if opening.resumed else "Improving"
    return (
        f"{verb} '{printable(opening.baseline)}' on {printable(opening.data)}: {length}, with "
        f"{counted(opening.workers, 'worker')}. Everything goes to {printable(opening.run)}.",
        f"{counted(opening.classes, 'class', 'classes')}; {counts['train']:,} images to learn from, "
        f"{counts['validation']:,} to choose by, {counts['test']:,} sealed until the end.",
    )


@dataclass(frozen=True)
class Moment:
    """What is going on right now.

    role: of the trials that run now, a key of PHASES, or "" while nothing runs;
    trying: the changes that the youngest of those that run has on; epoch: its last report.
    metric: its title. baseline, start, best: the best validation score so far of the baseline, of the start (whose
    name is start_name) and of the search, in [0, 1], None where there is none.
    left_seconds, budget_seconds: of the time; or trainings_done of `trainings`, where that is how long the campaign is.
    """

    role: str
    trying: tuple[str, ...] = ()
    epoch: EpochReport | None = None
    metric: str = "accuracy"
    baseline: float | None = None
    start_name: str = ""
    start: float | None = None
    best: float | None = None
    left_seconds: float = math.inf
    budget_seconds: float = math.inf
    trainings_done: int = 0
    trainings: int = 0


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
        ("search", moment.best),
    )
    said = ", ".join(f"{name} {score:.3f}" for name, score in known if score is not None and math.isfinite(score))
    return f"best validation {moment.metric}: {said}" if said else ""


def _left(moment: Moment) -> str:
    if moment.trainings:
        return f"{moment.trainings_done} of {counted(moment.trainings, 'training')} done"
    if not math.isfinite(moment.budget_seconds):
        return ""
    return f"{duration(max(0.0, moment.left_seconds))} of {duration(moment.budget_seconds)} left"
