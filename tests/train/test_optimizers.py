"""Optimizers by their formulas, on weights whose gradients are known."""

from typing import get_args

import pytest
import torch
from torch import nn

from convlift.model.build import build_network
from convlift.recipe.architecture import ConvNet
from convlift.recipe.training import STEP, Optimizer, Training
from convlift.train.optimizers import make_optimizer, parameter_groups


class Small(nn.Module):
    """A convolution, a norm and a dense layer, all numbers 1."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.dense = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def backward_of(self, gradient: float) -> None:
        for parameter in self.parameters():
            parameter.grad = torch.full_like(parameter, gradient)


def after_one_step(gradient: float = 0.0, **levers: object) -> dict[str, float]:
    network = Small()
    optimizer = make_optimizer(network, Training.model_validate(levers))
    network.backward_of(gradient)
    optimizer.step()
    return {name: parameter.flatten()[0].item() for name, parameter in network.named_parameters()}


BIASES_AND_NORMS = ("convolution.bias", "norm.weight", "norm.bias", "dense.bias")
RULES = get_args(Optimizer)


@pytest.mark.parametrize("optimizer", RULES)
def test_every_rule_is_made_and_has_a_ratio_of_steps(optimizer: str) -> None:
    assert after_one_step(1.0, optimizer=optimizer, learning_rate=0.1) != after_one_step(optimizer=optimizer)
    assert STEP.keys() == set(RULES)


@pytest.mark.parametrize("optimizer", RULES)
def test_weight_decay_shrinks_weights_by_rate_times_decay(optimizer: str) -> None:
    moved = after_one_step(optimizer=optimizer, learning_rate=0.1, weight_decay=0.2)
    assert moved["convolution.weight"] == moved["dense.weight"] == pytest.approx(1 - 0.1 * 0.2)
    assert [moved[name] for name in BIASES_AND_NORMS] == [1, 1, 1, 1]


@pytest.mark.parametrize("optimizer", RULES)
def test_biases_and_norms_decay_where_the_recipe_sets_it(optimizer: str) -> None:
    moved = after_one_step(optimizer=optimizer, learning_rate=0.1, weight_decay=0.2, decay_norms_and_biases=True)
    assert list(moved.values()) == pytest.approx([0.98] * 6)


def test_weight_decay_does_not_pass_through_momentum() -> None:
    network = Small()
    optimizer = make_optimizer(network, Training(optimizer="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.2))
    for _ in range(3):
        network.backward_of(0.0)
        optimizer.step()
    assert network.dense.weight[0, 0].item() == pytest.approx(0.98**3)


def test_weight_decay_follows_the_schedule() -> None:
    network = Small()
    optimizer = make_optimizer(network, Training(learning_rate=0.1, weight_decay=0.2))
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 0.05
    network.backward_of(0.0)
    optimizer.step()
    assert network.dense.weight[0, 0].item() == pytest.approx(1 - 0.05 * 0.2)


def test_l2_gradient_is_that_of_keras() -> None:
    """l2 * sum(w^2) without a half: plain gradient descent moves w by rate * 2 * l2 * w."""
    moved = after_one_step(optimizer="sgd", momentum=0, learning_rate=0.1, l2=0.03)
    assert moved["convolution.weight"] == moved["dense.weight"] == pytest.approx(1 - 0.1 * 2 * 0.03)
    assert [moved[name] for name in BIASES_AND_NORMS] == [1, 1, 1, 1]


def test_l2_of_convolutions_leaves_the_dense_layer() -> None:
    levers = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.1, "l2": 0.03, "l2_layers": "convolution"}
    moved = after_one_step(**levers)
    assert [name for name, value in moved.items() if value != 1] == ["convolution.weight"]
    moved = after_one_step(**levers, decay_norms_and_biases=True)
    assert [name for name, value in moved.items() if value != 1] == ["convolution.weight", "convolution.bias"]


@pytest.mark.parametrize("optimizer", RULES)
def test_l2_equals_the_term_in_the_loss(optimizer: str) -> None:
    torch.manual_seed(0)
    weights, inputs = [], torch.randn(8, 1, 8, 8)
    for inside in (False, True):
        torch.manual_seed(1)
        network = build_network(ConvNet(width=8, head_units=8), classes=3, channels=1, resolution=8)
        rule = make_optimizer(network, Training.model_validate({"optimizer": optimizer, "l2": 0 if inside else 0.01}))
        for _ in range(5):
            loss = nn.functional.cross_entropy(network(inputs), torch.arange(8) % 3)
            if inside:
                loss = loss + 0.01 * sum((w**2).sum() for w in network.parameters() if w.ndim > 1)
            rule.zero_grad()
            loss.backward()
            rule.step()
        weights.append(torch.cat([w.detach().flatten() for w in network.parameters()]))
    torch.testing.assert_close(*weights, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_with_weight_decay_is_torchs_adamw(optimizer: str) -> None:
    ours, theirs = Small(), Small()
    rules = [
        make_optimizer(
            ours,
            Training.model_validate({"optimizer": optimizer, "weight_decay": 0.3, "decay_norms_and_biases": True}),
        ),
        torch.optim.AdamW(theirs.parameters(), lr=1e-3, weight_decay=0.3),
    ]
    for gradient in (0.5, -0.2, 0.1, 0.4):
        for network, rule in zip((ours, theirs), rules, strict=True):
            network.backward_of(gradient)
            rule.step()
    torch.testing.assert_close(ours.dense.weight, theirs.dense.weight)


def quadratic_path(steps: int, **levers: object) -> list[float]:
    """w under the gradient of w^2 / 2, from 1."""
    line = nn.Linear(1, 1, bias=False)
    nn.init.ones_(line.weight)
    optimizer = make_optimizer(line, Training.model_validate({"learning_rate": 0.1, **levers}))
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        (line.weight**2 / 2).sum().backward()
        optimizer.step()
        path.append(line.weight.item())
    return path


def test_momentum_and_nesterov_follow_their_formulas() -> None:
    for nesterov in (False, True):
        weight, velocity, expected = 1.0, 0.0, []
        for _ in range(6):
            gradient = weight
            velocity = 0.9 * velocity + gradient
            weight -= 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
            expected.append(weight)
        path = quadratic_path(6, optimizer="sgd", momentum=0.9, nesterov=nesterov)
        assert path == pytest.approx(expected, rel=1e-5)


def test_momentum_lever() -> None:
    assert quadratic_path(3, optimizer="sgd", momentum=0) == pytest.approx([0.9, 0.81, 0.729])
    # nesterov without momentum is plain descent, not an error
    assert quadratic_path(1, optimizer="sgd", momentum=0, nesterov=True) == pytest.approx([0.9])
    assert (
        quadratic_path(3, optimizer="rmsprop", momentum=0)[2] > quadratic_path(3, optimizer="rmsprop", momentum=0.9)[2]
    )


def test_adaptive_rules_follow_their_formulas() -> None:
    # Adam's first step is the learning rate whatever the gradient's size; RMSprop's is rate / sqrt(1 - 0.9)
    for gradient in (0.01, 100.0):
        assert after_one_step(gradient, optimizer="adam", learning_rate=0.1)["dense.bias"] == pytest.approx(
            0.9, rel=1e-5
        )
        moved = after_one_step(gradient, optimizer="rmsprop", learning_rate=0.1, momentum=0)
        assert moved["dense.bias"] == pytest.approx(1 - 0.1 / 0.1**0.5, rel=1e-4)


def test_frozen_parameters_are_left_out() -> None:
    network = Small()
    network.convolution.requires_grad_(False)
    groups = parameter_groups(network, Training(weight_decay=0.1))
    held = {id(parameter) for group in groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}


def test_a_weight_without_gradient_does_not_shrink() -> None:
    network = Small()
    optimizer = make_optimizer(network, Training(learning_rate=0.1, weight_decay=0.2))
    network.backward_of(0.0)
    network.dense.weight.grad = None
    optimizer.step()
    assert (network.dense.weight == 1).all()
    assert (network.convolution.weight < 1).all()
