"""The agreement of two batches' gradients, where the truth is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from convlift.train.gradients import FEWEST_PAIRS, Agreed, Agreement

DIRECTIONS, NOISE_SCALE = 50, 11.0


def agreed(*epochs: Sequence[torch.Tensor]) -> Agreed | None:
    """What the batches of some epochs, each (images, directions), agree on."""
    two = [torch.zeros(DIRECTIONS // 2), torch.zeros(DIRECTIONS - DIRECTIONS // 2)]
    watched = Agreement()
    for batches in epochs:
        watched.begin_epoch()
        for batch in batches:
            for parameter, part in zip(two, batch.mean(0).split(DIRECTIONS // 2), strict=True):
                parameter.grad = part.clone()
            watched.watch(two, len(batch))
            for parameter in two:
                assert parameter.grad is not None
                parameter.grad *= 1e-3  # as an optimizer that clips would
    return watched.value()


def of_many_epochs(images: int, batch: int, epochs: int = 400) -> Agreed:
    """Of one set of images, cut anew every epoch as training does; its own noise scale is 11 images."""
    rng = torch.Generator().manual_seed(0)
    each = torch.randn((images, DIRECTIONS), generator=rng)
    each -= each.mean(0)
    spread = float(each.square().sum() / (images - 1))
    each += (spread / NOISE_SCALE / DIRECTIONS) ** 0.5
    found = agreed(*(each[torch.randperm(images, generator=rng)].split(batch) for _ in range(epochs)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("images", "batch"), [(512, 1), (512, 8), (64, 8), (512, 64), (73, 8)],
    ids=["of one", "of eight", "few batches", "large", "a last one that is short"],
)  # fmt: skip
def test_it_tells_the_gradient_noise_scale(images: int, batch: int) -> None:
    expected, found = 1 / (1 + NOISE_SCALE / batch), of_many_epochs(images, batch)
    assert found.value == pytest.approx(expected, abs=0.02)
    assert abs(found.value - expected) < 4 * found.error < 0.1


def test_its_error_is_what_repetitions_scatter_by() -> None:
    rng = torch.Generator().manual_seed(0)
    found = [agreed([0.2 + torch.randn((8, DIRECTIONS), generator=rng) for _ in range(100)]) for _ in range(60)]
    values, errors = zip(*(each for each in found if each is not None), strict=True)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_it_is_one_without_noise_and_nothing_without_signal() -> None:
    rng = torch.Generator().manual_seed(0)
    same = agreed([torch.ones(8, DIRECTIONS)] * 8 * FEWEST_PAIRS)
    assert same == pytest.approx((1.0, 0.0))
    noise = agreed([torch.randn((8, DIRECTIONS), generator=rng) for _ in range(2000)])
    assert noise is not None
    assert abs(noise.value) < 3 * noise.error


def test_what_cannot_be_compared_is_none() -> None:
    ones = torch.ones(8, DIRECTIONS)
    enough = [ones] * 8 * FEWEST_PAIRS
    assert agreed(enough[: 2 * FEWEST_PAIRS - 2]) is None
    assert agreed(*[[ones, ones[:3]]] * 2 * FEWEST_PAIRS) is None  # a short last batch
    assert agreed(*[[ones]] * 4 * FEWEST_PAIRS) is None  # no two batches of one epoch
    assert agreed([0 * each for each in enough]) is None
    assert agreed([1e30 * each for each in enough]) is None  # more than a float32 holds
