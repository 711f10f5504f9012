"""convlift makes a convolutional image classifier better, and proves what each change bought.

    import convlift

    campaign = convlift.improve("photos/", budget="20m")
    print(campaign.test_score, campaign.changes)
    print(campaign.model.predict("new.jpg").label)

Names are imported on first use, so that `import convlift` costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlift.api import audit, diagnose, improve, review, train
    from convlift.errors import ConvliftError
    from convlift.handles import Campaign
    from convlift.recipe.built_in import built_in
    from convlift.recipe.recipe import Recipe, load_recipe, parse_recipe
    from convlift.use import evaluate, export, load

_HOMES = {
    "Campaign": "convlift.handles",
    "ConvliftError": "convlift.errors",
    "Recipe": "convlift.recipe.recipe",
    "audit": "convlift.api",
    "built_in": "convlift.recipe.built_in",
    "diagnose": "convlift.api",
    "evaluate": "convlift.use",
    "export": "convlift.use",
    "improve": "convlift.api",
    "load": "convlift.use",
    "load_recipe": "convlift.recipe.recipe",
    "parse_recipe": "convlift.recipe.recipe",
    "review": "convlift.api",
    "train": "convlift.api",
}

__all__ = [
    "Campaign",
    "ConvliftError",
    "Recipe",
    "audit",
    "built_in",
    "diagnose",
    "evaluate",
    "export",
    "improve",
    "load",
    "load_recipe",
    "parse_recipe",
    "review",
    "train",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from convlift.records.software import software_version

        return software_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'convlift' has no attribute '{name}'")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from convlift.console.extras import fault_of

        raise fault_of(error) from error


class _Package(ModuleType):
    """The package. Its `train`, `audit` and `review` are functions, which importing rooms of these names would
    otherwise hide."""

    @property
    def audit(self) -> Any:
        return __getattr__("audit")

    @audit.setter
    def audit(self, room: ModuleType) -> None:
        pass

    @property
    def review(self) -> Any:
        return __getattr__("review")

    @review.setter
    def review(self, room: ModuleType) -> None:
        pass

    @property
    def train(self) -> Any:
        return __getattr__("train")

    @train.setter
    def train(self, room: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
