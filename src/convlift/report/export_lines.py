"""What is said of a file that was written for other programs."""

from dataclasses import asdict
from typing import Any

from convlift.console.atomic import write_text
from convlift.records.exported import Exported


def exported_sentence(done: Exported) -> str:
    """For the terminal."""
    parity = done.parity
    of = "made-up images" if parity.made_up else "images"
    return (
        f"{done.file}: {done.megabytes:.1f} MB, ONNX opset {done.opset}, {parity.milliseconds:.1f} ms an image with "
        f"one thread.\nOn {parity.images} {of} no probability differs from convlift's by more than {parity.whole:.1g}."
    )


def exported_document(done: Exported) -> dict[str, Any]:
    """For --json."""
    return {"schema_version": 1, **asdict(done), "file": str(done.file), "card": str(done.card) if done.card else None}


def tell_in_card(done: Exported) -> None:
    """Write a section of the model card, in place of the one of an earlier export; nothing where there is no card."""
    if done.card is None:
        return
    heading = heading_of(done)
    before = done.card.read_text(encoding="utf-8").partition(f"\n{heading}\n")[0].rstrip("\n")
    write_text(done.card, f"{before}\n\n{heading}\n\n{_section(done)}\n")


def heading_of(done: Exported) -> str:
    """The heading of the file's section."""
    return f"## {done.file.name}"


def _section(done: Exported) -> str:
    parity = done.parity
    what = f"{parity.images} made-up images" if parity.made_up else f"{parity.images} images"
    return (
        f"{done.megabytes:.1f} MB, ONNX opset {done.opset}. `images`: uint8 (N, height, width, 3) of any one size, "
        "upright, RGB; grey images with three equal channels. `probabilities`: float32 (N, "
        f"{len(done.classes)}), in the order of `convlift.classes` in the file's metadata. Resizing and normalizing "
        f"are inside. On {what} no probability differs from convlift's by more than {parity.whole:.1g}. One image "
        f"took {parity.milliseconds:.1f} ms with one thread where it was exported."
    )
