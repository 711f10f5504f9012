"""What `convlift serve` says: where it listens, with which model, and who may come."""

from typing import TYPE_CHECKING, Any

from convlift.recipe.recipe import Recipe
from convlift.records.serving import Address
from convlift.report.wording.phrases import counted

if TYPE_CHECKING:
    from convlift.deploy.model_folder import ModelConfig


def network_name(recipe: Recipe) -> str:
    """A few words for what the network is."""
    network = recipe.architecture
    if network.kind == "pretrained":
        return f"pretrained {network.backbone}"
    return "own Python code" if network.kind == "own" else "convolutional network from scratch"


def model_document(name: str, recipe: Recipe, config: "ModelConfig") -> dict[str, Any]:
    """What a server says of its model at /model. name: its folder."""
    confidence = getattr(config, "confidence", None)
    return {
        "schema_version": 1,
        "model": name,
        "network": network_name(recipe),
        "classes": list(config.classes),
        "channels": config.channels,
        "resolution": config.resolution,
        "resize": config.resize,
        "grey": config.grey,
        "contrast": config.contrast,
        "temperature": getattr(confidence, "temperature", 1.0),
        "scores": config.scores,
    }


def started_lines(name: str, recipe: Recipe, config: "ModelConfig", address: Address) -> list[str]:
    """Once it listens: one line, and a warning where others can come."""
    what = f"{network_name(recipe)}, {counted(len(config.classes), 'class', 'classes')}"
    said = [f"{name} ({what}) is served at {address.url}; Ctrl-C ends it."]
    if not address.is_local:
        said.append(f"Anybody who reaches port {address.port} can use it: there is no password and no encryption.")
    return said
