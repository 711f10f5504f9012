"""What a campaign goes by, where that is not the score on clean images."""

from convlift.evidence.metrics import title_of
from convlift.records.goal import Goal, OptimizedFor, ShiftedCopies
from convlift.records.result import Result
from convlift.report.wording.phrases import counted

_ADDED: dict[Goal, str] = {"clean": "", "shifted": " under corruptions", "mean": ", clean and under corruptions,"}
_CHOSEN_BY: dict[Goal, str] = {
    "clean": "the {title} on the validation images",
    "shifted": "the {title} on corrupted copies of the validation images",
    "mean": "the mean of the {title} on the validation images as they are and on corrupted copies of them",
}


def score_title(metric: str, goal: Goal) -> str:
    """What the score is called by which trials are compared, such as "accuracy under corruptions"."""
    return f"{title_of(metric)}{_ADDED[goal].removesuffix(',')}"


def optimized_for(note: OptimizedFor) -> str:
    """What was chosen by, and what that means for the two scores."""
    by = _CHOSEN_BY[note.goal].format(title=title_of(note.metric))
    were, they = ("was", "it trains") if note.withheld == 1 else ("were", "they train")
    withheld = f" {counted(note.withheld, 'change')} {were} not tried, since {they} on such images."
    return (
        f"Everything was chosen by {by} ({_each(note.copies, note.images)}; {listed(note.corruptions)})."
        f"{withheld if note.withheld else ''} The headline is of clean test images all the same, and what robustness "
        "cost there is in it. A score under corruptions is of other images than those chosen by, and of the same "
        "corruptions: of others it says nothing."
    )


def plan_of_copies(copies: ShiftedCopies, metric: str, goal: Goal, images: int, held_out: int) -> str:
    """What the search will go by, and what that costs a training. images: of validation; held_out: with the test."""
    by = _CHOSEN_BY[goal].format(title=title_of(metric))
    return (
        f"Everything is chosen by {by}: {_each(copies.each, images)}, by {listed(copies.corruptions)}, the same for "
        "every training. They are made once for each resolution; a training predicts "
        f"{copies.each * images:,} of them at its end, beside {held_out:,} images of validation and test. Changes that "
        "train on such images are not tried."
    )


def worse_on_clean(result: Result) -> str:
    """What to do where what ships is worse than the baseline on clean images."""
    if result.goal == "clean":
        return "What was found is worse than the baseline: keep the baseline."
    return (
        "On clean images what was found is worse than the baseline. It was chosen for corrupted ones: weigh both "
        "scores before you use it."
    )


def listed(names: tuple[str, ...]) -> str:
    """Corruptions as they are read."""
    return ", ".join(name.replace("_", " ") for name in names)


def _each(copies: int, images: int) -> str:
    return f"{'one copy' if copies == 1 else f'{copies} copies'} of each of {counted(images, 'image')}"
