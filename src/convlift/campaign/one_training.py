"""The run folder of one training: it belongs to one question, and to one process at a time."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from convlift.console.disk import check_room, is_disks_fault, refusal
from convlift.data.dataset import Dataset
from convlift.errors import ConvliftError, RecipeError
from convlift.ledger.fingerprint import differences, fingerprint, to_json
from convlift.ledger.ledger import LEDGER_FILE
from convlift.ledger.lock import acquire, release
from convlift.recipe.recipe import Recipe
from convlift.records.outcome import EpochReport, Outcome
from convlift.records.plan_applied import ORIGIN, PlanApplied
from convlift.records.result import Estimate
from convlift.records.software import software_version

RECORD = "training.json"
_MODEL = "model"
_MOST_BYTES = 2**20  # of a record; a usual one has 3 kB
_ROOM = 4_000_000  # bytes that a model folder takes beside its weights, at most


def question_of(dataset: Dataset, recipe: Recipe, seed: int, metric: str) -> dict[str, Any]:
    """What makes a training the same training; recipe: with its resolution written down."""
    groups = "" if dataset.groups is None else hashlib.sha256(dataset.groups.tobytes()).hexdigest()
    plan = dataset.store.plan.digest if dataset.store.plan else ""
    return {
        **({"plan": plan} if plan else {}),
        "data": dataset.store.fingerprint,
        "recipe": recipe.identity(),
        "seed": seed,
        "metric": metric,
        "groups": groups,
        "software": software_version(),
    }


def folder_of(name: str, question: Mapping[str, Any]) -> Path:
    """The same question gets the same folder, another question another one. name: of the data set."""
    return Path("runs") / f"{name}-train-{fingerprint(question)[:8]}"


@contextmanager
def training_folder(folder: Path, question: Mapping[str, Any]) -> Iterator[bool]:
    """Make and lock the folder before any time is spent; gives whether the same training was done there before.

    Where the training fails, what was made here goes again, and what was there before stays. Raises LedgerError where
    another process works there, ConvliftError where another run lies there, DiskError where it cannot be written.
    """
    try:
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if is_disks_fault(error):
            raise refusal(folder, error) from error
        raise ConvliftError(f"run folder {folder} cannot be made ({error.strerror}); name another.") from error
    lock = acquire(folder)  # whoever does not hold it removes nothing: the folder may be another process's
    try:
        yield _is_done(folder, question)
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # somebody else's run may have come to lie beside ours
            for parent in new[1:]:
                parent.rmdir()
        raise
    finally:
        release(lock)


def refuse_training(folder: Path) -> None:
    """Raise ConvliftError where the folder holds one training's model, or a model of which nothing is known."""
    if (folder / LEDGER_FILE).exists():
        return
    if (folder / RECORD).exists() or (folder / _MODEL).exists():
        raise ConvliftError(
            f"{folder} holds the model of a training; it stays as it is; name another folder with --out."
        )


def check_space(folder: Path, parameters: int) -> None:
    """Fail before the training where its network would not fit on the disk. Raises DiskError."""
    check_room(folder, 2 * 4 * parameters + _ROOM)  # as float32, once trained and once in the model folder


def check_memory(parameters: int, memory: int) -> None:
    """Fail before the training where its network alone would not fit in memory. memory: bytes that may still be taken.

    Weights, gradients and the two moments of Adam are float32 each; the images and activations come on top.
    Raises RecipeError.
    """
    needed = 4 * 4 * parameters
    if needed > memory:
        raise RecipeError(
            f"this recipe's network has {parameters / 1e6:,.0f} million weights, which take {needed / 1e9:,.0f} GB of "
            f"memory to train, and {memory / 1e9:.1f} GB are left; lower its width, blocks, stages, head_units or "
            "resolution."
        )


def write_record(
    folder: Path,
    question: Mapping[str, Any],
    score: Estimate,
    images: int,
    outcome: Outcome,
    plan: PlanApplied | None = None,
) -> None:
    """What was trained here, how it went, how well it did on so many images, and what a plan had changed before."""
    record = {
        "schema_version": 1,
        "question": question,
        **({ORIGIN: plan.origin} if plan and plan.digest else {}),
        "validation": {"score": score.value, "low": score.low, "high": score.high, "images": images},
        "seconds": outcome.seconds,
        "status": outcome.status,
        "curve": [asdict(epoch) for epoch in outcome.curve],
    }
    beside = folder / f".{RECORD}.part"
    beside.write_text(to_json(record), encoding="utf-8")
    beside.replace(folder / RECORD)


@dataclass(frozen=True)
class Record:
    """What the record of a training says: `question_of` it, seconds, and its curve, () where an older one has none."""

    question: Mapping[str, Any]
    seconds: float
    curve: tuple[EpochReport, ...]
    status: Literal["finished", "stopped"]


def read_record(folder: Path) -> Record:
    """The record in the folder of a training. Raises ConvliftError where it cannot be read."""
    path = folder / RECORD
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        found = json.loads(path.read_text(encoding="utf-8"))
        curve = tuple(EpochReport(**epoch) for epoch in found.get("curve", []))
        status: Literal["finished", "stopped"] = "stopped" if found.get("status") == "stopped" else "finished"
        return Record(dict(found["question"]), float(found["seconds"]), curve, status)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConvliftError(
            f"{path} cannot be read ({error}), so nobody knows which training it is of; train it again."
        ) from error


def _is_done(folder: Path, question: Mapping[str, Any]) -> bool:
    """Whether this very training lies here. Raises ConvliftError where something else does."""
    remedy = "it stays as it is; name another folder with --out, or none."
    if (folder / LEDGER_FILE).exists() or any(folder.glob(f"*/{LEDGER_FILE}")):
        raise ConvliftError(f"{folder} holds a campaign of convlift improve; {remedy}")
    if not (folder / RECORD).exists():
        if (folder / _MODEL).exists():
            raise ConvliftError(f"{folder} holds a model, and nothing there says of which training; {remedy}")
        return False
    if not (folder / _MODEL).exists():  # what was begun here came to nothing
        return False
    if changed := differences(_question_in(folder / RECORD), question):
        raise ConvliftError(f"{folder} holds the model of another training ({_few(changed)}); {remedy}")
    return True


def _question_in(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        question = json.loads(path.read_text(encoding="utf-8"))["question"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConvliftError(
            f"{path} cannot be read ({error}), so nobody knows which training lies beside it; name another folder."
        ) from error
    return question if isinstance(question, Mapping) else {}


def _few(changed: tuple[str, ...]) -> str:
    return "; ".join(changed[:2]) + (f"; and {len(changed) - 2} more" if len(changed) > 2 else "")
