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
    if done.format == "torch-export":
        return _section_of_program(done)
    return (
        f"{_made(done)} `images`: uint8 (N, height, width, 3) of any one size, upright, RGB; grey images with three "
        f"equal channels. `probabilities`: float32 (N, {len(done.classes)}), in the order of `convlift.classes` in the "
        f"file's metadata. Resizing and normalizing are inside. {_agrees(done)}"
    )


def _section_of_program(done: Exported) -> str:
    return (
        f"{_made(done)} `torch.export.load(file).module()` takes uint8 (N, {done.resolution}, {done.resolution}, "
        "channels), squares that are resized outside as `convlift.json` in the file says, and gives probabilities, "
        f"float32 (N, {len(done.classes)}), in the order of the classes there. Normalizing is inside. {_agrees(done)}"
    )


def _made(done: Exported) -> str:
    what = f"ONNX opset {done.opset}" if done.format == "onnx" else "a program of torch.export"
    bits = (
        ""
        if done.precision == "float32"
        else f" in {done.precision}{', the weights alone' if done.weights_only else ''}"
    )
    timed = "an image of 500 x 375 pixels" if done.format == "onnx" else f"a square of {done.resolution} pixels"
    took = f"{timed} took {done.parity.milliseconds:.1f} ms with one thread"
    return f"{done.megabytes:.1f} MB, {what}{bits}; {took}."


def _agrees(done: Exported) -> str:
    parity, same = done.parity, done.agreement
    what = counted(parity.images, "made-up image" if parity.made_up else "image")
    differs = f"On {what} no probability differs from convlift's by more than {_at_most(parity.whole)}."
    if same is None:
        return differs
    answers = f"Of {counted(same.images, 'answer')} {same.changed} changed (95% upper bound {same.most_changed:.1%})"
    if same.gain is None:
        return f"{differs} {answers}."
    gain = f"{same.gain.value:+.2f} points (95% interval {same.gain.low:+.2f} to {same.gain.high:+.2f})"
    return f"{differs} {answers}; accuracy {gain}."


def _at_most(value: float) -> str:
    """One digit, rounded up."""
    if value <= 0.0:
        return "0"
    step = 10.0 ** math.floor(math.log10(value))
    return f"{math.ceil(value / step - 1e-9) * step:.1g}"
