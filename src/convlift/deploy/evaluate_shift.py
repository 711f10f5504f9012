"""A trained network on corrupted copies of labelled images, beside the images as they are, and beside another one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.deploy.classifier import Classifier, Unreadable
from convlift.deploy.evaluate_model import Images, Named, Seen, contents, groups_of, labels_of
from convlift.deploy.images import Pixels
from convlift.deploy.shifted_images import Classify, Copy, Rows, classify_copies, plain
from convlift.evidence.metrics import Metric
from convlift.evidence.shifted_scores import compare_copies, shift_scores
from convlift.records.shift import ShiftEvaluation, ShiftScores
from convlift.robustness.corruptions import corrupt, framed
from convlift.robustness.strengths import SEVERITIES

Tell = Callable[[str], None]


class Shift(NamedTuple):
    """names: of corruptions; pseudo_images: as how many images training's statistics of batch norms count, which are
    estimated anew for every corruption and severity; None to leave them."""

    names: tuple[str, ...]
    pseudo_images: int | None = None


class _Judged(NamedTuple):
    """Of a network: which images it has right (n,), its probabilities of the copies (D, n, K), its labels (n,)."""

    right: NDArray[np.bool_]
    said: Rows
    labels: NDArray[np.int64]

    @property
    def copies_right(self) -> NDArray[np.bool_]:
        return np.asarray(self.said.argmax(axis=2) == self.labels, np.bool_)


def evaluate_shift(
    named: Sequence[Named], images: Images, seen: Sequence[Seen], shift: Shift, metric: Metric, tell: Tell
) -> ShiftEvaluation:
    """The first model under every corruption and severity, compared by the metric with the second where there is one.

    seen: what each says of the images as they are; those that all could read count. Raises ConvliftError where a model
    has no batch norm to adapt.
    """
    rows = seen[0].rows if len(seen) == 1 else np.intersect1d(seen[0].rows, seen[1].rows)
    kept = images._replace(places=images.places[rows])
    cells = [Copy(name, severity) for name in shift.names for severity in SEVERITIES]
    models = [(each.model, _classify(each, kept, cells, shift, tell)) for each in named]

    def told(done: int, total: int) -> None:
        tell(f"classified {len(cells)} corrupted copies each of {done:,} of {total:,} images")

    said = classify_copies(models, _decoded(named[0].model, kept), [cells] * len(rows), told)
    groups = groups_of(images, rows)
    judged = [_judged(*each, images, rows) for each in zip(named, seen, said, strict=True)]
    scores = [_scores(one.name, each, cells, groups) for one, each in zip(named, judged, strict=True)]
    gain = None
    if len(judged) > 1:
        mine, theirs = (
            np.array([metric.per_image(np.asarray(row, np.float64), each.labels, groups) for row in each.said])
            for each in judged
        )
        gain = compare_copies(theirs, mine, groups, lowest=metric.lowest)
    return ShiftEvaluation(
        shift.names,
        len(cells),
        scores[0],
        scores[1] if len(scores) > 1 else None,
        metric.name,
        gain,
        tuple(map(float, judged[0].copies_right.mean(axis=0))),
        shift.pseudo_images,
    )


def _judged(named: Named, seen: Seen, said: Rows, images: Images, rows: NDArray[np.int64]) -> _Judged:
    place = np.isin(seen.rows, rows)
    labels = labels_of(named.model, images, rows)
    return _Judged(seen.probabilities[place].argmax(axis=1) == labels, said, labels)


def _scores(name: str, judged: _Judged, cells: Sequence[Copy], groups: NDArray[np.int64] | None) -> ShiftScores:
    return shift_scores(name, judged.right, judged.copies_right, [(cell.name, cell.severity) for cell in cells], groups)


def _decoded(model: Classifier, images: Images) -> Iterator[Pixels]:
    """The images, upright (H, W, C), as the model reads them."""
    for entry in model.squares(contents(images)):
        assert not isinstance(entry, Unreadable), "only images that were read a moment ago are asked for"
        yield entry.image


def _classify(named: Named, images: Images, cells: Sequence[Copy], shift: Shift, tell: Tell) -> Classify:
    if shift.pseudo_images is None:
        return plain(named.model)
    from convlift.deploy.adapt_batch_norm import MOST_IMAGES, adaptable, adapted_statistics, using

    model = adaptable(named.name, named.model)
    tell("estimating the statistics of batch norms anew")
    frames = [framed(pixels) for pixels in _decoded(model, spread(images, MOST_IMAGES))]
    statistics = [
        adapted_statistics(model, [model.prepared(corrupt(frame, *cell)) for frame in frames], shift.pseudo_images)
        for cell in cells
    ]

    def classify(place: int, squares: Sequence[Pixels]) -> Rows:
        with using(model, statistics[place]):
            return model.probabilities(squares)

    return classify


def spread(images: Images, most: int) -> Images:
    """At most so many of the images, evenly spread over them."""
    number = len(images.places)
    if number <= most:
        return images
    return images._replace(places=images.places[np.linspace(0, number - 1, most).round().astype(np.int64)])


def adapted(named: Named, images: Images, pseudo_images: int | None) -> AbstractContextManager[None]:
    """While it lasts the model's batch norms have the statistics of these images; None: their own. Raises ConvliftError
    where it has none."""
    if pseudo_images is None:
        return nullcontext()
    from convlift.deploy.adapt_batch_norm import MOST_IMAGES, adaptable, adapted_statistics, using

    model = adaptable(named.name, named.model)
    entries = model.squares(contents(spread(images, MOST_IMAGES)))
    squares = [entry.pixels for entry in entries if not isinstance(entry, Unreadable)]
    return using(model, adapted_statistics(model, squares, pseudo_images)) if squares else nullcontext()
