"""A trained network on labelled images: scores, classes, calibration, errors, and beside another network."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.data.bands import bands_of, bands_or_none, kind_of
from convlift.data.depth import asked_of
from convlift.data.groups import check_number, find_groups, names_of_groups
from convlift.data.intake import Way
from convlift.data.readers.source import Source
from convlift.data.revised import RevisedSource, load_plan, revise
from convlift.data.store import data_fingerprint
from convlift.data.stretch import BITS, Stretch
from convlift.deploy.classifier import Classifier, Unreadable
from convlift.deploy.evaluate_ranking import group_figures, operating_points, roc_curves
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.evidence.calibration import calibration
from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import METRICS, Metric
from convlift.evidence.network_gain import compare_networks
from convlift.evidence.score_intervals import score_interval, share_of
from convlift.ledger.ledger import LEDGER_FILE, read_ledger
from convlift.records.evaluation import Answer, ClassFigures, Comparison, Evaluation
from convlift.records.plan_applied import ORIGIN, PlanApplied
from convlift.records.training_events import MODEL_OF_ALL

Part = Literal["test", "validation", "train", "all"]
PARTS: tuple[Part, ...] = ("test", "validation", "train", "all")
Told = Callable[[int, int], None]
Rows = NDArray[np.float32]

TRAINING_RECORD = "training.json"  # of a run of `convlift train`


class Named(NamedTuple):
    """A model, and the folder that the user named for it."""

    name: str
    model: Classifier


class Images(NamedTuple):
    """The images to evaluate on. places: in the source, of those of the part; part: "" where these are all; groups
    (n,): which of them belong together; group_names: of every one; plan: what a plan changed of them."""

    source: Source
    places: NDArray[np.int64]
    part: str
    groups: Groups = None
    group_names: tuple[str, ...] = ()
    plan: PlanApplied | None = None

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,): counted as the source counts its classes."""
        return np.array([self.source.items[place].label for place in self.places], np.int64)


class Seen(NamedTuple):
    """What a network says of the images that could be read: which of them these are (m,), its probabilities (m, K) in
    the order of its own classes, a sentence for each image that could not be read, and notes on the others."""

    rows: NDArray[np.int64]
    probabilities: Rows
    unreadable: tuple[str, ...]
    notes: tuple[tuple[str, int], ...]


def choose_images(source: Source, part: Part | None, group_from: str | None, plan: Path | None = None) -> Images:
    """The images of a part, as a plan has them; where none is named the test part, if there is one, else all.

    Raises ConvliftError where there is no such part, an image of it has no group, or the plan is for other data;
    DataError where it has one group.
    """
    revised = revise(source, plan, load_plan(plan)) if plan else None
    source = revised.source if revised else source
    parts = {item.split for item in source.items if item.split}
    wanted = part or ("test" if "test" in parts else "all")
    places = [place for place, item in enumerate(source.items) if wanted in ("all", item.split)]
    if not places:
        there = f"has only {' and '.join(sorted(parts))}" if parts else "has no parts; leave out --part"
        raise ConvliftError(f"there is no {wanted} part in {source.name}, which {there}.")
    keys = [source.items[place].key for place in places]
    group_from = revised.named_groups(group_from) if revised else group_from
    groups = revised.groups(group_from, keys) if revised else find_groups(source, group_from, keys)
    names = names_of_groups(source, group_from, keys)
    if groups is not None:
        check_number(source.name, groups)
    told, applied = "" if wanted == "all" else wanted, revised.applied if revised else None
    return Images(source, np.array(places), told, groups, tuple(names or ()), applied)


def check_fit(named: Named, images: Images) -> None:
    """Raise DataError where the images have a class that the model does not know, other bands, or values on another
    scale."""
    source, model = images.source, named.model
    unknown = [
        source.classes[label] for label in np.unique(images.labels) if source.classes[label] not in model.classes
    ]
    if unknown:
        raise DataError(
            f"{source.name} has images of class '{unknown[0]}', which {named.name} does not know (its classes are "
            f"{', '.join(model.classes[:10])}{', ...' if len(model.classes) > 10 else ''}); name the classes as in "
            "training."
        )
    wanted, bands = bands_or_none(model.config.channels), bands_of(source)
    if bands and wanted not in bands:
        raise DataError(
            f"{source.name} has images that are {kind_of(min(bands))}, and {named.name} learned from images that are "
            f"{kind_of(wanted)}; give images of the same bands, in the same order."
        )
    own = model.config.value_range
    if source.value_range is not None and source.value_range != own:
        learned = "of 8 bits only" if own is None else f"of which {_white(own)} is white"
        raise DataError(
            f"{source.name} holds arrays of which {_white(source.value_range)} is white, and {named.name} learned from "
            f"images {learned}; save them on that scale, as bytes or as image files."
        )


def _white(value_range: float | tuple[float, ...] | Stretch) -> str:
    given = value_range.high if isinstance(value_range, Stretch) else value_range
    ranges = given if isinstance(given, tuple) else (given,)
    return ", ".join(f"{top:g}" for top in ranges) + (" (a band each)" if len(ranges) > 1 else "")


def see(named: Named, images: Images, told: Told = lambda done, total: None) -> Seen:
    """Classify the images. told: how many of how many are done. Raises DataError where none can be read."""
    found, rows, unreadable, notes = [], [], [], Counter[str]()
    for row, answer in enumerate(named.model.answers(contents(images))):
        if isinstance(answer, Unreadable):
            unreadable.append(str(answer.reason).replace(answer.image, _key(images, row), 1))
        else:
            found.append(np.fromiter(answer.probabilities.values(), np.float32))
            rows.append(row)
            notes.update(answer.notes)
        told(row + 1, len(images.places))
    if not rows:
        raise DataError(f"none of the {len(images.places)} images of {images.source.name} can be read: {unreadable[0]}")
    return Seen(np.array(rows), np.array(found), tuple(unreadable), tuple(notes.most_common()))


def evaluate(named: Named, images: Images, seen: Seen) -> Evaluation:
    """What the network's predictions are worth; nothing is said of what it was trained on."""
    classes, count = named.model.classes, len(named.model.classes)
    labels, groups = labels_of(named.model, images, seen.rows), groups_of(images, seen.rows)
    predicted, sure = seen.probabilities.argmax(axis=1), seen.probabilities.max(axis=1)
    confusion = np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)
    confidence = named.model.config.confidence
    answers = zip(seen.rows, labels, predicted, sure, seen.probabilities, strict=True)
    return Evaluation(
        model=named.name,
        data=images.source.name,
        part=images.part,
        scores={metric.name: score_interval(metric, seen.probabilities, labels, groups) for metric in METRICS},
        classes=tuple(class_figures(classes[k], labels == k, predicted == k, groups) for k in range(count)),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        calibration=calibration(np.minimum(sure.astype(np.float64), 1.0), predicted == labels, groups),
        unreadable=seen.unreadable,
        notes=seen.notes,
        findings=images.source.findings,
        plan=images.plan,
        confidence=replace(confidence, thresholds=()),
        groups=group_figures([images.group_names[row] for row in seen.rows if images.group_names], predicted == labels),
        operating_points=operating_points(confidence, classes, seen.probabilities, labels, groups),
        curves=roc_curves(classes, seen.probabilities, labels),
        answers=tuple(
            Answer(_key(images, row), classes[k], classes[p], float(most), float(all_K[k]))
            for row, k, p, most, all_K in answers
        ),
    )


def compare(metric: Metric, images: Images, one: tuple[Named, Seen], other: tuple[Named, Seen]) -> Comparison:
    """How the first network compares with the second, on the images that both could read. Raises ConvliftError where
    the metric is one of probabilities and their classes differ."""
    mine, theirs = one[0].model.classes, other[0].model.classes
    if metric.lowest < -1.0 and set(mine) != set(theirs):  # its scale is the number of classes
        raise ConvliftError(f"{metric.title} compares models of the same classes only; choose another --metric.")
    both = np.intersect1d(one[1].rows, other[1].rows)
    groups = groups_of(images, both)

    def scores(named: Named, seen: Seen) -> NDArray[np.float64]:
        kept = np.isin(seen.rows, both)
        of_both = seen._replace(rows=both, probabilities=seen.probabilities[kept])
        labels = labels_of(named.model, images, both)
        return metric.per_image(of_both.probabilities.astype(np.float64), labels, groups)

    gain = compare_networks(scores(*other), scores(*one), groups, lowest=metric.lowest)
    return Comparison(other[0].name, metric.name, gain)


class TrainedOn(NamedTuple):
    """data: fingerprint of what a model was trained on, "" where that is not known; filed, way: of these data before
    a plan changed them, "" where none did, and how they were read; resplit: whether the plan put their official parts
    aside, so that images of their test part were trained on."""

    data: str = ""
    filed: str = ""
    way: Way = Way()
    resplit: bool = False


def learned_from(images: Images, named: Sequence[Named]) -> tuple[str, ...]:
    """Those of the models that were trained on exactly these data, not counting their sealed test part; a plan that
    changed the data, then or now, leaves them the same data."""
    whole = images.source.whole if isinstance(images.source, RevisedSource) else images.source
    sources = [images.source, *([whole] if whole is not images.source else [])]
    found = []
    for each in named:
        known, own = _trained_on(Path(each.name)), each.model.config
        is_sealed = images.part == "test" and Path(each.name).name != MODEL_OF_ALL and not known.resplit
        if not known.data or is_sealed:
            continue
        way = Way(own.alpha, own.side, asked_of(own.value_range))
        is_known = any(data_fingerprint(source, way) == known.data for source in sources)
        if is_known or (known.filed and data_fingerprint(whole, known.way) == known.filed):
            found.append(each.name)
    return tuple(found)


def _trained_on(path: Path) -> TrainedOn:
    """The data of the campaign or training in a run folder."""
    for folder in (path, path.parent):
        try:
            if (folder / LEDGER_FILE).is_file():
                with read_ledger(folder) as ledger:
                    return _told(ledger.identity.data, ledger.recall(ORIGIN))
            if (folder / TRAINING_RECORD).is_file():
                record = json.loads((folder / TRAINING_RECORD).read_text(encoding="utf-8"))
                return _told(record["question"]["data"], record.get(ORIGIN))
        except (ConvliftError, OSError, ValueError, KeyError, TypeError):
            continue
    return TrainedOn()


def _told(data: Any, origin: Any) -> TrainedOn:
    """As a run folder tells it; origin: `PlanApplied.origin`, None where there was no plan."""
    if not origin:
        return TrainedOn(str(data))
    way = Way(origin["alpha"], value_range=origin.get("value_range", BITS))
    return TrainedOn(str(data), str(origin["data"]), way, bool(origin["resplit"]))


def contents(images: Images) -> Iterator[Any]:
    """The bytes or pixels of every image; in place of one whose file cannot be opened, the sentence that says so."""
    for row, place in enumerate(images.places):
        try:
            yield images.source.read(int(place))
        except OSError as error:
            key = _key(images, row)
            reason = f"{key} cannot be read ({error.strerror or type(error).__name__}); repair it or leave it out."
            yield Unreadable(key, UnreadableImage(reason))


def _key(images: Images, row: int) -> str:
    key: str = images.source.items[images.places[row]].key
    return key


def labels_of(model: Classifier, images: Images, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,): of these of the images, counted as the model counts."""
    number = {name: k for k, name in enumerate(model.classes)}
    known = np.array([number.get(name, -1) for name in images.source.classes], np.int64)
    return known[images.labels[rows]]


def groups_of(images: Images, rows: NDArray[np.int64]) -> Groups:
    return None if images.groups is None else images.groups[rows]


def class_figures(
    name: str, is_class: NDArray[np.bool_], is_predicted: NDArray[np.bool_], groups: Groups = None
) -> ClassFigures:
    """Recall and precision of one class; (n,): which images are of it, and which are taken for it."""
    both = is_class & is_predicted
    recall, precision = (share_of(both, of, groups) for of in (is_class, is_predicted))
    return ClassFigures(name, int(is_class.sum()), int(is_predicted.sum()), recall, precision)
