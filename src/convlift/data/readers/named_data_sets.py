"""Data sets that are known by name."""

from pathlib import Path

import numpy as np

from convlift.data.readers.arrays import array_source, open_idx
from convlift.data.readers.source import Source
from convlift.errors import ConvliftError

BUILTIN = ("digits", "fashion-mnist")
FASHION_ROOT = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def open_builtin(name: str, root: Path | None) -> Source:
    """digits: scikit-learn's 1,797 handwritten digits, 8 px grey. fashion-mnist: Xiao et al. 2017, 28 px grey."""
    if name == "digits":
        return _digits()
    folder = root or FASHION_ROOT
    if not folder.is_dir():
        raise ConvliftError(
            f"Fashion-MNIST is not at {folder}; install Debian's package dataset-fashion-mnist, "
            "or name the folder of its IDX files with --root."
        )
    return open_idx("fashion-mnist", folder, classes=FASHION_CLASSES)


def _digits() -> Source:
    # imported here: scikit-learn takes a second to import, and only this data set needs it
    from sklearn.datasets import load_digits

    digits = load_digits()
    # values are 0..16, counts of ink in 4 x 4 blocks
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return array_source("digits", {None: (images, digits.target)}, classes=tuple("0123456789"))
