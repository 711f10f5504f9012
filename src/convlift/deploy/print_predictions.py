"""What `convlift predict` prints: a prediction an image as soon as it is there, or one document at the end."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from typing import Any

from convlift.data.readers.source import printable
from convlift.deploy.classifier import BATCH, Classifier, Prediction, Unreadable
from convlift.deploy.image_paths import list_images
from convlift.errors import UnreadableImage

_FEW = 3  # names that are listed of files that were passed over


class Style(Enum):
    """LINES: image, label, confidence, set apart by tabs; CSV: with every probability; JSON: one document."""

    LINES = auto()
    CSV = auto()
    JSON = auto()


def print_predictions(model: Classifier, named: Sequence[str], style: Style) -> int:
    """Print the predictions on stdout, and on stderr what could not be read; how many these are.

    named: see `image_paths.list_images`. In a JSON document everything stands in the document.
    """
    passed_over: list[str] = []
    # from a list on stdin somebody may wait for the prediction of one image before writing the next one
    predictions = model.answers(_images(named, passed_over), batch=1 if "-" in named else BATCH)
    if style is Style.JSON:
        return _print_document(predictions, passed_over)
    row = _csv_row(model) if style is Style.CSV else _line
    unreadable = 0
    for prediction in predictions:
        if isinstance(prediction, Unreadable):
            unreadable += 1
            print(f"convlift: {prediction.reason}", file=sys.stderr)
            continue
        row(prediction)
        for note in prediction.notes:
            print(f"convlift: {printable(prediction.image)}: {note}.", file=sys.stderr)
    if passed_over:
        few = ", ".join(printable(path) for path in passed_over[:_FEW]) + (", ..." if len(passed_over) > _FEW else "")
        what = (
            "1 file that is no image was"
            if len(passed_over) == 1
            else f"{len(passed_over)} files that are no images were"
        )
        print(f"convlift: {what} passed over ({few}).", file=sys.stderr)
    return unreadable


def _images(named: Sequence[str], passed_over: list[str]) -> Iterator[str | Unreadable]:
    for found in list_images(named, getattr(sys.stdin, "buffer", None)):
        if found.passed_over:
            passed_over.append(found.path)
        elif found.fault:
            yield Unreadable(found.path, UnreadableImage(f"{printable(found.path)}: {found.fault}."))
        else:
            yield found.path


def _line(prediction: Prediction) -> None:
    print(f"{printable(prediction.image)}\t{printable(prediction.label)}\t{prediction.confidence:.3f}", flush=True)


def _csv_row(model: Classifier) -> Callable[[Prediction], None]:
    """Prints the header now, and then a row a prediction; names on one line each, as everywhere."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "label", "confidence", *(f"p({printable(name)})" for name in model.classes)])
    sys.stdout.flush()

    def write(prediction: Prediction) -> None:
        figures = (prediction.confidence, *prediction.probabilities.values())
        writer.writerow(
            [printable(prediction.image), printable(prediction.label), *(f"{figure:.6g}" for figure in figures)]
        )
        sys.stdout.flush()

    return write


def _print_document(predictions: Iterator[Prediction | Unreadable], passed_over: list[str]) -> int:
    rows: list[dict[str, Any]] = []
    unreadable: list[dict[str, str]] = []
    for prediction in predictions:
        if isinstance(prediction, Unreadable):
            unreadable.append({"image": prediction.image, "reason": str(prediction.reason)})
            continue
        rows.append(
            {
                "image": prediction.image,
                "label": prediction.label,
                "confidence": prediction.confidence,
                "probabilities": prediction.probabilities,
                "notes": list(prediction.notes),
            }
        )
    print(json.dumps({"schema_version": 1, "predictions": rows, "unreadable": unreadable, "passed_over": passed_over}))
    return len(unreadable)
