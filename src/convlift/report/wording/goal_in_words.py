"""What a campaign goes by, where that is not the score on clean images."""

from typing import NamedTuple

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


class Guide(NamedTuple):
    """How the images are spoken of that choices went by.

    where: where networks were compared. they: those of the images that a score is of, or their copies. guided: comes
    after the name of such images; by_which: the same, before what was chosen by them. chosen: the end of a sentence
    that named them; what: such as "it was".
    """

    where: str
    they: str
    guided: str
    by_which: str
    chosen: str


GUIDES: dict[Goal, Guide] = {
    "clean": Guide(
        "on the validation images", "They", "which guided the search", "by which", ", by which {what} chosen"
    ),
    "shifted": Guide(
        "on corrupted copies of the validation images",
        "Corrupted copies of them",
        "corrupted copies of which guided the search",
        "by corrupted copies of which",
        "; {what} chosen by corrupted copies of these",
    ),
    "mean": Guide(
        "on the validation images and corrupted copies of them",
        "They and corrupted copies of them",
        "which guided the search with corrupted copies of them",
        "by which, and by corrupted copies of which,",
        "; {what} chosen by these and corrupted copies of them",
    ),
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
