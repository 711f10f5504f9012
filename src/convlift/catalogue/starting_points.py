"""Which networks are probed before the search: from scratch, and pretrained."""

from dataclasses import dataclass

from convlift.recipe.built_in import built_in, with_backbone
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

FINE_TUNE = "fine-tune"


@dataclass(frozen=True)
class StartingPoint:
    """A recipe to try, its name in the report, and why it is worth a first run."""

    name: str
    recipe: Recipe
    reason: str


# From 16 to 64 pixels in the manner of the CIFAR-10 records (Page 2018, Jordan 2024): whitened images, every stage
# halved before its block, as narrow as leaves time for many epochs. In 90 s of one core it sees 15 epochs of 6,018
# images of Fashion-MNIST where the form of three wide stages sees 3 (docs/LOG.md)
SMALL_IMAGES = {"stem": "whitened", "halving": "first", "activation": "gelu", "stages": 3, "width": 16}


def residual_start(facts: Facts) -> Recipe:
    """The residual network that fits the images: a quick one of three halvings from 16 pixels on, the form for photos
    from 64 on."""
    name = "residual-photos" if facts.native_resolution >= 64 else "residual"
    recipe = built_in(name).at(facts.native_resolution)
    if not 16 <= facts.native_resolution < 64:
        return recipe
    return recipe.edit(architecture=SMALL_IMAGES, training={"label_smoothing": 0.1})


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
    for name, reason in (
        ("frozen", "pretrained features at {} pixels: extracted once, then every trial costs seconds"),
        ("transfer", "the same features at {} pixels, with the last stages fitted to these images"),
        (FINE_TUNE, "the pretrained network itself, fitted to these images at {} pixels in the time that there is"),
    ):
        recipe = with_backbone(built_in(name), backbone, weights).at(facts.native_resolution)
        tuned = recipe.training.fine_tuning
        if tuned and tuned.stages and stages is not None and stages <= tuned.stages:
            if name != FINE_TUNE:
                continue  # its stored activations need a cut
            recipe = recipe.edit(training={"fine_tuning": {"stages": None}})
        points.append(StartingPoint(name, recipe, reason.format(recipe.data.resolution)))
    return tuple(points)
