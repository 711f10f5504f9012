"""A step that finds no room: halved, added up, and the same but for batch norm."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from convlift.errors import RecipeError
from convlift.train.batch import Batch
from convlift.train.device import has_no_room
from convlift.train.evaluate import evaluate, predict_probabilities
from convlift.train.fit import Phase, fit
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import CrossEntropy

ONES = torch.ones(3)


class Small(nn.Module):
    """A linear network on a device whose memory holds `room` images, which its first step finds out."""

    def __init__(self, room: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.room, self.refused = room, 0
        self.linear = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) > self.room:
            self.refused += 1
            raise torch.OutOfMemoryError("out of memory")
        return self.linear(inputs)


def batches(sizes: tuple[int, ...] = (16, 16, 5), views: int = 1) -> list[Batch]:
    numbers = torch.Generator().manual_seed(1)
    return [
        Batch(torch.randn(views * size, 4, generator=numbers), torch.randint(0, 3, (size,), generator=numbers))
        for size in sizes
    ]


def trained(
    room: int, objective: CrossEntropy = CrossEntropy(0.1), views: int = 1
) -> tuple[Small, MicroBatches, list[float]]:
    network, micro = Small(room), MicroBatches()
    optimizer = SGD(network.parameters(), lr=0.1, momentum=0.9)
    reports = fit(
        network,
        lambda _: batches(views=views),
        objective,
        optimizer,
        lambda _: 1.0,
        epochs=2,
        phase=Phase(micro=micro),
    )
    return network, micro, [report.train_loss for report in reports]


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_gradients_of_the_parts_add_up_to_those_of_the_batch(weights: Tensor | None) -> None:
    objective = CrossEntropy(0.1, weights)
    (whole, untouched, losses), (halved, micro, same) = trained(100, objective), trained(5, objective)
    assert (untouched, whole.refused) == (MicroBatches(), 0)
    assert (micro.parts, halved.refused) == (4, 2)  # 16, 8, 4: found out once, not at every step
    assert micro.fewest == 2  # of the last batch of five
    assert same == pytest.approx(losses, abs=1e-6)
    for one, other in zip(whole.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_views_of_an_image_stay_together_in_a_part() -> None:
    objective = CrossEntropy(0.1, consistency=12.0)
    (whole, _, losses), (halved, micro, same) = trained(100, objective, 3), trained(13, objective, 3)
    assert micro.parts == 4  # 48, 24, 12
    assert same == pytest.approx(losses, abs=1e-6)
    for one, other in zip(whole.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_where_two_images_are_too_many_a_sentence_says_so() -> None:
    with pytest.raises(RecipeError, match="2 images at a time are too many for the device's memory; lower"):
        trained(1)


def test_a_fault_that_is_none_of_memory_is_no_reason_to_halve() -> None:
    network = nn.Sequential(nn.Linear(5, 3))  # for other inputs
    optimizer = SGD(network.parameters(), lr=0.1)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(fit(network, lambda _: batches(), CrossEntropy(), optimizer, lambda _: 1.0, epochs=1))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        evaluate(network, batches())


def test_a_mac_without_memory_is_understood() -> None:
    assert has_no_room(RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"))
    assert has_no_room(torch.OutOfMemoryError("CUDA out of memory"))
    assert not has_no_room(RuntimeError("a shape"))


def test_predictions_are_made_in_halves() -> None:
    small, roomy, given = Small(3), Small(100), batches()
    inputs = [batch.inputs for batch in given]
    assert predict_probabilities(small, inputs) == pytest.approx(predict_probabilities(roomy, inputs), abs=1e-6)
    assert evaluate(small, given) == pytest.approx(evaluate(roomy, given), abs=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        predict_probabilities(Small(0), inputs)
