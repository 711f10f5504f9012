"""How small a gain this campaign's test can prove: expected before any training, and known after the final runs."""

import numpy as np

from convlift.campaign.judge import Judgement
from convlift.data.dataset import Dataset
from convlift.evidence.image_variance import Groups, assumed_design_effect, degrees_of_freedom, run_variance
from convlift.evidence.metrics import typical_run
from convlift.evidence.power import Power
from convlift.search.problem import Problem

ENOUGH = 5000  # labels that a made-up run is scored on


def power_before(problem: Problem, dataset: Dataset, runs: int = 2, folds: int = 1) -> Power:
    """With a baseline that scores about .9, `runs` runs of each recipe, and images of one group that are alike as
    `images.WITHIN_GROUPS` says. folds: of a nested cross-validation, which tests every image."""
    tested = dataset.splits.test if folds == 1 else np.arange(len(dataset.store.labels))
    groups = dataset.groups_of(tested)
    labels = dataset.labels[np.concatenate([dataset.splits.train, dataset.splits.validation])]
    labels = labels[:: max(1, len(labels) // ENOUGH)]
    typical, images = [typical_run(labels, len(dataset.classes))], len(tested)
    return Power(
        n_test=images / assumed_design_effect(images, groups),
        baselines=runs,
        finals=runs,
        image_variance=run_variance(problem.metric.matrix(typical, labels)),
        groups=even_groups(images, groups),
        folds=folds,
    )


def power_of(problem: Problem, judged: Judgement) -> Power:
    """From the runs that were compared on the test."""
    return Power(
        n_test=judged.final.effective_images,
        baselines=judged.arms[0],
        finals=judged.arms[1],
        image_variance=judged.final.image_variance,
        seed_variance=judged.final.seed_variance,
        seed_freedom=judged.final.seed_freedom,
        groups=even_groups(0 if problem.test_groups is None else len(problem.test_groups), problem.test_groups),
    )


def even_groups(images: int, groups: Groups) -> float:
    """How many groups, as even ones; 0 for none."""
    return 0.0 if groups is None else degrees_of_freedom(images, groups) + 1.0
