"""The plain network's loss on digits, step by step, as it was: a refactoring must not move it.

`python tests/train/test_golden_losses.py` writes the file anew after a change that is meant to move it.
"""

import json
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from convlift.model.build import build_network
from convlift.recipe.architecture import ConvNet
from convlift.recipe.training import Training
from convlift.train.batch import Batch
from convlift.train.fit import fit
from convlift.train.objectives import CrossEntropy, Loss
from convlift.train.optimizers import make_optimizer
from convlift.train.schedules import make_schedule

GOLDEN = Path(__file__).parents[1] / "golden" / "plain_digits_losses.json"
STEPS, BATCH = 10, 32


def losses() -> list[float]:
    found = []

    def recorded(logits_NK: Tensor, targets: Tensor) -> Loss:
        loss = CrossEntropy()(logits_NK, targets)
        found.append(loss.minimized.item())
        return loss

    pixels, labels = load_digits(return_X_y=True)
    # standardized: over black patches a rectifier would stand exactly at zero, where rounding decides its gradient
    standardized = (pixels - pixels.mean()) / pixels.std()
    images = torch.from_numpy(standardized[: STEPS * BATCH].reshape(-1, 1, 8, 8)).float()
    targets = torch.from_numpy(labels[: STEPS * BATCH]).long()
    training = Training(l2=0.001, l2_layers="convolution")
    torch.manual_seed(0)
    # without dropout: which numbers it drops depends on the memory layout that a processor's kernels prefer
    network = build_network(ConvNet(), classes=10, channels=1, resolution=8)
    batches = list(map(Batch, images.split(BATCH), targets.split(BATCH)))
    schedule = make_schedule(training.schedule, steps=STEPS, warmup=training.warmup)
    for _ in fit(network, lambda _: batches, recorded, make_optimizer(network, training), schedule, epochs=1):
        pass
    return found


def test_plain_network_on_digits_repeats_its_losses() -> None:
    # processors differ in the last bits of a float32, and Adam's first steps amplify them
    assert losses() == pytest.approx(json.loads(GOLDEN.read_text()), rel=1e-5)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(losses(), indent=1) + "\n")
