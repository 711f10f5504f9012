"""Every image decoded once: ragged uint8 pixels in one memory map, which all trials and processes share."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.audit.band_findings import band_range_findings, bands_finding
from convlift.audit.findings import check_classes, check_readable, label_findings, note_findings, range_findings
from convlift.audit.marks import mark_findings
from convlift.audit.natural_groups import group_findings
from convlift.audit.pictures import picture_findings
from convlift.audit.scenes import NO_TIES, Ties, find_scenes, names_of_scenes, scene_findings, tied
from convlift.audit.shortcuts import shortcut_findings
from convlift.audit.stretch_findings import check_shows, stretch_findings
from convlift.console.atomic import publish, sweep, temporary_beside, writing_to
from convlift.data.bands import Highs
from convlift.data.decode import ALPHAS, SHORTER_SIDE, Alpha
from convlift.data.depth import Range, as_range, range_document
from convlift.data.in_batches import Progress, in_order
from convlift.data.intake import Intake, Way, sha256, survey, take_in
from convlift.data.readers.arrays import by_bits
from convlift.data.readers.source import Source
from convlift.data.square import square
from convlift.data.stretch import Stretch, numbers_asked, percentiles_asked
from convlift.errors import ConvliftError, DataError
from convlift.recipe.data import Preparation, is_bands
from convlift.records.finding import Finding
from convlift.records.plan_applied import PlanApplied

_VERSION = 5  # goes up when decoding, near copies or the layout change, so that old stores are not taken for new ones


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N readable images on disk, under `folder`. Whoever predicts must hand `value_range`, `alpha` and `side` to
    `decode`.

    labels (N,): int64.
    official (N,): "train", "validation", "test" or "".
    hashes (N,): SHA-256 of what each image shows, the same for copies in other file formats (`intake.pixel_hash`).
    scenes (N,): equal for images that no split may cut: copies, and near copies (`audit/scenes.py`); hashes where they
        are not given.
    plan: what a plan changed of the data before they came here.
    channels: 1 where every image is grey, 3 of colour, else the number of bands, which all images have.
    native_resolution: the median shorter side in pixels, of the images as stored (at most `side`).
    fingerprint: SHA-256 of contents, labels, official splits, class names and `alpha`, in order, and
        of `side` and of the scale that was asked for where they are not the usual ones.
    value_range: the value that became 255 in files of more than 8 bits, of each band where there are such; None where
        there are none; or the scale that the user chose.
    alpha: what became of transparency.
    side: pixels of the shorter side that were kept at most.
    names: digest of the names of all images, unreadable ones among them (`names_digest`); "" in older stores.
    """

    name: str
    classes: tuple[str, ...]
    keys: tuple[str, ...]
    labels: NDArray[np.int64]
    official: NDArray[np.str_]
    hashes: NDArray[np.str_]
    channels: int
    native_resolution: int
    findings: tuple[Finding, ...]
    fingerprint: str
    folder: Path
    shapes: NDArray[np.int64]
    value_range: Range = None
    alpha: Alpha = "white"
    scenes: NDArray[np.str_] = field(default_factory=lambda: np.array([], "U64"))
    plan: PlanApplied | None = None
    side: int = SHORTER_SIDE
    names: str = ""

    def __post_init__(self) -> None:
        if len(self.scenes) != len(self.hashes):
            object.__setattr__(self, "scenes", self.hashes)

    def image(self, index: int) -> NDArray[np.uint8]:
        """One image as stored: upright, (H, W, C) uint8, shorter side at most `side` pixels."""
        return self.images([index])[0]

    def images(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Several of them."""
        flat, sizes = self._flat(), self.shapes.prod(axis=1)
        starts = np.cumsum(sizes) - sizes
        return [flat[starts[row] : starts[row] + sizes[row]].reshape(self.shapes[row]) for row in rows]

    def pixels(self, resolution: int, preparation: Preparation) -> NDArray[np.uint8]:
        """Read-only memory map (N, R, R, C) uint8, made at the first call and shared by every process after that."""
        path = self.folder / f"{preparation.name}-{resolution}.npy"
        if not path.exists():
            with writing_to(self.folder):
                self._write_squares(path, resolution, preparation)
        squares: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return squares

    def _flat(self) -> NDArray[np.uint8]:
        return np.memmap(self.folder / "images.bin", np.uint8, mode="r")

    def _write_squares(self, path: Path, resolution: int, preparation: Preparation) -> None:
        sizes = self.shapes.prod(axis=1)
        ends = np.cumsum(sizes)
        shape = (len(sizes), resolution, resolution, self.channels)

        def fill(batch: range) -> NDArray[np.uint8]:
            # read, not mapped: of a map all pages would count as memory until the last image
            first, last = ends[batch.start] - sizes[batch.start], ends[batch.stop - 1]
            flat = np.fromfile(self.folder / "images.bin", np.uint8, last - first, offset=int(first))
            squares = np.empty((len(batch), *shape[1:]), np.uint8)
            for row, i in enumerate(batch):
                ragged = flat[ends[i] - sizes[i] - first : ends[i] - first].reshape(self.shapes[i])
                squares[row] = square(ragged, self.channels, resolution, preparation)
            return squares

        temporary = temporary_beside(path)
        try:
            with temporary.open("wb") as file:  # not through a map, where a full disk ends the process
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for _, squares in in_order(fill, len(sizes)):
                    file.write(squares.data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def open_store(
    source: Source,
    cache: Path,
    progress: Progress | None = None,
    way: Way = Way(),
    ties: Ties = NO_TIES,
) -> ImageStore:
    """The store of these images under `cache`: found by their content, or decoded now.

    progress: called with (images done, images in all), where percentiles are asked for first with (images done, images
    that are looked at for them); way: how images are read; ties: of near copies, by a plan. A new store appears whole
    or not at all; of two processes that make the same one, the second takes the first one's.
    Raises DataError where over 5% of the images are unreadable or what is left cannot be learned from.
    """
    if way.alpha not in ALPHAS:
        raise ConvliftError(f"alpha {way.alpha!r} is not known; it is one of {', '.join(ALPHAS)}.")
    contents = survey(source, is_stretched=way.is_stretched)
    fingerprint = _fingerprint(source, contents.hashes, way)
    # keys and findings are no part of the data, but a store must not return those of renamed files
    known = [_VERSION, source.name, [i.key for i in source.items], [asdict(f) for f in source.findings]]
    # files of bands were read in another way before there were stores of them
    told = [{"bands": contents.bands.tolist()}] if contents.bands.any() else []
    names = json.dumps(known + told + ([asdict(ties)] if ties != NO_TIES else []))
    folder = cache / "stores" / sha256((fingerprint + names).encode())[:32]
    if not _is_whole(folder):
        with writing_to(cache):
            folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)
            temporary = temporary_beside(folder)
            temporary.mkdir()
            try:
                intake = take_in(temporary / "images.bin", source, contents, way, progress)
                meta = _fill(temporary, source, intake, way, ties)
                (temporary / "meta.json").write_text(json.dumps({**meta, "fingerprint": fingerprint}), encoding="utf-8")
                publish(temporary, folder, _is_whole)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return reopen_store(folder)


def reopen_store(folder: Path) -> ImageStore:
    """The store that lies in `folder`, as another process left it. Raises ConvliftError where it is not whole."""
    if not _is_whole(folder):
        raise ConvliftError(f"there is no whole image store at {folder}; open the data set again to make it.")
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    with np.load(folder / "index.npz") as index:
        labels, official, hashes, shapes, scenes = (
            index[key] for key in ("labels", "official", "hashes", "shapes", "scenes")
        )
    return ImageStore(
        name=meta["name"],
        classes=tuple(meta["classes"]),
        keys=tuple(meta["keys"]),
        labels=labels,
        official=official,
        hashes=hashes,
        channels=int(shapes[:, 2].max()),
        native_resolution=int(np.median(shapes[:, :2].min(axis=1))),
        findings=tuple(Finding(**{**finding, "items": tuple(finding["items"])}) for finding in meta["findings"]),
        fingerprint=meta["fingerprint"],
        folder=folder,
        shapes=shapes,
        value_range=as_range(meta["value_range"]),
        alpha=meta["alpha"],
        scenes=scenes,
        side=meta.get("side", SHORTER_SIDE),
        names=meta.get("names", ""),
    )


def _fill(folder: Path, source: Source, intake: Intake, way: Way, ties: Ties) -> dict[str, object]:
    """Write index.npz beside what was taken in. Returns what goes into meta.json.

    Raises DataError by the rules of findings.
    """
    findings = [*source.findings, *check_readable(source.name, intake.unreadable, len(source.items))]
    items, taken = [source.items[index] for index in intake.kept], intake.taken
    keys, notes = tuple(item.key for item in items), [one.notes for one in taken]
    labels = np.array([item.label for item in items], np.int64)
    official = np.array([item.split or "" for item in items], dtype="U10")
    hashes = np.array([one.digest for one in taken], dtype="U64")
    shapes = np.array([one.shape for one in taken], np.int64).reshape(-1, 3)
    check_classes(source.name, source.classes, labels, official, hashes, notes)
    findings += _value_findings(intake, [item.key for item in source.items], int(shapes[:, 2].max()))
    findings += note_findings(notes, keys, labels, source.classes)
    findings += shortcut_findings([one.traits for one in taken], keys, labels, source.classes)
    findings += label_findings(keys, source.classes, labels, official, hashes)
    pictures = [one.picture for one in taken]
    greys = np.stack([each.grey for each in pictures])
    if isinstance(intake.value_range, Stretch):
        check_shows(source.name, way.value_range, greys, notes)
    numbers = find_scenes(hashes, labels, greys, shapes[:, :2].min(axis=1))
    scenes = tied(names_of_scenes(numbers, hashes, labels), hashes, keys, ties)
    findings += scene_findings(numbers, scenes, hashes, keys, labels, official)
    findings += mark_findings(np.stack([each.corners for each in pictures]), labels, numbers, keys, source.classes)
    findings += group_findings(keys, labels, official, greys)
    findings += picture_findings(pictures, [one.traits for one in taken], keys)
    index = folder / "index.npz"
    np.savez(index, labels=labels, official=official, hashes=hashes, shapes=shapes, scenes=scenes)
    return {
        "name": source.name,
        "classes": source.classes,
        "keys": keys,
        "findings": [asdict(finding) for finding in findings],
        "bytes": int(shapes.prod(axis=1).sum()),
        "value_range": range_document(intake.value_range),
        "alpha": way.alpha,
        "side": way.side,
        "names": names_digest(source),
    }


def _value_findings(intake: Intake, keys: Sequence[str], channels: int) -> list[Finding]:
    """What is to be said of bands and ranges. keys: of all items, by index."""
    found = [bands_finding(channels)] if is_bands(channels) else []
    if isinstance(intake.value_range, Stretch):
        return found + _stretch_findings(intake, intake.value_range, keys)
    plain = {keys[index]: high for index, high in intake.maxima.items() if isinstance(high, float)}
    banded = {keys[index]: high.highs for index, high in intake.maxima.items() if isinstance(high, Highs)}
    if isinstance(intake.value_range, tuple):
        return found + band_range_findings(intake.value_range, banded)
    return found + range_findings(intake.value_range, plain)


def _stretch_findings(intake: Intake, stretch: Stretch, keys: Sequence[str]) -> list[Finding]:
    told = {keys[index]: one.stretching for index, one in zip(intake.kept, intake.taken, strict=True) if one.stretching}
    percentiles = None if numbers_asked(stretch.asked) else percentiles_asked(stretch.asked)
    cuts, levels = {key: each.cut for key, each in told.items()}, {key: each.levels for key, each in told.items()}
    return stretch_findings((stretch.low, stretch.high), percentiles, cuts, levels)


def data_fingerprint(source: Source, way: Way = Way()) -> str:
    """SHA-256 (hex) of contents, labels, official parts and classes: that of the store which the source gives where it
    is opened to be read this way; "" where it cannot be read so."""
    try:
        read = source if way.is_stretched else by_bits(source)
    except DataError:
        return ""
    return _fingerprint(source, survey(read).hashes, way)


def names_digest(source: Source) -> str:
    """SHA-256 (hex) of the images' names, in order: files that were renamed have the fingerprint that they had."""
    return sha256(json.dumps([item.key for item in source.items]).encode())


def _fingerprint(source: Source, contents: NDArray[np.str_], way: Way) -> str:
    rows = [[item.label, item.split, value] for item, value in zip(source.items, contents.tolist(), strict=True)]
    unusual: list[str] = [way.alpha] if way.alpha != "white" else []
    unusual += [f"{way.side} pixels"] if way.side != SHORTER_SIDE else []
    unusual += [f"values {way.value_range}"] if way.is_stretched else []
    return sha256(json.dumps([source.classes, rows, *unusual]).encode())


def _is_whole(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return bool((folder / "images.bin").stat().st_size == meta["bytes"] and (folder / "index.npz").exists())
    except (OSError, ValueError, KeyError, TypeError):
        return False
