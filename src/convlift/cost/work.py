"""What a recipe costs: multiply-adds of a training and of an extraction, and what of it can be stored.

Pure arithmetic: seconds come in as numbers, and the caller alone looks at a clock.
"""

import math
from typing import Any, Protocol

from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import VIEWS, Recipe
from convlift.recipe.training import SMALLER
from convlift.records.facts import Facts


class Forward(Protocol):
    """Multiply-adds of one image through a recipe's network, or through the last `stages` stages of its backbone."""

    def __call__(self, recipe: Recipe, stages: int | None = None) -> float: ...


# What a backbone hands to its head; EfficientNet's figure stands for all.
_FEATURES = 1280
# What a step costs beside its arithmetic (some 2 ms of Python, optimizer and small kernels), in multiply-adds of a CPU.
STEP_OVERHEAD = 3e7


def training_work(recipe: Recipe, facts: Facts, forward: Forward, step: float = STEP_OVERHEAD) -> float:
    """Multiply-adds of one full training without the extraction of features (see `extraction_work`).

    A step costs three forward passes (one forward, two backward) of each view of its images, and `step` beside them;
    frozen stages need no backward pass. The head's phase of transfer learning works on stored features, and so does the
    second phase below the stages that it trains, unless images run through the network every time
    (`Recipe.tunes_on_images`).
    """
    network, training = recipe.architecture, recipe.training
    images = recipe.data.images * facts.training_images
    steps = _steps(training.epochs, training.batch_size, images)
    if not isinstance(network, Pretrained):
        return 3 * forward(recipe) * views_a_step(recipe) * training.epochs * images + steps * step
    units = network.head_units
    head = _FEATURES * units + units * facts.classes if units else _FEATURES * facts.classes
    work = 3.0 * head * training.epochs * images + steps * step
    return work + tuning_work(recipe, facts, forward, step)


def tuning_work(recipe: Recipe, facts: Facts, forward: Forward, step: float = STEP_OVERHEAD) -> float:
    """The part of `training_work` that the second phase of transfer learning has; 0 without one."""
    tuned = recipe.training.fine_tuning
    if tuned is None or not isinstance(recipe.architecture, Pretrained):
        return 0.0
    trained = forward(recipe, tuned.stages)
    below = forward(recipe) - trained if recipe.tunes_on_images else 0.0
    images = recipe.data.images * facts.training_images
    steps = _steps(tuned.epochs, tuned.batch_size, images)
    epochs = tuned.epochs * (1.0 - (1.0 - SMALLER**2) * tuned.small_first)
    views = views_a_step(recipe) if recipe.tunes_on_images else 1.0
    return (3 * trained + below) * views * epochs * images + steps * step


def views_a_step(recipe: Recipe) -> float:
    """How often an epoch takes each image that changes every time, on average: VIEWS times where predictions for its
    mixes are compared, but for the epochs without augmentation."""
    compared = 1.0 - recipe.data.augmentation.off_for_last if recipe.compares_views else 0.0
    return 1.0 + (VIEWS - 1) * compared


def _steps(epochs: int, batch_size: int, images: float) -> int:
    return epochs * math.ceil(images / batch_size)


def extraction_work(recipe: Recipe, facts: Facts, forward: Forward, held_out_images: int = 0) -> float:
    """Multiply-adds of extracting the features of every image once, and of each stored view of the training images."""
    if not isinstance(recipe.architecture, Pretrained):
        return 0.0
    images = facts.training_images * (1 + recipe.data.views) + held_out_images
    return forward(recipe) * images


def extraction_key(recipe: Recipe) -> tuple[Any, ...]:
    """Equal exactly for recipes that share one extraction of features; () where there is none."""
    network, data, tuned = recipe.architecture, recipe.data, recipe.training.fine_tuning
    if not isinstance(network, Pretrained):
        return ()
    views = (data.views, data.augmentation.model_dump_json()) if data.views else (0,)
    stages = tuned.stages if tuned is not None and not recipe.tunes_on_images else None
    return (
        network.backbone,
        network.weights,
        data.resolution,
        data.preparation,
        data.normalization,
        network.pooled_stages,
        stages,
        *views,
    )
