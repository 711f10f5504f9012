"""How small a gain this campaign's test can prove: expected before any training, and known once it was opened."""

import numpy as np

from convlift.data.dataset import Dataset
from convlift.evidence.image_variance import Groups, assumed_design_effect, degrees_of_freedom, run_variance
from convlift.evidence.metrics import typical_run
from convlift.evidence.power import OFTEN, Power, between_networks
from convlift.records.notes import Detectable
from convlift.records.result import NetworkGain
from convlift.search.problem import Problem

ENOUGH = 5000  # labels that a made-up run is scored on


def power_before(problem: Problem, dataset: Dataset, runs: int = 2, folds: int = 1) -> Power:
    """With networks that score about .9, and images of one group that are alike as `images.WITHIN_GROUPS` says.

    folds: of a nested cross-validation, which tests every image and claims a gain of the recipes, each of which has
        `runs` runs in every fold; one test compares two networks."""
    tested = dataset.splits.test if folds == 1 else np.arange(len(dataset.store.labels))
    groups = dataset.groups_of(tested)
    labels = dataset.labels[np.concatenate([dataset.splits.train, dataset.splits.validation])]
    labels = labels[:: max(1, len(labels) // ENOUGH)]
    typical, images = [typical_run(labels, len(dataset.classes))], len(tested)
    variance = run_variance(problem.metric.matrix(typical, labels))
    independent = images / assumed_design_effect(images, groups)
    if folds == 1:
        return between_networks(independent, variance, even_groups(images, groups))
    return Power(independent, runs, runs, variance, even_groups(images, groups), folds)


def detectable_between(network: NetworkGain, images: int, independent: float | None) -> Detectable:
    """From the two networks that were compared on so many images. independent: see `Detectable`."""
    points = half_width(network)
    return Detectable(images, 1, 1, points, OFTEN * points, independent)


def half_width(network: NetworkGain) -> float:
    """Of the gain's interval, in points: a measured gain of less proves nothing."""
    return (network.gain_points.high - network.gain_points.low) / 2.0


def even_groups(images: int, groups: Groups) -> float:
    """How many groups, as even ones; 0 for none."""
    return 0.0 if groups is None else degrees_of_freedom(images, groups) + 1.0
