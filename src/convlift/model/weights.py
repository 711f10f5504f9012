"""Where pretrained weights come from, and how strictly they must fit the network."""

import ast
import math
import os
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convlift.errors import WeightsError
from convlift.model.packaged_weights import PACKAGED_BACKBONE, PACKAGES, packaged_file

REACH_SECONDS = 5.0
MAX_BYTES = 8 * 2**30  # the largest convolutional network of timm has 3.4 GB
MAX_CALL = 1000  # characters of a description that is parsed

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights and what its metadata tells.

    by_order: its keys are another implementation's, and match the network's in order and shape.
    statistics: mean and deviation of the pixels, in [0, 1] units, that it was trained with; None where not known.
    pad_type: timm's `pad_type` argument for the network it fits; "" is timm's default.
    """

    path: Path
    by_order: bool = False
    statistics: Statistics | None = None
    pad_type: str = ""


def find_local_weights(backbone: str, weights: str) -> WeightsFile | None:
    """The file that `weights` ("auto", "random" or a path) means for a backbone, without a look at any hub.

    None for random weights, and for "auto" where no installed package holds them. Raises WeightsError for a path that
    leads to no weights of this backbone.
    """
    if weights not in ("auto", "random"):
        return _named_file(Path(weights), backbone)
    plain = backbone.split(".")[0]
    if weights == "auto" and plain in PACKAGES:
        return WeightsFile(packaged_file(plain), by_order=True, statistics=((127 / 255,) * 3, (128 / 255,) * 3))
    return None


def find_weights(backbone: str, weights: str, hub: str | None) -> WeightsFile | None:
    """The file that `weights` ("auto", "random" or a path) means for a backbone; None for random weights.

    hub: the backbone's repository on timm's hub, needed only for "auto" and only where no package holds the weights.
    Raises WeightsError where there is no such file, or the hub cannot be reached.
    """
    file = find_local_weights(backbone, weights)
    if file is not None or weights == "random":
        return file
    if hub is None:
        raise WeightsError(f"nobody publishes weights for {backbone}; give --weights FILE or --weights random.")
    return WeightsFile(_hub_file(backbone, hub))


def read_weights(file: WeightsFile) -> dict[str, Tensor]:
    """The tensors of a file by key; never unpickles anything but tensors. Raises WeightsError where it cannot."""
    _check_size(file.path)
    try:
        if file.path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(str(file.path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles of other protocols, which are refused or read all the same
            content = torch.load(file.path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"weights {file.path} {_why_unreadable(file.path, error)}.") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise WeightsError(f"weights {file.path} hold no state dict; save network.state_dict() and nothing else.")
    return dict(content)


def _check_size(path: Path) -> None:
    """Refuse what would not fit in memory, packed or not. Raises WeightsError."""
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):  # PyTorch packs nothing, so what grows on opening is not its own
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return  # whoever reads it next reports what is wrong
    if size > MAX_BYTES:
        raise WeightsError(
            f"weights {path} hold {size / 1e9:.0f} GB, and no convolutional network has over {MAX_BYTES / 1e9:.0f}; "
            "give the file of one network's tensors."
        )


def _why_unreadable(path: Path, error: Exception) -> str:
    """What the file is, why it is not read, and what to do; PyTorch's own advice is to run whatever is in it."""
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(512)
        if not head:
            return "are an empty file; download or copy them again"
        if head.startswith(b"version https://git-lfs"):
            return "are a pointer of Git LFS, not the file itself; fetch it with git lfs pull"
        if head[8:10] == b'{"':
            return "are a .safetensors file by their content; give them that ending"
        if head.lstrip()[:1] == b"<" or (head.isascii() and head.decode().isprintable()):
            return "are a text or web page, no weights; download them again"
    text = " ".join(str(error).split())
    if "TorchScript" in text:
        return f"are a TorchScript program, which is not run; {CONVERT}"
    if isinstance(error, pickle.UnpicklingError) and head[:2] in (b"PK", *(bytes((0x80, n)) for n in range(6))):
        named = re.search(r"GLOBAL ([\w.]+)", text)
        what = f" with {named[1]} in it" if named else ""
        return f"are a Python pickle{what}, which is not opened, since it can run any program; {CONVERT}"
    reason = re.split(r"[.:] ", text)[0][:100] or type(error).__name__
    return f"cannot be read ({reason}); give a .safetensors file, or a .pth file of tensors alone"


def load_weights(
    network: nn.Module,
    file: WeightsFile,
    used: Collection[str],
    unused: Collection[str],
    adapted: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]],
) -> None:
    """Fill `network` from a file.

    used, unused: names of its top-level modules that make the features, and of those that do not (the classifier).
    adapted: from the file's tensors and the network's to those that are put into it, for images of other channels.
    Every tensor of the used modules must be there in the right shape; those of the unused ones are dropped, whatever
    their size. Raises WeightsError naming the key at fault.
    """
    state = read_weights(file)
    own = network.state_dict()
    if file.by_order:
        state = dict(zip(own, state.values(), strict=False))
    state = adapted(state, own)
    wanted = {key: tensor for key, tensor in own.items() if key.split(".")[0] in used}
    for key, tensor in wanted.items():
        _check(file.path, key, tensor, state.get(key))
    strange = [key for key in state if key not in wanted and key.split(".")[0] not in unused]
    if strange:
        raise WeightsError(f"weights {file.path} hold '{strange[0]}', which the backbone does not have: {OTHER}")
    # a checkpoint from before PyTorch counted batches lacks the counter, which only a momentum of None reads
    network.load_state_dict({key: state[key] for key in wanted if key in state}, strict=False)


CONVERT = (
    "where you trust its origin, write the tensors to a file that holds nothing else: "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
)
OTHER = "they belong to another network; name that one as the backbone."


def _check(path: Path, key: str, own: Tensor, given: Tensor | None) -> None:
    if given is None:
        if key.endswith("num_batches_tracked"):
            return
        raise WeightsError(f"weights {path} lack '{key}': {OTHER}")
    if given.shape != own.shape:
        raise WeightsError(
            f"weights {path}: '{key}' has shape {tuple(given.shape)}, the backbone's {tuple(own.shape)}: {OTHER}"
        )
    if given.is_floating_point() != own.is_floating_point() or given.layout != own.layout:
        raise WeightsError(
            f"weights {path}: '{key}' holds {str(given.dtype).removeprefix('torch.')}, the backbone "
            f"{str(own.dtype).removeprefix('torch.')}; give weights that are neither quantized nor sparse."
        )


def _named_file(path: Path, backbone: str) -> WeightsFile:
    shown = str(path)[:200]
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise WeightsError(f"weights '{shown}' are neither auto, random nor a .safetensors, .pt or .pth file.")
    if not os.path.isfile(path):  # Path.is_file() raises where a name is too long
        raise WeightsError(f"weights {shown} are not there; give the path of a file, auto or random.")
    if path.suffix != ".safetensors":
        return WeightsFile(path)
    return _described(path, backbone)


def _described(path: Path, backbone: str) -> WeightsFile:
    """What the metadata of a .safetensors file holds: `mean` and `std` (one number, or three with commas), `create`."""
    from safetensors import safe_open

    try:
        with safe_open(str(path), "pt") as opened:
            metadata: dict[str, str] = opened.metadata() or {}
    except Exception as error:
        with suppress(OSError), path.open("rb") as file:
            if file.read(4) in (b"PK\3\4", b"\x80\2\x8a\n"):  # as torch.save writes, now and before 1.6
                raise WeightsError(
                    f"weights {path} are no .safetensors file but one of torch.save; give them the ending .pth."
                ) from error
        reason = " ".join(str(error).split())[:100]
        raise WeightsError(f"weights {path} are no .safetensors file ({reason}); download them again.") from error
    statistics = None
    if "mean" in metadata and "std" in metadata:
        statistics = _triple(path, metadata["mean"]), _triple(path, metadata["std"])
        if min(statistics[1]) <= 0:
            raise WeightsError(f"weights {path}: its metadata give the std {metadata['std'][:40]}; it must be over 0.")
    name, pad_type = _creation(metadata.get("create", ""))
    if name and name.split(".")[0] != backbone.split(".")[0]:
        raise WeightsError(f"weights {path} are those of {name}, not of {backbone}; name {name} as the backbone.")
    return WeightsFile(path, statistics=statistics, pad_type=pad_type)


def _triple(path: Path, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.strip("[] ").split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise WeightsError(
            f"weights {path}: its metadata give '{text[:40]}' where a mean or std is one number or three."
        )
    return numbers if len(numbers) == 3 else numbers * 3


def _creation(call: str) -> tuple[str, str]:
    """Name and pad_type in "timm.create_model('mobilenetv2_100', pad_type='same')"; read, never run."""
    if len(call) > MAX_CALL:
        return "", ""
    try:
        tree: Any = ast.parse(call.strip(), mode="eval").body
        name = ast.literal_eval(tree.args[0])
        keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError, TypeError, AttributeError, IndexError, RecursionError, MemoryError):
        return "", ""
    return (name, str(keywords.get("pad_type", ""))) if isinstance(name, str) else ("", "")


def _hub_file(backbone: str, repository: str) -> Path:
    """The hub's file: from its local cache, else downloaded where the hub answers within REACH_SECONDS."""
    import huggingface_hub as hub

    filename = "model.safetensors"
    cached = hub.try_to_load_from_cache(repository, filename)
    if isinstance(cached, str):
        return Path(cached)
    refusal = f"weights of {backbone} cannot be fetched from timm's hub ({{}}): "
    remedy = f"give --weights FILE or --backbone {PACKAGED_BACKBONE}, whose weights are installed."
    if hub.constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "0").upper() in (
        "1",
        "TRUE",
        "YES",
        "ON",
    ):
        raise WeightsError(refusal.format("HF_HUB_OFFLINE is set") + remedy)
    if not _is_reachable(hub.hf_hub_url(repository, filename)):
        raise WeightsError(refusal.format("it does not answer") + remedy)
    try:
        return Path(hub.hf_hub_download(repository, filename, etag_timeout=REACH_SECONDS))
    except Exception as error:
        raise WeightsError(refusal.format(type(error).__name__) + remedy) from error


def _is_reachable(url: str) -> bool:
    """Whether the hub knows a file. In a thread of its own: looking up a name can hang longer than any timeout."""
    import huggingface_hub as hub

    reached: list[bool] = []

    def look_up() -> None:
        try:
            hub.get_hf_file_metadata(url, timeout=REACH_SECONDS)
        except Exception:
            reached.append(False)
        else:
            reached.append(True)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return reached == [True]
