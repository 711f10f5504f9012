"""What each way of treating uneven classes is worth: `python benchmarks/uneven.py [digits] [CIFAR10.npz]`.

The largest class has twenty times the images of the smallest, the others lie between them on a geometric scale; the
same network from scratch is trained with each way, on two seeds. Prints the scores on test images of which the classes
have the same shares as in training, and the accuracy on equally many of each class.

CIFAR10.npz: files of images, as benchmarks/equal_time.py reads them.

Result: docs/decisions/0054-logit-adjustment.md
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift import api
from convlift.deploy.predict import load
from convlift.evidence.metrics import METRICS
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe

RATIO, CLASSES = 20.0, 10
WAYS = {
    "none": {},
    "weights, square root": {"class_balance": 0.5},
    "weights": {"class_balance": 1.0},
    "effective numbers": {"effective_number": 0.999},
    "sampling, square root": {"class_sampling": 0.5},
    "sampling": {"class_sampling": 1.0},
    "logits, half": {"logit_adjustment": 0.5},
    "logits": {"logit_adjustment": 1.0},
    "logits, 1.5": {"logit_adjustment": 1.5},
}
SHOWN = ("accuracy", "balanced-accuracy", "macro-f1")
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def digits() -> tuple[Pixels, Labels, Recipe, int, int]:
    """Images, labels, the recipe, and how many images the largest class has and every class in the test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    return images, found.target, built_in("residual").edit(training={"epochs": 20}), 100, 70


def cifar(archive: str) -> tuple[Pixels, Labels, Recipe, int, int]:
    """The same."""
    import cv2

    with np.load(archive) as stored:
        data, offsets, labels = stored["data"], stored["offsets"], stored["labels"].astype(np.int64)
    chosen = np.random.default_rng(0).permutation(len(labels))[:20_000]
    files = [data[offsets[row] : offsets[row + 1]] for row in chosen]
    images = np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1] for file in files])
    return images, labels[chosen], built_in("residual-quick").edit(training={"epochs": 12}), 1000, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["digits"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    asked = parser.parse_args()
    for name in asked.data:
        images, labels, recipe, most, tested = digits() if name == "digits" else cifar(name)
        rng = np.random.default_rng(1)
        counts = [round(most * RATIO ** (-label / (CLASSES - 1))) for label in range(CLASSES)]
        of_class = [rng.permutation(np.flatnonzero(labels == label)) for label in range(CLASSES)]
        train = np.concatenate([own[:count] for own, count in zip(of_class, counts, strict=True)])
        even = np.concatenate([own[count:][:tested] for own, count in zip(of_class, counts, strict=True)])
        uneven = np.concatenate(
            [own[count:][: round(tested * count / most)] for own, count in zip(of_class, counts, strict=True)]
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "uneven.npz"
            np.savez(file, train_images=images[train], train_labels=labels[train])
            for seed in (0, 1):
                for way, levers in ((way, WAYS[way]) for way in asked.ways):
                    out = Path(folder) / f"{seed}-{way}"
                    api.train(file, recipe.edit(training=levers), out=out, seed=seed, quiet=True)
                    model = load(out)
                    scores = [model.probabilities(list(_pixels(images[part]))) for part in (uneven, even)]
                    found = [m.score(scores[0], labels[uneven]) for m in METRICS if m.name in SHOWN]
                    alike = float((scores[1].argmax(1) == labels[even]).mean())
                    said = "  ".join(f"{metric} {value:.3f}" for metric, value in zip(SHOWN, found, strict=True))
                    print(f"{Path(name).stem} seed {seed}  {way:22}{said}  even {alike:.3f}", flush=True)


def _pixels(images: Pixels) -> Pixels:
    return images if images.ndim == 4 else images[..., None]


if __name__ == "__main__":
    main()
