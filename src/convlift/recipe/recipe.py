"""A recipe: everything that decides how a model is made, as one frozen typed object and one YAML file."""

import difflib
import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from convlift.errors import RecipeError
from convlift.recipe.architecture import Architecture, ConvNet, Pretrained, why_contradictory
from convlift.recipe.data import Data
from convlift.recipe.recipe_file import read_recipe_file, read_recipe_text
from convlift.recipe.section import Section, sections, without_later_defaults
from convlift.recipe.training import Training

KINDS = ("convnet", "pretrained", "own")
VIEWS = 3  # of an image, where its predictions are compared: the image and two mixes (Hendrycks et al. 2020, section 3)
_SIDES = {"convnet": (8, 64), "pretrained": (96, 224), "own": (32, 128)}  # pixels, where a recipe says nothing
_MOST_FAULTS = 10  # told at once


class Recipe(Section):
    """Three areas: data, architecture, training."""

    data: Data = Data()
    architecture: Architecture = Field(default_factory=ConvNet)
    training: Training = Training()

    def edit(self, **changes: Mapping[str, Any]) -> "Recipe":
        """A copy with nested fields replaced: `recipe.edit(training={"label_smoothing": 0.1})`.

        Raises RecipeError where the result breaks a rule.
        """
        return parse_recipe(_merge(self.model_dump(), changes))

    def at(self, native_resolution: int) -> "Recipe":
        """The same recipe with its resolution written down; native_resolution: the images' median shorter side, pixels.

        From scratch at most 64: the tutorial networks see that or less, and cost grows with the square. Pretrained at
        least 96 (below, a backbone's five halvings leave less than 3 x 3 positions) and at most 224, its own size. A
        network of the user's own 32 to 128, unless it takes images of one size alone.
        """
        if self.data.resolution is not None:
            return self
        if self.architecture.kind == "own" and self.architecture.side:
            return self.edit(data={"resolution": self.architecture.side})
        smallest, largest = _SIDES[self.architecture.kind]
        return self.edit(data={"resolution": min(max(native_resolution, smallest), largest)})

    @property
    def tunes_on_images(self) -> bool:
        """Whether images run through a pretrained network anew every time it is fine-tuned: because it is trained
        wholly, because they change every time or because they begin small. Else their activations below the trained
        stages are stored."""
        tuned, data = self.training.fine_tuning, self.data
        if tuned is None:
            return False
        return tuned.stages is None or tuned.small_first > 0 or (data.augmentation.active and not data.views)

    @property
    def compares_views(self) -> bool:
        """Whether a step takes each image in VIEWS, as it is and in two mixes, whose predictions are to agree."""
        return self.training.consistency > 0 and self.data.augmentation.aug_mix > 0

    def identity(self) -> dict[str, Any]:
        """Plain data that are equal exactly for equal recipes, also across versions that know other levers:
        `parse_recipe` gives the recipe back."""
        return without_later_defaults(self)

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of its identity: equal exactly for equal recipes."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        """The recipe file; `parse_recipe(yaml.safe_load(text))` gives the recipe back."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def _merge(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    # another kind of architecture has other fields: nothing of the old one can be kept
    merged = dict(old) if new.get("kind", old.get("kind")) == old.get("kind") else {}
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. Raises RecipeError naming every fault at once."""
    return parse_recipe(read_recipe_file(path), where=f"recipe {path}")


def recipe_of(text: str, name: str) -> Recipe:
    """The recipe in a YAML text that stands in something of this name. Raises RecipeError as `load_recipe` does."""
    return parse_recipe(read_recipe_text(text, name), where=f"recipe {name}")


def _keys_once(told: list[str]) -> list[str]:
    """The same faults, with the valid keys of a section listed at the first of its unknown ones alone."""
    listed: set[str] = set()
    found = []
    for fault in told:
        before, start, keys = fault.partition(" (valid keys are ")
        found.append(before if keys in listed else fault)
        listed |= {keys} if start else set()
    return found


def parse_recipe(document: Any, where: str = "recipe") -> Recipe:
    """A recipe from plain data. Raises RecipeError: field path, value, rule, and the nearest valid key for a typo."""
    if not isinstance(document, dict):
        raise RecipeError(
            f"{where} holds a {type(document).__name__}; it must be a mapping of data, architecture, training."
        )
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        told = _keys_once([_explain(fault) for fault in faults[:_MOST_FAULTS]])
        if len(faults) > _MOST_FAULTS:
            told.append(f"and {len(faults) - _MOST_FAULTS} faults more")
        raise RecipeError(f"{where}: {'; '.join(told)}.") from None
    if slips := list(_slips(document, recipe.model_dump())):
        raise RecipeError(f"{where}: {'; '.join(slips[:_MOST_FAULTS])}.")
    if fault := _reads_below_the_cut(recipe) or _contradiction(recipe):
        raise RecipeError(f"{where}: {fault}.")
    return recipe


def _reads_below_the_cut(recipe: Recipe) -> str:
    """Why a head cannot read so many stages where only the last ones are trained, on activations below these; "" where
    it can."""
    tuned, network = recipe.training.fine_tuning, recipe.architecture
    if (
        tuned is None
        or tuned.stages is None
        or not isinstance(network, Pretrained)
        or network.pooled_stages <= tuned.stages
    ):
        return ""
    return (
        f"'architecture.pooled_stages' is {network.pooled_stages}, but 'training.fine_tuning.stages' is "
        f"{tuned.stages}; a head reads only stages that are trained, so lower the first or raise the second"
    )


def _contradiction(recipe: Recipe) -> str:
    if recipe.training.consistency and not recipe.data.augmentation.aug_mix:
        return (
            f"'training.consistency' is {recipe.training.consistency:g}, but 'data.augmentation.aug_mix' is 0; it is "
            "between an image and its mixes, so set the second (3 is usual) or the first to 0"
        )
    return why_contradictory(recipe.architecture) if isinstance(recipe.architecture, ConvNet) else ""


def _slips(given: Mapping[Any, Any], taken: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What pydantic lets pass: it takes true for the number 1, and 1 for true."""
    for key, value in given.items():
        name, own = f"{prefix}{key}", taken[key]
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            yield from _slips(value, own, f"{name}.")
        elif isinstance(value, bool) and not isinstance(own, bool):
            yield f"'{name}' is {_shown(value)}: it is neither true nor false, but {_shown(own)} or the like"
        elif isinstance(own, bool) and isinstance(value, int | float) and not isinstance(value, bool):
            yield f"'{name}' is {_shown(value)}: input should be true or false"


def _explain(fault: Any) -> str:
    # the union's tag ("convnet") is part of pydantic's location but not of the file
    tagged = fault["loc"][:1] == ("architecture",) and fault["loc"][1:2] in {(kind,) for kind in KINDS}
    path = [_name(part) for place, part in enumerate(fault["loc"]) if place != 1 or not tagged]
    name = ".".join(path) or "recipe"
    if fault["type"] == "extra_forbidden":
        valid = _fields_at([str(part) for part in fault["loc"][:-1]])
        near = difflib.get_close_matches(path[-1], valid, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"valid keys are {', '.join(sorted(valid))}"
        return f"unknown key '{name}' ({hint})"
    if fault["type"] == "union_tag_not_found":
        return f"'{name}.kind' is missing (it is {', '.join(KINDS[:-1])} or {KINDS[-1]})"
    if fault["type"] in ("model_type", "model_attributes_type"):
        valid = _fields_at([str(part) for part in fault["loc"]])
        return f"'{name}' is {_shown(fault['input'])}: it holds keys, such as {', '.join(valid[:3])}"
    return f"'{name}' is {_shown(fault['input'])}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _name(part: object) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(part)[:80])
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _shown(value: object) -> str:
    """A value as its file has it, cut where it is long or deep."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        shown = reprlib.repr(value)
        return f"a {type(value).__name__}" if " object at 0x" in shown or " instance at 0x" in shown else shown
    except ValueError:  # Python writes no number of over 4,300 digits
        return "a number of thousands of digits"


def _fields_at(path: list[str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for part in path:
        for candidate in sections(section.model_fields[part].annotation) if part in section.model_fields else []:
            section = candidate
            break
        if part in KINDS:
            section = next(
                s
                for s in sections(Recipe.model_fields["architecture"].annotation)
                if s.model_fields["kind"].default == part
            )
    return list(section.model_fields)
