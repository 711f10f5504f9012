"""Schedules at given steps, and as properties at all of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlift.train.schedules import make_schedule, multiplier, set_learning_rate

KINDS = st.sampled_from(["constant", "cosine", "one_cycle"])


def values(kind: str, total: int, warmup: float) -> list[float]:
    schedule = make_schedule(kind, steps=total, warmup=warmup)  # type: ignore[arg-type]
    return [schedule(step) for step in range(total)]


def test_constant() -> None:
    assert values("constant", 5, 0) == [1, 1, 1, 1, 1]
    assert values("constant", 8, 0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


def test_cosine() -> None:
    half = 2**-0.5
    assert values("cosine", 4, 0) == pytest.approx([1, (1 + half) / 2, 0.5, (1 - half) / 2])
    assert values("cosine", 8, 0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, (1 + half) / 2, 0.5, (1 - half) / 2])


def test_one_cycle() -> None:
    cycle = values("one_cycle", 100, 0.3)
    assert cycle[0] == pytest.approx(1 / 25)
    assert cycle[15] == pytest.approx((1 + 1 / 25) / 2), "half way up"
    assert cycle[30] == 1
    assert cycle[65] == pytest.approx(0.5), "half way down"
    assert cycle[99] < 1e-3
    assert values("one_cycle", 4, 0) == values("cosine", 4, 0)


@given(kind=KINDS, total=st.integers(1, 300), warmup=st.floats(0, 0.9))
def test_rise_then_fall_within_zero_and_one(kind: str, total: int, warmup: float) -> None:
    found = values(kind, total, warmup)
    assert all(0 < value <= 1 for value in found), "a step at zero is a step for nothing"
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert sum(multiplier(kind, step, total, warmup) < 1 for step in range(peak)) == peak  # type: ignore[arg-type]
    assert peak <= warmup * total + 1


def test_set_learning_rate_keeps_the_groups_ratio_and_forgets_nothing() -> None:
    one, two = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([{"params": [one], "lr": 0.1}, {"params": [two], "lr": 0.01}])
    for factor in (0.5, 0.0, 1.0, 0.25):
        set_learning_rate(optimizer, factor)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([0.1 * factor, 0.01 * factor])
