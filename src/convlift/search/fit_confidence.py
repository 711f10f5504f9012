"""The temperature and the thresholds of a trial's network, from validation images that it did not learn from.

They are fitted on these alone, so they are a part of the network as its weights are: the sealed test judges all of it.
What has learned from the validation images is surer of them than of others. Its temperature is that of runs of the
same recipe that have not seen them; where there are none it stays 1.
"""

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups
from convlift.evidence.operating_points import choose_thresholds
from convlift.evidence.temperature import at_temperature, fit_temperature
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.records.confidence import BY_OTHERS, Confidence, FittedOn, Threshold
from convlift.search.compared_runs import final_runs
from convlift.search.problem import Problem

MOST_CLASSES = 100  # of which thresholds are kept

Labels = NDArray[np.int64]
Said = list[NDArray[np.float32]]


def confidence_of(problem: Problem, ledger: Ledger, record: TrialRecord, classes: tuple[str, ...] = ()) -> Confidence:
    """Of a trial's network; classes: their names, of which thresholds are chosen too."""
    said, fitted_on = _unseen(ledger, record)
    return confidence_from(said, fitted_on, problem.validation_labels, problem.validation_groups, classes)


def confidence_from(
    said: Said, fitted_on: FittedOn, labels: Labels, groups: Groups = None, classes: tuple[str, ...] = ()
) -> Confidence:
    """From what networks say of the validation images (n, K) each; of several the mean, on the logarithm's scale, of
    their temperatures."""
    told = [each for each in said if len(each) == len(labels) > 0]
    if not told:
        return Confidence()
    temperature = float(np.exp(np.mean([np.log(fit_temperature(each, labels, groups)) for each in told])))
    mended = at_temperature(told[0], temperature).astype(np.float64)  # of one: as many images as there are
    return Confidence(temperature, fitted_on, _thresholds(mended, labels, classes))


def _unseen(ledger: Ledger, record: TrialRecord) -> tuple[Said, FittedOn]:
    if len(record.unseen):
        return [record.unseen], "validation"
    others = [run.unseen for run in final_runs(ledger, record.recipe) if len(run.unseen)]
    if record.role in ("ensemble", "mirrored ensemble") and len(others) > 1:
        others = [np.mean(others, axis=0, dtype=np.float32)]  # together they are less sure than each of them
    return others, BY_OTHERS


def _thresholds(probabilities: NDArray[np.float64], labels: Labels, classes: tuple[str, ...]) -> tuple[Threshold, ...]:
    if not 2 <= len(classes) <= MOST_CLASSES:
        return ()
    return tuple(
        Threshold(name, target, threshold)
        for k, name in enumerate(classes)
        for target, threshold in choose_thresholds(probabilities[:, k], labels == k).items()
    )
