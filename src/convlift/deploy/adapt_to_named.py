"""A model adapted to the images that a command names, before it classifies them."""

from collections.abc import Sequence

import numpy as np

from convlift.deploy.adapt_batch_norm import MOST_IMAGES, adaptable, adapted_statistics, take
from convlift.deploy.classifier import Classifier, Unreadable
from convlift.deploy.image_paths import list_images
from convlift.errors import ConvliftError


def adapt_to_named(name: str, model: Classifier, images: Sequence[str], pseudo_images: int) -> None:
    """Give the model's batch norms the statistics of these images, of up to 256 that are evenly spread over them.

    images: as `list_images` takes them. Raises ConvliftError where they come from stdin, which is read only once, none
    can be read, or the network has no batch norm.
    """
    adaptee = adaptable(name, model)
    if "-" in images:
        raise ConvliftError("--adapt-batch-norm looks at the images first, and stdin is read once; name files instead.")
    paths = [found.path for found in list_images(images, None) if not found.passed_over and not found.fault]
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_IMAGES)).round().astype(np.int64)
    entries = adaptee.squares([paths[place] for place in chosen.tolist()])
    squares = [entry.pixels for entry in entries if not isinstance(entry, Unreadable)]
    if not squares:
        raise ConvliftError("--adapt-batch-norm found no image that can be read; check the paths.")
    take(adaptee, adapted_statistics(adaptee, squares, pseudo_images))
    adaptee.is_adapted = True
