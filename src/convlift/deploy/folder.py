"""The model folder that a campaign or a training hands over: weights, recipe, config and model card, no pickle."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlift.errors import ConvliftError
from convlift.recipe import Recipe, load_recipe

WEIGHTS, RECIPE, CONFIG, CARD, SUMS = (
    "model.safetensors",
    "recipe.yaml",
    "config.json",
    "README.md",
    "SHA256SUMS",
)
DECIDING = (WEIGHTS, RECIPE, CONFIG)


@dataclass(frozen=True)
class ModelConfig:
    """What a network needs beside its weights. mean and std are per channel, of pixels in [0, 1]."""

    classes: tuple[str, ...]
    channels: int
    resolution: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scores: dict[str, Any]


def write_model_folder(folder: Path, weights: Path, recipe: Recipe, config: ModelConfig) -> None:
    """Write the folder whole: every file beside its place first, then renamed, the checksums last."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema_version": 1,
        "classes": config.classes,
        "preprocessing": {
            "channels": config.channels,
            "resolution": config.resolution,
            "resize": config.resize,
            "mean": config.mean,
            "std": config.std,
            "orientation": "EXIF applied",
            "transparency": "on white",
        },
        "scores": config.scores,
    }
    contents = {
        WEIGHTS: weights.read_bytes(),
        RECIPE: recipe.to_yaml().encode(),
        CONFIG: json.dumps(document, indent=2, ensure_ascii=False).encode(),
        CARD: _card(recipe, config).encode(),
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    for name, content in {**contents, SUMS: sums.encode()}.items():
        beside = folder / f".{name}.part"
        beside.write_bytes(content)
        os.replace(beside, folder / name)


def read_model_folder(path: Path) -> tuple[Path, Recipe, ModelConfig]:
    """Weights, recipe and config of a model folder, or of the run folder that holds one.

    Raises ConvliftError where a file is missing, damaged or does not match its checksum.
    """
    folder = path / "model" if (path / "model").is_dir() else path
    missing = [name for name in (*DECIDING, SUMS) if not (folder / name).is_file()]
    if missing:
        raise ConvliftError(
            f"{folder} holds no model ({missing[0]} is missing); give a run folder or its model folder."
        )
    _check_sums(folder)
    recipe = load_recipe(folder / RECIPE)
    try:
        document = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        steps = document["preprocessing"]
        config = ModelConfig(
            tuple(document["classes"]),
            steps["channels"],
            steps["resolution"],
            steps["resize"],
            tuple(steps["mean"]),
            tuple(steps["std"]),
            document["scores"],
        )
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConvliftError(f"{folder / CONFIG} is damaged ({reason}); copy the folder again.") from error
    return folder / WEIGHTS, recipe, config


def _check_sums(folder: Path) -> None:
    """Compare the files that decide what the model says; the card may be edited by anyone."""
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in DECIDING:
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected.get(name):
            raise ConvliftError(f"{folder / name} does not match its checksum in {SUMS}; copy the folder again.")


def _card(recipe: Recipe, config: ModelConfig) -> str:
    network = recipe.architecture
    kind = f"pretrained {network.backbone}" if network.kind == "pretrained" else "convolutional network from scratch"
    scores = "\n".join(f"| {name} | {value} |" for name, value in config.scores.items())
    return f"""# Image classifier

Made by convlift. It sorts an image into one of {len(config.classes)} classes: {", ".join(config.classes[:20])}{
        ", ..." if len(config.classes) > 20 else ""
    }.

- Network: {kind}; input {config.channels} x {config.resolution} x {config.resolution}, resized by {config.resize}.
- Pixels are scaled to [0, 1], then (pixel - mean) / std per channel: mean {list(config.mean)}, std {list(config.std)}.
- How it was trained: `{RECIPE}`. Nothing in this folder is a pickle.

| figure | value |
|---|---|
{scores}

Use it: `convlift predict THIS_FOLDER photo.jpg`, or `convlift.load("THIS_FOLDER").predict(["photo.jpg"])`.
It has been judged only on images like those it was trained with.
"""
