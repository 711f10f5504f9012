"""What the page needs and the trials do not hold, as plain data for the ledger: tables, hard images, the machine."""

import base64
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.look_at_augmentation import sheet_of
from convlift.data.dataset import Dataset
from convlift.data.encode import png_of
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU
from convlift.records.contact_sheet import Draw, Sheet
from convlift.records.outcome import NO_PROBABILITIES
from convlift.records.result import ClassScore
from convlift.records.software import software_version
from convlift.search.decisions import Shipped, decided

HARD_IMAGES = 12
SEEN_IMAGES, SEEN_DRAWS = 4, 4

Labels = NDArray[np.int64]
Plain = dict[str, Any]  # plain data for the ledger


class Seen(NamedTuple):
    """The images that are shown: their indices and labels, and whether they are the sealed test's."""

    indices: NDArray[np.int64]
    labels: Labels
    is_test: bool = True

    def of(self, record: TrialRecord) -> NDArray[np.float32]:
        """A run's probabilities for them (n, K); empty where it left none."""
        if record.outcome is None:
            return NO_PROBABILITIES
        return record.outcome.test_probabilities if self.is_test else record.outcome.validation_probabilities


def page_material(
    ledger: Ledger,
    shipped_runs: Sequence[TrialRecord],
    dataset: Dataset,
    test_labels: Labels | None,
    more: Plain,
    *,
    of_runs: bool = False,
) -> Plain:
    """Everything but the trials that the page shows.

    shipped_runs: the runs of what ships that count, the shipped network's among them; test_labels: just opened, or None
    where the sealed test stays closed: then all that is shown is of the validation images.
    more: start_recipe, minimum_detectable_points and environment, passed on as they are.
    of_runs: whether the scores a class are of all runs that were judged, as in a fold, instead of the two networks that
    the headline compares.
    """
    splits, classes = dataset.splits, len(dataset.classes)
    train, validation = dataset.labels[splits.train], dataset.labels[splits.validation]
    counts = {"train": train, "validation": validation}
    if test_labels is None:
        seen = Seen(splits.validation, validation, is_test=False)
    else:
        seen, counts = Seen(splits.test, test_labels), {**counts, "test": test_labels}
    baselines, network = _baseline_runs(ledger), _network(ledger, shipped_runs)
    shown = (shipped_runs, baselines) if of_runs else _compared(ledger, shipped_runs, baselines, seen)
    confusion, before = (_confusions(runs, seen, classes) for runs in shown)
    return {
        "classes": list(dataset.classes),
        "confusion": confusion.tolist() if shipped_runs else [],
        "baseline_recall": _recall(before),
        "final_recall": _recall(confusion),
        "predicted": _confusions([network] if network else [], seen, classes).sum(axis=0).tolist(),
        "class_counts": {name: np.bincount(labels, minlength=classes).tolist() for name, labels in counts.items()},
        "hard_images": _hard_images_of(network, dataset, seen) if network else [],
        "validation_labels": validation.tolist(),
        "curves_of": [_id_with_curve(baselines), _id_with_curve(_measured(network, shipped_runs))],
        "runs": [len(baselines), len(shipped_runs)],
        **more,
    }


def seen_by(network: TrialRecord, dataset: Dataset, seed: int) -> Plain | None:
    """What `seen_of` gives of a trial's network; None of one that the user gave, whose training nobody here knows."""
    return None if network.role == "given" else seen_of(network.recipe, dataset, seed)


def seen_of(recipe: Recipe, dataset: Dataset, seed: int) -> Plain | None:
    """Some training images beside draws of the recipe's augmentation; None where its network saw none. recipe: with its
    resolution written down."""
    if not recipe.data.augmentation.active:
        return None
    sheet = sheet_of(dataset, recipe, seed, images=SEEN_IMAGES, draws=SEEN_DRAWS)
    if sheet.way == "never":
        return None
    rows = [
        [key, label, _text_of(original), [[_text_of(draw.picture), dict(draw.levers)] for draw in draws]]
        for key, label, original, draws in sheet.rows
    ]
    return {**vars(sheet), "rows": rows, "strengths": dict(sheet.strengths), "settings": dict(sheet.settings)}


def sheet_told(told: Plain | None) -> Sheet | None:
    """What `seen_of` gave, once it went through the ledger."""
    if told is None:
        return None
    rows = tuple(
        (
            key,
            label,
            base64.b64decode(original),
            tuple(
                Draw(base64.b64decode(picture), {name: tuple(figures) for name, figures in levers.items()})
                for picture, levers in draws
            ),
        )
        for key, label, original, draws in told["rows"]
    )
    return Sheet(**{**told, "rows": rows})


def _text_of(png: bytes) -> str:
    return base64.b64encode(png).decode()


def class_scores(material: Plain) -> tuple[ClassScore, ...]:
    """The scores a class from what `page_material` gave; () where it had none."""
    if "predicted" not in material:
        return ()
    images = material["class_counts"].get("test", material["class_counts"]["validation"])
    columns = (material["classes"], images, *(material[n] for n in ("baseline_recall", "final_recall", "predicted")))
    return tuple(ClassScore(*row) for row in zip(*columns, strict=True))


def environment(seed: int, workers: int, device: str = CPU.name) -> dict[str, str]:
    """What a rerun needs to know."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "numpy"))
    return {
        "software": f"Python {platform.python_version()}, convlift {software_version()}, {packages}",
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "workers": str(workers),
        "seed": str(seed),
    }


def hard_images(
    probabilities: NDArray[np.float32], dataset: Dataset, indices: NDArray[np.int64], labels: Labels
) -> list[Plain]:
    """The images that are misclassified with the most confidence, as plain data.

    probabilities (n, K): for the images at `indices` (n,), whose labels (n,) are given.
    """
    sure = np.where(probabilities.argmax(axis=1) == labels, -1.0, probabilities.max(axis=1))
    found = []
    for row in np.argsort(-sure, kind="stable")[:HARD_IMAGES]:
        if sure[row] < 0:
            break
        pixels = dataset.store.image(int(indices[row]))
        found.append(
            {
                "png": base64.b64encode(png_of(pixels)).decode(),
                "true_class": dataset.classes[labels[row]],
                "predicted_class": dataset.classes[int(probabilities[row].argmax())],
                "confidence": float(sure[row]),
            }
        )
    return found


def _hard_images_of(record: TrialRecord, dataset: Dataset, seen: Seen) -> list[Plain]:
    probabilities = seen.of(record)
    is_complete = len(probabilities) == len(seen.labels)
    return hard_images(probabilities, dataset, seen.indices, seen.labels) if is_complete else []


def _measured(network: TrialRecord | None, runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs whose curves say something of validation images: not one that learned from them."""
    return [record for record in (network, *runs) if record and not record.spec.refit] if network else []


def _network(ledger: Ledger, runs: Sequence[TrialRecord]) -> TrialRecord | None:
    """The trial whose network ships; the first of the runs where the ledger does not say which."""
    kept = decided(ledger, Shipped)
    return ledger.trial(kept.network) if kept else next(iter(runs), None)


def _compared(
    ledger: Ledger, shipped_runs: Sequence[TrialRecord], baselines: Sequence[TrialRecord], seen: Seen
) -> tuple[Sequence[TrialRecord], Sequence[TrialRecord]]:
    """The network that ships and the baseline's beside it; all runs where the ledger does not name them."""
    kept = decided(ledger, Shipped)
    if kept is None:
        return shipped_runs, baselines
    ships, rival = ledger.trial(kept.network), kept.baseline_network
    before = [ledger.trial(rival)] if rival is not None else baselines
    return ([ships] if len(seen.of(ships)) == len(seen.labels) else shipped_runs), before


def _baseline_runs(ledger: Ledger) -> list[TrialRecord]:
    """The baseline's runs that were judged; where the ledger does not say which, those that ended."""
    kept = decided(ledger, Shipped)
    if kept:
        return [ledger.trial(number) for number in kept.before]
    return [record for record in ledger.trials("baseline") if record.status == "finished"]


def _confusions(runs: Iterable[TrialRecord], seen: Seen, classes: int) -> Labels:
    """(K, K): over all runs; zeros where there is none."""
    found = np.zeros((classes, classes), np.int64)
    for probabilities in (seen.of(record) for record in runs):
        if len(probabilities) == len(seen.labels):
            cells = seen.labels * classes + probabilities.argmax(axis=1)
            found += np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    return found


def _recall(confusion: Labels) -> list[float | None]:
    totals = confusion.sum(axis=1)
    return [float(confusion[k, k] / total) if total else None for k, total in enumerate(totals)]


def _id_with_curve(records: Iterable[TrialRecord]) -> int | None:
    return next((record.id for record in records if record.outcome and record.outcome.curve), None)
