"""Every image decoded once: ragged uint8 pixels in one memory map, which all trials and processes share."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from convlift.data.atomic import publish, sweep, temporary_beside, writing_to
from convlift.data.config import Resize
from convlift.data.decode import Decoded, decode, from_array, square
from convlift.data.findings import check_classes, check_readable, label_findings, note_findings
from convlift.data.items import Source
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.outcome import Finding
from convlift.resources import usable_cpus

Progress = Callable[[int, int], None]
T = TypeVar("T")

_VERSION = 2  # goes up when decoding or the layout changes, so that old stores are not taken for new ones
_BATCH = 32  # images a thread works on at a time; at most 0.8 MB each
_THREADS = min(8, usable_cpus())  # Pillow decodes and resizes without holding the interpreter's lock


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N readable images on disk, under `folder`.

    labels (N,) int64; official (N,) "train", "validation", "test" or ""; hashes (N,) SHA-256 of each image's source
    bytes; channels 1 where every image is grey, else 3; native_resolution: the median shorter side in pixels, of the
    images as stored (at most 256); fingerprint: SHA-256 of contents, labels, official splits and class names, in order.
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

    def image(self, index: int) -> NDArray[np.uint8]:
        """One image as stored: upright, (H, W, 1 or 3) uint8, shorter side at most 256 pixels."""
        start = int(self.shapes[:index].prod(axis=1).sum())
        return self._flat()[start : start + self.shapes[index].prod()].reshape(self.shapes[index])

    def pixels(self, resolution: int, resize: Resize) -> NDArray[np.uint8]:
        """Read-only memory map (N, R, R, C) uint8, made at the first call and shared by every process after that."""
        path = self.folder / f"{resize}-{resolution}.npy"
        if not path.exists():
            with writing_to(self.folder):
                self._write_squares(path, resolution, resize)
        squares: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return squares

    def _flat(self) -> NDArray[np.uint8]:
        return np.memmap(self.folder / "images.bin", np.uint8, mode="r")

    def _write_squares(self, path: Path, resolution: int, resize: Resize) -> None:
        flat, sizes = self._flat(), self.shapes.prod(axis=1)
        starts = np.cumsum(sizes) - sizes
        shape = (len(sizes), resolution, resolution, self.channels)

        def fill(batch: range) -> NDArray[np.uint8]:
            squares = np.empty((len(batch), *shape[1:]), np.uint8)
            for row, i in enumerate(batch):
                ragged = flat[starts[i] : starts[i] + sizes[i]].reshape(self.shapes[i])
                squares[row] = square(ragged, self.channels, resolution, resize)
            return squares

        temporary = temporary_beside(path)
        try:
            with temporary.open("wb") as file:  # not through a map, where a full disk ends the process
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for _, squares in _in_order(fill, len(sizes)):
                    file.write(squares.data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def open_store(source: Source, cache: Path, progress: Progress | None = None) -> ImageStore:
    """The store of these images under `cache`: found by their content, or decoded now.

    progress: called with (images done, images in all). A new store appears whole or not at all; of two processes that
    make the same one, the second takes the first one's.
    Raises DataError where over 5% of the images are unreadable or what is left cannot be learned from.
    """
    hashes = np.array([_hash(source, index) for index in range(len(source.items))], dtype="U64")
    fingerprint = _fingerprint(source, hashes)
    # keys and findings are no part of the data, but a store must not answer with those of renamed files
    names = json.dumps([_VERSION, source.name, [i.key for i in source.items], [asdict(f) for f in source.findings]])
    folder = cache / "stores" / _sha256((fingerprint + names).encode())[:32]
    if not _is_whole(folder):
        with writing_to(cache):
            folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)
            temporary = temporary_beside(folder)
            temporary.mkdir()
            try:
                _make(temporary, source, hashes, fingerprint, progress)
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
        labels, official, hashes, shapes = (index[key] for key in ("labels", "official", "hashes", "shapes"))
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
    )


def _make(folder: Path, source: Source, hashes: NDArray[np.str_], fingerprint: str, progress: Progress | None) -> None:
    """Decode everything into `folder`: images.bin, index.npz, meta.json. Raises DataError by the rules of findings."""
    kept, shapes, notes, unreadable = _decode_all(folder / "images.bin", source, hashes, progress)
    findings = [*source.findings, *check_readable(source.name, unreadable, len(source.items))]
    items = [source.items[index] for index in kept]
    keys = tuple(item.key for item in items)
    labels = np.array([item.label for item in items], np.int64)
    official = np.array([item.split or "" for item in items], dtype="U10")
    check_classes(source.name, source.classes, labels, official, hashes[kept])
    findings += note_findings(notes, keys, labels, source.classes)
    findings += label_findings(keys, source.classes, labels, official, hashes[kept])
    np.savez(folder / "index.npz", labels=labels, official=official, hashes=hashes[kept], shapes=shapes)
    meta = {
        "name": source.name,
        "classes": source.classes,
        "keys": keys,
        "findings": [asdict(finding) for finding in findings],
        "fingerprint": fingerprint,
        "bytes": int(shapes.prod(axis=1).sum()),
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _decode_all(
    path: Path, source: Source, hashes: NDArray[np.str_], progress: Progress | None
) -> tuple[list[int], NDArray[np.int64], list[tuple[str, ...]], list[str]]:
    """Write all pixels to `path`; the indices kept, their shapes (n, 3), their notes, and "key: reason" of the rest."""
    kept: list[int] = []
    decoded: list[tuple[tuple[int, ...], tuple[str, ...]]] = []
    unreadable: list[str] = []
    # Pillow warns of odd metadata; what matters of it, the pixels, is checked by decoding them all
    with path.open("wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for batch, results in _in_order(lambda batch: _decode_batch(source, hashes, batch), len(hashes)):
            for index, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    unreadable.append(f"{source.items[index].key}: {result}")
                    continue
                file.write(np.ascontiguousarray(result.pixels).data)
                kept.append(index)
                decoded.append((result.pixels.shape, result.notes))
            if progress:
                progress(batch.stop, len(hashes))
    shapes = np.array([shape for shape, _ in decoded], np.int64).reshape(-1, 3)
    return kept, shapes, [notes for _, notes in decoded], unreadable


def _decode_batch(source: Source, hashes: NDArray[np.str_], batch: range) -> list[Decoded | str]:
    """Each image, or the reason why there is none."""
    results: list[Decoded | str] = []
    for index in batch:
        try:
            content = source.read(index)
            if _sha256(content) != hashes[index]:
                raise DataError(
                    f"{source.items[index].key} changed while it was read; start again when copying is done."
                )
            results.append(decode(content) if isinstance(content, bytes) else from_array(content))
        except UnreadableImage as error:
            results.append(str(error))
        except OSError as error:
            results.append(error.strerror or str(error))
    return results


def _hash(source: Source, index: int) -> str:
    try:
        return _sha256(source.read(index))
    except OSError:
        return ""


def _sha256(content: bytes | NDArray[np.uint8]) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()


def _fingerprint(source: Source, hashes: NDArray[np.str_]) -> str:
    rows = [[item.label, item.split, value] for item, value in zip(source.items, hashes.tolist(), strict=True)]
    return _sha256(json.dumps([source.classes, rows]).encode())


def _in_order(work: Callable[[range], T], n: int) -> Iterator[tuple[range, T]]:
    """`work` on batches of 0..n-1 in threads, in order, and few at a time: the data set never lies in memory."""
    batches = [range(start, min(start + _BATCH, n)) for start in range(0, n, _BATCH)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(batches), 2 * _THREADS):
            window = batches[start : start + 2 * _THREADS]
            yield from zip(window, pool.map(work, window), strict=True)


def _is_whole(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return bool((folder / "images.bin").stat().st_size == meta["bytes"] and (folder / "index.npz").exists())
    except (OSError, ValueError, KeyError, TypeError):
        return False
