import copy

import pytest
import torch
from torch import nn

from convlift.model.freezing import freeze, train_mode, unfreeze
from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.architecture import Pretrained


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Classifier(Pretrained(backbone="resnet10t", weights="random", head_units=8), classes=2)


def train(network, parameters, inputs=None):
    """Two steps, as a training loop makes them; returns the names of all numbers that moved."""
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    target = inputs or network
    for _ in range(2):
        train_mode(target)
        batch = torch.randn(4, *((3, 64, 64) if inputs is None else (128, 8, 8)))
        loss = nn.functional.cross_entropy(target(batch), torch.tensor([0, 1, 0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}


def of(changed, *parts):
    return {key for key in changed if key.startswith(parts)}


def test_a_frozen_backbone_keeps_every_number(network):
    changed = train(network, freeze(network))
    assert changed == of(changed, "head.")
    assert changed >= {"head.hidden.weight", "head.output.bias"}
    assert not any(module.training for module in network.backbone.modules())
    assert network.head.training


def test_a_frozen_backbone_stays_frozen_even_for_an_optimizer_that_holds_it(network):
    freeze(network)
    assert train(network, network.parameters()) == {key for key in network.state_dict() if key.startswith("head.")}


@pytest.mark.parametrize("batch_norm", ["frozen", "update"])
def test_only_the_last_stages_move(network, batch_norm):
    changed = train(network, unfreeze(network, 2, batch_norm))
    opened = ("backbone.network.layer3.", "backbone.network.layer4.")
    assert changed == of(changed, "head.", *opened)
    assert all(of(changed, part) for part in opened)
    statistics = {key for key in of(network.state_dict(), *opened) if "running" in key}
    assert statistics
    assert changed & statistics == (statistics if batch_norm == "update" else set())
    scales = {key for key in of(network.state_dict(), *opened) if key.endswith("bn1.weight")}
    assert scales <= changed


def test_all_stages_move_where_no_number_is_given(network):
    changed = train(network, unfreeze(network, None, "update"))
    assert changed == set(network.state_dict())


def test_freezing_again_undoes_unfreezing(network):
    unfreeze(network, None, "update")
    assert train(network, freeze(network)) == {key for key in network.state_dict() if key.startswith("head.")}


@pytest.mark.parametrize("batch_norm", ["frozen", "update"])
def test_a_tail_moves_the_same_numbers_of_its_classifier(network, batch_norm):
    parameters = unfreeze(network, 2, batch_norm)
    changed = train(network, parameters, Tail(network, 2))
    assert changed == of(changed, "head.", "backbone.network.layer3.", "backbone.network.layer4.")
    assert any("running" in key for key in changed) == (batch_norm == "update")


def test_any_other_network_goes_into_training_mode():
    network = nn.Sequential(nn.Linear(1, 1)).eval()
    train_mode(network)
    assert network[0].training
