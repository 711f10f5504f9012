"""Does the audit find changed copies and wrong labels, and what does it cost?

copies: flowers (4,317 photos of 128 px) with 400 changed copies planted, a kind of change at a time. Recall is of the
planted pairs; a false pair is one that is neither planted nor among the 29 pairs that flowers has of itself, each of
which was looked at and shows one photo twice.
tiles: 3,000 empty tiles of 64 px with a cell or two, and as many with one or two strokes, no two of which are copies:
pairs that are found all the same; and recall of 300 planted copies among the cells.
cost: 10,000 crops of 128 px from 1,000 photos: what an audit adds to the decoding of a data set.
labels: the first 10,000 training images of CIFAR-10 with the labels that people gave (CIFAR-10N, Wei et al. 2022):
share of wrong labels and its bounds, precision and number of the flagged, average precision of the ranking of all
images; beside it what cleanlab makes of the same probabilities, where it is installed (`pip install cleanlab`): its
share of wrong labels, what it flags, and the average precision of its scores (its default, self-confidence).

Command: python benchmarks/audit.py --data FOLDER [--only copies|tiles|cost|labels] [--json FILE]
FOLDER holds tf_flowers128.tar.gz, imagenet_sample1000.tar.gz, cifar10_jpegbytes.npz and cifar10n.npz.
Last result (one Zen 3 core, shared; seconds are of processor time, but those of features, which are of a fifth of it):

    copies                     recall   false pairs of 4,717 images
    exact                       1.000   0
    half the size               1.000   0
    enlarged by half            1.000   0
    JPEG of quality 60          1.000   0
    mirrored                    1.000   0
    turned by 90 degrees        1.000   0
    brighter by 30%              .995   0
    darker by 40%               1.000   0
    half, JPEG 60, mirrored     1.000   0
    cropped by 3% a side        1.000   0
    cropped by 5% a side         .980   0
    cropped by 8% a side         .995   0
    cropped by 5% of the right   .060   0

    tiles                      recall   false pairs of 3,000 images
    cells                               0 (by a correlation of .9 alone 1,561)
    strokes                             1 (82)
    cells, exact                1.000
    cells, half the size        1.000
    cells, JPEG of quality 60    .987
    cells, mirrored             1.000
    cells, brighter by 30%       .000
    cells, cropped by 3% a side  .727

    cost, 10,000 images of 128 px: 0.9 s for pictures, 1.1 s for near copies, 66 MB
    all of `convlift audit` on one core: 7.2 s with --no-label-errors, 33 s without (3,000 images: 13 s);
    its memory: benchmarks/audit_memory.py

    labels          wrong   least to most   right   flagged   precision, recall   of the first 100   average precision
    clean_label      0      .014 to .117    .752       734     0                    0
    aggre_label      .091   .050 to .167    .709     1,071     .38, .44             .85                .567
    random_label1    .178   .123 to .247    .645     1,593     .58, .52             .97                .757
    worse_label      .410      0 to .436    .495     3,185     .79, .61             .99                .888
"""

import argparse
import importlib.util
import io
import json
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.audit.label_errors import find_label_errors
from convlift.audit.near_copies import near_copies
from convlift.audit.pictures import picture_of
from convlift.campaign.audit_data import COMPONENTS
from convlift.data.readers.arrays import array_source
from convlift.data.store import open_store
from convlift.trial.features_of_all import features_of
from convlift.trial.out_of_fold import components, out_of_fold

PLANTED, IMAGES = 400, 10_000
PLANTED_TILES, TILES = 300, 3000
OWN = 29  # pairs that flowers has of itself, exact copies counted
Pixels = NDArray[np.uint8]


def photos(archive: Path) -> tuple[list[Pixels], NDArray[np.int64]]:
    """The images of an archive, and the number of the folder of each."""
    found: list[Pixels] = []
    folders: list[str] = []
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda each: each.name):
            if member.isfile() and (file := tar.extractfile(member)):
                with Image.open(io.BytesIO(file.read())) as image:
                    found.append(np.asarray(image.convert("RGB")))
                folders.append(member.name.rsplit("/", 1)[0])
    return found, np.unique(folders, return_inverse=True)[1].astype(np.int64)


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


def scaled(image: Pixels, factor: float) -> Pixels:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "exact": lambda image: image,
    "half the size": lambda image: scaled(image, 0.5),
    "enlarged by half": lambda image: scaled(image, 1.5),
    "JPEG of quality 60": lambda image: as_jpeg(image, 60),
    "mirrored": lambda image: image[:, ::-1],
    "turned by 90 degrees": lambda image: np.rot90(image),
    "brighter by 30%": lambda image: np.clip(image * 1.3 + 10, 0, 255).astype(np.uint8),
    "darker by 40%": lambda image: (image * 0.6).astype(np.uint8),
    "half, JPEG 60, mirrored": lambda image: as_jpeg(scaled(image, 0.5), 60)[:, ::-1],
    "cropped by 3% a side": lambda image: image[4:-4, 4:-4],
    "cropped by 5% a side": lambda image: image[6:-6, 6:-6],
    "cropped by 8% a side": lambda image: image[10:-10, 10:-10],
    "cropped by 5% of the right": lambda image: image[:, :-6],
}


def greys_of(images: list[Pixels]) -> Pixels:
    return np.stack([picture_of(np.ascontiguousarray(image)).grey for image in images])


def of_copies(data: Path) -> Iterator[dict[str, object]]:
    """A row a kind of change."""
    images, labels = photos(data / "tf_flowers128.tar.gz")
    greys, n = greys_of(images), len(images)
    of_itself = near_copies(greys, labels, np.arange(n)).scenes
    assert n - len(np.unique(of_itself)) == OWN
    chosen = np.sort(np.random.default_rng(0).choice(n, PLANTED, replace=False))
    for name, change in CHANGES.items():
        copied = greys_of([change(images[row]) for row in chosen])
        both = np.concatenate([greys, copied])
        found = near_copies(both, np.concatenate([labels, labels[chosen]]), np.arange(len(both)))
        recall = float((found.scenes[n:] == found.scenes[chosen]).mean())
        origin = np.concatenate([of_itself, of_itself[chosen]])
        false = int((origin[found.pairs[:, 0]] != origin[found.pairs[:, 1]]).sum())
        yield {"copies": name, "planted": PLANTED, "recall": recall, "false pairs": false, "images": len(both)}


def cells(rng: np.random.Generator, side: int = 64) -> Pixels:
    """A light tile with one or two cells, each an ellipse with a darker nucleus."""
    found = 235.0 + rng.normal(0, 1.5, (side, side, 1)).repeat(3, axis=2)
    down, across = np.mgrid[:side, :side]
    for _ in range(rng.integers(1, 3)):
        y, x = rng.uniform(10, side - 10, 2)
        radius, longer, turn = rng.uniform(5, 8), rng.uniform(0.8, 1.25), rng.uniform(0, np.pi)
        u = (across - x) * np.cos(turn) + (down - y) * np.sin(turn)
        v = (down - y) * np.cos(turn) - (across - x) * np.sin(turn)
        body = np.hypot(u / longer, v * longer) / radius
        nucleus = np.hypot(u - rng.normal(0, 1.2), v - rng.normal(0, 1.2)) / (radius * rng.uniform(0.35, 0.5))
        for distance, edge, colour in ((body, 12, (60, 110, 50)), (nucleus, 8, (60, 60, 20))):
            inside = 1 / (1 + np.exp(((distance - 1) * edge).clip(max=50)))
            found -= inside[:, :, None] * np.array(colour) * rng.uniform(0.8, 1.1)
    return found.clip(0, 255).astype(np.uint8)


def strokes(rng: np.random.Generator, side: int = 64) -> Pixels:
    """A white tile with one or two lines."""
    found = np.full((side, side, 3), 255, np.uint8)
    for _ in range(rng.integers(1, 3)):
        points = rng.integers(6, side - 6, (rng.integers(2, 4), 2)).astype(np.int32)
        cv2.polylines(found, [points], False, (0, 0, 0), 2, cv2.LINE_AA)
    return found


def of_tiles(data: Path) -> Iterator[dict[str, object]]:
    """A row a kind of tile, and one a kind of change of cells."""
    rng = np.random.default_rng(0)
    kinds = {"cells": [cells(rng) for _ in range(TILES)], "strokes": [strokes(rng) for _ in range(TILES)]}
    labels = np.arange(TILES) % 2
    for name, tiles in kinds.items():
        found = near_copies(greys_of(tiles), labels, np.arange(TILES))
        yield {"tiles": name, "false pairs": len(found.pairs), "images": TILES}
    chosen, greys = np.arange(PLANTED_TILES), greys_of(kinds["cells"])
    for name in ("exact", "half the size", "JPEG of quality 60", "mirrored", "brighter by 30%", "cropped by 3% a side"):
        both = np.concatenate([greys, greys_of([CHANGES[name](kinds["cells"][row]) for row in chosen])])
        found = near_copies(both, np.concatenate([labels, labels[chosen]]), np.arange(len(both)))
        recall = float((found.scenes[TILES:] == found.scenes[chosen]).mean())
        yield {"tiles": f"cells, {name}", "planted": PLANTED_TILES, "recall": recall, "images": len(both)}


def of_cost(data: Path) -> Iterator[dict[str, object]]:
    """One row: seconds and memory."""
    whole, rng, crops = photos(data / "imagenet_sample1000.tar.gz")[0], np.random.default_rng(0), []
    for row in range(IMAGES):
        image = whole[row % len(whole)]
        top, left = (int(rng.integers(0, max(1, side - 128))) for side in image.shape[:2])
        crops.append(np.ascontiguousarray(image[top : top + 128, left : left + 128]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    greys = greys_of(crops)
    pictured = time.process_time()
    near_copies(greys, np.arange(IMAGES) % 10, np.arange(IMAGES))
    compared = time.process_time()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield {
        "cost": f"{IMAGES:,} images of 128 px", "seconds for pictures": pictured - start,
        "seconds for near copies": compared - pictured, "more megabytes": more,
    }  # fmt: skip


def of_labels(data: Path) -> Iterator[dict[str, object]]:
    """A row a set of labels."""
    with np.load(data / "cifar10_jpegbytes.npz") as file:
        content, ends = file["data"], file["offsets"]
    bounds = pairwise(ends[: IMAGES + 1])
    images = np.stack([np.asarray(Image.open(io.BytesIO(content[a:b].tobytes())).convert("RGB")) for a, b in bounds])
    people = np.load(data / "cifar10n.npz")
    clean = people["clean_label"][:IMAGES].astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(array_source("cifar", {None: (images, clean)}, tuple("0123456789")), Path(folder))
        start = time.perf_counter()
        features = features_of(store, np.arange(len(clean)), Path(folder))
        looked = time.perf_counter() - start
    assert features is not None
    main = components(features, COMPONENTS)
    for name in ("clean_label", "aggre_label", "random_label1", "worse_label"):
        given = people[name][:IMAGES].astype(np.int64)
        said = out_of_fold(main, given, 10, np.arange(len(given)))
        found = find_label_errors(said, given)
        wrong = given != clean
        flagged = wrong[found.order]
        yield {
            "labels": name,
            "wrong": float(wrong.mean()),
            "least": found.least,
            "most": found.most,
            "right": found.right,
            "flagged": len(flagged),
            "precision": float(flagged.mean()),
            "recall": float(flagged.sum() / max(1, wrong.sum())),
            "precision of 100": float(flagged[:100].mean()),
            "average precision": average_precision(found.confidence, wrong),
            "seconds of features": looked,
            **cleanlab_of(said, given, wrong),
        }


def cleanlab_of(said_NK: NDArray[np.floating], given: NDArray[np.int64], wrong: NDArray[np.bool_]) -> dict[str, float]:
    """What cleanlab makes of the same probabilities; nothing where it is not installed."""
    if importlib.util.find_spec("cleanlab") is None:
        return {}
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    said = said_NK / said_NK.sum(axis=1, keepdims=True)
    flagged = wrong[find_label_issues(given, said, n_jobs=1)]
    return {
        "cleanlab: wrong": num_label_issues(given, said) / len(given),
        "cleanlab: flagged": len(flagged),
        "cleanlab: precision": float(flagged.mean()),
        "cleanlab: recall": float(flagged.sum() / max(1, wrong.sum())),
        "cleanlab: average precision": average_precision(get_label_quality_scores(given, said), wrong),
    }


def average_precision(confidence: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Mean precision at each wrong label, the least confident first; NaN where none is wrong."""
    ordered = wrong[np.argsort(confidence, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean()) if ordered.any() else float("nan")


PARTS = {"copies": of_copies, "tiles": of_tiles, "cost": of_cost, "labels": of_labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=list(PARTS), default=None)
    parser.add_argument("--json", type=Path, help="Write all rows to this file, too.")
    asked = parser.parse_args()
    rows = []
    for name, part in PARTS.items():
        if asked.only in (None, name):
            for row in part(asked.data):
                rows.append(row)
                shown = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
                print(", ".join(shown), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
