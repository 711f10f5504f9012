"""The model folder that a campaign or a training hands over: weights, recipe and config, no pickle."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from convlift.console.disk import writing_into
from convlift.data.readers.source import printable
from convlift.deploy.model_config import SCHEMA_VERSION, TRANSPARENCY, ModelConfig, parse_config
from convlift.errors import ConvliftError
from convlift.recipe.recipe import Recipe, load_recipe

WEIGHTS, RECIPE, CONFIG, CARD, SUMS = (
    "model.safetensors",
    "recipe.yaml",
    "config.json",
    "README.md",
    "SHA256SUMS",
)
DECIDING = (WEIGHTS, RECIPE, CONFIG)
CODE = "code"  # folder of the files that make the user's own network
ONNX = "model.onnx"  # where `convlift export` puts it
EXPORTED = (ONNX, "model-float16.onnx", "model-int8.onnx", "model.pt2")  # of other weights it would be another model's
LIKENESS = "likeness.safetensors"  # what tells images unlike those of training; older model folders have none
# the most that is read, in bytes; the largest convolutional network of timm has 3.4 GB
_MOST = {WEIGHTS: 8 * 2**30, RECIPE: 2**20, CONFIG: 16 * 2**20, SUMS: 2**16}


def write_model_folder(
    folder: Path, weights: Path, recipe: Recipe, config: ModelConfig, code: Mapping[str, bytes] | None = None
) -> None:
    """Write the folder whole: every file beside its place first, then all renamed, the checksums last.

    code: files that make the user's own network, by their path below CODE.

    Raises ConvliftError where it cannot be written, with what lay there before untouched.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "classes": config.classes,
        "preprocessing": {
            "channels": config.channels,
            "resolution": config.resolution,
            "resize": config.resize,
            "mean": config.mean,
            "std": config.std,
            "orientation": "EXIF applied",
            "transparency": TRANSPARENCY[config.alpha],
            "value_range": config.value_range,
        },
        "confidence": asdict(config.confidence),
        "scores": config.scores,
    }
    texts = {
        RECIPE: recipe.to_yaml(),
        CONFIG: json.dumps(document, indent=2, ensure_ascii=False),
    }
    with writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        contents = {WEIGHTS: weights.read_bytes(), **{name: text.encode() for name, text in texts.items()}}
        sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
        for name in EXPORTED:
            (folder / name).unlink(missing_ok=True)
        with _code_beside(folder, code or {}) as beside:
            _write_together(folder, {**contents, SUMS: sums.encode()})
            (folder / LIKENESS).unlink(missing_ok=True)  # of other weights, and no checksum names it any more
            shutil.rmtree(folder / CODE, ignore_errors=True)
            if code:
                beside.rename(folder / CODE)


@contextmanager
def _code_beside(folder: Path, code: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with these files beside the place of the code that a model has, gone at the end unless it was moved."""
    beside = folder / f".{CODE}.part"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        for name, content in code.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(content)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Put one more file into a model folder, and then its line into the checksums, without which it counts for nothing.

    Raises ConvliftError where it cannot be written.
    """
    with writing_into(folder):
        lines = [line for line in (folder / SUMS).read_text(encoding="utf-8").splitlines() if not _is_of(line, name)]
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}")
        _write_together(folder, {name: content, SUMS: "".join(f"{line}\n" for line in lines).encode()})


def checked_file(folder: Path, name: str, most: int) -> Path | None:
    """The path of a file that `add_file` put there; None where the checksums know none of this name.

    most: bytes. Raises ConvliftError where it is missing, damaged or larger.
    """
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    line = next((line for line in lines if _is_of(line, name)), None)
    if line is None:
        return None
    path = folder / name
    if not path.is_file() or path.stat().st_size > most or f"{_digest(path)}  {name}" != line:
        raise ConvliftError(f"{path} does not match its checksum in {SUMS}; copy the folder again.")
    return path


def _is_of(line: str, name: str) -> bool:
    return line.partition("  ")[2] == name


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card_facts(folder: Path) -> tuple[Recipe, ModelConfig] | None:
    """What a model card is made of; None where there is no model. Raises ConvliftError where it is damaged."""
    if not (folder / CONFIG).is_file():
        return None
    return load_recipe(folder / RECIPE), _read_config(folder / CONFIG)


def _write_together(folder: Path, contents: dict[str, bytes]) -> None:
    """Every file beside its place, on disk for good, before the first is renamed: a full disk changes nothing."""
    beside = {name: folder / f".{name}.part" for name in contents}
    try:
        for name, content in contents.items():
            with beside[name].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, path in beside.items():
            os.replace(path, folder / name)
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)


def read_model_folder(path: Path) -> tuple[Path, Recipe, ModelConfig]:
    """Weights, recipe and config of a model folder, or of the run folder that holds one.

    Raises ConvliftError where a file is missing, damaged or does not match its checksum.
    """
    try:
        return _read_model_folder(path / "model" if (path / "model").is_dir() else path)
    except OSError as error:
        raise ConvliftError(
            f"{printable(str(path))[:200]} cannot be read ({error.strerror or error}); give a run folder or its model "
            "folder."
        ) from error


def _read_model_folder(folder: Path) -> tuple[Path, Recipe, ModelConfig]:
    missing = [name for name in (*DECIDING, SUMS) if not (folder / name).is_file()]
    if missing:
        raise ConvliftError(
            f"{folder} holds no model ({missing[0]} is missing); give a run folder or its model folder."
        )
    for name, most in _MOST.items():
        if (size := (folder / name).stat().st_size) > most:
            raise ConvliftError(
                f"{folder / name} has {size} bytes, which no file of convlift has (at most {most}); copy the folder "
                "again."
            )
    _check_sums(folder)
    return folder / WEIGHTS, load_recipe(folder / RECIPE), _read_config(folder / CONFIG)


def _read_config(path: Path) -> ModelConfig:
    return parse_config(path.read_bytes(), path)


def model_digest(folder: Path) -> str:
    """What tells this model from any other: SHA-256 of the checksums of the files that decide what it predicts."""
    sums = _sums(folder)
    return hashlib.sha256("".join(sums.get(name, "") for name in DECIDING).encode()).hexdigest()


def _sums(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _check_sums(folder: Path) -> None:
    """Compare the files that decide what the model predicts; the card may be edited by anyone."""
    expected = _sums(folder)
    for name in DECIDING:
        if _digest(folder / name) != expected.get(name):
            raise ConvliftError(f"{folder / name} does not match its checksum in {SUMS}; copy the folder again.")
