"""Lets timm be imported where torchvision's compiled operators cannot be loaded.

torchvision's wheels are built against a CUDA build of torch. Beside a CPU-only torch their library fails to load, and
`import torchvision` (which timm does) then raises `operator torchvision::nms does not exist`, because it registers
shapes for operators that nobody declared. No classifier calls those operators: declaring them is enough.
"""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
NAMES = ("nms", "qnms")

# torch forgets a declaration as soon as its Library object is collected
_declared: list[torch.library.Library] = []


def declare_missing_operators() -> bool:
    """Declare `torchvision::nms` and `torchvision::qnms` unless torchvision's own library provides them.

    To be called before timm is imported. True where this process lives on the declarations, False where torchvision
    is whole (or absent, or already imported) and nothing was touched.
    """
    if _declared:
        return True
    if "torchvision" in sys.modules or not operators_missing():
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in NAMES:
        library.define(f"{name}{SCHEMA}")
    _declared.append(library)
    return True


def operators_missing(load: Callable[[str], None] = torch.ops.load_library) -> bool:
    """Whether torchvision is there but its compiled operators cannot be loaded.

    Loads its library as torchvision itself will do a moment later (twice is harmless).
    """
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        return False
    loader = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
    library = importlib.machinery.FileFinder(str(Path(package.origin).parent), loader).find_spec("_C")
    if library is None or library.origin is None:
        return True
    try:
        load(library.origin)
    except (ImportError, OSError):
        return True
    return False
