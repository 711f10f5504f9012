"""Networks as somebody writes them: the sources of .py files, and folders that hold them."""

from pathlib import Path
from textwrap import dedent, indent

import numpy as np
from sklearn.datasets import load_digits

from convlift.model.look_into import LookedInto, look_into
from convlift.model.source_files import Code, code_of
from convlift.model.source_loader import ALLOWED, allow

NONE_ALLOWED = (ALLOWED, "")  # for monkeypatch.setenv: no code may run, and what a test allows ends with it

# docs.pytorch.org, Training a Classifier: colour images of 32 pixels, ten classes
TUTORIAL = """
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)  # flatten all dimensions except batch
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x
"""

# pytorch/examples, mnist/main.py: grey images of 28 pixels, ten classes
MNIST = """
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        output = F.log_softmax(x, dim=1)
        return output
"""

# of any size of grey image, made for as many classes as there are
ADAPTIVE = """
from torch import nn


def make(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, num_classes),
    )
"""


def sequential(*layers: str, arguments: str = "num_classes", end: str = "") -> str:
    """The source of `make`, whose layers are written out. end: what becomes of its outputs, an expression of x."""
    body = f"nn.Sequential({', '.join(layers)})"
    made = f"Ending({body})" if end else body
    return f"""
import torch
from torch import nn


class Ending(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        x = self.inner(x)
        return {end or "x"}


def make({arguments}):
    return {made}
"""


def module(init: str, forward: str, arguments: str = "num_classes=10") -> str:
    """The source of `Net`, a module. init, forward: their lines; x: the images, and then the scores."""
    made, ran = (indent(dedent(lines).strip(), 8 * " ") for lines in (init, forward))
    return f"""
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, {arguments}):
        super().__init__()
{made}

    def forward(self, x):
{ran}
        return x
"""


def small(outputs: str = "num_classes", *, channels: int = 1, arguments: str = "num_classes", end: str = "") -> str:
    """The source of `make`: a small network for images of any size."""
    layers = (f"nn.Conv2d({channels}, 8, 3)", "nn.ReLU()", "nn.AdaptiveAvgPool2d(4)", "nn.Flatten()")
    return sequential(*layers, f"nn.Linear(128, {outputs})", arguments=arguments, end=end)


def allowed(text: str) -> Code:
    """The code that is named, which may run from now on."""
    code = code_of(text)
    allow(code)
    return code


def looked_into(text: str, *, classes: int = 3, channels: int = 1, side: int = 32) -> LookedInto:
    """What `look_into` finds of code that may run."""
    return look_into(allowed(text).text, classes=classes, channels=channels, side=side)


def write(folder: Path, files: dict[str, str]) -> Path:
    """The folder, with these files in it, by their path below it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def few_digits(path: Path, classes: int = 3, images: int = 200, times: int = 1) -> Path:
    """An .npz of real digits of 8 x 8 pixels, or so many times that, with official splits."""
    found = load_digits(n_class=classes)
    pixels, labels = np.rint(found.images[:images] * (255 / 16)).astype(np.uint8), found.target[:images]
    pixels = pixels.repeat(times, axis=1).repeat(times, axis=2)
    first, second = images // 2, images * 3 // 4
    parts = {"train": slice(0, first), "val": slice(first, second), "test": slice(second, images)}
    arrays = {f"{part}_images": pixels[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": labels[rows] for part, rows in parts.items()}
    np.savez(path, **arrays)
    return path
