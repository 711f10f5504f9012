"""What the frozen stages make of images: what they would make of them unfolded, kept only while it is small."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from convlift.augment.streams import Streams
from convlift.model.backbone import split_at
from convlift.model.build import build_network
from convlift.model.freezing import unfreeze
from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.recipe import Recipe
from convlift.trial import frozen_stages
from convlift.trial.frozen_stages import FrozenStages

STAGES = 2


@pytest.fixture(scope="module")
def network() -> Classifier:
    recipe = Recipe().edit(
        architecture={"kind": "pretrained", "backbone": "mobilenetv3_small_050", "weights": "random", "head_units": 0}
    )
    torch.manual_seed(0)
    built = build_network(recipe.architecture, classes=3, channels=3, resolution=32)
    assert isinstance(built, Classifier)
    unfreeze(built, STAGES, "update")
    return built.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_upper_stages_on_its_activations_are_the_whole_network(network: Classifier, images: Tensor) -> None:
    below = FrozenStages(network, STAGES, images[:2])
    with torch.inference_mode():
        assert_close(below.to_learn(images), split_at(network.backbone, STAGES)[0](images), atol=1e-4, rtol=1e-4)
        assert_close(Tail(network, STAGES).eval()(below.to_learn(images)), network(images), atol=1e-4, rtol=1e-4)


def test_a_step_learns_from_its_activations(network: Classifier, images: Tensor) -> None:
    activations = FrozenStages(network, STAGES, images[:2]).of_drawn(lambda chosen, _: images[chosen])(
        np.arange(4), Streams(0)
    )
    tail = Tail(network, STAGES).train()
    tail(activations).sum().backward()
    assert all(parameter.grad is not None for parameter in tail.upper.parameters())
    assert all(parameter.grad is None for parameter in split_at(network.backbone, STAGES)[0].parameters())
    network.zero_grad()


@pytest.mark.parametrize(("held", "passes"), [(2**28, 1), (1, 3)])
def test_unchanged_images_pass_once_where_their_activations_are_small(
    network: Classifier, images: Tensor, monkeypatch: pytest.MonkeyPatch, held: int, passes: int
) -> None:
    monkeypatch.setattr(frozen_stages, "HELD", held)
    asked = []

    def batches() -> Iterator[Tensor]:
        asked.append(1)
        yield from images.split(4)

    kept = FrozenStages(network, STAGES, images[:2]).of_unchanged(batches)
    next(kept())  # the first batch alone, which says how long one takes
    seen = [torch.cat(list(kept())) for _ in range(3)]
    assert len(asked) == 1 + passes
    assert all(torch.equal(each, seen[0]) for each in seen)
    assert seen[0].shape[0] == len(images)
