"""The built-in recipes and the levers of a recipe, as `convlift recipes` lists them."""

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from convlift.recipe.built_in import BUILT_IN
from convlift.recipe.recipe import Recipe
from convlift.recipe.section import levers


def recipes_document() -> dict[str, Any]:
    """Plain data for `json.dumps`."""
    named = {entry.name: {"summary": entry.summary, "recipe": entry.recipe.model_dump()} for entry in BUILT_IN}
    return {"schema_version": 1, "recipes": named, "levers": [lever._asdict() for lever in levers(Recipe)]}


def print_recipes(console: Console) -> None:
    """Print every recipe with its summary, and every lever with its range, default and source."""
    console.print("Built-in recipes", style="bold")
    for entry in BUILT_IN:
        console.print(Text(entry.name, "cyan"), Padding(Text(entry.summary), (0, 0, 0, 4)))
    console.print("\nLevers: range, default", style="bold")
    for lever in levers(Recipe):
        line = Text.assemble((lever.name, "cyan"), f"  {lever.range}, default {lever.default}")
        console.print(line, Padding(Text(f"{lever.description} [{lever.source}]"), (0, 0, 0, 4)))
