"""What is said of a file that was written for other programs."""

import math
from dataclasses import asdict
from typing import Any

from convlift.console.atomic import write_text
from convlift.records.exported import Exported
from convlift.report.wording.phrases import counted


def exported_sentence(done: Exported) -> str:
    """For the terminal."""
    return f"{done.file}: {_made(done)}\n{_agrees(done)}"


def exported_document(done: Exported) -> dict[str, Any]:
    """For --json."""
    return {"schema_version": 1, **asdict(done), "file": str(done.file), "card": str(done.card) if done.card else None}


def tell_in_card(done: Exported) -> None:
    """Write a section of the model card, in place of the one of an earlier export; nothing where there is no card."""
    if done.card is None:
        return
    heading = f"## {done.file.name}"
    before, _, after = done.card.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    _, has_more, rest = after.partition("\n## ")
    kept = f"\n## {rest}" if has_more else "\n"
    write_text(done.card, f"{before.rstrip()}\n\n{heading}\n\n{_section(done)}\n{kept}".rstrip() + "\n")


def _section(done: Exported) -> str:
    return (
        f"{_made(done)} `images`: uint8 (N, height, width, 3) of any one size, upright, RGB; grey images with three "
        f"equal channels. `probabilities`: float32 (N, {len(done.classes)}), in the order of `convlift.classes` in the "
        f"file's metadata. Resizing and normalizing are inside. {_agrees(done)}"
    )


def _made(done: Exported) -> str:
    return (
        f"{done.megabytes:.1f} MB, ONNX opset {done.opset}; an image of 500 x 375 pixels took "
        f"{done.parity.milliseconds:.1f} ms with one thread."
    )


def _agrees(done: Exported) -> str:
    parity = done.parity
    what = counted(parity.images, "made-up image" if parity.made_up else "image")
    return f"On {what} no probability differs from convlift's by more than {_at_most(parity.whole)}."


def _at_most(value: float) -> str:
    """One digit, rounded up."""
    if value <= 0.0:
        return "0"
    step = 10.0 ** math.floor(math.log10(value))
    return f"{math.ceil(value / step - 1e-9) * step:.1g}"
