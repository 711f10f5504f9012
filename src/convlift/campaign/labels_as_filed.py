"""What the sealed test says with the labels as they were filed, where a plan gave some of its images another class."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.judge import judge_networks
from convlift.data.dataset import Dataset
from convlift.records.plan_applied import AsFiled, PlanApplied
from convlift.search.context import Search
from convlift.search.shipment import Shipment


def judge_as_filed(
    search: Search, shipment: Shipment, dataset: Dataset, test_labels: NDArray[np.int64]
) -> AsFiled | None:
    """The same two networks that were judged, by the other labels; None where the plan changed none of the test.

    test_labels (nt,): as the plan has them, just opened. Nothing is chosen by these scores.
    """
    plan, store = dataset.store.plan, dataset.store
    filed = {each.images[0]: each.label for each in plan.of("relabel")} if plan else {}
    number = {name: k for k, name in enumerate(store.classes)}
    keys = [store.keys[row] for row in dataset.splits.test.tolist()]
    labels = np.array([number.get(filed.get(key, ""), -1) for key in keys], np.int64)
    if not (changed := int((labels >= 0).sum())):
        return None
    found = judge_networks(search, shipment, np.where(labels >= 0, labels, test_labels))
    return AsFiled(changed, len(keys), found.baseline.value, found.final.value)


def with_as_filed(plan: PlanApplied | None, filed: AsFiled | None) -> PlanApplied | None:
    """What a plan changed, with these scores."""
    return replace(plan, as_filed=filed) if plan else None
