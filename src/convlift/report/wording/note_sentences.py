"""The notes of a result as sentences: one for each record of `records/notes.py`."""

from collections.abc import Callable
from typing import Any

from convlift.evidence.metrics import metric_named
from convlift.recipe.combination import passes
from convlift.records.confidence import Calibrated
from convlift.records.given_network import GivenNetwork
from convlift.records.goal import OptimizedFor
from convlift.records.notes import (
    Arm,
    CloseChoice,
    Combined,
    Detectable,
    FewOfAClass,
    FoldsCutShort,
    FoldShares,
    FoldStarts,
    FoldsTested,
    GroupsTested,
    LittleLeft,
    LostRuns,
    LowFidelityTrials,
    MetricMeaning,
    NoConsensus,
    NotAsked,
    Note,
    NothingToSee,
    OneRun,
    OpenedBefore,
    Refitted,
    RegisterTrouble,
    RunsFailedToLearn,
    ShippedCutShort,
    SlowPrediction,
    StillSealed,
    UntestedClasses,
    WorkerDeaths,
)
from convlift.records.verdict_grounds import Unexplained
from convlift.report.wording.before_training import given_network
from convlift.report.wording.confidence_sentence import calibrated
from convlift.report.wording.goal_in_words import optimized_for
from convlift.report.wording.phrases import counted, signed
from convlift.report.wording.verdict_reasons import unexplained_in_words

NAMED_RUNS = 3

_ARMS: dict[Arm, str] = {"baseline": "the baseline", "shipped": "the shipped recipe"}


def note_sentence(note: Note) -> str:
    """The note in plain words."""
    return _SENTENCES[type(note)](note)


def _detectable(note: Detectable) -> str:
    runs = f"{counted(note.baseline_runs, 'baseline run')} and {counted(note.final_runs, 'final run')} in each, "
    return (
        f"With {tested(note)}, {runs if note.folds > 1 else ''}a measured gain under {note.points:.1f} points proves "
        f"nothing; a true gain of {note.often:.1f} points is proven in four of five campaigns."
    )


def tested(note: Detectable) -> str:
    """The test images, as independent ones where they come in groups."""
    images = counted(note.images, "test image") + (f" in {note.folds} folds" if note.folds > 1 else "")
    if note.independent is None:
        return images
    return f"{images} in groups, which count as much as {note.independent:.0f} independent ones"


def _runs_failed_to_learn(note: RunsFailedToLearn) -> str:
    return (
        f"{note.failed} of {note.runs} runs of {_ARMS[note.arm]} failed to learn, by the validation images. They count "
        f"in its mean score, and no gain {'' if note.failed == note.runs else 'of the recipe '}is called proven."
    )


def _one_run(note: OneRun) -> str:
    return f"There is one run of {_ARMS[note.arm]}: what another seed would change is not known."


def _close_choice(note: CloseChoice) -> str:
    alone = "there are too few others to leave it out; no gain of the recipe is proven"
    return (
        "The start was chosen over the baseline by a small lead. The baseline's run that lost that choice may have had "
        f"bad luck, and {'is left out of its score' if note.left_out else alone}."
    )


def _opened_before(note: OpenedBefore) -> str:
    runs = [f"{name} ({metric}, {day})" for name, metric, day in note.runs]
    hidden = len(runs) - NAMED_RUNS
    named = ", ".join(runs[-NAMED_RUNS:]) + (f" and {hidden} more" if hidden > 0 else "")
    times = "twice" if note.number == 2 else f"{note.number} times"
    return (
        f"This test was opened {times}: before this campaign by {named}. Each result alone is as honest as the first. "
        f"But whoever keeps the best of {note.number} sees a score that is up to {note.flattery_points:.1f} points too "
        "good by chance alone, and the word proven then no longer has its error rate of 2.5%. New images that no "
        "campaign has seen settle it."
    )


def _register_trouble(note: RegisterTrouble) -> str:
    register = f"the register of opened tests in {note.folder}"
    files = f"{counted(note.files, 'file')} of {register} cannot be read; it may count too few."
    why = {
        "folder unreadable": f"{register} cannot be read ({note.reason}).",
        "files unreadable": files,
        "not writable": f"{register} cannot be written ({note.reason}).",
    }[note.trouble]
    return f"How often this test was opened before is not known for sure: {why}"


def _worker_deaths(note: WorkerDeaths) -> str:
    causes = (
        (note.itself, "died of what they did"),
        (note.memory, "were killed because memory ran out, after which fewer went on"),
        (note.outside, "were killed from outside"),
    )
    parts = [f"{count} {cause}" for count, cause in causes if count]
    return f"Worker processes that ended in the middle of a trial: {'; '.join(parts)}. Each trial began again."


def slow_prediction(note: SlowPrediction) -> str:
    """That a prediction takes longer than was asked for."""
    return (
        f"One network takes {note.milliseconds:,.2f} ms for an image here, more than the {note.most:,g} ms that were "
        "asked for. A smaller --backbone, or a recipe of a lower resolution, may be faster."
    )


def _combined(note: Combined) -> str:
    of = f"{note.networks} training runs" if note.networks > 1 else "the best training run"
    if note.averaged and note.networks > 1:
        what = f"The network is the average of {of}' weights"
    elif note.networks > 1:
        what = f"The networks of {of} predict together"
    else:
        what = f"The network is that of {of}"
    what += ", and each image is predicted with its mirror image" if note.mirrored else ""
    cost = passes(note.networks, averaged=note.averaged, mirrored=note.mirrored)
    if cost == 1:
        return f"{what}: a prediction costs no more than that of one network."
    return f"{what}: a prediction takes {cost} times as long as that of one network."


def _refitted(note: Refitted) -> str:
    return (
        f"The shipped network learned from the {counted(note.validation, 'validation image')} too, "
        f"{note.images:,} images in all, once its recipe was settled; the sealed test alone judges it."
    )


def _shipped_cut_short(note: ShippedCutShort) -> str:
    less = "the shipped network was trained for less than its recipe says."
    if note.last:
        return f"The budget ended before the last training did: {less}"
    if note.first:
        return f"The start's first run was sized to the time: {less}"
    return f"The budget ended before a final run did: {less}"


def _lost_runs(note: LostRuns) -> str:
    reason = f" ({note.reason})" if note.reason else ""
    return (
        f"{note.lost} of the {note.runs} runs of the baseline and of the shipped recipe failed to learn"
        f"{reason}. The figures are those of the others, and no gain is called proven."
    )


def _not_asked(note: NotAsked) -> str:
    one = len(note.names) == 1
    return (
        f"{counted(len(note.names), 'augmentation')} {'was' if one else 'were'} not tried, since there was no time to "
        f"check whether {'it keeps' if one else 'they keep'} images what they are: {', '.join(note.names)}."
    )


def _low_fidelity(note: LowFidelityTrials) -> str:
    return (
        f"Before the search, {note.trials} short trials of the head alone, on stored features, tried {note.changes} "
        f"changes. What a change adds there correlates with what it adds in full trials by about "
        f"{note.correlation:.2f}, by the regression over both; no claim rests on them."
    )


def _metric_meaning(note: MetricMeaning) -> str:
    metric = metric_named(note.metric)
    return f"{metric.title}: {metric.meaning}. A point is a hundredth of it."


def _untested_classes(note: UntestedClasses) -> str:
    them = "it" if len(note.names) == 1 else "them"
    return f"Nothing is measured on {', '.join(map(repr, note.names))}: the test has no image of {them}."


def _few_of_a_class(note: FewOfAClass) -> str:
    images = counted(note.images, "image")
    if note.in_a_fold:
        return (
            f"{metric_named(note.metric).title} is the mean over the folds, one of which has {images} of "
            f"class {note.name!r}: under {note.needed} its intervals are too narrow. Take fewer folds."
        )
    return (
        f"The test has {images} of class {note.name!r}: under {note.needed} the scores' own intervals are "
        "too narrow; the gain's are not."
    )


def _groups_tested(note: GroupsTested) -> str:
    few = f" {note.needed} or more make them reliable." if note.groups < note.needed else ""
    groups = f"The {note.images} test images come from {note.groups} groups"
    return f"{groups}, and all intervals count groups, not images.{few}"


def _folds_tested(note: FoldsTested) -> str:
    gains = ", ".join("none (there the baseline ships)" if gain is None else signed(gain) for gain in note.gains)
    return (
        f"Each of the {note.images} images was tested once, by the fold that had not seen it; the folds' gains are "
        f"{gains} points. The figures are the nested estimate of the whole procedure on {note.learned:.0%} of the "
        "images. They are cautious for the model that ships: it learned from all of them, and no image was left to "
        "test it."
    )


def _fold_shares(note: FoldShares) -> str:
    return (
        "A change's share is the mean over the folds that searched it; what is unexplained holds also what only some "
        "folds started from or shipped. Only the total can be proven with --cv."
    )


def _folds_cut_short(note: FoldsCutShort) -> str:
    return f"In {note.late} of {note.folds} folds the budget ended before a final run did; those count as they are."


def _fold_starts(note: FoldStarts) -> str:
    named = ", ".join(f"{name} ({number})" for name, number in note.starts)
    return f"The folds chose different starting points: {named}. The shipped recipe starts from the first."


def _no_consensus(note: NoConsensus) -> str:
    return (
        "Every training of the recipe that the folds agree on failed to learn. The shipped recipe is that of the fold "
        "that did best on its validation images, of those that learned."
    )


_SENTENCES: dict[type, Callable[[Any], str]] = {
    Detectable: _detectable,
    RunsFailedToLearn: _runs_failed_to_learn,
    OneRun: _one_run,
    CloseChoice: _close_choice,
    OpenedBefore: _opened_before,
    RegisterTrouble: _register_trouble,
    WorkerDeaths: _worker_deaths,
    ShippedCutShort: _shipped_cut_short,
    Combined: _combined,
    SlowPrediction: slow_prediction,
    Refitted: _refitted,
    Calibrated: calibrated,
    NothingToSee: lambda note: (
        f"The start gets {note.errors} of {note.images:,} validation images wrong, too few to tell which changes would "
        "help, so none were tried."
    ),
    StillSealed: lambda _: "The sealed test is still closed: the same command with a longer --budget goes on.",
    LostRuns: _lost_runs,
    LittleLeft: lambda _: (
        "There is little left to find among these changes: a longer budget would gain next to nothing."
    ),
    NotAsked: _not_asked,
    LowFidelityTrials: _low_fidelity,
    MetricMeaning: _metric_meaning,
    UntestedClasses: _untested_classes,
    FewOfAClass: _few_of_a_class,
    GroupsTested: _groups_tested,
    FoldsTested: _folds_tested,
    FoldShares: _fold_shares,
    FoldsCutShort: _folds_cut_short,
    FoldStarts: _fold_starts,
    NoConsensus: _no_consensus,
    Unexplained: unexplained_in_words,
    GivenNetwork: given_network,
    OptimizedFor: optimized_for,
}
