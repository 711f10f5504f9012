"""The model folder that a campaign or a training hands over: weights, recipe and config, no pickle."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from convlift.console.disk import writing_into
from convlift.data.decode import SHORTER_SIDE, Alpha
from convlift.data.depth import Range, as_range
from convlift.data.readers.source import printable
from convlift.deploy.images import Origin
from convlift.deploy.preprocessing_document import TRANSPARENCY, Preprocessing, preprocessing_document
from convlift.errors import ConvliftError
from convlift.recipe.data import Contrast, Preparation, Resize
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.records.confidence import AS_GIVEN, Confidence, FittedOn, Target, Threshold

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
SCHEMA_VERSION = 1
# the most that is read, in bytes; the largest convolutional network of timm has 3.4 GB
_MOST = {WEIGHTS: 8 * 2**30, RECIPE: 2**20, CONFIG: 16 * 2**20, SUMS: 2**16}


@dataclass(frozen=True)
class ModelConfig:
    """What a network needs beside its weights.

    mean, std: per channel, of pixels in [0, 1]; std is None where each image is standardized by itself.
    grey, contrast: see the levers of a recipe.
    value_range: what stands for white in images of more than 8 bits, in each band where these are neither grey nor
        colour; None where training saw none; or the scale that the user chose.
    alpha: what becomes of transparency.
    side: pixels that the shorter side keeps at most before anything else is done with an image.
    confidence: the temperature by which its logits are divided, and where its probabilities may be cut.
    """

    classes: tuple[str, ...]
    channels: int
    resolution: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...] | None
    scores: dict[str, Any]
    value_range: Range = None
    alpha: Alpha = "white"
    confidence: Confidence = AS_GIVEN
    side: int = SHORTER_SIDE
    grey: bool = False
    contrast: Contrast = "none"

    @property
    def preparation(self) -> Preparation:
        """What makes the squares that its network sees."""
        return Preparation(cast(Resize, self.resize), self.grey, self.contrast)

    @property
    def origin(self) -> Origin:
        """How its images are decoded."""
        return Origin(self.value_range, self.alpha, self.side, self.channels)


class _Threshold(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    positive: str
    target: Target
    threshold: float = Field(ge=0.0, le=1.0)


class _Confidence(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    temperature: float = Field(1.0, ge=0.01, le=100.0)
    fitted_on: FittedOn = "nothing"
    thresholds: tuple[_Threshold, ...] = ()

    def known(self) -> Confidence:
        return Confidence(self.temperature, self.fitted_on, tuple(Threshold(**vars(each)) for each in self.thresholds))


class _Document(BaseModel):
    """What a config.json must hold; further keys, such as notes of its owner, are passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    schema_version: int
    classes: tuple[str, ...] = Field(min_length=1)
    preprocessing: Preprocessing
    scores: dict[str, Any]
    confidence: _Confidence = _Confidence()  # folders of before have none

    @model_validator(mode="after")
    def _names_each_class_once(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self


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
        "preprocessing": {**preprocessing_document(config), "orientation": "EXIF applied"},
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
            write_together(folder, {**contents, SUMS: sums.encode()})
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


def read_card_facts(folder: Path) -> tuple[Recipe, ModelConfig] | None:
    """What a model card is made of; None where there is no model. Raises ConvliftError where it is damaged."""
    if not (folder / CONFIG).is_file():
        return None
    return load_recipe(folder / RECIPE), _read_config(folder / CONFIG)


def write_together(folder: Path, contents: dict[str, bytes]) -> None:
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


def parse_config(content: str | bytes, source: Path) -> ModelConfig:
    """The config that a document like config.json holds. Raises ConvliftError naming the source."""
    try:
        found = _Document.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        reason = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise ConvliftError(f"{source} is damaged ({' '.join(reason.split())}); copy the folder again.") from None
    if found.schema_version > SCHEMA_VERSION:
        raise ConvliftError(
            f"{source} has schema version {found.schema_version}, and this convlift reads {SCHEMA_VERSION}; "
            "update convlift."
        )
    steps = found.preprocessing.model_dump(exclude={"transparency", "most_side", "value_range"})
    alpha = next(alpha for alpha, words in TRANSPARENCY.items() if words == found.preprocessing.transparency)
    return ModelConfig(
        classes=found.classes,
        scores=found.scores,
        alpha=alpha,
        confidence=found.confidence.known(),
        side=found.preprocessing.most_side,
        value_range=as_range(found.preprocessing.model_dump(include={"value_range"})["value_range"]),
        **steps,
    )


def model_digest(folder: Path) -> str:
    """What tells this model from any other: SHA-256 of the checksums of the files that decide what it predicts."""
    sums = sums_of(folder)
    return hashlib.sha256("".join(sums.get(name, "") for name in DECIDING).encode()).hexdigest()


def sums_of(folder: Path) -> dict[str, str]:
    """The checksums that the folder's list has, by the names of the files."""
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sums(folder: Path) -> None:
    """Compare the files that decide what the model predicts; the card may be edited by anyone."""
    expected = sums_of(folder)
    for name in DECIDING:
        if digest_of(folder / name) != expected.get(name):
            raise ConvliftError(f"{folder / name} does not match its checksum in {SUMS}; copy the folder again.")
