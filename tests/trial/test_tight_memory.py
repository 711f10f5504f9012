"""Trials on a device whose memory is too small, tried with an operation that refuses more than so many images."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from convlift.errors import RecipeError
from convlift.recipe.recipe import Recipe

TINY = Recipe().edit(
    architecture={"width": 8, "normalization": "batch"}, training={"epochs": 2, "batch_size": 32, "learning_rate": 0.01}
)


class Tight(TorchDispatchMode):
    """Memory for the convolution of `room` images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default and len(args[0]) > self.room:
            raise torch.OutOfMemoryError("out of memory")
        return func(*args, **(kwargs or {}))


def test_a_batch_is_taken_in_parts_and_the_outcome_says_so(run):
    with Tight(10):
        outcome = run(TINY)
    assert outcome.status == "finished"
    assert outcome.reason.startswith(
        "the device's memory held no whole batch: gradients were added up over 4 parts, and"
    )
    assert "batch norm saw as few as" in outcome.reason
    assert outcome.curve[-1].validation_accuracy > 0.3
    assert run(TINY).reason == ""


@pytest.mark.parametrize(("room", "words"), [(1, "2 images at a time are too many"), (0, "the memory of CPU|2 images")])
def test_where_nothing_fits_a_sentence_says_so(run, room, words):
    with Tight(room), pytest.raises(RecipeError, match=words):
        run(TINY)


def test_views_that_are_compared_are_taken_in_parts_too(run):
    compared = TINY.edit(data={"augmentation": {"aug_mix": 3.0}}, training={"consistency": 12.0})
    with Tight(40):  # 32 images are 96 inputs
        outcome = run(compared)
    assert outcome.status == "finished"
    assert "gradients were added up over 4 parts" in outcome.reason
    assert outcome.curve[-1].validation_accuracy > 0.3
