"""The second score: the two networks of the headline on shifted images, once, beside the sealed test.

Nothing of it decides anything: which networks are compared is settled, the sealed test is open, and the claim on clean
images is made without it. It is another question with an interval of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.artifacts import write_model
from convlift.campaign.judge_adapted import adapted_to_corruptions, adapted_to_folder, judge_adapted
from convlift.campaign.request import Request
from convlift.campaign.shift_asked import copies_each, images_of
from convlift.data.dataset import Dataset
from convlift.deploy.evaluate_model import Images, Named, Seen, groups_of, labels_of, see
from convlift.deploy.images import Pixels
from convlift.deploy.predict import Model, load
from convlift.deploy.shifted_images import Copy, Rows, Told, classify_copies, plain
from convlift.errors import ConvliftError, Interrupted
from convlift.evidence.network_gain import compare_networks
from convlift.evidence.shifted_scores import compare_copies
from convlift.ledger.trials import TrialRecord
from convlift.records.events import ClassifyingShifted, Listener
from convlift.records.result import CorruptionGain, NetworkGain, ShiftGain
from convlift.robustness.dealing import dealt
from convlift.robustness.names import names_for
from convlift.robustness.trained_on import trained_on
from convlift.search.context import Search
from convlift.search.fit_confidence import confidence_of
from convlift.search.shipment import Shipment

Kind = Literal["corruptions", "images"]
Labels = NDArray[np.int64]


def judge_shift(
    request: Request, search: Search, dataset: Dataset, shipment: Shipment, test_labels: Labels, listen: Listener
) -> tuple[ShiftGain, ...]:
    """What is said of the shifted images that were asked for; nothing where none were, or a network left no weights;
    where a network cannot be asked, why not. Raises Interrupted.

    test_labels (nt,): of the sealed test, which was just opened."""
    before, after = shipment.baseline_network, shipment.network
    kinds: list[Kind] = []
    kinds += ["corruptions"] if request.shift else []
    kinds += ["images"] if request.shift_data else []
    if not kinds or before is None or not search.has_network(before) or not search.has_network(after):
        return ()
    found: list[ShiftGain] = []
    trained = trained_on(before.recipe) | trained_on(after.recipe)
    try:
        with TemporaryDirectory(prefix=".shift-", dir=search.ledger.folder, ignore_cleanup_errors=True) as folder:
            models = [
                _model(request, search, dataset, record, Path(folder) / name)
                for name, record in (("baseline", before), ("shipped", after))
            ]
            ask = {
                "corruptions": lambda: _under_corruptions(
                    request, search, dataset, models, (test_labels, trained), listen
                ),
                "images": lambda: _on_folder(request, search, dataset, models, listen),
            }
            found += [_answer(kind, ask[kind]) for kind in kinds]
    except Interrupted:
        raise
    except Exception as error:  # such as no room for the models
        found = [_lost(kind, error) for kind in kinds]
    return tuple(found)


def _answer(kind: Kind, ask: Callable[[], ShiftGain]) -> ShiftGain:
    """Whatever goes wrong with a second question must cost neither the answer to the first nor that to the other."""
    try:
        return ask()
    except Interrupted:
        raise
    except Exception as error:
        return _lost(kind, error)


def _lost(kind: Kind, error: Exception) -> ShiftGain:
    said = " ".join(str(error).split())
    return ShiftGain(kind, "", 0, 0, None, fault=said if isinstance(error, ConvliftError) else f"{error!r}")


def _model(request: Request, search: Search, dataset: Dataset, record: TrialRecord, folder: Path) -> Model:
    confidence = confidence_of(search.problem, search.ledger, record, dataset.classes)
    recipe = record.recipe.at(dataset.store.native_resolution)
    write_model(folder, search.dispatcher.weights_of(record), recipe, dataset, {}, confidence)
    return load(folder, request.devices[0])


def _under_corruptions(
    request: Request,
    search: Search,
    dataset: Dataset,
    models: Sequence[Model],
    told: tuple[Labels, frozenset[str]],
    listen: Listener,
) -> ShiftGain:
    """told: the labels, and the corruptions that a recipe trains on."""
    (labels, trained), test, metric = told, dataset.splits.test, search.problem.metric
    asked = names_for(request.shift, dataset.channels)
    names = [name for name in asked if name not in trained]
    left_out = tuple(name for name in asked if name in trained)
    number = copies_each(request, len(test), len(names), dataset.store.native_resolution)
    if not number:
        return ShiftGain("corruptions", "", len(test), 0, None, (), left_out)
    copies = [[Copy(*each) for each in own] for own in dealt(names, len(test), number, request.seed)]

    def image(row: int) -> Pixels:
        return dataset.store.image(int(test[row]))

    networks, told_so_far = [(model, plain(model)) for model in models], _telling(listen)
    said = classify_copies(networks, map(image, range(len(test))), copies, told_so_far)
    groups = search.problem.test_groups

    def scored(rows: Rows) -> NDArray[np.float64]:
        return np.array([metric.per_image(np.asarray(row, np.float64), labels, groups) for row in rows])

    gain = compare_copies(scored(said[0]), scored(said[1]), groups, lowest=metric.lowest)
    parts = _by_corruption(names, copies, said, labels)

    def ask() -> tuple[int, NetworkGain]:
        fewest, rows = adapted_to_corruptions(models[1], image, copies, told_so_far)
        return fewest, compare_copies(scored(said[1]), scored(rows), groups, lowest=metric.lowest)

    again = judge_adapted(models[1], ask)
    return ShiftGain(
        "corruptions", "", len(test), number, gain, tuple(names), left_out, by_corruption=parts,
        adapted=again.score, not_adapted=again.fault,
    )  # fmt: skip


def _telling(listen: Listener) -> Told:
    return lambda done, total: listen(ClassifyingShifted(done, total))


def _by_corruption(
    names: Sequence[str], copies: Sequence[Sequence[Copy]], said: Sequence[Rows], labels: Labels
) -> tuple[CorruptionGain, ...]:
    of_copy = np.array([[copy.name for copy in own] for own in copies]).T  # (D, n)
    before, after = (rows.argmax(axis=2) == labels for rows in said)
    found = []
    for name in names:
        is_name = of_copy == name
        if is_name.any():
            rights = (float(right[is_name].mean()) for right in (before, after))
            found.append(CorruptionGain(name, int(is_name.sum()), *rights))
    return tuple(found)


def _on_folder(
    request: Request, search: Search, dataset: Dataset, models: Sequence[Model], listen: Listener
) -> ShiftGain:
    assert request.shift_data is not None
    source, places, groups, copied, ungrouped = images_of(request.shift_data, dataset, request.group_from)
    if not len(places):
        return ShiftGain("images", source.name, 0, 1, None, copied=copied)
    images, metric = Images(source, places, "", groups), search.problem.metric
    named = [Named(source.name, model) for model in models]
    told_so_far = _telling(listen)
    seen = [see(each, images, told_so_far) for each in named]
    rows = np.intersect1d(seen[0].rows, seen[1].rows)
    labels, belong = labels_of(models[0], images, rows), groups_of(images, rows)

    def scored(each: Seen) -> NDArray[np.float64]:
        kept = each.probabilities[np.isin(each.rows, rows)].astype(np.float64)
        return metric.per_image(kept, labels, belong)

    def ask() -> tuple[int, NetworkGain]:
        number, again = adapted_to_folder(named[1], images, told_so_far)
        return number, compare_networks(scored(seen[1]), scored(again), belong, lowest=metric.lowest)

    gain = compare_networks(scored(seen[0]), scored(seen[1]), belong, lowest=metric.lowest)
    again = judge_adapted(models[1], ask)
    return ShiftGain(
        "images", source.name, len(rows), 1, gain, copied=copied, ungrouped=ungrouped, adapted=again.score,
        not_adapted=again.fault,
    )  # fmt: skip
