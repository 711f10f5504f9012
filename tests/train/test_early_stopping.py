"""Early stopping: when it ends, and whose weights the network has then."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from convlift.errors import Diverged
from convlift.records.outcome import EpochReport
from convlift.train.early_stopping import stop_early


def training(network: nn.BatchNorm1d, losses: list[float]) -> Iterator[EpochReport]:
    """A training whose weights and running statistics after each epoch are the number of that epoch."""
    for epoch, loss in enumerate(losses):
        with torch.no_grad():
            network.weight.fill_(epoch)
            assert network.running_mean is not None
            network.running_mean.fill_(epoch)
        if loss != loss:
            raise Diverged("nan")
        yield EpochReport("train", epoch, len(losses), 0.0, 0.0, loss, 0.0, 0.1, 0.0)


@pytest.fixture
def network() -> nn.BatchNorm1d:
    return nn.BatchNorm1d(2)


def held(network: nn.BatchNorm1d) -> tuple[float, float]:
    assert network.running_mean is not None
    return network.weight[0].item(), network.running_mean[0].item()


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "best"),
    [
        ([5, 4, 3, 3.5, 3.2, 1], 2, 5, 2),
        ([5, 4, 3, 3.5, 3.2, 1], 3, 6, 5),
        ([5, 4, 3, 3, 3, 3], 2, 5, 2),
        ([1, 2, 3], 1, 2, 0),
        ([3, 1, 2], 5, 3, 1),
    ],
)
def test_it_waits_for_patience_and_restores_the_best_epoch(
    network: nn.BatchNorm1d, losses: list[float], patience: int, epochs: int, best: int
) -> None:
    assert len(list(stop_early(training(network, losses), network, patience))) == epochs
    assert held(network) == (best, best)


def test_a_consumer_that_breaks_out_gets_the_best_epoch_too(network: nn.BatchNorm1d) -> None:
    for report in stop_early(training(network, [3, 1, 2, 2]), network, 10):
        if report.epoch == 2:
            break
    assert held(network) == (1, 1)


def test_a_consumer_that_closes_gets_the_best_epoch_too(network: nn.BatchNorm1d) -> None:
    reports = stop_early(training(network, [1, 2, 3]), network, 10)
    next(reports), next(reports)
    assert held(network) == (1, 1)
    reports.close()  # type: ignore[attr-defined]
    assert held(network) == (0, 0)


def test_divergence_leaves_the_best_epoch_and_is_passed_on(network: nn.BatchNorm1d) -> None:
    with pytest.raises(Diverged):
        list(stop_early(training(network, [2, 1, 4, float("nan")]), network, 10))
    assert held(network) == (1, 1)


def test_without_patience_the_last_weights_stay(network: nn.BatchNorm1d) -> None:
    assert len(list(stop_early(training(network, [1, 2, 3]), network, None))) == 3
    assert held(network) == (2, 2)
