"""A plan of what an audit found: what to leave out, to keep together, to give another class; to be decided on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.audit.pictures import picture_of
from convlift.audit.proposals import Audit, keep_decisions, propose
from convlift.campaign.request import Request
from convlift.data.plan_file import read_plan, write_plan
from convlift.data.store import ImageStore
from convlift.data.stretch import BITS
from convlift.errors import ConvliftError
from convlift.records.data_plan import DataPlan
from convlift.records.doubted_label import DoubtedLabel
from convlift.records.finding import Finding


def plan_of(
    request: Request,
    store: ImageStore,
    groups: NDArray[np.int64] | None,
    findings: Sequence[Finding],
    doubts: Sequence[DoubtedLabel],
) -> DataPlan:
    """What is proposed of these data, and where they lie. groups (n,): that were named."""
    audit = Audit(
        store.keys, store.classes, store.labels, store.official, store.hashes, store.scenes,
        store.shapes[:, :2].min(axis=1), lambda row: picture_of(store.image(row)).grey, findings, doubts, groups,
    )  # fmt: skip
    unreadable = sum(len(each.items) for each in store.findings if each.kind == "unreadable")
    images, reading = len(store.keys) + unreadable, reading_of(request)
    return DataPlan(store.name, images, store.fingerprint, reading, propose(audit), store.names)


def reading_of(request: Request) -> dict[str, str]:
    """Where the data lie and how they are read, as `read_images` takes it; what is usual is left out."""
    where = request.data if isinstance(request.data, str) else ""
    if where and Path(where).expanduser().exists():
        where = str(Path(where).expanduser().resolve())
    paths = {name: getattr(request, name) for name in ("root", "images")}
    known = {
        "data": where,
        "alpha": "" if request.alpha == "white" else request.alpha,
        "value_range": "" if request.value_range == BITS else request.value_range,
        "layout": "" if request.layout == "auto" else request.layout,
        "follow_links": "yes" if request.follow_links else "",
        "columns": request.columns or "",
        **{name: str(Path(path).expanduser().resolve()) if path else "" for name, path in paths.items()},
    }
    return {name: value for name, value in known.items() if value}


def leave_plan(path: Path, plan: DataPlan) -> DataPlan:
    """Write a plan; where one for the same data lies there, what was decided in it stays. The plan as it was written.

    Raises ConvliftError where something else lies there, which stays as it is; DiskError.
    """
    path = path.expanduser().resolve()  # a link stays one
    if path.exists():
        old = read_plan(path)
        is_renamed = "" not in (old.names, plan.names) and old.names != plan.names
        if old.fingerprint != plan.fingerprint or is_renamed:
            raise ConvliftError(
                f"{path} holds a plan for other data than {plan.data}; it stays as it is; name another file with --fix."
            )
        plan = replace(plan, entries=keep_decisions(plan.entries, old.entries))
    write_plan(path, plan)
    return plan
