"""The agreement of two batches' gradients, where the truth is known."""

import pytest
import torch

from convlift.train.gradients import APART, Agreement


def agreement_of(signal: float, batch: int, steps: int, noise: float = 1.0, parameters: int = 50) -> float | None:
    """Of gradients that are means over `batch` images of N(signal, noise^2) in every direction."""
    rng = torch.Generator().manual_seed(0)
    two = [torch.zeros(parameters // 2), torch.zeros(parameters - parameters // 2)]
    watched = Agreement()
    for _ in range(steps):
        for parameter in two:
            parameter.grad = signal + noise / batch**0.5 * torch.randn(parameter.shape, generator=rng)
        watched.watch(two)
        for parameter in two:
            parameter.grad *= 1e-3  # as an optimizer that clips would
    return watched.value()


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_it_tells_the_gradient_noise_scale(batch: int) -> None:
    """tr(S) / |G|^2 is 1 / .3^2 = 11.1 images."""
    found = agreement_of(0.3, batch, APART * 400)
    assert found is not None
    assert batch * (1 / found - 1) == pytest.approx(11.1, rel=0.1)


def test_it_is_one_without_noise_and_nothing_without_signal() -> None:
    assert agreement_of(0.3, 8, 2, noise=0.0) == pytest.approx(1.0)
    assert agreement_of(0.0, 8, APART * 400) == pytest.approx(0.0, abs=0.01)


def test_one_batch_has_nothing_to_agree_with() -> None:
    assert agreement_of(0.3, 8, 1) is None
    assert agreement_of(0.0, 8, 4, noise=0.0) is None  # no gradient at all
