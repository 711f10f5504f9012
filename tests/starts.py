"""Starts on data sets of the kinds that convlift meets, shared by tests."""

from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts, Tones

FLOWERS = Facts(training_images=2600, classes=5, channels=3, native_resolution=128, imbalance=1.4, aspect=1.0)
PHOTOS = Facts(training_images=1500, classes=4, channels=3, native_resolution=200, imbalance=3.0, aspect=1.4)
DIGITS = Facts(training_images=1077, classes=10, channels=1, native_resolution=8, aspect=1.0)
XRAYS = Facts(
    training_images=2428, classes=2, channels=1, native_resolution=28, aspect=1.0, tones=Tones(0.56, 0.15, 0.02)
)

TILES = Facts(training_images=2000, classes=10, channels=13, native_resolution=64, aspect=1.0)

# what a user might bring: other optimizers, augmentation on, everything fine-tuned
CUSTOM = built_in("plain").edit(
    data={"augmentation": {"horizontal_flip": 0.5, "rotation": 0.2}},
    architecture={"stages": 2, "pooling": "strided", "normalization": "batch"},
    training={"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 5e-4},
)
FULL = built_in("transfer").edit(
    data={"normalization": "imagenet"}, training={"optimizer": "rmsprop", "fine_tuning": {"stages": None}}
)

# of whose augmentation the guard has left the mirror images
MIRRORED = built_in("fine-tune").edit(
    data={
        "augmentation": dict.fromkeys(built_in("fine-tune").data.augmentation.strengths, 0.0) | {"horizontal_flip": 0.5}
    }
)

STARTS: dict[str, Recipe] = {
    "plain": built_in("plain"),
    "residual": built_in("residual"),
    "frozen": built_in("frozen"),
    "transfer": built_in("transfer"),
    "custom": CUSTOM,
    "full": FULL,
    "fine-tune": built_in("fine-tune"),
    "mirrored": MIRRORED,
}


def start(name: str, facts: Facts) -> Recipe:
    return STARTS[name].at(facts.native_resolution)
