"""How much memory `convlift audit` takes, by the number of images.

Crops of 128 px from 1,000 photos in ten class folders are audited by a process of its own, whose resident memory is
read from /proc every 30 ms: what it allocated (RssAnon), and pages of files that it has mapped (RssFile, libraries
among them). Nothing is cached before.

Command: python benchmarks/audit_memory.py --data FOLDER [--images 1000 3000 9000] [--source SRC] [--json FILE]
FOLDER holds imagenet_sample1000.tar.gz; SRC is the source of another version to be measured. Linux alone.
Last result (one Zen 3 core, shared; megabytes at their peak):

    images    --no-label-errors   allocated, files    with label errors   allocated, files
     1,000                  178         116,    63                  785         637,   148
     3,000                  203         141,    63                  872         725,   150
     9,000                  266         203,    64                  867         719,   152

    before decision 0070: 184, 250, 357; 908, 931, 1,305
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, CLASSES = 128, 10
EVERY = 0.03  # seconds
COMMAND = "from convlift.cli import main; main()"


def write_crops(archive: Path, count: int, folder: Path) -> None:
    """JPEG files in ten class folders; the same ones first, whatever their number."""
    rng, made = np.random.default_rng(0), 0
    with tarfile.open(archive) as tar:
        photos = [Image.open(file).convert("RGB") for each in tar if each.isfile() and (file := tar.extractfile(each))]
    while made < count:
        photo = photos[made % len(photos)]
        left, top = (int(rng.integers(0, max(1, side - SIDE))) for side in photo.size)
        path = folder / f"c{made % CLASSES}" / f"{made:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.crop((left, top, left + SIDE, top + SIDE)).save(path, quality=90)
        made += 1


def peaks(images: Path, source: Path, more: list[str]) -> dict[str, float]:
    """Megabytes at their peak, and seconds, of one audit."""
    with tempfile.TemporaryDirectory() as place:
        known = {"PYTHONPATH": str(source), "CONVLIFT_CACHE": str(Path(place, "cache"))}
        command = [sys.executable, "-c", COMMAND, "audit", str(images), "--out", str(Path(place, "page.html")), *more]
        began, found = time.monotonic(), {"RssAnon": 0.0, "RssFile": 0.0, "VmRSS": 0.0}
        with subprocess.Popen(command, env={**os.environ, **known}, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                for name, _, value in (line.partition(":") for line in status.splitlines()):
                    if name in found:
                        found[name] = max(found[name], int(value.split()[0]) / 1024)
                time.sleep(EVERY)
        assert process.returncode == 0, "the audit failed"
    return {**found, "seconds": time.monotonic() - began}


def rows(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    for count in asked.images:
        with tempfile.TemporaryDirectory() as folder:
            write_crops(asked.data / "imagenet_sample1000.tar.gz", count, Path(folder))
            for more in (["--no-label-errors"], []):
                yield {"images": count, "options": " ".join(more), **peaks(Path(folder), asked.source, more)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 3000, 9000])
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parents[1] / "src")
    parser.add_argument("--json", type=Path, help="Write all rows to this file, too.")
    asked = parser.parse_args()
    found = []
    for row in rows(asked):
        found.append(row)
        print(", ".join(f"{k} {v:.0f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
