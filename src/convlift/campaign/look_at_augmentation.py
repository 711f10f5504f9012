"""What `preview` does: some training images, and what a recipe's augmentation makes of them."""

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.catalogue.intervention import cached_features
from convlift.data.dataset import Dataset
from convlift.data.encode import png_of
from convlift.recipe.built_in import recipe_from
from convlift.recipe.recipe import Recipe
from convlift.records.contact_sheet import Draw, Sheet, Way

Pixels = NDArray[np.uint8]


def look_at_augmentation(request: Request, session: Session, images: int = 8, draws: int = 6) -> Sheet:
    """Training images of `request.current` as its network sees them, each with some draws; nothing is trained, and the
    test stays closed.

    The draws are of the kind of those in training, not the same ones. Raises DataError, RecipeError.
    """
    if not request.model:
        recipe_from(request.current)  # a fault in it is said before the images are read
    dataset, _ = open_data(request, session)
    recipe, seen = recipe_of(request, dataset)
    if seen:
        session.listen(seen)
    name = request.model or ("" if isinstance(request.current, Recipe) else str(request.current))
    return sheet_of(dataset, recipe, request.seed, images=images, draws=draws, name=name)


def sheet_of(dataset: Dataset, recipe: Recipe, seed: int, *, images: int, draws: int, name: str = "") -> Sheet:
    """The same of a data set that is open; recipe: with its resolution written down, of this name."""
    side, data = recipe.data.resolution, recipe.data
    assert side is not None, "Recipe.at() wrote the resolution down"
    chosen = spread_over_classes(dataset, images, seed)
    pixels = np.ascontiguousarray(dataset.store.pixels(side, data.preparation)[chosen])
    drawn = [_draw(pixels, recipe, seed, number) for number in range(draws if data.augmentation.active else 0)]
    rows = tuple(
        (
            dataset.store.keys[image],
            dataset.classes[dataset.labels[image]],
            png_of(pixels[place]),
            tuple(each[place] for each in drawn),
        )
        for place, image in enumerate(chosen)
    )
    return Sheet(
        data=dataset.name,
        recipe=name,
        side=side,
        rows=rows,
        strengths={name: value for name, value in data.augmentation.strengths.items() if value},
        settings=data.augmentation.settings,
        way=_way(recipe),
        views=data.views,
        mixes=data.mixing.active,
        channels=dataset.channels,
    )


def spread_over_classes(dataset: Dataset, count: int, seed: int) -> NDArray[np.int64]:
    """Training images, the same ones every time: one of each class, then a second of each, until there are enough."""
    train = np.random.default_rng([seed, len(dataset.splits.train)]).permutation(dataset.splits.train)
    labels = dataset.labels[train]
    nth = np.zeros(len(train), np.int64)  # of its class
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        nth[members] = np.arange(len(members))
    return train[np.lexsort((labels, nth))][:count]


def _way(recipe: Recipe) -> Way:
    if not cached_features(recipe) or recipe.tunes_on_images:
        return "afresh"
    return "views" if recipe.data.views else "never"


def _draw(pixels_NHWC: Pixels, recipe: Recipe, seed: int, number: int) -> list[Draw]:
    from convlift.augment.pipeline import augment  # OpenCV comes with it
    from convlift.augment.streams import Streams
    from convlift.augment.told import drawn_levers

    count, height, width, channels = pixels_NHWC.shape
    zero, one = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    augmentation, key = recipe.data.augmentation, (seed, "preview", number)
    seen = augment(pixels_NHWC, augmentation, zero, one, Streams(*key))
    told = drawn_levers(augmentation, Streams(*key), count, (height, width), channels)
    shown = np.rint(255 * seen.clip(0, 1)).astype(np.uint8)
    return [Draw(png_of(image), levers) for image, levers in zip(shown, told, strict=True)]
