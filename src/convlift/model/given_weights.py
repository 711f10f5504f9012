"""The weights that a user trained, put into the network that their code makes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convlift.errors import RecipeError, WeightsError
from convlift.model.own_network import Adapted, build_own, make_network
from convlift.model.source_files import code_of
from convlift.model.weights import WeightsFile, read_weights
from convlift.recipe.architecture import Own

OF_KERAS = (".h5", ".keras")
ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", *OF_KERAS)


def as_given(architecture: Own) -> Own:
    """The network as its code makes it, without any change. Raises RecipeError where its last layer would be another
    one, to which no trained weights belong."""
    if architecture.new_last_layer:
        raise RecipeError(
            f"--model-weights are of a network for other classes: the last layer of {architecture.code!r}, "
            f"{architecture.last_layer}, does not give as many scores as the data have classes. Leave them out."
        )
    return architecture.model_copy(update={"dropout": 0.0, "activation": "own", "normalization": "own"})


def given_network(architecture: Own, path: Path, *, classes: int, channels: int, resolution: int) -> nn.Module:
    """images_NCHW -> logits_NK: the user's network with their weights, on the CPU.

    architecture: see `as_given`; path: a state dict (.safetensors, .pt, .pth, .ckpt), alone or under "state_dict",
    "model_state_dict" or "model", or, of a Keras model, what its save or save_weights wrote. Nothing is unpickled but
    tensors. Raises WeightsError naming what does not fit, RecipeError as `build_own` does.
    """
    check_file(path)
    built = build_own(architecture, classes=classes, channels=channels, resolution=resolution)
    inner = built.network if isinstance(built, Adapted) else built
    if path.suffix in OF_KERAS:
        trained = make_network(code_of(architecture.code), classes, weights=path)
        inner.load_state_dict(trained.state_dict())
    else:
        inner.load_state_dict(_fitting(path, read_weights(WeightsFile(path)), inner.state_dict()))
    return built


def check_file(path: Path) -> None:
    """Raises WeightsError where there is no such file, or none of a known kind."""
    shown = str(path)[:200]
    if path.suffix not in ENDINGS:
        raise WeightsError(f"--model-weights {shown} must be a file of weights: {', '.join(ENDINGS)}.")
    try:
        if path.is_file():
            return
    except OSError:  # longer than a name may be
        pass
    raise WeightsError(f"--model-weights {shown}: there is no such file; give the path of one.")


def _fitting(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors by the network's names. In a file that wraps it (data parallel, compiled, a trainer's module)
    all of these have the same words before them."""
    prefix = _prefix(state, own)
    found = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    for key, tensor in own.items():
        given = found.get(key)
        if given is None:
            if key.endswith("num_batches_tracked"):
                found[key] = tensor
                continue
            raise WeightsError(f"--model-weights {path} lack '{key}': {_OTHER}")
        if given.shape != tensor.shape:
            raise WeightsError(
                f"--model-weights {path}: '{key}' has shape {tuple(given.shape)}, the network's {tuple(tensor.shape)}: "
                f"{_OTHER}"
            )
    strange = sorted(found.keys() - own.keys())
    if strange:
        raise WeightsError(f"--model-weights {path} hold '{strange[0]}', which the network does not have: {_OTHER}")
    return found


_OTHER = "they are of another network; give the code that they were trained with."


def _prefix(state: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    first = next(iter(own))
    able = [key.removesuffix(first) for key in state if key.endswith(first)]
    whole = [prefix for prefix in able if all(f"{prefix}{key}" in state or "num_batches" in key for key in own)]
    return min(whole, key=len, default="")
