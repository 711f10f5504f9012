"""A saved network and its metadata: what it needs beside its weights."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from convlift.console.atomic import flush, temporary_beside
from convlift.console.disk import writing_into
from convlift.model.together import Together
from convlift.recipe.combination import MOST_NETWORKS

METADATA = "convlift"  # the entry of the file that holds ours

Channels = NDArray[np.float32]  # a figure for each


def save_network(path: Path, network: nn.Module, normal: tuple[Channels, Channels | None], padding: str = "") -> None:
    """Weights as safetensors, with the normalization in the file's metadata; whole or not at all. They are
    saved from the CPU, wherever the network lies, so that they load anywhere.

    normal: mean and deviation, see `normalization.Statistics`; padding: timm's `pad_type` of the backbone, where its
    weights need another than timm's own. Raises DiskError where the file cannot be written.
    """
    state = _apart({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()})
    mean, std = normal
    deviation = None if std is None else std.tolist()
    described: dict[str, Any] = {"mean": mean.tolist(), "std": deviation, "padding": padding}
    if isinstance(network, Together):
        described |= {"networks": len(network.networks), "mirrored": network.mirrored}
    beside = temporary_beside(path)
    with writing_into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # one entry: safetensors writes several in an order of its own, and equal trials must leave equal files
            save_file(state, beside, {METADATA: json.dumps(described)})
            flush(beside)
            os.replace(beside, path)
            flush(path.parent)
        except SafetensorError as error:
            if number := re.search(r"os error (\d+)", str(error)):  # it hides the disk's refusal in its text
                raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
            raise
        finally:
            beside.unlink(missing_ok=True)


def _apart(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those of a module that has two names once for each: safetensors refuses shared memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return found


def saved_normalization(path: Path) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """(mean, std) per channel of a file that `save_network` wrote."""
    described = _described(path)
    return tuple(described["mean"]), None if described["std"] is None else tuple(described["std"])


def saved_padding(path: Path) -> str:
    """The backbone's padding, as `save_network` was given it."""
    return str(_described(path)["padding"])


class Form(NamedTuple):
    """How the network of a file is made: of how many, and whether it looks at mirror images; see `Together`."""

    networks: int = 1
    mirrored: bool = False

    @property
    def is_one(self) -> bool:
        """Whether it is a plain network."""
        return self == Form()


def saved_form(path: Path) -> Form:
    """What `save_network` was given. Raises ValueError where the file says what no file of ours does."""
    described = _described(path)
    networks, mirrored = described.get("networks", 1), described.get("mirrored", False)
    if type(networks) is not int or not 1 <= networks <= MOST_NETWORKS or type(mirrored) is not bool:
        raise ValueError(f"it says that it holds {str(networks)[:20]} networks")
    return Form(networks, mirrored)


def _described(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as weights:
        described: dict[str, Any] = json.loads(weights.metadata()[METADATA])
    return described
