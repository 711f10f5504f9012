"""What `convlift predict` prints: a prediction an image as soon as it is there, or one document at the end."""

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from io import BufferedReader
from typing import TYPE_CHECKING, Any, BinaryIO

from convlift.console.progress import clock_text
from convlift.console.status_line import StatusLine
from convlift.data.formats import FORMATS, sniff
from convlift.data.readers.source import printable
from convlift.deploy.classifier import BATCH, Classifier, Prediction, Unreadable
from convlift.deploy.image_paths import list_images
from convlift.errors import UnreadableImage

if TYPE_CHECKING:
    from convlift.deploy.explain import Explanation

_FEW = 3  # names that are listed of files that were passed over
UNLIKE = "unlike: true"
SOON, OFTEN = 2.0, 0.5  # seconds until it is said how far it is, and from then on
Watch = Callable[["Explanation"], None]


class Style(Enum):
    """LINES: image, label, confidence, set apart by tabs; CSV: with every probability; JSON: one document."""

    LINES = auto()
    CSV = auto()
    JSON = auto()


def print_predictions(
    model: Classifier,
    named: Sequence[str],
    style: Style,
    *,
    top: int = 1,
    watch: Watch | None = None,
    quiet: bool = False,
) -> int:
    """Print the predictions on stdout, and on stderr what could not be read and how far it is; how many are unreadable.

    named: see `image_paths.list_images`. top: how many classes of each image. watch: is given every image's
    explanation; quiet: nothing of how far it is. In a JSON document everything stands in the document.
    """
    passed_over: list[str] = []
    # from a list on stdin somebody may wait for the prediction of one image before writing the next one
    images, batch = _images(named, passed_over), 1 if "-" in named else BATCH
    answers = model.answers(images, batch) if watch is None else _watched(model, images, watch, batch)
    if style is not Style.JSON and sys.stdout.isatty():
        quiet = True  # the answers tell how far it is
    answers = _followed(answers, named, StatusLine(quiet=quiet))
    if style is Style.JSON:
        return _print_document(answers, passed_over, top)
    return _print_rows(answers, passed_over, _csv_row(model) if style is Style.CSV else _line(top))


def _print_rows(
    answers: Iterator[Prediction | Unreadable], passed_over: list[str], row: Callable[[Prediction], None]
) -> int:
    unreadable = 0
    for prediction in answers:
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


def _watched(
    model: Classifier, images: Iterator[str | BinaryIO | Unreadable], watch: Watch, batch: int
) -> Iterator[Prediction | Unreadable]:
    from convlift.deploy.explain import explain_all  # with torch

    for found in explain_all(model, images, batch=batch):
        if isinstance(found, Unreadable):
            yield found
        else:
            watch(found)
            yield found.prediction


def _followed(
    answers: Iterator[Prediction | Unreadable], named: Sequence[str], status: StatusLine
) -> Iterator[Prediction | Unreadable]:
    """The same answers, while stderr says how many are there and how long the others take, if it takes long."""
    began, total, told = time.monotonic(), 0, 0.0
    try:
        for done, answer in enumerate(answers, start=1):
            if isinstance(answer, Unreadable) or answer.notes:
                status.clear()
            yield answer
            seconds = time.monotonic() - began
            if seconds - told < (OFTEN if told else SOON):
                continue
            told = seconds
            if not total and "-" not in named:  # counted only where somebody waits
                total = sum(not found.passed_over for found in list_images(named, None))
            left = f" of {total:,} images, {clock_text(seconds * (total / done - 1))} left"
            status.show(f"classified {done:,}{left if total > done else ' images'}")
    finally:
        status.clear()


def _images(named: Sequence[str], passed_over: list[str]) -> Iterator[str | BinaryIO | Unreadable]:
    stdin = getattr(sys.stdin, "buffer", None)
    if list(named) == ["-"] and isinstance(stdin, BufferedReader) and sniff(stdin.peek(64)) in FORMATS:
        yield stdin  # not a list: the image itself
        return
    for found in list_images(named, stdin):
        if found.passed_over:
            passed_over.append(found.path)
        elif found.fault:
            yield Unreadable(found.path, UnreadableImage(f"{printable(found.path)}: {found.fault}."))
        else:
            yield found.path


def _line(top: int) -> Callable[[Prediction], None]:
    """Prints image, then label and probability of as many classes, then a mark where it is unlike those of training."""

    def write(prediction: Prediction) -> None:
        named = [f"{printable(label)}\t{probability:.3f}" for label, probability in prediction.top(top)]
        mark = [UNLIKE] if prediction.unlike else []
        print("\t".join([printable(prediction.image), *named, *mark]), flush=True)

    return write


def _csv_row(model: Classifier) -> Callable[[Prediction], None]:
    """Prints the header now, and then a row a prediction; names on one line each, as everywhere."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "label", "confidence", *(f"p({printable(name)})" for name in model.classes), "unlike"])
    sys.stdout.flush()

    def write(prediction: Prediction) -> None:
        figures = (prediction.confidence, *prediction.probabilities.values())
        writer.writerow(
            [
                printable(prediction.image),
                printable(prediction.label),
                *(f"{figure:.6g}" for figure in figures),
                "" if prediction.unlike is None else str(prediction.unlike).lower(),
            ]
        )
        sys.stdout.flush()

    return write


def _print_document(predictions: Iterator[Prediction | Unreadable], passed_over: list[str], top: int) -> int:
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
                "top": [{"label": label, "probability": value} for label, value in prediction.top(top)],
                "notes": list(prediction.notes),
                "unlike": prediction.unlike,
                "distance": prediction.distance,
            }
        )
    print(json.dumps({"schema_version": 1, "predictions": rows, "unreadable": unreadable, "passed_over": passed_over}))
    return len(unreadable)
