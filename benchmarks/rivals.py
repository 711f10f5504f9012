"""What else one would do with the same images and the same time: the rivals of `equal_time.py`, a process each.

    fine-tuned    one training of all layers of EfficientNet-Lite0, with convlift's weights for it, in plain PyTorch
    residual      one training of a ResNet-9 from scratch, as in the CIFAR-10 speed records (Page 2018)
    fastai        fastai's `fine_tune`, with the same weights and its usual `aug_transforms`
    ensemble      random recipes of convlift's catalogue, trained one after another for the whole time, and a greedy
                  ensemble of them (Caruana et al. 2004), as AutoGluon and Auto-sklearn make it

Each reads the images, trains and predicts the validation images within the time, counted from the start of its process.
Test images are predicted after that, without their labels; what it says of itself is its validation score.

Called by `equal_time.py`: python benchmarks/rivals.py RIVAL DATA --seconds S --seed N --cores N --cache FOLDER
--out FILE.npz
"""

import argparse
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset
from convlift.recipe.data import Preparation

BACKBONE = "tf_efficientnet_lite0"
BATCH = 32
RESIDUAL_BATCH, RESIDUAL_WIDTH, RESIDUAL_EPOCHS = 128, 64, 20  # a narrower network where fewer epochs fit
SHIFT = 1 / 8  # of the side, either way: 4 of 32 pixels, as usual for CIFAR-10
SMOOTHING = 0.1
SHARE_ON, MOST_COST = 0.3, 3.0  # of the catalogue's changes that fit; trainings of their start
ENSEMBLE_STEPS = 50  # Auto-sklearn's (Feurer et al. 2015, section 4)
LEFT_SECONDS = 1.0  # for writing down what was found
SMALLEST_TRAINING = 3.0  # seconds, below which no training is begun

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """The images and the time.

    began, deadline: of time.monotonic(); the deadline holds for all but the test images.
    flips: whether a mirror image keeps its label.
    device: of torch, which the fine-tuned and the residual training use.
    """

    dataset: Dataset
    seed: int
    began: float
    deadline: float
    cores: int
    cache: Path
    flips: bool
    device: str = "cpu"

    def left(self) -> float:
        """Seconds."""
        return self.deadline - LEFT_SECONDS - time.monotonic()

    def part(self, name: str, side: int) -> Pixels:
        """The images (n, side, side, C) of "train", "validation" or "test"."""
        return np.ascontiguousarray(
            self.dataset.store.pixels(side, Preparation("squash"))[getattr(self.dataset.splits, name)]
        )

    def labels(self, name: str) -> NDArray[np.int64]:
        """Of "train" or "validation"."""
        return self.dataset.labels[getattr(self.dataset.splits, name)]


@dataclass(frozen=True)
class Shipped:
    """What a rival ends with. networks: all that have to run for one image, each with the shape (C, side, side) of its
    input; seconds: until the validation images were predicted."""

    validation: Probabilities
    test: Probabilities
    networks: list[tuple[Any, tuple[int, int, int]]]
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


def one_cycle(share: float, warmup: float) -> float:
    """From 1/25 to 1 and to 0, by cosines; share: of the time that is over."""
    if share < warmup:
        return 1 / 25 + 24 / 25 * (1 - math.cos(math.pi * share / warmup)) / 2
    return max(0.0, (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2)


def shifted(images: Pixels, rng: np.random.Generator, flips: bool) -> Pixels:
    """Each image moved by its own whole numbers of pixels over a reflected border, and mirrored every second time."""
    count, side = images.shape[:2]
    border = max(1, round(SHIFT * side))
    padded = np.pad(images, ((0, 0), (border, border), (border, border), (0, 0)), mode="reflect")
    moved = np.empty_like(images)
    starts, mirrored = rng.integers(0, 2 * border + 1, (count, 2)), rng.random(count) < 0.5 * flips
    for index, (y, x) in enumerate(starts):
        window = padded[index, y : y + side, x : x + side]
        moved[index] = window[:, ::-1] if mirrored[index] else window
    return moved


@dataclass(frozen=True)
class Plan:
    """How one network is trained in the time. normal: mean and deviation a channel, in [0, 1] pixels."""

    normal: tuple[Any, Any]
    batch: int
    warmup: float
    side: int
    device: str = "cpu"

    def inputs(self, images: Pixels) -> Any:
        """images_NHWC as normalized float_NCHW, channels last in memory."""
        import torch

        mean, std = (np.asarray(each, np.float32) for each in self.normal)
        mean, std = (torch.as_tensor(each).to(self.device).view(1, -1, 1, 1) for each in (mean, std))
        floats = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float()
        return floats.sub_(255 * mean).div_(255 * std)


def predict(network: Any, plan: Plan, images: Pixels) -> Probabilities:
    """Probabilities (n, K)."""
    import torch

    network.eval()
    with torch.inference_mode():
        rows = [network(plan.inputs(images[i : i + 128])).softmax(1) for i in range(0, len(images), 128)]
        return torch.cat(rows).cpu().numpy()


def step(network: Any, optimizer: Any, inputs: Any, labels: Any) -> None:
    """One step of gradient descent."""
    import torch

    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cuda", torch.bfloat16, enabled=inputs.is_cuda):
        loss = torch.nn.functional.cross_entropy(network(inputs), labels, label_smoothing=SMOOTHING)
    loss.backward()
    optimizer.step()


def train_in_time(job: Job, network: Any, optimizer: Any, plan: Plan) -> Shipped:
    """Train until the validation images are just left to be predicted; the learning rate is zero exactly then."""
    import torch

    images, labels = job.part("train", plan.side), torch.from_numpy(job.labels("train")).to(plan.device)
    validation = job.part("validation", plan.side)
    predict(network, plan, validation[:8])
    began = time.monotonic()
    predict(network, plan, validation[:128])
    reserve = 1.2 * (time.monotonic() - began) * len(validation) / len(validation[:128])
    rng, peaks = np.random.default_rng(job.seed), [group["lr"] for group in optimizer.param_groups]
    began, allowed = time.monotonic(), max(0.1, job.left() - reserve)
    steps = 0
    for chosen in endless_batches(len(images), plan.batch, rng):
        share = (time.monotonic() - began) / allowed
        if share >= 1:
            break
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * one_cycle(share, plan.warmup)
        network.train()
        here = labels[torch.from_numpy(chosen).to(plan.device)]
        step(network, optimizer, plan.inputs(shifted(images[chosen], rng, job.flips)), here)
        steps += 1
    found = predict(network, plan, validation)
    seconds = time.monotonic() - job.began
    details = {"epochs": round(steps * plan.batch / len(images), 2), "steps": steps, "side": plan.side}
    shape = (images.shape[3], plan.side, plan.side)
    test = predict(network, plan, job.part("test", plan.side))
    return Shipped(found, test, [(network.cpu(), shape)], seconds, details)


def endless_batches(count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Whole batches of positions, every epoch in a new order."""
    size = min(size, count)
    while True:
        order = rng.permutation(count)
        yield from (order[first : first + size] for first in range(0, count - size + 1, size))


def load_pretrained(network: Any) -> None:
    """Fill timm's network with the weights that convlift uses, all but the classifier."""
    from convlift.model.weights import find_local_weights, load_weights

    file = find_local_weights(BACKBONE, "auto")
    assert file is not None, "they come with a package that convlift needs"
    used = {name for name, _ in network.named_children()} - {"classifier"}
    load_weights(network, file, used, {"classifier"})


def fine_tuned(job: Job) -> Shipped:
    """All layers of the pretrained network: AdamW, 5e-4 for the body and 3e-3 for the head, one cycle."""
    import torch
    from torch import nn

    from convlift.model.backbone import backbone_statistics, timm

    torch.manual_seed(job.seed)
    body: Any = timm.create_model(BACKBONE, pretrained=False, num_classes=len(job.dataset.classes))
    load_pretrained(body)
    normal: tuple[Any, Any] = backbone_statistics(BACKBONE)
    nn.init.normal_(body.classifier.weight, std=0.01)
    nn.init.zeros_(body.classifier.bias)
    network = nn.Sequential(ThreeChannels(), body) if job.dataset.channels == 1 else body
    if job.dataset.channels == 1:
        normal = np.mean(normal[0], keepdims=True), np.mean(normal[1], keepdims=True)
    network = network.to(job.device, memory_format=torch.channels_last)
    head = list(body.classifier.parameters())
    rest = [each for each in body.parameters() if not any(each is one for one in head)]
    optimizer = torch.optim.AdamW([{"params": rest, "lr": 5e-4}, {"params": head, "lr": 3e-3}], fused=True)
    side = min(max(job.dataset.store.native_resolution, 96), 224)  # convlift's own, `Recipe.at`
    return train_in_time(job, network, optimizer, Plan(normal, BATCH, 0.1, side, job.device))


def ThreeChannels() -> Any:  # noqa: N802 - a module, whose class can only be made where torch is loaded
    """Grey images as three equal channels."""
    from torch import nn

    class _ThreeChannels(nn.Module):
        def forward(self, images: Any) -> Any:
            return images.expand(-1, 3, -1, -1)

    return _ThreeChannels()


def resnet9(channels: int, classes: int, width: int) -> Any:
    """The network of the CIFAR-10 speed records (Page 2018, "How to train your ResNet"), for any side from 8 pixels."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.branch = nn.Sequential(block(width, width), block(width, width))

        def forward(self, maps: Any) -> Any:
            return maps + self.branch(maps)

    def block(inputs: int, outputs: int) -> Any:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8 * width, classes, bias=False)

        def forward(self, maps: Any) -> Any:
            return 0.125 * self.linear(maps.amax((2, 3)))

    network = nn.Sequential(
        block(channels, width),
        nn.Sequential(block(width, 2 * width), nn.MaxPool2d(2), Residual(2 * width)),
        nn.Sequential(block(2 * width, 4 * width), nn.MaxPool2d(2)),
        nn.Sequential(block(4 * width, 8 * width), nn.MaxPool2d(2), Residual(8 * width)),
        Logits(),
    )
    return network.to(memory_format=torch.channels_last)


def residual(job: Job) -> Shipped:
    """From scratch: SGD with Nesterov's momentum, one cycle; as wide as lets RESIDUAL_EPOCHS epochs fit."""
    import torch

    from convlift.data.normalization import statistics as image_statistics

    side = min(job.dataset.store.native_resolution, 64)
    images = job.part("train", side)
    batch = min(RESIDUAL_BATCH, max(16, len(images) // 10))
    plan = Plan(image_statistics("standardize", images), batch, 0.25, side, job.device)
    inputs, labels = plan.inputs(images[:batch]), torch.from_numpy(job.labels("train")[:batch]).to(job.device)

    def made(width: int) -> tuple[Any, Any]:
        torch.manual_seed(job.seed)
        network = resnet9(job.dataset.channels, len(job.dataset.classes), width).to(job.device)
        rate = 0.4 * batch / 512  # Page's, whose batch is 512
        groups = network.parameters()
        return network, torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)

    width = RESIDUAL_WIDTH
    while width > 16:
        network, optimizer = made(width)
        step(network, optimizer, inputs, labels)
        began = time.monotonic()
        step(network, optimizer, inputs, labels)
        if job.device != "cpu":
            torch.cuda.synchronize()
        seconds = (time.monotonic() - began) * len(images) / batch
        if seconds * RESIDUAL_EPOCHS <= job.left():
            break
        width //= 2
    shipped = train_in_time(job, *made(width), plan)
    shipped.details["width"] = width
    return shipped


def fastai(job: Job) -> Shipped:
    """fastai's `fine_tune` over as many epochs as fill the time."""
    from convlift.model.operators import declare_missing_operators

    declare_missing_operators()
    import torch
    from fastai.vision import all as fv

    from convlift.model.backbone import backbone_statistics

    torch.manual_seed(job.seed)
    np.random.seed(job.seed)
    side = min(max(job.dataset.store.native_resolution, 96), 224)
    images = np.concatenate([job.part("train", side), job.part("validation", side)])
    images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
    labels = np.concatenate([job.labels("train"), job.labels("validation")])
    training, names = len(job.labels("train")), list(range(len(job.dataset.classes)))
    normal = backbone_statistics(BACKBONE)
    block = fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock(vocab=names)),
        get_x=lambda i: fv.PILImage.create(images[i]),
        get_y=lambda i: int(labels[i]),
        splitter=fv.IndexSplitter(list(range(training, len(labels)))),
        batch_tfms=[*fv.aug_transforms(do_flip=job.flips), fv.Normalize.from_stats(*normal, cuda=False)],
    )
    loaders = block.dataloaders(list(range(len(labels))), bs=min(BATCH, training), num_workers=0, device="cpu")

    class Clock(fv.Callback):
        """Ends the training after `most` batches, or at `until`."""

        def __init__(self, until: float, most: float = math.inf) -> None:
            self.until, self.most, self.cut = until, most, False
            self.times: list[float] = []

        def after_batch(self) -> None:
            now = time.monotonic()
            if self.training:
                self.times.append(now)
            if len(self.times) >= self.most or now > self.until:
                self.cut = True
                raise fv.CancelFitException

    def learner(clock: Clock) -> Any:
        learn = fv.vision_learner(loaders, BACKBONE, pretrained=False, normalize=False, cbs=[clock])
        load_pretrained(learn.model[0].model)
        return learn

    state = torch.get_rng_state()
    probe = Clock(math.inf, 4)
    with quiet(learn := learner(probe)):
        learn.unfreeze()
        learn.fit_one_cycle(1)
    torch.set_rng_state(state)
    each = statistics.median(np.diff(probe.times)) if len(probe.times) > 1 else 1.0
    validating = 0.4 * each * (len(labels) - training) / BATCH  # forward passes alone; after every epoch, and once more
    epoch = each * len(loaders.train) + validating
    epochs = max(1, int((0.95 * (job.left() - validating) - 0.7 * epoch) / epoch))
    clock = Clock(job.deadline - LEFT_SECONDS - validating)
    with quiet(learn := learner(clock)):
        learn.fine_tune(epochs)
        clock.until = math.inf
        validation = learn.get_preds(dl=loaders.valid)[0].numpy()
        seconds = time.monotonic() - job.began
        network = learn.model.eval()
    test = job.part("test", side)
    test = np.repeat(test, 3, axis=3) if test.shape[3] == 1 else test
    found = predict(network, Plan(normal, BATCH, 0.0, side), test)
    details = {"epochs": epochs, "steps": len(clock.times), "cut": clock.cut, "side": side}
    return Shipped(validation, found, [(network, (3, side, side))], seconds, details)


def quiet(learn: Any) -> Any:
    """Without progress bars and tables."""
    from contextlib import ExitStack

    stack = ExitStack()
    stack.enter_context(learn.no_bar())
    stack.enter_context(learn.no_logging())
    return stack


def greedy_ensemble(candidates: list[Probabilities], labels: NDArray[np.int64], steps: int) -> list[int]:
    """How often each candidate is in the ensemble (Caruana et al. 2004, with replacement): whatever raises validation
    accuracy most comes in next, among equals the lowest cross-entropy; the best of the ensembles on the way is kept.
    """
    stack, rows = np.stack(candidates).astype(np.float64), np.arange(len(labels))
    total, counts, best = np.zeros_like(stack[0]), np.zeros(len(stack), int), (-1.0, -math.inf)
    kept = counts.copy()
    for size in range(1, steps + 1):
        means = (total + stack) / size
        right = (means.argmax(2) == labels).mean(1)
        fit = np.log(np.maximum(means[:, rows, labels], 1e-12)).mean(1)
        chosen = max(range(len(stack)), key=lambda k: (right[k], fit[k]))
        total += stack[chosen]
        counts[chosen] += 1
        if (right[chosen], fit[chosen]) > best:
            best, kept = (right[chosen], fit[chosen]), counts.copy()
    return [int(count) for count in kept]


@dataclass(frozen=True)
class Member:
    """One training of the ensemble's."""

    recipe: Any
    names: tuple[str, ...]
    status: str
    validation: Probabilities
    test: Probabilities


def random_recipes(dataset: Dataset, rng: np.random.Generator) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The bare starts, then random subsets of the changes that fit a random one of them."""
    from convlift.campaign.prepare import _forward as forward_of
    from convlift.catalogue.candidates import MOST, CostLimit, candidates
    from convlift.catalogue.starting_points import starting_points
    from convlift.cost.work import training_work
    from convlift.data.dataset import facts_of
    from convlift.search.space import SearchSpace, bare, within

    facts, forward = facts_of(dataset), forward_of(dataset)

    def relative(start: Any, recipe: Any) -> float:
        return training_work(recipe, facts, forward) / training_work(start.recipe, facts, forward)

    spaces = []
    for start in starting_points(facts):
        limit = CostLimit(partial(relative, start), MOST_COST)
        spaces.append(SearchSpace(start, candidates(start.recipe, facts, limit=MOST, cost_limit=limit)[0]))
    for number in rng.permutation(len(spaces)):
        yield bare(spaces[number]).recipe, (spaces[number].start.name,)

    def cheap(start: Any, recipe: Any) -> bool:
        return relative(start, recipe) <= MOST_COST

    while True:
        space = spaces[rng.integers(len(spaces))]
        count, fits = len(space.candidates), partial(cheap, space.start)
        drawn = within(space, rng.random(count) < SHARE_ON, rng.random(count), fits)
        if fits(drawn.recipe):
            yield drawn.recipe, (space.start.name, *drawn.names)


def train_members(job: Job, worker: int) -> list[Member]:
    """In one of the ensemble's processes: every `cores`-th of the random recipes, until the time is over."""
    import cv2
    import torch

    from convlift.errors import ConvliftError
    from convlift.recipe.trial_spec import Limits, TrialSpec
    from convlift.trial.run_trial import run_trial

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = []
    for number, (recipe, names) in enumerate(random_recipes(job.dataset, np.random.default_rng(job.seed))):
        if (left := job.left() - 1.0) < SMALLEST_TRAINING:
            return found
        if number % job.cores != worker:
            continue
        limits, spec = Limits(left, gives_up=True), TrialSpec(recipe, 1000 * job.seed + number)
        try:
            outcome = run_trial(spec, job.dataset, job.cache, limits=limits)
        except ConvliftError as error:
            print(f"{', '.join(names)}: {error}", file=sys.stderr)
            continue
        if len(outcome.validation_probabilities):
            reached = outcome.validation_probabilities, outcome.test_probabilities
            found.append(Member(recipe, names, outcome.status, *reached))
    raise AssertionError("there is always another random recipe")


def ensemble(job: Job) -> Shipped:
    """`cores` processes of one thread each train random recipes; then the greedy ensemble of all that were trained."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    if job.cores == 1:
        members = train_members(job, 0)
    else:
        with ProcessPoolExecutor(job.cores, multiprocessing.get_context("spawn")) as pool:
            waiting = [pool.submit(train_members, job, worker) for worker in range(job.cores)]
            members = [member for each in waiting for member in each.result()]
    if not members:
        raise RuntimeError("the time was too short for a single training")
    labels = job.labels("validation")
    counts = np.array(greedy_ensemble([each.validation for each in members], labels, ENSEMBLE_STEPS))
    weights = (counts / counts.sum()).astype(np.float32)
    validation, test = (
        np.tensordot(weights, np.stack([getattr(each, part) for each in members]), 1) for part in ("validation", "test")
    )
    seconds = time.monotonic() - job.began
    chosen = [members[k] for k in np.flatnonzero(counts)]
    single = [float((each.validation.argmax(1) == labels).mean()) for each in members]
    details = {"trainings": len(members), "members": len(chosen), "best_single_reported": max(single)}
    return Shipped(validation, test, [built(each.recipe, job.dataset) for each in chosen], seconds, details)


def built(recipe: Any, dataset: Dataset) -> tuple[Any, tuple[int, int, int]]:
    """The recipe's network with any weights, to be timed, and the shape of its input."""
    from convlift.model.build import build_network

    side, channels = recipe.at(dataset.store.native_resolution).data.resolution, dataset.channels
    plain = recipe.architecture
    plain = plain.model_copy(update={"weights": "random"}) if plain.kind == "pretrained" else plain
    network = build_network(plain, classes=len(dataset.classes), channels=channels, resolution=side)
    return network.eval(), (channels, side, side)


def milliseconds(networks: list[tuple[Any, tuple[int, int, int]]], batch: int, repeats: int = 15) -> float:
    """Of the forward passes of all of them, an image, with one thread: the median of some."""
    import torch

    torch.set_num_threads(1)
    inputs = [torch.randn(batch, *shape).to(memory_format=torch.channels_last) for _, shape in networks]
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            began = time.perf_counter()
            for (network, _), images in zip(networks, inputs, strict=True):
                network(images)
            times.append(1000 * (time.perf_counter() - began) / batch)
    return statistics.median(times[2:])


RIVALS: dict[str, Callable[[Job], Shipped]] = {
    "fine-tuned": fine_tuned,
    "residual": residual,
    "fastai": fastai,
    "ensemble": ensemble,
}


def why_absent(rival: str) -> str:
    """What is missing for it on this machine; "" where nothing is."""
    wanted = ("fastai", "torchvision") if rival == "fastai" else ()
    missing = [each for each in wanted if importlib.util.find_spec(each) is None]
    return f"{' and '.join(missing)} not installed; pip install 'convlift[bench]'" if missing else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("data")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help=".npz file of probabilities; the rest stands beside it")
    parser.add_argument("--no-flips", action="store_true")
    parser.add_argument("--device", default="cpu", help="of torch; fine-tuned and residual alone use it")
    given = parser.parse_args()
    began = Session().began
    import torch

    torch.set_num_threads(given.cores)
    dataset, _ = open_data(request_of(given.data, None, given.cache, seed=given.seed), Session())
    deadline = began + given.seconds
    job = Job(dataset, given.seed, began, deadline, given.cores, given.cache, not given.no_flips, given.device)
    shipped = RIVALS[given.rival](job)
    np.savez(given.out, validation=shipped.validation, test=shipped.test)
    said = {
        "reported": float((shipped.validation.argmax(1) == job.labels("validation")).mean()),
        "seconds": round(shipped.seconds, 1),
        **{f"ms_batch_{size}": round(milliseconds(shipped.networks, size), 3) for size in (1, 32)},
        "details": shipped.details,
    }
    given.out.with_suffix(".json").write_text(json.dumps(said) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
