"""The training loop: what it reports, when it stops, and that it repeats itself."""

import math
from collections.abc import Iterator

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from convlift.errors import Diverged
from convlift.model.build import build_network
from convlift.recipe.architecture import ConvNet
from convlift.recipe.training import Training
from convlift.records.outcome import EpochReport
from convlift.train.batch import Batch
from convlift.train.evaluate import Score, evaluate, predict_probabilities
from convlift.train.fit import Phase, fit
from convlift.train.objectives import CrossEntropy
from convlift.train.optimizers import make_optimizer
from convlift.train.schedules import make_schedule

BATCH = 32


def digits(count: int) -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels[:count].reshape(-1, 1, 8, 8) / 16).float()
    return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels[:count]).long()


def train(network: nn.Module, training: Training, count: int, phase: Phase = Phase()) -> Iterator[EpochReport]:
    images, labels = digits(count)
    order = torch.Generator().manual_seed(0)

    def batches(_epoch: int) -> Iterator[Batch]:
        for chosen in torch.randperm(count, generator=order).split(BATCH):
            yield Batch(images[chosen], labels[chosen])

    steps = math.ceil(count / BATCH) * training.epochs
    schedule = make_schedule(training.schedule, steps=steps, warmup=training.warmup)
    optimizer = make_optimizer(network, training)
    objective = CrossEntropy(training.label_smoothing)
    return fit(network, batches, objective, optimizer, schedule, epochs=training.epochs, phase=phase)


def small(**levers: object) -> nn.Module:
    torch.manual_seed(0)
    return build_network(
        ConvNet.model_validate({"width": 8, "head_units": 16, **levers}), classes=10, channels=1, resolution=8
    )


def test_it_learns_the_digits() -> None:
    images, labels = digits(600)
    network = small(normalization="batch", head_units=0)
    validation = Batch(*(each[600:] for each in digits(800)))
    phase = Phase(validate=lambda: evaluate(network, [validation]))
    training = Training(epochs=4, learning_rate=1e-2, optimizer="adamw", schedule="one_cycle", warmup=0.3)
    reports = list(train(network, training, 600, phase))
    assert [report.epoch for report in reports] == [0, 1, 2, 3]
    assert [report.gradient_agreement for report in reports[:2]] == [None, None], "the first half is not asked"
    last = reports[-1]
    assert last.gradient_agreement is not None
    assert last.gradient_error is not None
    assert 0 < last.gradient_error < last.gradient_agreement < 1
    assert reports[-1].train_loss < 0.3 * reports[0].train_loss
    assert reports[-1].validation_accuracy > 0.7, "chance is 0.1"
    assert reports[-1].validation_accuracy == evaluate(network, [validation]).accuracy
    probabilities = predict_probabilities(network, images.split(100))
    assert (torch.from_numpy(probabilities).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_same_seed_gives_the_same_weights_bit_for_bit(optimizer: str) -> None:
    states = []
    for _ in range(2):
        network = small(
            residual=True, normalization="batch", squeeze_excitation=True, self_attention=True,
            stage_dropout=0.2, dropout=0.5, summary="average",
        )  # fmt: skip
        training = {
            "optimizer": optimizer,
            "epochs": 2,
            "l2": 1e-3,
            "weight_decay": 0.1,
            "label_smoothing": 0.1,
        }
        list(train(network, Training.model_validate(training), 100))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    start = small().state_dict()["features.0.weight"]
    trained = small()
    list(train(trained, Training(epochs=1), 100))
    assert not torch.equal(trained.state_dict()["features.0.weight"], start), "nothing was trained"


class Line(nn.Module):
    """Logits (w * x, 0) for one weight w; remembers which mode it was called in."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.modes: list[bool] = []

    def forward(self, inputs_N: Tensor) -> Tensor:
        self.modes.append(self.training)
        return torch.stack([self.weight * inputs_N, torch.zeros_like(inputs_N)], 1)


ONE = Batch(torch.ones(2), torch.zeros(2, dtype=torch.int64))


def line_reports(
    network: Line, batches: list, epochs: int = 1, rate: float = 1.0, **extra: object
) -> list[EpochReport]:
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    reports = fit(
        network,
        lambda _: iter(batches),
        CrossEntropy(),
        optimizer,
        lambda step: 1 / (step + 1),
        epochs=epochs,
        **extra,
    )  # type: ignore[arg-type]
    return list(reports)


def test_report_holds_means_over_images_not_over_batches() -> None:
    frozen = Line(2.0)
    three = Batch(torch.tensor([1.0, 1.0, -1.0]), torch.zeros(3, dtype=torch.int64))
    one = Batch(torch.tensor([-1.0]), torch.zeros(1, dtype=torch.int64))
    (report,) = line_reports(frozen, [three, one], rate=0.0)
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert report.train_loss == pytest.approx((2 * right + 2 * wrong) / 4)
    assert report.train_accuracy == 0.5
    assert math.isnan(report.validation_loss)
    assert report.seconds > 0


def test_train_loss_is_without_smoothing_and_soft_targets_have_accuracies() -> None:
    targets = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    network = Line(0.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    (report,) = fit(
        network, lambda _: [Batch(torch.ones(2), targets)], CrossEntropy(0.3), optimizer, lambda _: 1.0, epochs=1
    )
    assert report.train_loss == pytest.approx(math.log(2))
    assert report.train_accuracy == 0.5


def test_schedule_counts_steps_over_epochs_and_the_report_says_the_rate() -> None:
    network = Line()
    reports = line_reports(network, [ONE, ONE], epochs=2)
    assert [report.learning_rate for report in reports] == [pytest.approx(1 / 2), pytest.approx(1 / 4)]
    weight = 0.0
    for step in range(4):
        weight += 1 / (step + 1) / (1 + math.exp(weight))
    assert network.weight.item() == pytest.approx(weight, rel=1e-5)


def test_validation_is_in_evaluation_mode_and_training_is_not() -> None:
    network = Line()
    phase = Phase(name="head", validate=lambda: evaluate(network, [ONE]))
    reports = line_reports(network, [ONE], epochs=2, phase=phase)
    assert network.modes == [True, False, True, False]
    assert {report.phase for report in reports} == {"head"}
    assert reports[1].validation_loss < reports[0].validation_loss


def test_train_mode_decides_which_layers_train() -> None:
    network = nn.Sequential(nn.BatchNorm1d(1), nn.Flatten(0), Line())

    def keep_statistics(of: nn.Module) -> None:
        of.train()
        network[0].eval()

    batch = Batch(torch.full((4, 1), 9.0) + torch.randn(4, 1), torch.zeros(4, dtype=torch.int64))
    for mode, still in ((keep_statistics, True), (nn.Module.train, False)):
        line_reports(network, [batch], phase=Phase(train_mode=mode))  # type: ignore[arg-type]
        assert (network[0].running_mean.item() == 0) is still


def test_leaving_the_loop_stops_the_training() -> None:
    started = []

    def batches(epoch: int) -> list:
        started.append(epoch)
        return [ONE]

    network = Line()
    for report in fit(network, batches, CrossEntropy(), torch.optim.SGD(network.parameters()), lambda _: 1.0, epochs=9):
        if report.epoch == 1:
            break
    assert started == [0, 1]


def test_an_epoch_without_batches_ends_the_training() -> None:
    network = Line()
    given = iter([[ONE, ONE], [ONE], []])
    optimizer = torch.optim.SGD(network.parameters())
    reports = list(fit(network, lambda _: next(given), CrossEntropy(), optimizer, lambda _: 1.0, epochs=9))
    assert len(reports) == 2


def test_divergence_is_raised_before_the_weights_are_lost() -> None:
    network = Line(1.0)
    poisoned = Batch(torch.tensor([float("nan"), 1.0]), ONE.targets)
    with pytest.raises(
        Diverged, match=r"training loss became nan at a learning rate of 0\.5; it must stay finite\. Lower"
    ):
        line_reports(network, [ONE, poisoned])
    assert network.weight.isfinite()


def test_exploding_learning_rate_diverges() -> None:
    training = Training(optimizer="sgd", learning_rate=10, epochs=5)
    with pytest.raises(Diverged):
        list(train(small(blocks=3, stages=2), training, 200))


def test_divergence_is_seen_at_validation_too() -> None:
    network = Line()
    phase = Phase(validate=lambda: Score(math.inf, 0.0))
    with pytest.raises(Diverged, match="validation loss became inf"):
        line_reports(network, [ONE], phase=phase)


def test_any_tensor_can_be_an_input() -> None:
    """Cached features train a head as images train a network."""
    torch.manual_seed(0)
    features = torch.randn(64, 12)
    labels = (features[:, 0] > 0).long()
    head = nn.Linear(12, 2)
    training = Training(learning_rate=0.05)
    reports = list(
        fit(
            head,
            lambda _: map(Batch, features.split(16), labels.split(16)),
            CrossEntropy(),
            make_optimizer(head, training),
            lambda _: 1.0,
            epochs=10,
        )
    )
    assert reports[-1].train_accuracy > 0.95
