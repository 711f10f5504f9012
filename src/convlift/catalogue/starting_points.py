"""Which networks are probed before the search: from scratch, and pretrained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from convlift.catalogue.interventions.training import UNEVEN
from convlift.recipe.built_in import built_in, with_backbone
from convlift.recipe.data import is_bands
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

FINE_TUNE = "fine-tune"


@dataclass(frozen=True)
class StartingPoint:
    """A recipe to try, its name in the report, and why it is worth a first run.

    The points of a further backbone bear its name after their own: "frozen resnet50".
    """

    name: str
    recipe: Recipe
    reason: str

    @property
    def way(self) -> str:
        """Its name without that of a backbone."""
        return way_of(self.name)


def way_of(name: str) -> str:
    """The name of a starting point without that of a backbone."""
    return name.split(" ")[0]


def residual_start(facts: Facts) -> Recipe:
    """The residual network that fits the images: the quick one from 16 pixels on, the form for photos from 64 on."""
    side = facts.native_resolution
    return built_in("residual" if side < 16 else "residual-quick" if side < 64 else "residual-photos").at(side)


def starting_points(
    facts: Facts,
    *,
    pretrained: bool = True,
    backbone: str | None = None,
    weights: str | None = None,
    stages: int | None = None,
) -> tuple[StartingPoint, ...]:
    """The starting points to try. Other resolutions are for the search, where they are changes like any other.

    pretrained: whether weights are at hand; backbone, weights: what the user named instead of the built-in ones;
    stages: how many that backbone has, 0 or 1 where they cannot be told apart; None for the built-in one.
    """
    scratch = for_the_score(residual_start(facts), facts)
    points = [
        StartingPoint(
            "residual",
            scratch,
            f"a residual network from scratch at {scratch.data.resolution} pixels needs no pretraining "
            "and can be right for images unlike photos",
        )
    ]
    if not pretrained:
        return tuple(points)
    for name, reason in (
        ("frozen", "pretrained features at {} pixels: extracted once, then every trial costs seconds"),
        ("transfer", "the same features at {} pixels, with the last stages fitted to these images"),
        (FINE_TUNE, "the pretrained network itself, fitted to these images at {} pixels in the time that there is"),
    ):
        recipe = with_backbone(built_in(name, facts.channels), backbone, weights).at(facts.native_resolution)
        tuned = recipe.training.fine_tuning
        # until it is trained, a first convolution whose planes are repeated takes bands 1 and 4 for one
        is_whole = name == FINE_TUNE and is_bands(facts.channels)
        if tuned and tuned.stages and (is_whole or (stages is not None and stages <= tuned.stages)):
            if name != FINE_TUNE:
                continue  # its stored activations need a cut
            recipe = recipe.edit(training={"fine_tuning": {"stages": None}})
        points.append(StartingPoint(name, for_the_score(recipe, facts), reason.format(recipe.data.resolution)))
    return tuple(points)


def for_the_score(recipe: Recipe, facts: Facts) -> Recipe:
    """The recipe, which learns what images show apart from how common their class is where the score asks for that
    (Menon et al. 2021)."""
    if not facts.classes_alike or facts.imbalance < UNEVEN:
        return recipe
    return recipe.edit(training={"logit_adjustment": 1.0})


def starting_points_of(facts: Facts, backbones: Mapping[str, int]) -> tuple[StartingPoint, ...]:
    """Those of several backbones, by name and number of stages, the first of which has the plain names."""
    (first, stages), *others = backbones.items()
    points = list(starting_points(facts, backbone=first, stages=stages))
    for name, stages in others:
        found = starting_points(facts, backbone=name, stages=stages)[1:]  # the one from scratch has none
        points += [replace(point, name=f"{point.name} {name}", reason=f"{name}: {point.reason}") for point in found]
    return tuple(points)
