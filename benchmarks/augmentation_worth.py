"""What each augmentation is worth: the same network with and without it, on test images as they are and corrupted.

    python benchmarks/augmentation_worth.py cifar ARCHIVE.npz       crop and mirror, erasing, mixing, policies over none
    python benchmarks/augmentation_worth.py weather cifar=ARCHIVE.npz flowers=FOLDER       weather beside none

ARCHIVE.npz: CIFAR-10 as compressed files (`data`, `offsets`, `labels`, `n_train`), of which 5,000 training images are
drawn; FOLDER: class folders of photos of one size, of which a quarter, drawn once, is the test. Every arm of a seed has
the same images, split and seed. A gain is paired by test image over the seeds; its 95% interval takes an image with all
seeds as one draw (`evidence.shifted_scores.compare_copies`), and the gain of every seed is printed beside it.

Weather: haze, fog, clouds and their shadows, low sun and night at the catalogue's strengths, each for 15 of 100 images,
so that six of ten have one. The corruptions that judge are those of the fifteen that neither arm trains on
(`robustness.trained_on`), every test image once under each, severities dealt evenly. The guard is asked about the set,
and about each part of it at full chance, by the network of the first arm.

Result: docs/LOG.md, "What augmentations are worth"; benchmarks/results/augmentation-worth.json
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift import api
from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.deploy.predict import load
from convlift.deploy.shifted_images import Copy, classify_copies, plain
from convlift.evidence.shifted_scores import compare_copies
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.robustness.dealing import dealt
from convlift.robustness.names import NAMES
from convlift.robustness.trained_on import trained_on
from convlift.trial.label_preservation import TrainedLabelChecker

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Levers = dict[str, Any]

TRAINING_IMAGES, TEST_IMAGES = 5_000, 5_000
CROP_AND_FLIP: Levers = {"augmentation": {"horizontal_flip": 0.5, "translation": 0.125}}
ARMS: dict[str, Levers] = {
    "none": {},
    "crop and flip": CROP_AND_FLIP,
    "random erasing": {"augmentation": {"erase": 0.4, "erase_chance": 0.5}},
    "CutMix": {"mixing": {"cutmix": 1.0}},
    "mixup": {"mixing": {"mixup": 1.0}},
    "TrivialAugment": {"augmentation": {"trivial_augment": 1.0}},
    "RandAugment": {"augmentation": {"rand_augment": 5.0, "rand_augment_operations": 3}},
    "AugMix": {"augmentation": {"aug_mix": 3.0}},  # with its loss, which costs three steps in one
}
WEATHER = {"haze": 0.5, "fog": 0.5, "clouds": 0.4, "cloud_shadow": 0.6, "low_sun": 0.6, "night": 0.6}
CHANCE = 0.15  # of each, beside one another


@dataclass(frozen=True)
class Data:
    """Images and labels of training, and of a test that no training reads."""

    name: str
    train: tuple[Pixels, Labels]
    test: tuple[Pixels, Labels]


def cifar(archive: str) -> Data:
    import cv2

    with np.load(archive) as stored:
        data, offsets, labels = stored["data"], stored["offsets"], stored["labels"].astype(np.int64)
        count = int(stored["n_train"])
    rng = np.random.default_rng(0)

    def part(rows: NDArray[np.int64]) -> tuple[Pixels, Labels]:
        files = [data[offsets[row] : offsets[row + 1]] for row in rows]
        return np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1] for file in files]), labels[rows]

    train = rng.permutation(count)[:TRAINING_IMAGES]
    return Data("cifar", part(train), part(count + rng.permutation(len(labels) - count)[:TEST_IMAGES]))


def photos(name: str, folder: str) -> Data:
    from PIL import Image

    files = sorted(path for path in Path(folder).glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    classes = sorted({path.parent.name for path in files})
    images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    labels = np.array([classes.index(path.parent.name) for path in files])
    order = np.random.default_rng(0).permutation(len(files))
    test, train = order[: len(files) // 4], order[len(files) // 4 :]
    return Data(name, (images[train], labels[train]), (images[test], labels[test]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    each = commands.add_parser("cifar")
    each.add_argument("archive")
    each.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    weather = commands.add_parser("weather")
    weather.add_argument("data", nargs="+", metavar="NAME=DATA")
    for command in (each, weather):
        command.add_argument("--epochs", type=int)
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        command.add_argument("--json", type=Path)
        command.add_argument("--tested", type=int, default=1000, help="test images under corruptions")
    asked = parser.parse_args()
    if asked.command == "cifar":
        base = quick(asked.epochs or 30)
        arms = {name: base.edit(data=ARMS[name]) for name in asked.arms}
        if "AugMix" in arms:
            arms["AugMix"] = arms["AugMix"].edit(training={"consistency": 12.0})
        compare(cifar(asked.archive), arms, asked, ())
        return
    for name, source in (text.split("=", 1) for text in asked.data):
        data = cifar(source) if name == "cifar" else photos(name, source)
        base = quick(asked.epochs or 30).edit(data=CROP_AND_FLIP) if name == "cifar" else tuned(asked.epochs or 4)
        arms = {"without": base, "weather": base.edit(data={"augmentation": {**WEATHER, "effect_chance": CHANCE}})}
        kept_out = frozenset[str]().union(*map(trained_on, arms.values()))
        compare(data, arms, asked, tuple(each for each in NAMES if each not in kept_out))


def quick(epochs: int) -> Recipe:
    """From scratch: `residual-quick` as it is, which augments nothing."""
    return built_in("residual-quick").edit(training={"epochs": epochs})


def tuned(epochs: int) -> Recipe:
    """Fine-tuned: `fine-tune` as it is, with its moves and colours, for so many epochs of its upper stages."""
    return built_in("fine-tune").edit(training={"fine_tuning": {"epochs": epochs}})


def compare(data: Data, arms: dict[str, Recipe], asked: argparse.Namespace, corruptions: tuple[str, ...]) -> None:
    """Train every arm on every seed, and print what each is worth beside the first one."""
    images, labels = data.test
    right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in arms}
    shifted: dict[str, list[NDArray[np.float64]]] = {name: [] for name in arms}
    tested = slice(0, asked.tested)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{data.name}.npz"
        np.savez(file, train_images=data.train[0], train_labels=data.train[1])
        for seed in asked.seeds:
            models = {}
            for name, recipe in arms.items():
                began = time.monotonic()
                api.train(file, recipe, out=Path(folder) / f"{seed}-{name}", seed=seed, quiet=True)
                models[name] = model = load(Path(folder) / f"{seed}-{name}")
                said = np.concatenate(
                    [
                        model.probabilities([model.prepared(each) for each in images[start : start + 500]])
                        for start in range(0, len(images), 500)
                    ]
                )
                right[name].append(said.argmax(axis=1) == labels)
                print(
                    f"{data.name} seed {seed}  {name:15} {right[name][-1].mean():.4f}  "
                    f"{time.monotonic() - began:.0f} s",
                    flush=True,
                )
            if corruptions:
                copies = [
                    [Copy(*each) for each in row]
                    for row in dealt(corruptions, len(images[tested]), len(corruptions), seed)
                ]
                named = [(model, plain(model)) for model in models.values()]
                for name, rows in zip(models, classify_copies(named, images[tested], copies), strict=True):
                    shifted[name].append((rows.argmax(axis=2) == labels[tested]).astype(np.float64))
                if seed == asked.seeds[0]:
                    ask_guard(file, next(iter(arms.values())), next(iter(models.values())), seed, Path(folder))
    first = next(iter(arms))
    for name in arms:
        tell(data.name, name, "clean", [row.astype(np.float64) for row in right[first]], list(right[name]), asked)
        if corruptions:
            tell(data.name, name, f"{len(corruptions)} corruptions", shifted[first], shifted[name], asked)


def tell(data: str, arm: str, score: str, before: list[Any], after: list[Any], asked: argparse.Namespace) -> None:
    """One line, and one of the file. before, after: of each seed, right or wrong (n,) or (copies, n)."""
    was, now = (np.concatenate([np.atleast_2d(each).astype(np.float64) for each in rows]) for rows in (before, after))
    gain = compare_copies(was, now)
    of_seeds = [100 * float(np.mean(b) - np.mean(a)) for a, b in zip(before, after, strict=True)]
    row = {
        "data": data, "arm": arm, "score": score, "accuracy": round(float(now.mean()), 4),
        "gain": round(gain.gain_points.value, 2), "low": round(gain.gain_points.low, 2),
        "high": round(gain.gain_points.high, 2), "seeds": [round(each, 2) for each in of_seeds],
    }  # fmt: skip
    print(json.dumps(row), flush=True)
    if asked.json:
        with asked.json.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def ask_guard(file: Path, recipe: Recipe, model: Any, seed: int, folder: Path) -> None:
    """What the label guard says of the set, and of its parts at full chance."""
    request = request_of(file, None, folder / "cache", current=recipe, seed=seed)
    dataset, _ = open_data(request, Session())
    written = recipe.model_copy().data.model_copy(update={"resolution": model.config.resolution})
    normal = tuple(np.asarray(each, np.float32) for each in (model.config.mean, model.config.std))
    checker = TrainedLabelChecker(model.network.eval(), normal, dataset, written, seed, one_thread=True)
    checker.look_at(800)
    sets: dict[str, dict[str, float]] = {"all, as trained": {**WEATHER, "effect_chance": CHANCE}}
    sets |= {name: {name: strength, "effect_chance": 1.0} for name, strength in WEATHER.items()}
    for name, levers in sets.items():
        found = checker.check(Augmentation(**levers))
        print(
            f"guard: {name:15} recognized {found.recognized:.2f}, harm {found.harm_points:+.1f} points, "
            f"p {found.p_value:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
