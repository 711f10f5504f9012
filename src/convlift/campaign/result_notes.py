"""What a reader should know of how a result came about: the notes of a campaign."""

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.detectable_gain import detectable_between
from convlift.campaign.judge import Judgement
from convlift.catalogue.unfit import JudgedBy
from convlift.data.dataset import Dataset
from convlift.evidence.calibration import calibration
from convlift.evidence.metrics import ACCURACY, Metric
from convlift.evidence.power import little_left_to_find
from convlift.evidence.reuse import flattery
from convlift.evidence.temperature import at_temperature, log_loss
from convlift.ledger.openings import Openings, notes_of_openings
from convlift.ledger.trials import COMBINED, TrialRecord
from convlift.records.confidence import Calibrated, Confidence
from convlift.records.goal import OptimizedFor
from convlift.records.notes import (
    FewOfAClass,
    GroupsTested,
    LittleLeft,
    LostRuns,
    LowFidelityTrials,
    MetricMeaning,
    NotAsked,
    Note,
    NothingToSee,
    Refitted,
    ShippedCutShort,
    SlowPrediction,
    StillSealed,
    UntestedClasses,
    WorkerDeaths,
)
from convlift.records.result import NetworkGain
from convlift.search.combine import has_refits, how_made, pass_milliseconds
from convlift.search.compared_runs import lost_runs
from convlift.search.context import Search
from convlift.search.decisions import Agreement, Allocation, GuardReport, LowFidelity, Shortlist, decided, made
from convlift.search.shipment import Shipment, finals_of, learned
from convlift.search.start_decisions import Given

FEW_GROUPS = 10  # with fewer in the test the variance between them is itself a guess (see benchmarks/metrics.py)


def notes_of(search: Search, shipment: Shipment, judged: Judgement | None, openings: Openings | None) -> list[Note]:
    """Of a campaign that has decided what ships. judged: None where the sealed test stayed closed."""
    given = decided(search.ledger, Given)
    notes: list[Note] = [*_optimized_for(search), *([given.found] if given else [])]
    if judged is not None:
        notes += [judged.unexplained] if judged.unexplained else []
        notes += judged.notes
    if judged is not None and openings is not None:
        notes += notes_of_openings(openings, flattery(judged.final.shipped, openings.number))
    if deaths := search.ledger.worker_deaths():
        notes.append(WorkerDeaths(deaths["itself"], deaths["outside"], deaths["memory"]))
    cut_short = [run.status == "stopped" for run in (shipment.network, *shipment.after)]
    finals = learned(search, finals_of(search, shipment.frozen))
    if shipment.network.role in COMBINED:
        notes.append(how_made(search, shipment.network, finals))
        cut_short = [any(cut_short)]
    if most := search.problem.most_milliseconds:
        each = pass_milliseconds(search, shipment.network.recipe)
        notes += [SlowPrediction(each, most)] if each > most else []
    if has_refits(search, shipment.network, finals):
        validation = len(search.problem.validation_labels)
        notes.append(Refitted(search.problem.facts.training_images + validation, validation))
    is_part = shipment.network.role == "start" and not shipment.network.is_whole
    if cut_short[0] or is_part:
        notes.append(ShippedCutShort(first=is_part))
    if judged is None and _goes_on(search):
        notes.append(StillSealed())
    return notes + _notes_of_the_search(search, shipment)


def _optimized_for(search: Search) -> list[OptimizedFor]:
    """What was chosen by, where that is not the score on clean images."""
    problem, copies = search.problem, search.problem.copies
    if copies is None:
        return []
    left_out = (decided(search.ledger, Shortlist) or Shortlist(())).left_out.values()
    withheld, images = sum(isinstance(each, JudgedBy) for each in left_out), len(problem.validation_labels)
    return [OptimizedFor(problem.goal, problem.metric.name, copies.corruptions, copies.each, images, withheld)]


def _goes_on(search: Search) -> bool:
    """Whether a longer budget would have an unjudged campaign judged: not where the baseline cannot be trained."""
    failed = [record.status in ("diverged", "failed") for record in search.ledger.trials("baseline")]
    return not search.problem.trainings and search.problem.pool is None and not (failed and all(failed))


def _notes_of_the_search(search: Search, shipment: Shipment) -> list[Note]:
    notes: list[Note] = []
    ledger, trials = search.ledger, search.ledger.trials()
    if lost := lost_runs(ledger, shipment.frozen.recipe):
        runs = sum(record.role in ("baseline", "final") for record in trials)
        notes.append(LostRuns(len(lost), runs, lost[0].outcome.reason if lost[0].outcome else ""))
    division = decided(ledger, Allocation)
    if division is not None and division.errors is not None:
        notes.append(NothingToSee(division.errors, len(search.problem.validation_labels)))
    tried = len(shipment.frozen.candidates)
    if tried and little_left_to_find(len(ledger.trials("search")), tried):
        notes.append(LittleLeft())
    if unasked := (decided(ledger, GuardReport) or GuardReport()).not_asked:
        notes.append(NotAsked(unasked))
    if low_fidelity := len(ledger.trials("low-fidelity")):
        asked, agreement = made(ledger, LowFidelity), made(ledger, Agreement)
        notes.append(LowFidelityTrials(low_fidelity, len(asked.names), agreement.correlation))
    return notes


def notes_of_the_test(
    search: Search, dataset: Dataset, judged: Judgement, test_labels: NDArray[np.int64], network: NetworkGain | None
) -> list[Note]:
    """What the test can tell, and what it cannot. test_labels (nt,): just opened."""
    problem, notes = search.problem, notes_of_the_metric(search.problem.metric, dataset, test_labels)
    independent = None
    if problem.test_groups is not None:
        notes.append(groups_tested(problem.test_groups))
        independent = judged.final.effective_images
    return [*notes, detectable_between(network, len(test_labels), independent)] if network else notes


def notes_of_the_metric(metric: Metric, dataset: Dataset, test_labels: NDArray[np.int64]) -> list[Note]:
    """What the metric means, and where the test has too few images of a class for it; nothing for accuracy."""
    if metric is ACCURACY:
        return []
    notes: list[Note] = [MetricMeaning(metric.name)]
    counts = np.bincount(test_labels, minlength=len(dataset.classes))
    if absent := tuple(name for name, count in zip(dataset.classes, counts, strict=True) if not count):
        notes.append(UntestedClasses(absent))
    present = np.where(counts > 0, counts, counts.max())
    if present.min() < metric.least_images:
        scarcest = dataset.classes[int(present.argmin())]
        notes.append(FewOfAClass(metric.name, scarcest, int(present.min()), metric.least_images))
    return notes


def calibrated(
    search: Search, network: TrialRecord, confidence: Confidence, test_labels: NDArray[np.int64] | None
) -> Calibrated:
    """The temperature of what ships, and what that makes of its probabilities on the sealed test, where it was opened.
    test_labels: (nt,)."""
    if test_labels is None or network.outcome is None:
        return Calibrated(confidence.temperature, confidence.fitted_on)
    said, temperature = network.outcome.test_probabilities, confidence.temperature
    mended = at_temperature(said, temperature)
    right, sure = said.argmax(axis=1) == test_labels, np.minimum(mended.max(axis=1).astype(np.float64), 1.0)
    found = calibration(sure, right, search.problem.test_groups)
    before, after = (float(log_loss(said, test_labels, each).mean()) for each in (1.0, temperature))
    low, high = found.error.low, found.error.high
    return Calibrated(
        temperature, confidence.fitted_on, len(said), before, after, found.error.value, low, high, found.by_chance
    )


def groups_tested(groups: NDArray[np.int64]) -> GroupsTested:
    """That the test images (nt,) come in groups."""
    return GroupsTested(len(groups), len(np.unique(groups)), FEW_GROUPS)
