"""A register, beside the cache, of who opened which sealed test: a test that is looked at again and again wears out.

One small file for each opening, named after the campaign, so that campaigns of one machine never write to the same file
and a resumed campaign writes its own again. A test is known by its images, not by its path or its data set: another
metric, another --out, or one image added is still the same test. The register only ever informs. Where it cannot be
read or written, the campaign goes on and the report has a note.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from convlift.ledger.ledger import Ledger
from convlift.ledger.migrations import now
from convlift.records.notes import Note, OpenedBefore, RegisterTrouble

FOLDER = "openings"
VERSION = 1
SKETCH = 2048  # images that are remembered: the smallest hashes; exact up to there, sampled beyond (Broder 1997)
SAME_TEST = 0.5  # share of this test's images that another opening must have seen
LARGEST_FILE = 1_000_000  # bytes: nothing that this module wrote is larger


@dataclass(frozen=True)
class Opening:
    """One opening of a sealed test.

    campaign: a random name, the same over resumes.
    run: its folder.
    data: the data set's name.
    at: when, ISO 8601 UTC.
    images: how many.
    sketch: up to SKETCH of their smallest hashes, sorted.
    """

    campaign: str
    run: str
    data: str
    metric: str
    at: str
    images: int
    sketch: tuple[str, ...]


@dataclass(frozen=True)
class Openings:
    """What is known of a sealed test when it is opened.

    before: earlier openings of the same test, oldest first.
    trouble: why the register is not to be relied on.
    """

    before: tuple[Opening, ...] = ()
    trouble: RegisterTrouble | None = None

    @property
    def number(self) -> int:
        """How often the test was opened, this time included."""
        return len(self.before) + 1


def register_opening(ledger: Ledger, cache: Path, data: str, hashes: Iterable[str]) -> Openings:
    """Write down that this campaign opens its sealed test, and who did before it.

    hashes (nt,): of the sealed images (`ImageStore.hashes` at `Splits.test`). Called again, as a resumed campaign does,
    it returns the same: the fact "openings" keeps it. Never raises for the register's sake.
    """
    own = ledger.recall("opening")
    if own is None:
        own = {"campaign": uuid.uuid4().hex, "at": now()}
        ledger.record("opening", own)
    known = ledger.recall("openings")
    images = sorted({_short(each) for each in hashes})
    mine = Opening(
        own["campaign"], str(ledger.folder.resolve()), data, ledger.identity.metric, own["at"], len(images),
        tuple(images[:SKETCH]),
    )  # fmt: skip
    folder = cache / FOLDER
    written = _write(folder, mine)
    if known is None:
        found, unread = openings_before(cache, mine)
        trouble = written or unread
        known = {"before": [each.__dict__ | {"sketch": []} for each in found], "trouble": trouble and asdict(trouble)}
        ledger.record("openings", known)
    before = tuple(Opening(**{**each, "sketch": ()}) for each in known["before"])
    return Openings(before, RegisterTrouble(**known["trouble"]) if known["trouble"] else None)


def openings_before(cache: Path, mine: Opening) -> tuple[tuple[Opening, ...], RegisterTrouble | None]:
    """Other campaigns' openings of a test that shares half of this one's images or more, oldest first; and what could
    not be read."""
    found, damaged, folder = [], 0, cache / FOLDER
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError as error:
        return (), RegisterTrouble("folder unreadable", str(folder), error.strerror or "")
    for path in paths:
        opening = _read(path)
        if opening is None:
            damaged += 1
        elif opening.campaign != mine.campaign and shared(mine, opening) >= SAME_TEST:
            found.append(opening)
    trouble = RegisterTrouble("files unreadable", str(folder), files=damaged) if damaged else None
    return tuple(sorted(found, key=lambda each: (each.at, each.campaign))), trouble


def shared(mine: Opening, other: Opening) -> float:
    """The share of my test's images that the other opening has seen.

    Of two sketches the smallest hashes of their union are a random sample of the union of both tests; the part of it
    that lies in both is Jaccard's coefficient J (Broder 1997), and J (a + b) / (1 + J) of a and b images are in both.
    """
    if not mine.images or not other.images:
        return 0.0
    ours, theirs = set(mine.sketch), set(other.sketch)
    sample = sorted(ours | theirs)[: min(SKETCH, len(ours | theirs))]
    alike = sum(each in ours and each in theirs for each in sample) / len(sample)
    return min(alike * (mine.images + other.images) / (1.0 + alike) / mine.images, 1.0)


def notes_of_openings(openings: Openings, flattery_points: float) -> list[Note]:
    """None where the test was opened for the first time and the register can be read.

    flattery_points: see `evidence.reuse.flattery`.
    """
    notes: list[Note] = []
    if openings.before:
        runs = dict.fromkeys((Path(each.run).name, each.metric, each.at[:10]) for each in openings.before)
        notes.append(OpenedBefore(openings.number, tuple(runs), flattery_points))
    return [*notes, openings.trouble] if openings.trouble else notes


def _short(sha256: str) -> str:
    return hashlib.sha256(str(sha256).encode()).hexdigest()[:16]


def _write(folder: Path, opening: Opening) -> RegisterTrouble | None:
    """Whole or not at all; why it could not be written."""
    beside = folder / f".{opening.campaign}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"version": VERSION, **opening.__dict__}), encoding="utf-8")
        os.replace(beside, folder / f"{opening.campaign}.json")
    except OSError as error:
        return RegisterTrouble("not writable", str(folder), error.strerror or "")
    return None


def _read(path: Path) -> Opening | None:
    """An opening; None where the file is damaged, or of a version to come."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("version") != VERSION or not all(isinstance(each, str) for each in kept["sketch"]):
            return None
        opening = Opening(**{**kept, "sketch": tuple(kept["sketch"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    words = (opening.campaign, opening.run, opening.data, opening.metric, opening.at)
    return opening if all(isinstance(each, str) for each in words) and isinstance(opening.images, int) else None
