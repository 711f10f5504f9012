"""convlift makes a convolutional image classifier better, and proves what each change bought.

    import convlift

    campaign = convlift.improve("photos/", budget="20m")
    print(campaign.test_score, campaign.changes)
    predictions = campaign.model.predict(["new.jpg"])

Names are imported on first use, so that `import convlift` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlift.api import Campaign, improve, load, train
    from convlift.errors import ConvliftError
    from convlift.recipe import Recipe, load_recipe, parse_recipe
    from convlift.recipes import built_in

__version__ = "0.1.0"

_HOMES = {
    "Campaign": "convlift.api",
    "ConvliftError": "convlift.errors",
    "Recipe": "convlift.recipe",
    "built_in": "convlift.recipes",
    "improve": "convlift.api",
    "load": "convlift.api",
    "load_recipe": "convlift.recipe",
    "parse_recipe": "convlift.recipe",
    "train": "convlift.api",
}

__all__ = [
    "Campaign",
    "ConvliftError",
    "Recipe",
    "built_in",
    "improve",
    "load",
    "load_recipe",
    "parse_recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convlift' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
