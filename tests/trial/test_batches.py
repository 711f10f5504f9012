"""What networks are given: which images, with which labels, in which memory."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from convlift.augment.pipeline import normalize
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation
from convlift.trial.batches import (
    EVALUATION_BATCH,
    image_draw,
    labelled,
    to_tensor,
    training_batches,
    training_chunks,
    training_order,
    unchanged,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (2 * EVALUATION_BATCH + 1, 4, 5, 3), np.uint8)
NORMAL = np.float32([0.5, 0.4, 0.3]), np.float32([0.2, 0.3, 0.4])


@pytest.mark.parametrize(("count", "size"), [(149, 32), (129, 32), (33, 32), (32, 32), (5, 1), (1, 32), (1, 1)])
def test_no_batch_of_one_image_where_batch_norm_would_fail(count, size):
    parts = list(training_chunks(np.arange(count), size))
    assert_array_equal(np.concatenate(parts), np.arange(count))
    assert size == 1 or count == 1 or min(map(len, parts)) > 1


def test_images_become_channels_last_tensors_of_the_same_memory():
    images = np.zeros((2, 4, 5, 3), np.float32)
    tensor = to_tensor(images)
    assert tensor.shape == (2, 3, 4, 5)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.data_ptr() == images.ctypes.data
    assert to_tensor(images[:, 0, 0]).shape == (2, 3)


def test_a_training_batch_has_the_labels_of_its_images():
    pixels = PIXELS[:7]
    draw = image_draw(pixels, Augmentation(), NORMAL)
    batches = list(training_batches(draw, torch.arange(7), 3, Streams(0)))
    assert [len(batch.targets) for batch in batches] == [3, 4]
    order = torch.cat([batch.targets for batch in batches])
    assert sorted(order.tolist()) == list(range(7)) != order.tolist()
    images = torch.cat([batch.inputs for batch in batches])
    assert_array_equal(images, to_tensor(normalize(pixels[order], *NORMAL)))


def test_views_are_drawn_while_there_is_aug_mix():
    changes = Augmentation(aug_mix=3.0, off_for_last=0.5)
    draw, chosen = image_draw(PIXELS[:7], changes, NORMAL, compared=True), np.array([2, 0, 5])
    assert len(draw(chosen, Streams(0, done=0.2))) == 9
    last = draw(chosen, Streams(0, done=0.6))
    assert_array_equal(last, to_tensor(normalize(PIXELS[chosen], *NORMAL)))
    batches = training_batches(draw, torch.arange(7), 3, Streams(0, done=0.2))
    assert [(batch.views, len(batch.targets)) for batch in batches] == [(3, 3), (3, 4)]


@pytest.mark.parametrize("sampling", [0.5, 1.0])
def test_classes_are_shown_as_the_sampling_asks(sampling: float):
    labels = torch.tensor([0] * 60 + [1] * 15 + [3] * 5)  # no image of class 2
    order = training_order(labels, np.random.default_rng(0), sampling)
    counts = np.array([60, 15, 5]) ** (1 - sampling)
    shown = np.bincount(labels[order])
    assert_allclose(shown[[0, 1, 3]], 80 * counts / counts.sum(), atol=1)
    assert (len(order), shown[2]) == (80, 0)
    for label in (0, 1, 3):  # no image is shown twice more often than another one of its class
        often = np.bincount(order, minlength=80)[labels == label]
        assert often.max() - often.min() <= 1
    again = training_order(labels, np.random.default_rng(0), sampling)
    assert_array_equal(order, again)
    assert set(order) != set(training_order(labels, np.random.default_rng(1), sampling))


def test_without_sampling_every_image_is_shown_once():
    labels = torch.tensor([0] * 6 + [1] * 2)
    expected = np.random.default_rng(3).permutation(8)
    assert_array_equal(training_order(labels, np.random.default_rng(3)), expected)


def test_an_epoch_ends_where_it_is_told_to():
    stop = iter([False, False, True])
    draw, labels = image_draw(PIXELS, Augmentation(), NORMAL), torch.zeros(len(PIXELS))
    assert len(list(training_batches(draw, labels, 10, Streams(0), lambda: next(stop)))) == 2


def test_held_out_images_come_in_order_with_their_labels():
    part = np.arange(len(PIXELS))[::-1].copy()
    batches = list(labelled(unchanged(PIXELS, part, NORMAL)(), torch.arange(len(part))))
    assert [len(batch.inputs) for batch in batches] == [EVALUATION_BATCH, EVALUATION_BATCH, 1]
    assert_array_equal(torch.cat([batch.targets for batch in batches]), np.arange(len(part)))
    assert_array_equal(torch.cat([batch.inputs for batch in batches]), to_tensor(normalize(PIXELS[part], *NORMAL)))


def test_a_label_too_many_is_found():
    with pytest.raises(AssertionError, match="2 inputs have 3 labels"):
        list(labelled([torch.zeros(2, 1)], torch.zeros(3)))
