"""How fast a GPU trains here: CIFAR-10 to 94% and to 96%, and what five minutes of `improve` buy beside a CPU.

First each of cifar10-94.yaml and cifar10-96.yaml is trained by the ordinary engine (`run_trial`) on 45,000 images, with
5,000 for validation, and scored on the official test images, which no choice has seen. Seconds are those of a second
training: the first one, of a tenth of an epoch, loads CUDA's libraries and is counted apart. Then the same campaign,
with the same images and seed, runs on the CPU and on the device, one after the other.

Command: python benchmarks/gpu.py cifar10_jpegbytes.npz [--device cuda] [--seeds 1] [--budget 5m] [--folder photos/]
                                  [--only recipes|improve] [--images 60000] [--epochs N] [--json]
The file holds `data` (the bytes of 60,000 JPEGs), `offsets` (where each begins), `labels`, `n_train`, `classes`.
Last result, on an H200 (benchmarks/results/gpu-cifar10.json): .895 in 9.3 s and .907 in 26.6 s, 12 s of loading CUDA
apart. The file holds JPEGs of quality 75 (30.5 dB from the lossless pixels), so that neither is 94% or 96%: the second
network classifies .998 of its training images correctly.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift import api
from convlift.campaign.open_data import open_data
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.recipe.recipe import load_recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.compute_device import Device
from convlift.train.device import choose_devices

HERE = Path(__file__).parent
RECIPES = {"94%": HERE / "cifar10-94.yaml", "96%": HERE / "cifar10-96.yaml"}
VALIDATION = 5_000
OF_A_CAMPAIGN = 4_000  # images of the folder that is made where none is named


def decoded(archive: Path, images: int) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The images in the layout of MedMNIST, a share of every part; and the names of the classes."""
    with np.load(archive) as found:
        data, offsets = found["data"], found["offsets"]
        labels, first_test, classes = found["labels"], int(found["n_train"]), tuple(map(str, found["classes"]))
    share = min(1.0, images / len(labels))
    order = np.random.default_rng(0).permutation(first_test)
    parts = {
        "val": order[:VALIDATION],
        "train": order[VALIDATION:],
        "test": np.random.default_rng(1).permutation(np.arange(first_test, len(labels))),
    }
    arrays: dict[str, NDArray[Any]] = {}
    for part, all_rows in parts.items():
        rows = np.sort(all_rows[: max(1, round(share * len(all_rows)))])
        read = (cv2.imdecode(data[offsets[row] : offsets[row + 1]], cv2.IMREAD_COLOR) for row in rows)
        arrays[f"{part}_images"] = np.stack([each[..., ::-1] for each in read])
        arrays[f"{part}_labels"] = labels[rows].astype(np.int64)
    return arrays, classes


def train(recipe_file: Path, data: Path, device: Device, seed: int, epochs: int | None) -> dict[str, Any]:
    """One training after a warm-up; accuracy on the official test images."""
    from convlift.trial.run_trial import run_trial

    recipe, folder = load_recipe(recipe_file), data.parent
    if epochs is not None:
        recipe = recipe.edit(training={"epochs": epochs})
    dataset, sealed = open_data(Request(data=str(data), budget_seconds=0.0, cache=folder, workers=1), Session())
    began = time.perf_counter()
    run_trial(TrialSpec(recipe, seed, 0.1 / recipe.training.epochs), dataset, folder, device=device)
    warm_up = time.perf_counter() - began
    outcome = run_trial(TrialSpec(recipe, seed), dataset, folder, device=device)
    right = outcome.test_probabilities.argmax(axis=1) == sealed.open()
    return {
        "recipe": recipe_file.stem,
        "device": device.name,
        "seed": seed,
        "status": outcome.status,
        "reason": outcome.reason,
        "accuracy": float(right.mean()),
        "epochs": len(outcome.curve),
        "warm_up_seconds": warm_up,
        "seconds": outcome.seconds,
        "seconds_in_epochs": sum(epoch.seconds for epoch in outcome.curve),
    }


def make_folder(arrays: dict[str, NDArray[Any]], classes: tuple[str, ...], folder: Path) -> Path:
    """Some of the training images as PNG files, one folder a class."""
    for number, (pixels, label) in enumerate(zip(arrays["train_images"], arrays["train_labels"], strict=True)):
        if number == OF_A_CAMPAIGN:
            break
        place = folder / classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def improve(folder: Path, budget: str, word: str, out: Path) -> dict[str, Any]:
    """One campaign."""
    began = time.perf_counter()
    campaign = api.improve(folder, budget, device=word, out=out, seed=0, quiet=True)
    result = campaign.result
    return {
        "device": word,
        "budget": budget,
        "seconds": time.perf_counter() - began,
        "trainings": result.trials,
        "start": result.start_name,
        "score": (result.claim or result).final.value,
        "gain_points": result.claim.gain_points.value if result.claim else None,
        "proven": result.is_better,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="cifar10_jpegbytes.npz")
    parser.add_argument("--device", default="cuda", help="as of convlift: cuda, cuda:N, mps, cpu or auto")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=60_000, help="of all three parts; fewer to try the code")
    parser.add_argument("--epochs", type=int, help="in place of the recipes'")
    parser.add_argument("--budget", default="5m", help="of each campaign")
    parser.add_argument("--folder", type=Path, help="images of the campaigns, one folder a class (default: CIFAR-10's)")
    parser.add_argument("--only", choices=("recipes", "improve"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = choose_devices(options.device)[0]
    rows: list[dict[str, Any]] = []
    campaigns: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        arrays, classes = decoded(options.archive, options.images)
        if options.only != "improve":
            data = Path(place) / "cifar.npz"
            np.savez(data, **arrays)
            for recipe_file in RECIPES.values():
                rows += [train(recipe_file, data, device, seed, options.epochs) for seed in range(options.seeds)]
        if options.only != "recipes":
            folder = options.folder or make_folder(arrays, classes, Path(place) / "images")
            for word in dict.fromkeys(("cpu", options.device)):
                campaigns.append(improve(folder, options.budget, word, Path(place) / f"run-{word.replace(':', '')}"))
    if options.json:
        print(json.dumps({"schema_version": 1, "trainings": rows, "campaigns": campaigns}))
        return
    for title, found in (("trainings", rows), ("campaigns", campaigns)):
        if found:
            shown = [
                [f"{each:.3f}" if isinstance(each, float) else str(each) for each in row.values()] for row in found
            ]
            print(f"{title}\n| {' | '.join(found[0])} |\n|{' --- |' * len(found[0])}")
            print("\n".join(f"| {' | '.join(cells)} |" for cells in shown))


if __name__ == "__main__":
    main()
