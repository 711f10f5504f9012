"""Which networks are probed before the search: from scratch at the images' own size, and pretrained at two sizes."""

import math
from dataclasses import dataclass

from convlift.recipe import Recipe
from convlift.recipes import built_in, with_backbone
from convlift.study.intervention import Facts

# Below 96 pixels the last map of a backbone made for 224 shrinks to 2x2 or less; each size costs about half more.
PRETRAINED_SIDES = (96, 128, 160, 192, 224)


@dataclass(frozen=True)
class StartingPoint:
    """A recipe to probe, its name in the report, and why it is worth a probe."""

    name: str
    recipe: Recipe
    reason: str


def pretrained_sides(native_resolution: int) -> tuple[int, int]:
    """The two sizes worth probing for a pretrained backbone: the first that loses no detail, and the next one up
    (at 224, where there is none, the one two below: the same images for half the arithmetic)."""
    fits = [side for side in PRETRAINED_SIDES if side >= min(native_resolution, PRETRAINED_SIDES[-1])]
    place = PRETRAINED_SIDES.index(fits[0])
    if place == len(PRETRAINED_SIDES) - 1:
        return PRETRAINED_SIDES[place - 2], PRETRAINED_SIDES[place]
    return PRETRAINED_SIDES[place], PRETRAINED_SIDES[place + 1]


def residual_start(facts: Facts) -> Recipe:
    """`residual` at the images' own size, with as many stages as leave a last map of 2 to 4 pixels a side or more."""
    recipe = built_in("residual").at(facts.native_resolution)
    side = recipe.data.resolution
    assert side is not None, "at() wrote the resolution down"
    stages = min(4, max(1, math.floor(math.log2(side / 2))))
    return recipe.edit(architecture={"stages": stages if side >= 48 else min(stages, 3)})


def starting_points(
    facts: Facts, *, pretrained: bool = True, backbone: str | None = None, weights: str | None = None
) -> tuple[StartingPoint, ...]:
    """The starting points to probe, cheapest phase first.

    pretrained: whether weights are at hand; backbone, weights: what the user named instead of the built-in ones.
    """
    scratch = residual_start(facts)
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
    low, high = pretrained_sides(facts.native_resolution)
    frozen, transfer = (with_backbone(built_in(name), backbone, weights) for name in ("frozen", "transfer"))
    points += [
        StartingPoint(
            f"frozen at {side}",
            frozen.edit(data={"resolution": side}),
            f"pretrained features at {side} pixels: extracted once, then every trial costs seconds",
        )
        for side in (low, high)
    ]
    points.append(
        StartingPoint(
            f"transfer at {low}",
            transfer.edit(data={"resolution": low}),
            f"the same features at {low} pixels, with the last stages fitted to these images",
        )
    )
    return tuple(points)
