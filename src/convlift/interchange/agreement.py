"""Whether a smaller file may stand for its model: what its changed answers can cost on other images, bounded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convlift.deploy.classifier import BATCH, Classifier, Unreadable
from convlift.deploy.images import read_image
from convlift.errors import ConvliftError
from convlift.evidence.network_gain import SIDE, counted_interval
from convlift.records.exported import Agreement
from convlift.records.result import Estimate

if TYPE_CHECKING:
    from convlift.deploy.images import Pixels

MARGIN = 0.01  # of the answers: what a smaller file may cost
CALIBRATED, LEAST_CALIBRATED = 200, 32  # images whose activations are looked at
CHECKED = 4000  # images at most
# with no changed answer on so many, the upper bound of their share is MARGIN: 1 - .025 ** (1 / n)
LEAST_CHECKED = 368
LEAST = LEAST_CALIBRATED + LEAST_CHECKED


def parted(images: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The images to calibrate on, and the others, to check on: both spread evenly over all. Raises ConvliftError where
    they are too few to prove anything."""
    if len(images) < LEAST:
        raise ConvliftError(
            f"{len(images)} images cannot show that eight bits cost less than {MARGIN:.0%} of the answers; name at "
            f"least {LEAST} with --images, such as the model has not learned from."
        )
    most = min(CALIBRATED, len(images) - LEAST_CHECKED)
    calibration = _spread(images, most)
    taken = set(calibration)
    return calibration, _spread([path for path in images if path not in taken], CHECKED)


def squares_of(model: Classifier, paths: Sequence[Path]) -> "list[Pixels]":
    """The images as the model prepares them, (R, R, C) each. Raises UnreadableImage."""
    origin = model.config.origin
    return [model.prepared(read_image(str(path), str(path), origin).pixels) for path in paths]


def compare_answers(model: Classifier, smaller: Classifier, paths: Sequence[Path]) -> Agreement:
    """Compare the answers of both on images; of labelled ones, which lie in folders of their classes' names, also which
    are right. Raises UnreadableImage."""
    before, after = (_answers(each, paths) for each in (model, smaller))
    return agreement(before, after, labels_of(paths, model.classes))


def refusal(found: Agreement) -> ConvliftError:
    """Why a file of which `is_kept` does not hold is not written."""
    cost = f", and cost {-found.gain.low:.1f} points of accuracy" if found.gain else ""
    return ConvliftError(
        f"eight bits change {found.changed} of {found.images} answers, so that of others they may change "
        f"{found.most_changed:.1%}{cost}; {MARGIN:.0%} is allowed, and no file was written. Give more images "
        "with --images, in folders of their classes, or export with --precision float16."
    )


def agreement(before: NDArray[np.int64], after: NDArray[np.int64], labels: NDArray[np.int64] | None) -> Agreement:
    """What the answers (n,) of the smaller file after, of the model before, say of other images: the upper bound of the
    exact 95% interval of the share that changes (Clopper and Pearson 1934), and, of labelled ones, the gain in accuracy
    with its paired interval (`network_gain`)."""
    from scipy.stats import beta

    count, changed = len(before), int((before != after).sum())
    most = 1.0 if changed == count else float(beta.ppf(1.0 - SIDE, changed + 1, count - changed))
    if labels is None:
        return Agreement(count, changed, most, None)
    apart = (after == labels).astype(int) - (before == labels)
    low, high = counted_interval(int((apart > 0).sum()), int((apart < 0).sum()), count)
    return Agreement(count, changed, most, Estimate(100.0 * float(apart.mean()), 100.0 * low, 100.0 * high))


def is_kept(found: Agreement) -> bool:
    """Whether the loss is bounded: an answer that does not change costs nothing, so either bound will do."""
    return found.most_changed <= MARGIN or (found.gain is not None and found.gain.low > -100.0 * MARGIN)


def labels_of(paths: Sequence[Path], classes: Sequence[str]) -> NDArray[np.int64] | None:
    """The class of each image, by the nearest folder above it that is named after one; None where one has none."""
    number = {name: place for place, name in enumerate(classes)}
    found = [next((number[each.name] for each in path.absolute().parents if each.name in number), -1) for path in paths]
    return None if -1 in found else np.array(found, np.int64)


def _answers(model: Classifier, paths: Sequence[Path]) -> NDArray[np.int64]:
    number = {name: place for place, name in enumerate(model.classes)}
    found = []
    for answer in model.answers(map(str, paths), BATCH):
        if isinstance(answer, Unreadable):
            raise answer.reason
        found.append(number[answer.label])
    return np.array(found, np.int64)


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    """As many of them, evenly; all where they are no more."""
    if len(paths) <= most:
        return list(paths)
    return [paths[place] for place in np.linspace(0, len(paths) - 1, most).round().astype(int)]
