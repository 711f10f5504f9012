"""An intervention: one named edit of a recipe in one area, with a claim, a source and the symptoms that call for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import (
    DearAttention,
    FewBatches,
    InvalidRecipe,
    JudgedBy,
    Misfit,
    NotInNetwork,
    OneSize,
    OtherNetwork,
    TooManyHalvings,
    Unfit,
    Unmet,
)
from convlift.errors import RecipeError
from convlift.recipe.architecture import ConvNet, Own, Pretrained, map_sides, why_impossible
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.data import is_bands
from convlift.recipe.mixing import Mixing
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.result import Area

Kind = Literal["convnet", "pretrained", "own"]
Edit = Callable[[Recipe], Recipe]

FEWEST_BATCHES = 10  # an epoch: with fewer a schedule has next to no steps to fall by

Predicate = Callable[[Recipe, Facts], Unfit | None]


def fits_always(recipe: Recipe, facts: Facts) -> None:
    """No condition beyond the kind of network."""


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """A claim that can be tested by one edit.

    helps, hurts: the symptoms that call for it, and those that warn against it.
    prior: gain in percentage points that its source leads one to expect, on the careful side.
    group: levels of one factor share a group and are never on together; "" for a factor of its own.
    networks: the kinds of network it is meant for.
    unfit: why it is no candidate for a recipe on given data; None where it fits.
    repeats: whether the edit applied twice goes further (doubling) rather than changing nothing (setting).
    parts: the other factors that a joint change moves; it is never on together with a change of one of them.
    reported: the gain that was published, and on what, in points; "" where no figure was found, so that `prior` is a
        default.
    """

    name: str
    area: Area
    claim: str
    source: str
    helps: tuple[Symptom, ...]
    edit: Edit
    prior: float
    group: str = ""
    networks: tuple[Kind, ...] = ("convnet", "pretrained", "own")
    unfit: Predicate = fits_always
    repeats: bool = False
    hurts: tuple[Symptom, ...] = ()
    parts: tuple[str, ...] = ()
    reported: str = ""

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors that it moves, where they have names."""
        return tuple(filter(None, (self.group, *self.parts)))


def sets(area: Area, **fields: Any) -> Edit:
    """The edit that writes fixed values into one section."""
    return lambda recipe: recipe.edit(**{area: fields})


def augments(**strengths: float) -> Edit:
    """The edit that sets strengths of the augmentation."""
    return sets("data", augmentation=strengths)


def views_of(count: int, **strengths: float) -> Edit:
    """The edit that has as many augmented copies of every image stored, of these strengths."""
    return sets("data", views=count, augmentation=strengths)


def multiplied(value: float, factor: float) -> float:
    """value * factor, cut to ten digits: products of short decimals come out equal in whatever order they are taken."""
    return float(f"{value * factor:.10g}")


def cached_features(recipe: Recipe) -> bool:
    """Whether the lower stages of the recipe's backbone never change, and images are always as large, so that their
    features can be cached."""
    tuned = recipe.training.fine_tuning
    is_frozen = tuned is None or (tuned.stages is not None and not tuned.small_first)
    return isinstance(recipe.architecture, Pretrained) and is_frozen


def augmented_afresh(recipe: Recipe, facts: Facts) -> Unmet | None:
    """For changes of images in every epoch: unfit where features are cached."""
    return Unmet("augmented in views") if cached_features(recipe) else None


def augmented_in_views(recipe: Recipe, facts: Facts) -> Unmet | None:
    """For changes of stored views: unfit where no features are."""
    return None if cached_features(recipe) else Unmet("augmented afresh")


def misfit(recipe: Recipe) -> Misfit | None:
    """Why the network cannot be built for its images; None where it can, or the resolution is still open."""
    network, side = recipe.architecture, recipe.data.resolution
    if isinstance(network, Own):
        return _misfit_of_own(network, side)
    if side is None or not isinstance(network, ConvNet) or not why_impossible(network, side):
        return None
    sides = map_sides(network, side)
    if len(sides) <= network.stages:
        in_stem = 0 if network.stem in ("small", "whitened") else 2
        return TooManyHalvings(side, in_stem + network.stages - (network.halving == "within"))
    return DearAttention(sides[-1])


def _misfit_of_own(network: Own, side: int | None) -> Misfit | None:
    """Why a network of the user's own cannot be what its recipe says; None where it can."""
    if network.side and side not in (None, network.side):
        return OneSize(network.side)
    wanted = {
        "dropout": network.dropout > 0,
        "activation": network.activation != "own",
        "normalization": network.normalization != "own",
    }
    return next((NotInNetwork(name) for name in wanted if wanted[name] and name not in network.changes), None)  # type: ignore[arg-type]


def head_only(recipe: Recipe) -> Recipe:
    """The frozen counterpart of a transfer recipe: without the second phase, the head alone is trained, as that of the
    first phase is: on whole images."""
    return (unmixed(recipe) if recipe.training.fine_tuning else recipe).edit(training={"fine_tuning": None})


def unmixed(recipe: Recipe) -> Recipe:
    """The recipe on whole images."""
    return recipe.edit(data={"mixing": Mixing().model_dump()})


def unaugmented(recipe: Recipe) -> Recipe:
    """The recipe without augmentation, nor a loss between an image and what AugMix makes of it."""
    return recipe.edit(data={"augmentation": Augmentation().model_dump()}, training={"consistency": 0.0})


def why_unfit(intervention: Intervention, recipe: Recipe, facts: Facts) -> Unfit | None:
    """Why the intervention is no candidate for this recipe on this data; None where it is one."""
    if recipe.architecture.kind not in intervention.networks:
        return OtherNetwork(intervention.networks)
    if unfit := intervention.unfit(recipe, facts):
        return unfit
    try:
        edited = intervention.edit(recipe)
    except RecipeError as error:
        return InvalidRecipe(str(error))
    if edited == recipe:
        return Unmet("no change")
    if is_bands(facts.channels) and edited.data.of_colours:
        return Unmet("colours of bands")
    return _judged_by(recipe, edited, facts) or misfit(edited)


def _judged_by(recipe: Recipe, edited: Recipe, facts: Facts) -> JudgedBy | None:
    """Which augmentation that the edit switches on is like what recipes are compared by; None where none is. Of recipes
    one of which trains on such images, and the other does not, the comparison would say just that."""
    before, after = recipe.data.augmentation, edited.data.augmentation
    added = (lever for lever in facts.judged_by if getattr(after, lever) and not getattr(before, lever))
    return next((JudgedBy(lever) for lever in added), None)


def room_for_batches(size: int, facts: Facts) -> FewBatches | None:
    """Why batches of so many images are too large for these data; None where they are not."""
    is_short = facts.training_images < FEWEST_BATCHES * size
    return FewBatches(facts.training_images, FEWEST_BATCHES) if is_short else None
