"""From a model folder's weights and recipe to its network, with nothing opened that could run."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from convlift.deploy.model_folder import CONFIG, RECIPE, ModelConfig
from convlift.errors import ConvliftError
from convlift.model.build import build_network
from convlift.model.checkpoint import Form, saved_form, saved_padding
from convlift.model.together import Together
from convlift.recipe.architecture import Architecture, ConvNet, Pretrained
from convlift.recipe.recipe import Recipe

BACKBONE = "backbone.network."  # what the names of a pretrained network's own weights begin with
State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def rebuilt(weights: Path, recipe: Recipe, config: ModelConfig) -> nn.Module:
    """The recipe's network with these weights. Raises ConvliftError where the file is none of ours, or does not fit."""
    try:
        shapes, padding, form = _header(weights)
        _check_shapes(weights, recipe, config, shapes, form)
        state = load_file(weights)
        network = _untrained(recipe, config, state, padding, form)
        own = network.state_dict()
        _compare(weights, {key: tuple(tensor.shape) for key, tensor in own.items()}, shapes)
        network.load_state_dict(state)
    except ConvliftError:
        raise
    except Exception as error:  # a hostile file makes safetensors, json and timm raise nearly anything
        raise ConvliftError(
            f"{weights} is no weights file of convlift ({' '.join(str(error).split())[:200]}); nothing else is opened, "
            "least of all a pickle. Copy the folder again."
        ) from error
    return network


def _header(weights: Path) -> tuple[Shapes, str, Form]:
    """The shapes of a weights file, its backbone's padding, and its form; no tensor is read yet."""
    with safe_open(weights, "pt") as opened:
        shapes = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    return shapes, saved_padding(weights), saved_form(weights)


def _check_shapes(weights: Path, recipe: Recipe, config: ModelConfig, shapes: Shapes, form: Form) -> None:
    """Refuse weights of another network before anything of either's size is held in memory."""
    if isinstance(recipe.architecture, ConvNet):  # others have to be built for real
        with torch.device("meta"):
            network = _formed([_built(recipe.architecture, config) for _ in range(form.networks)], form)
        _compare(weights, {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}, shapes)
    elif not form.is_one:  # one of them is built to see how many numbers it has, before as many are as the file says
        one = recipe.architecture
        network = _built(one.model_copy(update={"weights": "random"}) if isinstance(one, Pretrained) else one, config)
        own = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        every = {f"networks.{number}.{key}": shape for number in range(form.networks) for key, shape in own.items()}
        _compare(weights, every, shapes)


def _compare(weights: Path, own: Shapes, given: Shapes) -> None:
    misfits = [key for key in own.keys() | given.keys() if own.get(key) != given.get(key)]
    if misfits:
        raise ConvliftError(
            f"{weights} does not fit {RECIPE} and {CONFIG} beside it (they differ in '{min(misfits)}'); "
            "take all three from the same training."
        )


def _untrained(recipe: Recipe, config: ModelConfig, state: State, padding: str, form: Form) -> nn.Module:
    """The recipe's network, or as many as the form says, to be filled from the model folder alone: the backbone's own
    file may be gone by now."""
    if form.is_one:
        return _one_untrained(recipe, config, state, padding)
    states = [
        {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
        for start in (f"networks.{number}." for number in range(form.networks))
    ]
    return _formed([_one_untrained(recipe, config, each, padding) for each in states], form)


def _formed(networks: list[nn.Module], form: Form) -> nn.Module:
    return networks[0] if form.is_one else Together(networks, mirrored=form.mirrored)


def _built(architecture: Architecture, config: ModelConfig) -> nn.Module:
    return build_network(
        architecture, classes=len(config.classes), channels=config.channels, resolution=config.resolution
    )


def _one_untrained(recipe: Recipe, config: ModelConfig, state: State, padding: str) -> nn.Module:
    architecture = recipe.architecture
    if not isinstance(architecture, Pretrained):
        return _built(architecture, config)
    if not padding:
        return _built(architecture.model_copy(update={"weights": "random"}), config)
    with TemporaryDirectory() as folder:
        # a backbone learns of its padding from the file that its weights come from
        source = str(Path(folder) / "backbone.safetensors")
        named = f"timm.create_model({architecture.backbone!r}, pad_type={padding!r})"
        inner = {key.removeprefix(BACKBONE): state[key] for key in state if key.startswith(BACKBONE)}
        save_file(inner, source, {"create": named})
        return _built(architecture.model_copy(update={"weights": source}), config)
