"""Images made of two: what each keeps, and what its target says of it."""

import math

import numpy as np
import pytest
import torch

from convlift.augment.streams import Streams
from convlift.recipe.mixing import Mixing
from convlift.train.batch import Batch
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import CrossEntropy
from convlift.train.step import take_gradients
from convlift.trial.mixed_batches import keep_maps, mixed

COUNT, SIZE = 4000, (8, 12)


def batch(count: int = 64, size: tuple[int, ...] = (3, 8, 12), classes: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(torch.randn(count, *size, generator=generator), torch.arange(count) % classes)


def one(mixing: Mixing, given: Batch, classes: int = 4) -> Batch:
    (found,) = mixed([given], mixing, classes, Streams(0))
    return found


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0), Mixing(mixup=0.4, cutmix=1.0)])
@pytest.mark.parametrize("size", [(3, 8, 12), (5,)])
def test_each_target_is_what_its_image_is_made_of(mixing: Mixing, size: tuple[int, ...]) -> None:
    """Images of one class are all one value, so that a mixture's mean tells its parts."""
    values = torch.tensor([0.0, 1.0, 10.0, 100.0])
    labels = torch.arange(64) % 4
    inputs = values[labels].reshape(-1, *(1,) * len(size)).expand(64, *size).contiguous()
    found = one(mixing, Batch(inputs, labels))
    torch.testing.assert_close(found.targets.sum(1), torch.ones(64))
    torch.testing.assert_close(found.inputs.flatten(1).mean(1), found.targets @ values, rtol=1e-4, atol=1e-4)


def test_what_is_not_mixed_is_left_to_the_bit() -> None:
    given = batch()
    found = one(Mixing(mixup=0.4, cutmix=1.0, share=0.5), given)
    assert found.whole is not None
    whole = found.whole
    assert 16 < whole.sum() < 48
    assert torch.equal(found.inputs[whole], given.inputs[whole])
    assert torch.equal(found.targets[whole].argmax(1), given.targets[whole])
    assert (found.targets[whole].max(1).values == 1).all()


def test_an_image_keeps_its_draws_whatever_the_batches() -> None:
    mixing, whole, parts = Mixing(mixup=0.4, cutmix=1.0), Streams(1), Streams(1)
    together = keep_maps(mixing, whole, 10, SIZE)
    apart = [keep_maps(mixing, parts, count, SIZE) for count in (3, 7)]
    np.testing.assert_array_equal(together, np.concatenate(apart))


def test_mixup_leaves_the_larger_part_and_as_much_as_its_law_says() -> None:
    keep = keep_maps(Mixing(mixup=0.4, share=0.9), Streams(0), COUNT, SIZE)[:, 0, 0, 0]
    assert keep.min() >= 0.5
    of_mixed = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert keep.mean() == pytest.approx(1 - 0.9 * np.minimum(of_mixed, 1 - of_mixed).mean(), abs=0.01)


def test_cutmix_covers_one_rectangle_and_as_much_as_its_law_says() -> None:
    keep = keep_maps(Mixing(cutmix=1.0, share=0.9), Streams(0), COUNT, (32, 32))[:, 0]
    assert set(np.unique(keep)) == {0.0, 1.0}
    for each in keep[:50]:
        rows, columns = np.flatnonzero(each.min(axis=1) == 0), np.flatnonzero(each.min(axis=0) == 0)
        assert (each == 0).sum() == len(rows) * len(columns)
    # of a square of side s, its middle anywhere, s (1 - s/4) of each axis lies inside; s^2 is uniform
    side = np.sqrt((np.arange(1000) + 0.5) / 1000)
    assert (1 - keep).mean() == pytest.approx(0.9 * ((side * (1 - side / 4)) ** 2).mean(), abs=0.01)


def test_half_of_the_mixtures_are_of_either_kind() -> None:
    keep = keep_maps(Mixing(mixup=0.4, cutmix=1.0, share=0.9), Streams(0), COUNT, (32, 32))
    low = keep.min(axis=(1, 2, 3))
    assert ((low > 0) & (low < 1)).mean() == pytest.approx(0.45, abs=0.04)


def test_stored_features_are_shown_through_each_other() -> None:
    keep = keep_maps(Mixing(cutmix=1.0), Streams(0), COUNT, ())
    assert keep.shape == (COUNT, 1)
    assert keep.min() >= 0.5


def test_nothing_is_on_by_itself() -> None:
    assert not Mixing().active
    assert Mixing(mixup=0.1).active
    assert Mixing(cutmix=0.1).active


def test_only_whole_images_tell_how_a_training_goes() -> None:
    """All of one class, so that every target is that of a whole image."""
    given = Batch(torch.randn(64, 3, 8, 8), torch.zeros(64, dtype=torch.int64))
    found = one(Mixing(mixup=0.4, cutmix=1.0), given)
    assert found.whole is not None
    assert 5 < found.whole.sum() < 40
    said = torch.where(found.whole, 0, 1)  # right about the whole ones alone
    network = Says(torch.nn.functional.one_hot(said, 4).float())
    seen = take_gradients(network, found, CrossEntropy(), MicroBatches())
    assert int(seen.images) == int(seen.right) == int(found.whole.sum())
    assert float(seen.loss) == pytest.approx(int(seen.images) * math.log(1 + 3 / math.e), rel=1e-5)
    parts = MicroBatches(parts=4)
    in_parts = take_gradients(network, found, CrossEntropy(), parts)
    assert (int(in_parts.images), int(in_parts.right)) == (int(seen.images), int(seen.right))


class Says(torch.nn.Module):
    """Answers what it is given, whatever it sees: the first rows of it for a part of a batch."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.scale, self.first = logits, torch.nn.Parameter(torch.ones(())), 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        rows = self.logits[self.first : self.first + len(inputs)]
        self.first = (self.first + len(inputs)) % len(self.logits)
        return rows * self.scale


def test_each_label_of_a_mixed_image_has_its_own_weight() -> None:
    weights = torch.tensor([5.0, 0.5])
    logits = torch.tensor([[1.0, -1.0]])
    loss = CrossEntropy(class_weights=weights)(logits, torch.tensor([[0.5, 0.5]])).minimized
    own = [CrossEntropy(class_weights=weights)(logits, torch.tensor([label])).minimized for label in (0, 1)]
    torch.testing.assert_close(loss, (own[0] + own[1]) / 2)


def test_an_image_alone_is_mixed_with_itself() -> None:
    given = batch(1)
    found = one(Mixing(mixup=0.4, cutmix=1.0), given)
    torch.testing.assert_close(found.inputs, given.inputs)
    torch.testing.assert_close(found.targets.sum(1), torch.ones(1))


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0)])
def test_views_of_an_image_are_mixed_alike(mixing: Mixing) -> None:
    given = batch()
    views = torch.cat([given.inputs, given.inputs + 100, -given.inputs])
    alone, found = one(mixing, given), one(mixing, Batch(views, given.targets))
    first, second, third = found.inputs.tensor_split(3)
    assert torch.equal(first, alone.inputs)
    torch.testing.assert_close(second, first + 100, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(third, -first)
    assert torch.equal(found.targets, alone.targets)
    assert found.whole is not None
    assert len(found.whole) == len(given.targets)
