"""The cross-entropy, its smoothing, and soft targets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from convlift.train.batch import Batch
from convlift.train.evaluate import evaluate
from convlift.train.objectives import CrossEntropy, class_counts, class_weights, jensen_shannon, logit_offsets


@given(smoothing=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_equals_torchs_for_labels_and_probabilities(smoothing: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, 5, generator=generator)
    labels = torch.randint(5, (7,), generator=generator)
    mixed = torch.rand(7, 5, generator=generator).softmax(1)
    for targets in (labels, mixed):
        loss = CrossEntropy(smoothing)(logits, targets)
        expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        torch.testing.assert_close(loss.minimized, expected)
        torch.testing.assert_close(loss.cross_entropy, functional.cross_entropy(logits, targets))


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_optimum_of_smoothed_labels(smoothing: float) -> None:
    """The best prediction gives the label 1 - s + s / K and every other class s / K; the gradient is zero there."""
    classes = 4
    best = torch.full((1, classes), smoothing / classes)
    best[0, 2] += 1 - smoothing
    logits = best.log().requires_grad_()
    CrossEntropy(smoothing)(logits, torch.tensor([2])).minimized.backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, classes), atol=1e-7, rtol=0)


def test_without_smoothing_more_confidence_is_always_better() -> None:
    losses = [CrossEntropy()(torch.tensor([[size, 0.0]]), torch.tensor([0])).minimized for size in (1.0, 5, 9)]
    assert losses == sorted(losses, reverse=True)
    smoothed = [CrossEntropy(0.2)(torch.tensor([[size, 0.0]]), torch.tensor([0])).minimized for size in (1.0, 5, 9)]
    assert smoothed == sorted(smoothed), "beyond the optimum, confidence must cost"


def test_balanced_weights_make_every_class_count_alike_and_keep_the_loss_in_scale() -> None:
    labels = torch.tensor([0] * 8 + [1] * 2)
    for balance in (0.5, 1.0):
        weights = class_weights(class_counts(labels, 3), balance)
        assert weights is not None
        assert weights[labels].mean() == pytest.approx(1.0)
        assert (weights[1] / weights[0]).item() == pytest.approx(4.0**balance)
        assert weights[2] == 0
    assert class_weights(class_counts(labels, 3), 0.0) is None
    logits = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    alike = torch.tensor([10 / 16, 10 / 4, 0.0])
    loss = CrossEntropy(0.2, class_weights(class_counts(labels, 3), 1.0))(logits, labels)
    each = functional.cross_entropy(logits, labels, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(loss.minimized, (alike[labels] * each).mean())
    torch.testing.assert_close(loss.cross_entropy, functional.cross_entropy(logits, labels))
    soft = functional.one_hot(labels, 3).float()
    torch.testing.assert_close(CrossEntropy(0.2, alike)(logits, soft).minimized, loss.minimized)


def test_with_adjusted_logits_a_network_that_sees_nothing_finds_all_classes_alike() -> None:
    """Shares are what the offsets explain, so that the gradient is zero where the logits tell no class from another."""
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    offsets = logit_offsets(class_counts(labels, 3), 1.0)
    logits = torch.zeros(100, 3, requires_grad=True)
    loss = CrossEntropy(offsets=offsets)(logits, labels)
    loss.minimized.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(3), atol=1e-6, rtol=0)


def test_adjusted_logits_are_the_published_ones() -> None:
    """Menon et al. 2021, equation 10, for labels and for mixed images."""
    labels = torch.tensor([0, 0, 0, 1])
    offsets = logit_offsets(class_counts(labels, 3), 0.5)
    assert offsets is not None
    torch.testing.assert_close(offsets, 0.5 * (torch.tensor([3.0, 1.0, 0.5]) / 4.5).log())  # half an image of none
    assert logit_offsets(class_counts(labels, 3), 0.0) is None
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for targets in (labels, functional.one_hot(labels, 3).float() * 0.7 + 0.1):
        loss = CrossEntropy(0.1, offsets=offsets)(logits, targets)
        expected = functional.cross_entropy(logits + offsets, targets, label_smoothing=0.1)
        torch.testing.assert_close(loss.minimized, expected)
        torch.testing.assert_close(loss.cross_entropy, functional.cross_entropy(logits + offsets, targets))
    score = evaluate(torch.nn.Identity(), [Batch(logits, labels)], offsets)
    assert score.loss == pytest.approx(float(functional.cross_entropy(logits + offsets, labels)))


def test_effective_numbers_are_those_of_the_paper() -> None:
    """Cui et al. 2019, equation 2; at b = 0 all alike, towards 1 as `class_balance` at 1."""
    counts = torch.tensor([500.0, 40.0, 0.0, 1.0]).double()
    weights = class_weights(counts, 0.0, 0.99)
    assert weights is not None
    expected = np.array([(1 - 0.99) / (1 - 0.99**n) for n in (500, 40, 1)])
    assert weights[2] == 0
    np.testing.assert_allclose(weights[[0, 1, 3]] / weights[0], expected / expected[0], rtol=1e-6)
    np.testing.assert_allclose(float((weights.double() * counts).sum() / counts.sum()), 1.0, rtol=1e-6)
    near, balanced = class_weights(counts, 0.0, 1 - 1e-9), class_weights(counts, 1.0)
    assert near is not None
    assert balanced is not None
    np.testing.assert_allclose(near, balanced, rtol=1e-4)


def test_what_sampling_evens_out_is_not_adjusted_again() -> None:
    labels = torch.tensor([0] * 16 + [1] * 4)
    np.testing.assert_allclose(class_counts(labels, 2, 1.0), [10, 10])
    np.testing.assert_allclose(class_counts(labels, 2, 0.5), [20 * 4 / 6, 20 * 2 / 6])
    offsets = logit_offsets(class_counts(labels, 2, 1.0), 1.0)
    assert offsets is not None
    assert offsets[0] == offsets[1]


def consistent(logits: np.ndarray, targets: np.ndarray) -> float:
    """Hendrycks et al. 2020, equations 2 and 3, image by image."""
    views = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    total = 0.0
    for image in range(len(targets)):
        mean = views[:, image].mean(0)
        divergences = [(each * np.log(each / mean)).sum() for each in views[:, image]]
        total += -np.log(views[0, image, targets[image]]) + 12 * np.mean(divergences)
    return total / len(targets)


def test_predictions_for_views_of_an_image_are_to_agree() -> None:
    logits = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.arange(7) % 5
    loss = CrossEntropy(consistency=12.0)(logits.flatten(0, 1), targets)
    assert loss.minimized.item() == pytest.approx(consistent(logits.numpy(), targets.numpy()))
    plain = functional.cross_entropy(logits[0], targets)
    torch.testing.assert_close(loss.cross_entropy, plain)
    alike = logits[:1].expand(3, -1, -1).flatten(0, 1)
    torch.testing.assert_close(CrossEntropy(consistency=12.0)(alike, targets).minimized, plain)
    one = torch.full((1, 3), -60.0).scatter(1, torch.tensor([[0]]), 60.0)
    apart = torch.stack([one.roll(each, 1) for each in range(3)])
    assert jensen_shannon(apart).item() == pytest.approx(np.log(3)), "the most there is, and finite"


def test_consistency_comes_beside_smoothing_weights_offsets_and_soft_targets() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(3, 6, 4, generator=generator), torch.arange(6) % 4
    weights, offsets = torch.tensor([0.5, 1.0, 1.5, 2.0]), torch.tensor([0.3, -1.0, 0.0, 0.2])
    for targets in (labels, torch.rand(6, 4, generator=generator).softmax(1)):
        plain = CrossEntropy(0.1, weights, offsets)(logits[0], targets)
        both = CrossEntropy(0.1, weights, offsets, consistency=2.0)(logits.flatten(0, 1), targets)
        torch.testing.assert_close(both.minimized, plain.minimized + 2.0 * jensen_shannon(logits))
        torch.testing.assert_close(both.cross_entropy, plain.cross_entropy)


def test_of_a_single_view_there_is_nothing_to_compare() -> None:
    logits, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(2)), torch.arange(6) % 4
    assert CrossEntropy(consistency=12.0)(logits, labels) == CrossEntropy()(logits, labels)
