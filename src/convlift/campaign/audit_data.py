"""The story of an audit: read the images, and where it is wanted ask a pretrained network about labels, outliers and
parts. Nothing is trained, no file of the user's is changed."""

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.audit.class_balance import class_findings
from convlift.audit.feature_findings import label_findings_of, outlier_findings, shift_findings
from convlift.audit.feature_space import matched, outliers, told_apart
from convlift.audit.label_errors import LabelErrors, find_label_errors
from convlift.campaign.open_data import read_images
from convlift.campaign.propose_plan import plan_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.data.encode import pillow_of
from convlift.data.store import ImageStore
from convlift.errors import Interrupted, WeightsError
from convlift.records.data_plan import DataPlan
from convlift.records.doubted_label import DoubtedLabel
from convlift.records.events import Event, ImagesRead
from convlift.records.finding import Finding
from convlift.records.plan_applied import PlanApplied
from convlift.records.training_events import ImagesLookedAt

MOST_IMAGES = 20_000  # that the pretrained network looks at: a core looks at 50 to 100 a second
COMPONENTS = 300  # of their features, for a classifier of all classes
MOST_COMPARED = 4000  # of them for the difference between parts
LEAST_COMPARED = 60  # images, or their parts differ by chance
SHOWN = 24  # labels that the page shows
ROWS, IN_A_ROW = 12, 4  # of a finding that the page shows with pictures
PICTURE_SIDE = 160  # pixels: sharp at the 120 that the page gives a picture
_ORDER = {"error": 0, "warning": 1, "note": 2}

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class LabelQuality:
    """looked_at: images; right: share whose label a classifier gave that never saw them; flagged: of the rest, labels
    that are probably wrong; least, most: bounds of the share of wrong labels (`audit/label_errors.py`)."""

    looked_at: int
    right: float
    flagged: int
    least: float
    most: float


@dataclass(frozen=True)
class Audited:
    """findings: the gravest first. doubts: the surest first. quality: None where labels were not looked at. pictures:
    JPEG bytes by path, of what the page shows. counts: images by official part, "" where there are none; classes:
    images of each. plan: what is proposed, where that was asked for; applied: what a
    plan had changed before anything was looked at."""

    data: str
    images: int
    counts: Mapping[str, int]
    classes: Mapping[str, int]
    findings: tuple[Finding, ...]
    doubts: tuple[DoubtedLabel, ...]
    quality: LabelQuality | None
    pictures: Mapping[str, bytes]
    seconds: float
    plan: DataPlan | None = None
    applied: PlanApplied | None = None


def audit_data(request: Request, session: Session, *, label_errors: bool = True, with_plan: bool = False) -> Audited:
    """Look at the images and labels of a data set.

    label_errors: whether the pretrained network looks too, which takes most of the time: at labels, outliers and the
    difference of official parts. with_plan: whether to propose what to do about it. All labels are looked at, those of
    a test too: nothing is learned here that a campaign uses. Raises what reading raises of data and options;
    Interrupted where somebody asks to stop.
    """
    began = time.monotonic()
    store, groups = read_images(request, _without_findings(session))
    findings = [*store.findings, *class_findings(store.classes, store.labels, store.official)]
    doubts: tuple[DoubtedLabel, ...] = ()
    quality = None
    if label_errors:
        try:
            seen, doubts, quality = _ask_network(store, groups, request, session)
            findings += seen
        except WeightsError as error:
            message = f"Labels, outliers and parts were not looked at, for the pretrained network is missing: {error}"
            findings.append(Finding("not looked at", "note", message))
    ordered = tuple(sorted(findings, key=lambda each: _ORDER[each.severity]))
    parts, numbers = np.unique(store.official, return_counts=True)
    counts = np.bincount(store.labels, minlength=len(store.classes))
    return Audited(
        store.name,
        len(store.keys),
        dict(zip(parts.tolist(), numbers.tolist(), strict=True)),
        dict(zip(store.classes, counts.tolist(), strict=True)),
        ordered,
        doubts,
        quality,
        _pictures(store, ordered, doubts),
        time.monotonic() - began,
        plan_of(request, store, groups, ordered, doubts) if with_plan else None,
        store.plan,
    )


def _without_findings(session: Session) -> Session:
    """The session, which is not told of findings: they are the result here."""

    def hear(event: Event) -> None:
        if not isinstance(event, ImagesRead):
            session.listen(event)

    return replace(session, listen=hear)


def _ask_network(
    store: ImageStore, groups: Indices | None, request: Request, session: Session
) -> tuple[list[Finding], tuple[DoubtedLabel, ...], LabelQuality]:
    """What a pretrained network sees of labels, outliers and parts. Raises WeightsError, Interrupted."""
    from convlift.trial.features_of_all import Watch, features_of  # torch comes with it
    from convlift.trial.label_preservation import spread
    from convlift.trial.out_of_fold import blocks_of, components, out_of_fold

    rows = np.sort(spread(np.arange(len(store.labels)), store.labels, MOST_IMAGES, 0))
    features = features_of(
        store,
        rows,
        request.cache,
        Watch(lambda done, total: session.listen(ImagesLookedAt(done, total)), lambda: bool(session.stop())),
        request.devices[0],
    )
    if features is None:
        raise Interrupted("stopped while the images were looked at; the same command starts again.", session.stop())
    main, labels, keys = (
        components(features, COMPONENTS),
        store.labels[rows],
        [store.keys[row] for row in rows.tolist()],
    )
    units = np.unique(store.scenes[rows] if groups is None else groups[rows], return_inverse=True)[1].astype(np.int64)
    said = out_of_fold(main, labels, len(store.classes), units)
    found = find_label_errors(said, labels)
    doubts, quality = _doubts(found, said, store, rows)
    findings = label_findings_of(found, keys)
    findings += outlier_findings(outliers(lambda: blocks_of(features)), keys, len(rows))
    official, is_test = store.official[rows], store.official[rows] == "test"
    compared = matched(labels, is_test, MOST_COMPARED) if (official == "train").any() else np.zeros(0, np.int64)
    if len(compared) >= LEAST_COMPARED:
        part = out_of_fold(main[compared], is_test[compared].astype(np.int64), 2, units[compared])
        findings += shift_findings(
            told_apart(compared, is_test, part, None if groups is None else units[compared]), keys
        )
    return findings, doubts, quality


def _doubts(
    found: LabelErrors, said: NDArray[np.float64], store: ImageStore, rows: Indices
) -> tuple[tuple[DoubtedLabel, ...], LabelQuality]:
    names, labels = store.classes, store.labels[rows]
    doubts = tuple(
        DoubtedLabel(
            store.keys[rows[row]],
            str(store.official[rows[row]]),
            names[labels[row]],
            names[like],
            float(said[row, like]),
            float(said[row, labels[row]]),
        )
        for row, like in zip(found.order.tolist(), found.suggested.tolist(), strict=True)
    )
    return doubts, LabelQuality(len(rows), found.right, len(doubts), found.least, found.most)


def _pictures(store: ImageStore, findings: tuple[Finding, ...], doubts: tuple[DoubtedLabel, ...]) -> dict[str, bytes]:
    place = {key: row for row, key in enumerate(store.keys)}
    shown = [key for each in findings for row in each.rows[:ROWS] for key in row[:IN_A_ROW]]
    shown += [each.key for each in doubts[:SHOWN]]
    return {key: jpeg_of(store.image(place[key])) for key in dict.fromkeys(shown) if key in place}


def jpeg_of(image_HWC: NDArray[np.uint8]) -> bytes:
    """An image as the bytes of a small JPEG file."""
    picture = pillow_of(image_HWC)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return content.getvalue()
