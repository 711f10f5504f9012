"""Probabilities and scores of a network as it stands."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from convlift.train.batch import Batch
from convlift.train.evaluate import evaluate, predict_probabilities


def test_probabilities_in_the_order_of_the_inputs() -> None:
    inputs = torch.randn(10, 3)
    network = nn.Linear(3, 4)
    found = predict_probabilities(network, inputs.split(4))
    assert found.dtype == np.float32
    assert found.shape == (10, 4)
    np.testing.assert_allclose(found, network(inputs).softmax(1).detach(), rtol=1e-5)


def test_dropout_is_off_and_no_graph_is_kept() -> None:
    network = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 4)).train()
    inputs = torch.randn(5, 3)
    np.testing.assert_array_equal(predict_probabilities(network, [inputs]), predict_probabilities(network, [inputs]))
    assert not network.training


def test_no_inputs() -> None:
    assert predict_probabilities(nn.Linear(3, 4), []).shape == (0, 0)
    assert math.isnan(evaluate(nn.Linear(3, 4), []).loss)


def test_scores_are_means_over_images_not_over_batches() -> None:
    inputs, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    network = nn.Linear(3, 4)
    whole = evaluate(network, [Batch(inputs, labels)])
    parts = evaluate(network, map(Batch, inputs.split(3), labels.split(3)))
    assert parts.accuracy == whole.accuracy == (network(inputs).argmax(1) == labels).sum().item() / 7
    assert parts.loss == pytest.approx(nn.functional.cross_entropy(network(inputs), labels).item(), rel=1e-5)
