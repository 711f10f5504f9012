"""The answer of a campaign in a line or two, and what a reader must not miss of it."""

import math
from collections.abc import Iterable
from typing import Literal

from convlift.evidence.metrics import title_of
from convlift.records.given_network import GivenNetwork
from convlift.records.goal import Goal
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.notes import CloseChoice, Combined, LostRuns, Refitted, RunsFailedToLearn, SlowPrediction
from convlift.records.result import START, Claim, ClassScore, Result, Verdict
from convlift.report.wording.goal_in_words import GUIDES
from convlift.report.wording.phrases import counted, interval, printable, signed

Conclusion = Literal["better", "worse", "unclear", "open"]
ALARMING = 3.0  # standard errors between validation and test that chance does not explain
NAMED = 6  # classes in one sentence
Z = 1.96  # standard errors in half of a 95% interval
LEAST_SHOWN = 0.1  # epochs
SEEN = 0.05  # points, the least that a figure shows


def conclusion(result: Result) -> Conclusion:
    """better: proven, the interval lies above 0; worse: it lies below; unclear: anything else claims nothing; open:
    the sealed test was not opened."""
    if result.claim is None:
        return "open"
    if result.claim.gain_points.high < 0:
        return "worse"
    return "better" if result.is_better else "unclear"


def judged_images(result: Result) -> str:
    """The images that the scores are of, such as "648 sealed test images"; without the number where it was not
    recorded."""
    kind = "sealed test image" if result.judged else "validation image"
    count = result.counts.get("test" if result.judged else "validation")
    if result.folds:
        return f"all {count:,} images in {result.folds} folds"
    return f"the {kind}s" if count is None else counted(count, kind)


def proof(result: Result) -> str:
    """What the interval says of the gain."""
    return {
        "better": "proven",
        "worse": "proven to be worse",
        "unclear": "not proven",
        "open": "not judged",
    }[conclusion(result)]


def headline(result: Result) -> str:
    """The answer in a line or two, in ASCII so that every terminal shows it."""
    title, images, claim = printable(title_of(result.metric)), judged_images(result), result.claim
    if claim is None:
        return _not_judged(result, title, images)
    value, low, high = interval(claim.gain_points)
    return (
        f"{title} {claim.baseline.value:.3f} -> {claim.final.value:.3f}: {value} points "
        f"(95% interval {low} to {high}), {proof(result)} on {images}"
    )


def recipe_line(result: Result) -> str:
    """What is claimed of the recipe beside the network, in one sentence; "" where nothing is."""
    claim = result.recipe_claim
    if claim is None:
        return ""
    value, low, high = interval(claim.gain_points)
    why = _why_not_proven(result) if claim.gain_points.low > 0 and not claim.proven else ""
    return f"Trained again, the recipe gains {value} points (95% interval {low} to {high}), {_proof(claim)}{why}."


def _proof(claim: Claim) -> str:
    return "proven" if claim.proven else "proven to be worse" if claim.gain_points.high < 0 else "not proven"


def _why_not_proven(result: Result) -> str:
    """Why a gain whose interval lies above 0 is not called proven, after a colon; "" where no note says it."""
    for note in result.notes:
        if isinstance(note, RunsFailedToLearn):
            return f": {note.failed} of {counted(note.runs, 'run')} of the {note.arm} recipe failed to learn"
        if isinstance(note, LostRuns):
            return ": not every run learned something"
        if isinstance(note, CloseChoice) and not note.left_out:
            return ": the start was chosen by a small lead"
    return ": the baseline was shortened" if result.shortened else ""


def of_null_networks() -> str:
    """What an A/A test's claims on networks mean."""
    return (
        "Every claim on a recipe is false here. One on a network may be true: two trainings of one recipe differ by "
        "their seeds."
    )


def _not_judged(result: Result, title: str, images: str) -> str:
    """Scores of validation images, which are no judgement, and why there is none."""
    if result.ships == "baseline" or result.baseline is None:
        scores, chosen = f"{result.final.value:.3f}", "it was"
    else:
        scores, chosen = f"{result.baseline.value:.3f} -> {result.final.value:.3f}", "they were"
    chosen = "" if result.ships == "baseline" else GUIDES[result.goal].chosen.format(what=chosen)
    why = result.why
    said = printable(why_sentence(why, result.goal)) if why else "The sealed test was not opened."
    is_said = why is not None and _is_of_judging(why)
    return f"{title} {scores} on {images}{chosen}{'' if is_said else '; not judged'}. {said}"


def why_sentence(why: NotShipped, goal: Goal = "clean") -> str:
    """Why the searched recipe does not ship, or why nothing was judged. goal: what was chosen by."""
    because, where = f" ({why.reason})" if why.reason else "", GUIDES[goal].where
    failed = f"left no network{because}" if because else "failed to learn"
    return {
        "final runs failed": f"The final runs {failed}: keep your baseline.",
        "below the baseline": f"The searched recipe is below the baseline {where}: keep your baseline.",
        "no change helps": "The search found no change that probably helps: keep your baseline.",
        "no time to search": "There was no time to search: keep your baseline.",
        "baseline failed": f"Not judged: the baseline could not be trained{because}.",
        "no time for the baseline": "Not judged: no time for the baseline.",
        "final runs failed, unjudged": f"Not judged: the final runs {failed}.",
        "no time for final runs": "Not judged: no time for the final runs.",
        "start is better": f"The bare start's runs are above the searched recipe's final runs {where}.",
        "another start is better": f"The first run of this start does better {where} than the network that had the "
        "rest of the time.",
        "no second run": "The network is that of the start's first run: no other run of it ended.",
        "only the start learned": f"The searched recipe's final runs {failed}.",
    }[why.why]


def _is_of_judging(why: NotShipped) -> bool:
    return why_sentence(why).startswith("Not judged")


def shortened_phrase(shortened: Shortened) -> str:
    """How much of its training the baseline had, such as "3.2 of its 20 epochs"."""
    epochs = f"{shortened.epochs:.1f}" if shortened.epochs >= LEAST_SHOWN else f"less than {LEAST_SHOWN}"
    return f"{epochs} of its {shortened.planned} epochs" + (" of fine-tuning" if shortened.fine_tuning else "")


def shipped_network(result: Result) -> str:
    """Whose network ships, in one sentence, where that is not the searched recipe's; else ""."""
    if result.ships == "baseline":
        if any(isinstance(note, GivenNetwork) for note in result.notes):
            return "Keep your network: the one in the run folder is yours, with the weights that you gave."
        return "Keep your baseline: the network in the run folder is the baseline's own."
    if result.ships == "start":
        start = printable(result.start_name)
        if result.why and result.why.why == "another start is better":
            return f"The first network of the start {start} ships."
        return f"The bare start, {start}, ships without any change of the search."
    return ""


def warnings_of(result: Result) -> tuple[str, ...]:
    """What a reader must not miss, a sentence each, for terminal, page and model card alike."""
    found = []
    if result.shortened:
        found.append(
            f"The baseline had only {shortened_phrase(result.shortened)}, since all of its training did not fit into "
            "the time. A gain over it is no gain over the whole baseline, and is not called proven."
        )
    if result.opened > 1:
        times = "twice" if result.opened == 2 else f"{result.opened} times"
        found.append(f"This sealed test was opened {times}, this campaign included; a note says what that means.")
    if any(isinstance(note, SlowPrediction) for note in result.notes):
        found.append("A prediction takes longer than was asked for; a note says by how much.")
    found += [said for said in (never_predicted(result), flattered(result)) if said]
    return tuple(found)


def never_predicted(result: Result) -> str:
    """Which classes the shipped network never predicts, although there are images of them; "" for none."""
    return unpredicted(result.classes, result.metric, judged_images(result))


def unpredicted(classes: Iterable[ClassScore], metric: str, images: str) -> str:
    """The same from the scores a class; images: in words, those that the scores are of."""
    missed = [each.name for each in classes if each.images and not each.predicted]
    if not missed:
        return ""
    named = ", ".join(f"'{printable(name)}'" for name in missed[:NAMED])
    more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    one = len(missed) == 1
    advice = f"add images of {'it' if one else 'them'}."
    if metric != "balanced-accuracy":
        advice = "--metric balanced-accuracy counts every class the same, however rare."
    which = f"class {named}" if one else f"the classes {named}{more}"
    return f"The network never predicts {which} on {images}; {advice}"


def flattered(result: Result) -> str:
    """That validation promises more than the test keeps, by more than three standard errors; else ""."""
    test, validation = result.counts.get("test", 0), result.counts.get("validation", 0)
    if not result.judged or result.folds or not test or not validation:
        return ""
    of_the_test = 100 * (result.final.high - result.final.low) / (2 * Z)
    # the same spread between images on both sides
    error = of_the_test * math.sqrt(1 + test / validation)
    if not result.optimism_points > ALARMING * error:
        return ""
    return (
        f"The shipped recipe scores {signed(result.optimism_points)} points more on the validation images than on the "
        f"sealed test, which is more than {ALARMING:g} standard errors of that difference: the two differ in kind, or "
        "images of one are also in the other. Look at how the data are split."
    )


def own_step(result: Result) -> float:
    """By how many points the network that ships is above the mean of its recipe's runs; 0 where no figure shows it."""
    points = result.beside_its_runs or 0.0
    return points if abs(points) >= SEEN else 0.0


def why_beside_its_runs(result: Result) -> str:
    """What the network that ships has that the mean of its recipe's runs has not."""
    made = next((note for note in result.notes if isinstance(note, Combined)), None)
    refitted = any(isinstance(note, Refitted) for note in result.notes)
    reasons = []
    if made and made.networks > 1:
        reasons.append(f"it is made of {made.networks} networks")
    if made and made.mirrored:
        reasons.append("it looks at mirror images too")
    if refitted:
        reasons.append("it learned from the validation images too")
    return f"{' and '.join(reasons)}." if reasons else "that is the luck of one run."


def never_tried(result: Result) -> str:
    """How many changes of the list no trial had on, in one sentence; "" for none."""
    number = sum(not was_tried(verdict) for verdict in result.verdicts)
    if not number:
        return ""
    them = "it" if number == 1 else "them"
    listed = f"{counted(number, 'change')} of the list {'was' if number == 1 else 'were'}"
    return f"{listed} never switched on: nothing is known of {them}."


def was_tried(verdict: Verdict) -> bool:
    """Whether there is anything to say of a change."""
    return verdict.trials > 0 or verdict.shipped


def ranked(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """The start, which came first, then what shipped, then by what they bought; those without a figure last."""

    def place(verdict: Verdict) -> tuple[bool, bool, float]:
        bought = -verdict.points if math.isfinite(verdict.points) else math.inf
        return not verdict.name.startswith(START), not verdict.shipped, bought

    return sorted(verdicts, key=place)
