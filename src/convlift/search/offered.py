"""The starting points as a campaign has them by what it has settled."""

from dataclasses import replace

from convlift.catalogue.starting_points import StartingPoint
from convlift.ledger.ledger import Ledger
from convlift.recipe.recipe import Recipe
from convlift.search.decisions import decided
from convlift.search.problem import Problem
from convlift.search.start_decisions import FineTuning, Length, TuningAsked


def offered(problem: Problem, ledger: Ledger, *, for_first_runs: bool = False) -> tuple[StartingPoint, ...]:
    """The starting points as this campaign has them: fine-tuning with the augmentation that keeps its images what they
    are, and as long as many trainings fit, and, but for first runs, the one whose length was settled with that."""

    def fitted(point: StartingPoint) -> StartingPoint:
        asked, tuning, length = decided(ledger, TuningAsked), decided(ledger, FineTuning), decided(ledger, Length)
        recipe = point.recipe
        if tuning and tuning.start == point.name and tuning.epochs:
            recipe = lengthened(recipe, tuning.epochs)
        if asked and asked.start == point.name:
            recipe = recipe.edit(data={"augmentation": asked.augmentation})
        if length and length.start == point.name and not for_first_runs:
            added = {"augmentation": length.augmentation, "mixing": length.mixing}
            recipe = lengthened(recipe, length.epochs).edit(data=added)
        return replace(point, recipe=recipe)

    return tuple(fitted(point) for point in problem.points)


def lengthened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with so many epochs, of fine-tuning where it fine-tunes."""
    tuned = recipe.training.fine_tuning
    return recipe.edit(training={"fine_tuning": {"epochs": epochs}} if tuned else {"epochs": epochs})
