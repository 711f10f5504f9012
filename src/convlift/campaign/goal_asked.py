"""What the search goes by where that is not the score on clean images: which corrupted copies of validation images, and
which changes of a recipe stand back for them."""

from collections.abc import Iterable
from typing import get_args

from convlift.errors import ConvliftError
from convlift.recipe.recipe import Recipe
from convlift.records.goal import Goal, ShiftedCopies
from convlift.robustness.trained_on import TRAINED_BY_NONE, trained_on

# of all validation images together, where one each makes fewer: the error of a score on one copy each of 500 images is
# 2 points at an accuracy of .7, about that of 500 clean images
COPIES = 500


def check_goal(goal: object, *, has_shift: bool) -> None:
    """Raise ConvliftError where `--optimize` names no goal, or one without images to go by. has_shift: whether --shift
    or --shift-data was given."""
    goals = get_args(Goal)
    if goal not in goals:
        raise ConvliftError(f"optimize {str(goal)[:40]!r} is not known; it is one of {', '.join(goals)}.")
    if goal != "clean" and not has_shift:
        raise ConvliftError(
            f"--optimize {goal} needs shifted images to go by; name corruptions with --shift, such as --shift "
            "fog,snow, or a folder with --shift-data, or leave it out."
        )


def copies_to_predict(asked: tuple[str, ...], recipes: Iterable[Recipe], images: int, seed: int) -> ShiftedCopies:
    """Copies of so many validation images by the corruptions that were asked for, less what one of the recipes trains
    on: the baseline and the starting points, so that all recipes of the campaign are compared on the same. Where a
    folder alone was asked for, which stays sealed, by what no change of a recipe trains on.

    As many of every image, one at least, and up to COPIES in all; no budget changes that, since a campaign that goes
    on must ask the same. Raises ConvliftError where no corruption is left.
    """
    trained = frozenset[str]().union(*(trained_on(recipe) for recipe in recipes))
    names = tuple(name for name in asked or TRAINED_BY_NONE if name not in trained)
    if not names:
        raise ConvliftError(
            f"--optimize has no corruption to go by, since the baseline or a starting point trains on images such as "
            f"{', '.join(asked)} makes; name others with --shift, or leave out --optimize."
        )
    return ShiftedCopies(names, min(len(names), max(1, COPIES // max(images, 1))), seed)
