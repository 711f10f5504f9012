"""What a start changes in the baseline: it is a whole recipe, not only a network."""

import yaml

from convlift.recipe.recipe import parse_recipe
from convlift.records.result import START, Result, Verdict
from convlift.report.wording.recipe_differences import differences


def changes_of_start(verdict: Verdict, result: Result) -> tuple[str, ...]:
    """Area by area; () for a verdict that is not on the start of the shipped recipe."""
    if verdict.name != f"{START}{result.start_name}" or not result.start_recipe or not result.baseline_recipe:
        return ()
    before, after = (parse_recipe(yaml.safe_load(text)) for text in (result.baseline_recipe, result.start_recipe))
    return differences(before, after)
