"""The built-in recipes, by name: the usual tutorial network, a small residual network, and two ways to transfer."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from convlift.errors import RecipeError
from convlift.recipe.architecture import ConvNet, Pretrained
from convlift.recipe.data import Data, is_bands
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.recipe.training import FineTuning, Training


@dataclass(frozen=True)
class BuiltIn:
    """A recipe with the name a user types and the line that `convlift recipes` prints."""

    name: str
    summary: str
    recipe: Recipe


PLAIN = Recipe(
    data=Data(normalization="unit"),
    architecture=ConvNet(stages=1, blocks=1, width=32, stage_dropout=0.25, head_units=128, dropout=0.5),
    training=Training(
        epochs=10, batch_size=32, optimizer="adam", learning_rate=1e-3, l2=0.001, l2_layers="convolution"
    ),
)

# How a network of the user's own is trained where nothing else is said: as above, without its regularization
OWN = PLAIN.edit(training={"l2": 0.0})

# The CIFAR form of He et al. 2016, section 4.2 (3x3 stem, global average pooling, no hidden dense layer), shortened to
# two sizes of map and trained with AdamW under one cycle so that few epochs suffice. On digits (8 px) it scores .993,
# with three sizes .976, with a learning rate of 2e-3 or 1e-2 a little less.
RESIDUAL = Recipe(
    data=Data(normalization="standardize"),
    architecture=ConvNet(
        stages=2, blocks=1, width=32, normalization="batch", residual=True, summary="average", head_units=0
    ),
    training=Training(
        epochs=15,
        batch_size=32,
        optimizer="adamw",
        learning_rate=5e-3,
        schedule="one_cycle",
        warmup=0.3,
        weight_decay=0.05,
    ),
)

# From 16 to 64 pixels in the manner of the CIFAR-10 records (Page 2018, Jordan 2024): whitened images, every stage
# halved before its block, as narrow as leaves time for many epochs. In 90 s of one core it sees 15 epochs of 6,018
# images of Fashion-MNIST where the form above, with three stages, sees 3 (decision 0037)
RESIDUAL_QUICK = RESIDUAL.edit(
    architecture={"stem": "whitened", "halving": "first", "activation": "gelu", "stages": 3, "width": 16},
    training={"label_smoothing": 0.1},
)

# For photos the ImageNet form: its 7x7 stem with stride 2 makes an epoch at 64 px six times cheaper than a 3x3 stem,
# at the same score on flowers.
RESIDUAL_PHOTOS = RESIDUAL.edit(architecture={"stem": "large", "stages": 3, "blocks": 2})

# The networks of He et al. 2016, table 1: 11,689,512 and 25,557,032 parameters with 1,000 classes, the strides of the
# second where they have been since (v1.5: Goyal et al. 2017, section 5.1). Trained as those above.
RESNET18 = RESIDUAL.edit(architecture={"stem": "resnet", "halving": "within", "stages": 4, "blocks": 2, "width": 64})
RESNET50 = RESNET18.edit(architecture={"block": "bottleneck", "blocks": 3, "extra_blocks": [0, 1, 3, 0]})

# Its head reads three stages: 1 to 3 points better on flowers and CIFAR-10, .3 worse on hymenoptera (docs/LOG.md)
FROZEN = Recipe(
    data=Data(normalization="pretrained"),
    architecture=Pretrained(pooled_stages=3),
    training=Training(
        epochs=20,
        batch_size=64,
        optimizer="adamw",
        learning_rate=1e-3,
        schedule="one_cycle",
        warmup=0.1,
        weight_decay=0.01,
    ),
)

# The first phase is short: it only has to bring the new head near enough that its gradients do no harm to the
# pretrained stages (Kumar et al. 2022, section 3, why a linear probe comes before fine-tuning).
TRANSFER = FROZEN.edit(
    architecture={"pooled_stages": 1},
    training={
        "epochs": 10,
        "learning_rate": 2e-3,
        "fine_tuning": FineTuning(epochs=8, stages=2, learning_rate=1e-3, batch_size=32).model_dump(),
    },
)

# The upper stages, in images that change afresh: head first (Kumar et al. 2022, section 3), AdamW at a rate that
# stays, the average of all weights that it leads to (Izmailov et al. 2018; decision 0035), small images first, mirrors,
# small changes of place, size and colour, label smoothing. The lower stages, whose features are the most general
# (Yosinski et al. 2014), stay as they are: a step takes half the time, and is worth no less (decision 0033). How many
# epochs is settled by the time that there is (`search/length.py`). Its head has no hidden layer: two networks of 14
# epochs scored .802 so and .793 with 1,024 hidden units, and their averages .817 and .813 (one split of flowers).
FINE_TUNE = FROZEN.edit(
    architecture={"head_units": 0},
    data={
        "augmentation": {
            "horizontal_flip": 0.5,
            "rotation": 0.04,
            "zoom": 0.2,
            "translation": 0.1,
            "brightness": 0.1,
            "contrast": 0.2,
            "saturation": 0.2,
        }
    },
    training={
        "epochs": 10,
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "average": 0.998,
        "fine_tuning": FineTuning(
            epochs=16,
            stages=3,
            learning_rate=1e-3,
            schedule="constant",
            batch_size=32,
            batch_norm="update",
            small_first=0.4,
            average_from=0.4,
        ).model_dump(),
    },
)

BUILT_IN: tuple[BuiltIn, ...] = (
    BuiltIn("plain", "the small CNN of the usual tutorial: one 3x3 convolution, one hidden dense layer, Adam", PLAIN),
    BuiltIn("residual", "a residual network for small images, from scratch: batch norm, AdamW, one cycle", RESIDUAL),
    BuiltIn("residual-quick", "the same for 16 to 64 pixels: whitened, narrow, halved first", RESIDUAL_QUICK),
    BuiltIn("residual-photos", "the same for images of 64 pixels and more: 7x7 stem, three stages", RESIDUAL_PHOTOS),
    BuiltIn("resnet18", "ResNet-18 from scratch, for photos of 128 to 224 pixels", RESNET18),
    BuiltIn("resnet50", "ResNet-50 from scratch, for photos of 128 to 224 pixels, with a GPU", RESNET50),
    BuiltIn("frozen", "pretrained EfficientNet-Lite0 features under a new head; only the head is trained", FROZEN),
    BuiltIn("transfer", "the new head first, then the backbone's last two stages at a lower learning rate", TRANSFER),
    BuiltIn("fine-tune", "the new head first, then the last three stages on images that change every time", FINE_TUNE),
)


# what others call these
SYNONYMS = {
    "baseline": "plain",
    "cnn": "plain",
    "simple": "plain",
    "tutorial": "plain",
    "resnet": "residual",
    "linear-probe": "frozen",
    "pretrained": "frozen",
    "feature-extraction": "frozen",
    "efficientnet": "frozen",
    "finetune": "fine-tune",
    "fine-tuning": "fine-tune",
    "full-fine-tuning": "fine-tune",
}


def built_in(name: str, channels: int = 3) -> Recipe:
    """The built-in recipe of that name; channels: see `for_channels`. Raises RecipeError listing the valid names."""
    for entry in BUILT_IN:
        if entry.name == name:
            return for_channels(entry.recipe, channels)
    names = [entry.name for entry in BUILT_IN]
    known = {each: each for each in names} | SYNONYMS
    near = difflib.get_close_matches(name[:100].lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{known[near[0]]}'? " if near else ""
    raise RecipeError(
        f"recipe '{name[:100]}' is neither a file nor a built-in recipe; {hint}the built-in ones are "
        f"{', '.join(names)}."
    )


def for_channels(recipe: Recipe, channels: int) -> Recipe:
    """The recipe for images of so many channels: of bands without what a built-in one, whatever its backbone, changes
    of colours, which these have not. What somebody else wrote stays, to be refused (`refuse_colours_of_bands`)."""
    used = recipe.data.augmentation
    if not (is_bands(channels) and used.of_colours and any(_is_same(entry.recipe, recipe) for entry in BUILT_IN)):
        return recipe
    return recipe.edit(data={"augmentation": dict.fromkeys(used.of_colours, 0.0)})


def _is_same(ours: Recipe, recipe: Recipe) -> bool:
    """Whether a recipe is this one of ours, but for the backbone and its weights (`with_backbone`)."""
    own = recipe.architecture
    if isinstance(own, Pretrained) and isinstance(ours.architecture, Pretrained):
        ours = with_backbone(ours, own.backbone, own.weights)
    return ours == recipe


def recipe_from(named: str | Path | Recipe, channels: int = 3) -> Recipe:
    """A built-in recipe by its name, the recipe in a file, or the recipe itself. channels: see `for_channels`. Raises
    RecipeError."""
    if isinstance(named, Recipe):
        return for_channels(named, channels)
    if not isinstance(named, str | Path):
        raise RecipeError(
            f"a {type(named).__name__} is no recipe; give a built-in name, the path of a YAML file, or a Recipe "
            "(convlift.parse_recipe makes one of a dict)."
        )
    try:
        is_file = str(named) not in {entry.name for entry in BUILT_IN} and Path(named).exists()
    except (OSError, ValueError):  # longer than a name may be, or with a zero byte in it
        is_file = False
    return load_recipe(Path(named)) if is_file else built_in(str(named), channels)


def with_backbone(recipe: Recipe, backbone: str | None = None, weights: str | None = None) -> Recipe:
    """The recipe with another pretrained backbone (a timm name) or weights file; None keeps what it has.

    Raises RecipeError where the recipe trains a network of our own from scratch, which has no backbone.
    """
    changes = {key: value for key, value in (("backbone", backbone), ("weights", weights)) if value is not None}
    if not changes:
        return recipe
    if not isinstance(recipe.architecture, Pretrained):
        wanted = ", ".join(f"{key} '{value}'" for key, value in changes.items())
        raise RecipeError(
            f"{wanted} needs a pretrained architecture, but this recipe trains a convnet from scratch; "
            "use the recipe frozen or transfer."
        )
    return recipe.edit(architecture=changes)
