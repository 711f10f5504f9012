"""A trained network on labelled images: scores, classes, calibration, errors, and beside another network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.data.readers.source import Source
from convlift.data.store import data_fingerprint
from convlift.deploy.predict import Model, Unreadable
from convlift.errors import ConvliftError, DataError
from convlift.evidence.calibration import calibration
from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import METRICS, Metric
from convlift.evidence.network_gain import compare_networks
from convlift.evidence.total_gain import one_network, wilson
from convlift.records.evaluation import Answer, ClassFigures, Evaluation
from convlift.records.result import Estimate, NetworkGain

Part = Literal["test", "validation", "train", "all"]
Told = Callable[[int, int], None]


class Seen(NamedTuple):
    """What a network says of the images that could be read: their places in the source, its probabilities (N, K) in the
    order of its own classes, and a sentence for each image that could not be read."""

    places: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    unreadable: tuple[str, ...]


class Evaluated(NamedTuple):
    """The images to evaluate on. places: of those of the part, in the source; part: "" where these are all."""

    source: Source
    places: list[int]
    part: str


def choose_part(source: Source, part: Part | None) -> Evaluated:
    """The images of a part; where none is named the test part, if there is one, else all.

    Raises ConvliftError where there is no such part.
    """
    parts = {item.split for item in source.items if item.split}
    wanted = part or ("test" if "test" in parts else "all")
    if wanted == "all":
        return Evaluated(source, list(range(len(source.items))), "")
    places = [place for place, item in enumerate(source.items) if item.split == wanted]
    if not places:
        there = f"its parts are {', '.join(sorted(parts))}" if parts else "it has no parts"
        raise ConvliftError(f"{source.name} has no {wanted} part ({there}); give --part all, or one of its parts.")
    return Evaluated(source, places, wanted)


def see(model: Model, images: Evaluated, told: Told = lambda done, total: None) -> Seen:
    """Classify the images. told: how many of how many are done."""
    source, places = images.source, images.places
    rows, read, unreadable = [], [], []
    contents = (_content(source, place) for place in places)
    for number, answer in enumerate(model.answers(contents)):
        if isinstance(answer, Unreadable):
            unreadable.append(_named(answer, source, places[number]))
        else:
            rows.append(list(answer.probabilities.values()))
            read.append(places[number])
        told(number + 1, len(places))
    if not rows:
        raise DataError(f"none of the {len(places)} images of {source.name} can be read: {unreadable[0]}")
    return Seen(np.array(read), np.array(rows, np.float64), tuple(unreadable))


def evaluate(
    model: Model, images: Evaluated, seen: Seen, groups: Groups = None, *, trained_on: str = "", name: str = ""
) -> Evaluation:
    """What the network's predictions are worth.

    groups (n,): which of the source's images belong together; trained_on: fingerprint of the data that it learned from.
    Raises DataError where the data have a class that the network does not know.
    """
    source = images.source
    labels = labels_for(model, source)[seen.places]
    own = None if groups is None else groups[seen.places]
    scores = {metric.name: _score(metric, seen.probabilities, labels, own) for metric in METRICS}
    predicted, count = seen.probabilities.argmax(axis=1), len(model.classes)
    confusion = np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)
    confidence = seen.probabilities.max(axis=1)
    answers = zip(seen.places, labels, predicted, confidence, seen.probabilities, strict=True)
    return Evaluation(
        model=name,
        data=source.name,
        part=images.part,
        scores=scores,
        classes=tuple(_figures(model.classes[k], confusion, k) for k in range(count)),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        calibration=calibration(confidence, predicted == labels),
        unreadable=seen.unreadable,
        learned_from=bool(trained_on) and trained_on == data_fingerprint(source, model.config.alpha),
        answers=tuple(
            Answer(source.items[at].key, model.classes[k], model.classes[p], float(sure), float(row[k]))
            for at, k, p, sure, row in answers
        ),
    )


def labels_for(model: Model, source: Source) -> NDArray[np.int64]:
    """(N,): the class of every image of the source, counted as the model counts. Raises DataError where it knows one of
    them under no such name."""
    known = {name: number for number, name in enumerate(model.classes)}
    unknown = [name for name in source.classes if name not in known]
    if unknown:
        raise DataError(
            f"{source.name} has the class '{unknown[0]}', which the model does not know (its classes are "
            f"{', '.join(model.classes[:10])}{', ...' if len(model.classes) > 10 else ''}); name the folders as in "
            "training."
        )
    numbers = np.array([known[name] for name in source.classes], np.int64)
    return numbers[[item.label for item in source.items]]


def compare(
    metric: Metric, source: Source, one: tuple[Model, Seen], other: tuple[Model, Seen], groups: Groups = None
) -> NetworkGain:
    """How the first network compares with the second, the baseline, on the images that both could read."""
    both = np.intersect1d(one[1].places, other[1].places)
    own = None if groups is None else groups[both]

    def scores(model: Model, seen: Seen) -> NDArray[np.float64]:
        rows = np.isin(seen.places, both)
        return metric.per_image(seen.probabilities[rows], labels_for(model, source)[both], own)

    return compare_networks(scores(*other), scores(*one), own, lowest=metric.lowest)


def trained_on(path: Path) -> str:
    """Fingerprint of the data that the campaign in a run folder had; "" where that is not known."""
    from convlift.ledger.ledger import LEDGER_FILE, read_ledger

    folder = path if (path / LEDGER_FILE).is_file() else path.parent
    if not (folder / LEDGER_FILE).is_file():
        return ""
    try:
        with read_ledger(folder) as ledger:
            return ledger.identity.data
    except ConvliftError:
        return ""


def _content(source: Source, place: int) -> Any:
    """The bytes or pixels of an image; where its file has vanished, what tells so when it is read."""
    try:
        return source.read(place)
    except OSError as error:
        return _Vanished(source.items[place].key, error)


class _Vanished:
    """Stands for a file that is gone: reading it raises what the disk said."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name, self._error = name, error

    def read(self, size: int = -1) -> bytes:
        raise self._error


def _named(answer: Unreadable, source: Source, place: int) -> str:
    """The sentence, with the image's own name for what the network was given."""
    return str(answer.reason).replace(answer.image, source.items[place].key, 1)


def _score(metric: Metric, probabilities: NDArray[np.float64], labels: NDArray[np.int64], groups: Groups) -> Estimate:
    return one_network(metric.per_image(probabilities, labels, groups), groups, lowest=metric.lowest)


def _figures(name: str, confusion: NDArray[np.int64], k: int) -> ClassFigures:
    images, predicted, right = int(confusion[k].sum()), int(confusion[:, k].sum()), int(confusion[k, k])
    return ClassFigures(
        name,
        images,
        predicted,
        wilson(right / images, images) if images else None,
        wilson(right / predicted, predicted) if predicted else None,
    )
