"""Does `convlift diagnose` find faults that were planted, and nothing where nothing is wrong?

Sound recipes on digits (1,797 images, 8 px), chest X-rays (pneumoniamnist.npz, 28 px) and flowers (5 classes, 64 px),
and the same with one fault each. A hit is the planted cause found or suspected; "first", that it is also the answer.
Whatever else is found beside it is listed: some follows from the fault (one epoch underfits, too).

Command: python benchmarks/diagnose.py --data FOLDER [--only WORD] [--seeds 1] [--json FILE]
FOLDER holds pneumoniamnist.npz and tf_flowers128.tar.gz.
Last result (half a Zen 3 core, 15 s to 60 s of it a case), accuracy in validation and what became of the planted fault;
docs/decisions/0047 has what was found beside it:

    digits, plain                        .964
    digits, residual                     .994
    digits, residual, small turns        .992
    X-rays, plain                        .937
    X-rays, residual-quick               .957
    X-rays, frozen                       .917
    flowers, frozen                      .750
    digits, plain, rate x100             .067   found, first
    digits, residual, rate x100          .997   not found, harmless
    X-rays, plain, rate x100             .520   found, first
    digits, plain, rate /100             .295   found, first
    digits, residual, rate /100          .175   found, first
    X-rays, plain, rate /100             .840   found, first
    digits, plain, 1 epoch               .869   found, first
    digits, residual, 1 epoch            .886   found, first
    X-rays, plain, 1 epoch               .877   found, first
    digits, plain, 20% flipped           .955   found, first
    digits, residual, 20% flipped        .939   found, first
    X-rays, plain, 20% flipped           .943   found, first
    flowers, frozen, 20% flipped         .643   found, first
    digits, plain, flips and turns       .554   found, first
    digits, residual, flips and turns    .802   missed
    60 digits, residual x20 epochs       .588   found
    flowers, large network, unaugmented  .550   found, first
    flowers at 8 px, frozen              .277   found, first
    flowers at 8 px, residual            .563   found, first
    digits, plain, 50:1                  .847   found, first
    X-rays, plain, 50:1                  .480   found, first
    digits, plain, copies                .975   found, first
    X-rays, plain, copies                .937   found, first
"""

import argparse
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import convlift
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.report.wording.checks_in_words import figures

PLAIN, RESIDUAL, FROZEN = built_in("plain"), built_in("residual"), built_in("frozen")
QUICK = built_in("residual-quick").edit(training={"epochs": 10})
FLIPS = {"data": {"augmentation": {"horizontal_flip": 0.5, "vertical_flip": 0.5, "rotation": 0.2, "zoom": 0.2}}}
BIG = RESIDUAL.edit(
    architecture={"width": 48, "stages": 3}, training={"epochs": 20, "weight_decay": 0.0}, data={"resolution": 32}
)
Parts = dict[str, tuple[np.ndarray, np.ndarray]]  # part -> images (N, H, W[, 3]) uint8, labels (N,)


@dataclass(frozen=True)
class Case:
    """planted: the cause that is to be found, "" for a sound one."""

    name: str
    planted: str
    data: Callable[[Path, np.random.Generator], Parts]
    recipe: Recipe
    change: Callable[[Parts, np.random.Generator], Parts] = lambda parts, rng: parts


def digits(folder: Path, rng: np.random.Generator) -> Parts:
    whole = load_digits()
    return _cut(np.rint(whole.images * (255 / 16)).astype(np.uint8), whole.target, rng)


def few_digits(folder: Path, rng: np.random.Generator) -> Parts:
    parts = digits(folder, rng)
    return {**parts, "train": tuple(each[:60] for each in parts["train"])}  # type: ignore[dict-item]


def xrays(folder: Path, rng: np.random.Generator) -> Parts:
    with np.load(folder / "pneumoniamnist.npz") as found:
        images = np.concatenate([found[f"{part}_images"] for part in ("train", "val")])
        labels = np.concatenate([found[f"{part}_labels"] for part in ("train", "val")]).ravel()
    chosen = rng.permutation(len(images))[:1500]
    return _cut(images[chosen], labels[chosen], rng)


def flowers(folder: Path, rng: np.random.Generator, side: int = 64, most: int = 1500) -> Parts:
    images, names = [], []
    with tarfile.open(folder / "tf_flowers128.tar.gz") as archive:
        members = [each for each in archive.getmembers() if each.name.endswith(".jpg")]
        for number in rng.permutation(len(members))[:most]:
            content = archive.extractfile(members[number])
            assert content is not None
            picture = Image.open(io.BytesIO(content.read())).convert("RGB").resize((side, side))
            images.append(np.asarray(picture))
            names.append(Path(members[number].name).parent.name)
    return _cut(np.stack(images), np.unique(names, return_inverse=True)[1], rng)


def few_flowers(folder: Path, rng: np.random.Generator) -> Parts:
    return flowers(folder, rng, side=32, most=700)


def _cut(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Parts:
    order = rng.permutation(len(images))
    first, second = int(0.65 * len(order)), int(0.85 * len(order))
    rows = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return {part: (images[chosen], labels[chosen]) for part, chosen in rows.items()}


def flipped(parts: Parts, rng: np.random.Generator) -> Parts:
    images, labels = parts["train"]
    classes, moved = int(labels.max()) + 1, rng.random(len(labels)) < 0.2
    wrong = (labels + rng.integers(1, classes, len(labels))) % classes
    return {**parts, "train": (images, np.where(moved, wrong, labels))}


def fifty_to_one(parts: Parts, rng: np.random.Generator) -> Parts:
    """A fiftieth of the other classes' mean size is left of the images of class 0; validation stays."""
    images, labels = parts["train"]
    kept = np.flatnonzero(labels == 0)[: max(2, int((labels != 0).sum() / labels.max() / 50))]
    rows = np.sort(np.concatenate([kept, np.flatnonzero(labels != 0)]))
    return {**parts, "train": (images[rows], labels[rows])}


def copied(parts: Parts, rng: np.random.Generator) -> Parts:
    """A third of the validation images are training images."""
    (images, labels), (held, given) = parts["train"], parts["val"]
    rows, chosen = np.arange(len(held) // 3), rng.permutation(len(images))[: len(held) // 3]
    held, given = held.copy(), given.copy()
    held[rows], given[rows] = images[chosen], labels[chosen]
    return {**parts, "val": (held, given)}


CASES = (
    Case("digits, plain", "", digits, PLAIN),
    Case("digits, residual", "", digits, RESIDUAL),
    Case("digits, residual, small turns", "", digits, RESIDUAL.edit(data={"augmentation": {"rotation": 0.02}})),
    Case("X-rays, plain", "", xrays, PLAIN),
    Case("X-rays, residual-quick", "", xrays, QUICK),
    Case("X-rays, frozen", "", xrays, FROZEN),
    Case("flowers, frozen", "", flowers, FROZEN),
    Case("digits, plain, rate x100", "learning rate", digits, PLAIN.edit(training={"learning_rate": 0.1})),
    Case("digits, residual, rate x100", "learning rate", digits, RESIDUAL.edit(training={"learning_rate": 0.5})),
    Case("X-rays, plain, rate x100", "learning rate", xrays, PLAIN.edit(training={"learning_rate": 0.1})),
    Case("digits, plain, rate /100", "learning rate", digits, PLAIN.edit(training={"learning_rate": 1e-5})),
    Case("digits, residual, rate /100", "learning rate", digits, RESIDUAL.edit(training={"learning_rate": 5e-5})),
    Case("X-rays, plain, rate /100", "learning rate", xrays, PLAIN.edit(training={"learning_rate": 1e-5})),
    Case("digits, plain, 1 epoch", "training length", digits, PLAIN.edit(training={"epochs": 1})),
    Case("digits, residual, 1 epoch", "training length", digits, RESIDUAL.edit(training={"epochs": 1})),
    Case("X-rays, plain, 1 epoch", "training length", xrays, PLAIN.edit(training={"epochs": 1})),
    Case("digits, plain, 20% flipped", "labels", digits, PLAIN, flipped),
    Case("digits, residual, 20% flipped", "labels", digits, RESIDUAL, flipped),
    Case("X-rays, plain, 20% flipped", "labels", xrays, PLAIN, flipped),
    Case("flowers, frozen, 20% flipped", "labels", flowers, FROZEN, flipped),
    Case("digits, plain, flips and turns", "augmentation", digits, PLAIN.edit(**FLIPS)),
    Case("digits, residual, flips and turns", "augmentation", digits, RESIDUAL.edit(**FLIPS)),
    Case("60 digits, residual x20 epochs", "overfitting", few_digits, RESIDUAL.edit(training={"epochs": 20})),
    Case("flowers, large network, unaugmented", "overfitting", few_flowers, BIG),
    Case("flowers at 8 px, frozen", "resolution", flowers, FROZEN.edit(data={"resolution": 8})),
    Case("flowers at 8 px, residual", "resolution", flowers, RESIDUAL.edit(data={"resolution": 8})),
    Case("digits, plain, 50:1", "classes", digits, PLAIN, fifty_to_one),
    Case("X-rays, plain, 50:1", "classes", xrays, PLAIN, fifty_to_one),
    Case("digits, plain, copies", "copies", digits, PLAIN, copied),
    Case("X-rays, plain, copies", "copies", xrays, PLAIN, copied),
)


def measure(case: Case, folder: Path, seed: int) -> dict[str, object]:
    rng = np.random.default_rng([seed, 5])
    parts = case.change(case.data(folder, rng), rng)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "planted.npz"
        arrays = {
            f"{part}_{what}": each
            for part, two in parts.items()
            for what, each in zip(("images", "labels"), two, strict=True)
        }
        np.savez(path, **arrays)
        began = time.monotonic()
        done = convlift.diagnose(path, case.recipe, out=f"{place}/run", seed=seed, quiet=True)
    verdicts = {each.cause: each.verdict for each in done.checks}
    faults = [each.cause for each in done.faults]
    return {
        "case": case.name,
        "seed": seed,
        "planted": case.planted,
        "score": done.story.training.score.value if done.story.has_score else None,
        "answer": done.answer,
        "verdict": verdicts.get(case.planted, ""),
        "first": bool(faults) and faults[0] == case.planted,
        "others": [f"{cause} {verdicts[cause]}" for cause in faults if cause != case.planted],
        "checks": {each.cause: figures(each) for each in done.checks},
        "untold": [cause for cause, verdict in verdicts.items() if verdict == "cannot tell"],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write all rows to this file, too.")
    arguments = parser.parse_args()
    rows = []
    print("| case | score | planted | verdict | first | found beside it |\n| --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        if arguments.only not in case.name:
            continue
        for seed in range(arguments.seeds):
            row = measure(case, arguments.data, seed)
            rows.append(row)
            score = "none" if row["score"] is None else f"{row['score']:.3f}"
            beside, first = ", ".join(row["others"]), "yes" if row["first"] else ""  # type: ignore[arg-type]
            print(f"| {case.name} | {score} | {case.planted} | {row['verdict']} | {first} | {beside} |", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({"schema_version": 1, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
