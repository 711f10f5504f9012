"""Images a second of training: convlift's loop against the bare steps, plain PyTorch, fastai and Keras 3.

Two trainings, each with one thread: `scratch`, convlift's residual network at 32 px, and `fine-tune`, all layers of
EfficientNet-Lite0 at 128 px (the recipe of that name trains its upper stages alone, which stands beside). Everybody has
the same network, batches of 32, AdamW, and augmentation (mirror, rotation, zoom, brightness, contrast), and starts from
the same decoded bytes in memory.

    floor           steps on one batch that stays the same: no data, no augmentation, no order; our settings of torch
    convlift        `fit`, on batches from the recipe's augmentation, as a trial runs it
    upper stages    the same with the lower stages frozen, as the recipe `fine-tune` has them; the others train all
    pytorch         a Dataset and a DataLoader, torchvision's v2 transforms image by image, torch's own defaults
    pytorch tuned   the same with channels last in memory and the fused AdamW
    fastai          a Learner, `aug_transforms` on the batch
    keras           Keras' own layers on its torch backend, augmentation as layers on the batch, channels first

fastai, Keras and torchvision: pip install 'convlift[bench]'; who is absent is left out. Everybody is a process of its
own, for settings of the memory are the whole process's. They take turns, one at a time; time is the processor's, which
other work on the machine disturbs less than the clock's, and a ratio is the median over rounds of (its time / our time)
in one round. The images are noise: their shape decides the speed, and not what they show.

Command: python benchmarks/train.py [--rounds 7] [--cases scratch fine-tune] [--json FILE]
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.recipe.recipe import Recipe

RESULTS = Path(__file__).parent / "results" / "train.json"
OURS = "convlift"
BATCH, CLASSES, EPOCHS = 32, 10, 2  # two epochs a round: in the second half of a training `fit` measures more
ROTATION, ZOOM, BRIGHTNESS, CONTRAST = 0.05, 0.2, 0.2, 0.2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RATE, DECAY = 1e-3, 0.05
PACKAGES = {"pytorch": "torchvision", "pytorch tuned": "torchvision", "fastai": "fastai", "keras": "keras"}


@dataclass(frozen=True)
class Case:
    """side: of the images, in pixels; batches: an epoch; recipe: convlift's."""

    side: int
    batches: int
    recipe: Callable[[], Recipe]

    def images(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images (n, side, side, 3) and labels (n,)."""
        rng, count = np.random.default_rng(0), self.batches * BATCH
        images = rng.integers(0, 256, (count, self.side, self.side, 3), dtype=np.uint8)
        return images, rng.integers(0, CLASSES, count)


def scratch() -> Recipe:
    """The residual network for small images."""
    from convlift.recipe.built_in import built_in

    return trained_alike(built_in("residual").edit(architecture={"stages": 3}))


def fine_tune() -> Recipe:
    """All layers of the pretrained network under a single dense layer, batch norms as in training."""
    from convlift.recipe.built_in import built_in

    return trained_alike(built_in("transfer").edit(architecture={"head_units": 0}))


def trained_alike(recipe: Recipe) -> Recipe:
    """Batch, optimizer and augmentation of everybody."""
    training = {"batch_size": BATCH, "optimizer": "adamw", "learning_rate": RATE, "weight_decay": DECAY}
    changes = {"horizontal_flip": 0.5, "rotation": ROTATION, "zoom": ZOOM}
    changes |= {"brightness": BRIGHTNESS, "contrast": CONTRAST}
    return recipe.edit(data={"augmentation": changes}, training=training | {"decay_norms_and_biases": True})


CASES = {"scratch": Case(32, 6, scratch), "fine-tune": Case(128, 2, fine_tune)}
Round = Callable[[], object]


def network_of(case: Case) -> Any:
    """convlift's network of the case, in channels-last memory, every layer of it to be trained."""
    import torch

    from convlift.model.build import build_network

    torch.manual_seed(0)
    network = build_network(case.recipe().architecture, classes=CLASSES, channels=3, resolution=case.side)
    if case.recipe().architecture.kind == "pretrained":
        from convlift.model.freezing import unfreeze

        unfreeze(network, None, "update")  # type: ignore[arg-type]
    return network


def floor(case: Case) -> Round:
    """The steps alone."""
    import torch

    from convlift.model.memory import keep_freed_memory

    keep_freed_memory()
    network = network_of(case).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    inputs = torch.randn(BATCH, 3, case.side, case.side).to(memory_format=torch.channels_last)
    labels = torch.from_numpy(case.images()[1][:BATCH])

    def steps() -> None:
        for _ in range(EPOCHS * case.batches):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(network(inputs), labels).backward()
            optimizer.step()

    return steps


def ours(case: Case, stages: int | None = None) -> Round:
    """As `run_phase` puts it together. stages: of a pretrained network that train, all of them where None."""
    from convlift.augment.streams import Streams
    from convlift.model.memory import keep_freed_memory
    from convlift.train.batch import Batch
    from convlift.train.fit import Phase, fit
    from convlift.train.objectives import CrossEntropy
    from convlift.train.optimizers import make_optimizer
    from convlift.train.schedules import make_schedule
    from convlift.trial.batches import image_draw, to_tensor, training_batches

    keep_freed_memory()
    network, recipe, (images, labels) = network_of(case), case.recipe(), case.images()
    draw = image_draw(images, recipe.data.augmentation, (np.float32(MEAN), np.float32(STD)))
    if stages is not None:
        from convlift.model.freezing import unfreeze
        from convlift.model.pretrained import Tail
        from convlift.trial.frozen_stages import FrozenStages

        unfreeze(network, stages, "update")
        below = FrozenStages(network, stages, to_tensor(np.zeros((2, case.side, case.side, 3), np.float32)))
        network, draw = Tail(network, stages), below.of_drawn(draw)
    schedule = make_schedule("one_cycle", steps=EPOCHS * case.batches, warmup=0.3)

    def batches(epoch: int) -> Iterator[Batch]:
        return training_batches(draw, to_tensor(labels), BATCH, Streams(0, "train", epoch))

    def epochs() -> None:
        optimizer = make_optimizer(network, recipe.training)
        for _ in fit(network, batches, CrossEntropy(), optimizer, schedule, epochs=EPOCHS, phase=Phase("train")):
            pass

    return epochs


def upper_stages(case: Case) -> Round:
    """As convlift's recipe `fine-tune` trains."""
    from convlift.recipe.built_in import built_in

    tuned = built_in("fine-tune").training.fine_tuning
    assert tuned is not None, "it is its point"
    return ours(case, tuned.stages)


def pytorch(case: Case, *, tuned: bool = False) -> Round:
    """The loop of PyTorch's own tutorials."""
    from convlift.model.operators import declare_missing_operators

    declare_missing_operators()
    import torch
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import v2

    images, labels = (torch.from_numpy(each) for each in case.images())
    pixels = images.permute(0, 3, 1, 2).contiguous()
    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(
                360 * ROTATION, scale=(1 - ZOOM, 1 / (1 - ZOOM)), interpolation=v2.InterpolationMode.BILINEAR
            ),
            v2.ColorJitter(BRIGHTNESS, CONTRAST),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    class Decoded(Dataset):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> Any:
            return change(pixels[index]), labels[index]

    layout = torch.channels_last if tuned else torch.contiguous_format
    network = network_of(case).to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=tuned or None)
    loader = DataLoader(Decoded(), BATCH, shuffle=True)

    def epochs() -> None:
        for _ in range(EPOCHS):
            for inputs, targets in loader:
                optimizer.zero_grad()
                outputs = network(inputs.to(memory_format=layout))
                torch.nn.functional.cross_entropy(outputs, targets).backward()
                optimizer.step()

    return epochs


def pytorch_tuned(case: Case) -> Round:
    """With what torch can do faster on a CPU."""
    return pytorch(case, tuned=True)


def fastai(case: Case) -> Round:
    """A Learner on its usual blocks."""
    from convlift.model.operators import declare_missing_operators

    declare_missing_operators()
    import torch
    from fastai.vision import all as fv

    images, labels = case.images()
    changes = fv.aug_transforms(
        max_rotate=360 * ROTATION,
        min_zoom=1 - ZOOM,
        max_zoom=1 / (1 - ZOOM),
        max_lighting=BRIGHTNESS,
        max_warp=0.0,
        p_affine=1.0,
        p_lighting=1.0,
    )
    block = fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock(vocab=list(range(CLASSES)))),
        get_x=lambda i: fv.PILImage.create(images[i]),
        get_y=lambda i: int(labels[i]),
        splitter=fv.IndexSplitter([0]),
        batch_tfms=[*changes, fv.Normalize.from_stats(MEAN, STD, cuda=False)],
    )
    # one image more, for it wants one to validate by
    places = [0, *range(len(labels))]
    loaders = block.dataloaders(places, bs=BATCH, num_workers=0, device="cpu")

    class Unvalidated(fv.Callback):
        def before_validate(self) -> None:
            raise fv.CancelValidException

    network = network_of(case).to(memory_format=torch.contiguous_format)
    learn = fv.Learner(loaders, network, fv.CrossEntropyLossFlat(), lr=RATE, wd=DECAY, cbs=[Unvalidated()])

    def epochs() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit(EPOCHS)

    return epochs


def keras(case: Case) -> Round:
    """`compile` and `fit`."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.config.set_image_data_format("channels_first")
    images, labels = case.images()
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    layers = keras.layers
    changes = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(ROTATION, fill_mode="reflect"),
        layers.RandomZoom(ZOOM, fill_mode="reflect"),
        layers.RandomBrightness(BRIGHTNESS),
        layers.RandomContrast(CONTRAST),
        layers.Rescaling(1 / 255),
        layers.Normalization(axis=1, mean=MEAN, variance=[each**2 for each in STD]),
    ]
    inputs = maps = keras.Input((3, case.side, case.side))
    for change in changes:
        maps = change(maps)
    maps = keras_residual(maps) if case.recipe().architecture.kind == "convnet" else keras_lite0(maps)
    model = keras.Model(inputs, layers.Dense(CLASSES)(maps))
    wanted = sum(each.numel() for each in network_of(case).parameters())
    found = sum(math.prod(each.shape) for each in model.trainable_weights)
    assert found == wanted, f"Keras' network has {found} weights, ours {wanted}"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(RATE, weight_decay=DECAY), loss)
    return lambda: model.fit(pixels, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)


def keras_normalized(maps: Any, width: int, kernel: int, *, stride: int = 1, each: bool = False) -> Any:
    """A convolution, of each channel alone or of all, and its batch norm."""
    from keras import layers

    if each:
        maps = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(maps)
    else:
        maps = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)(maps)
    return layers.BatchNormalization(axis=1)(maps)


def keras_residual(maps: Any, width: int = 32, stages: int = 3) -> Any:
    """The network of `scratch` up to its vector."""
    from keras import layers

    maps = layers.ReLU()(keras_normalized(maps, width, 3))
    for stage in range(stages):
        wider = width * 2**stage
        branch = layers.ReLU()(keras_normalized(maps, wider, 3))
        branch = keras_normalized(branch, wider, 3)
        shortcut = maps if maps.shape[1] == wider else keras_normalized(maps, wider, 1)
        maps = layers.MaxPooling2D(2)(layers.ReLU()(layers.Add()([branch, shortcut])))
    return layers.GlobalAveragePooling2D()(maps)


# kernel, stride, expansion, width, blocks (Tan and Le 2019, table 1; the Lite form keeps these)
LITE0 = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def keras_lite0(maps: Any) -> Any:
    """The network of `fine-tune` up to its vector: EfficientNet-B0 without squeeze and excitation, with ReLU6."""
    from keras import layers

    maps = layers.ReLU(6.0)(keras_normalized(maps, 32, 3, stride=2))
    for kernel, stride, expansion, width, blocks in LITE0:
        for block in range(blocks):
            before, inside = maps, expansion * maps.shape[1]
            if expansion > 1:
                maps = layers.ReLU(6.0)(keras_normalized(maps, inside, 1))
            step = stride if block == 0 else 1
            maps = layers.ReLU(6.0)(keras_normalized(maps, inside, kernel, stride=step, each=True))
            maps = keras_normalized(maps, width, 1)
            maps = layers.Add()([maps, before]) if block else maps
    maps = layers.ReLU(6.0)(keras_normalized(maps, 1280, 1))
    return layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(maps))


CONTENDERS: dict[str, Callable[[Case], Round]] = {
    "floor": floor,
    OURS: ours,
    "upper stages": upper_stages,
    "pytorch": pytorch,
    "pytorch tuned": pytorch_tuned,
    "fastai": fastai,
    "keras": keras,
}


class Runner:
    """Owns the process of one contender, which runs a round whenever it is told to."""

    def __init__(self, name: str, case: str) -> None:
        command = [sys.executable, __file__, "--serve", name, "--cases", case]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        )
        self._answer()

    def round(self) -> float:
        """Seconds of the processor."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        assert self._process.stderr is not None
        raise RuntimeError(self._process.stderr.read()[-800:])


def serve(name: str, case: Case) -> None:
    """In the process of one contender: a round to warm up, then one for every line that comes in."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = CONTENDERS[name](case)
    while True:
        began = time.process_time()
        run()
        print(f"seconds {time.process_time() - began}", flush=True)
        if not sys.stdin.readline():
            return


def race(name: str, rounds: int) -> list[dict[str, Any]]:
    """All that are there, on one case."""
    runners: dict[str, Runner] = {}
    try:
        for each in CONTENDERS:
            if is_installed(each) and (
                each != "upper stages" or CASES[name].recipe().architecture.kind == "pretrained"
            ):
                runners[each] = Runner(each, name)
        times: dict[str, list[float]] = {each: [] for each in runners}
        for _ in range(rounds):
            for each, runner in runners.items():
                times[each].append(runner.round())
    finally:
        for runner in runners.values():
            runner.close()
    images = EPOCHS * CASES[name].batches * BATCH
    return [
        {
            "case": name,
            "name": each,
            "images_per_second": round(images / statistics.median(measured), 1),
            "times_our_time": round(statistics.median(t / o for t, o in zip(measured, times[OURS], strict=True)), 3),
            "seconds": [round(second, 3) for second in measured],
        }
        for each, measured in times.items()
    ]


def is_installed(name: str) -> bool:
    """Whether its package is there."""
    try:
        return name not in PACKAGES or bool(version(PACKAGES[name]))
    except PackageNotFoundError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, CASES[asked.cases[0]])
        return
    rows = [row for case in asked.cases for row in race(case, asked.rounds)]
    names = ["torch", "timm", *sorted({package for each, package in PACKAGES.items() if is_installed(each)})]
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one thread, load {os.getloadavg()[0]:.1f}"
    )
    document = {
        "schema_version": 1,
        "machine": machine,
        "versions": {each: version(each) for each in names},
        "rows": rows,
    }
    asked.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{'':<10} {'':<16}{'images/s':>10}{'times our time':>16}")
    for row in rows:
        print("{case:<10} {name:<16}{images_per_second:>10,.1f}{times_our_time:>16.2f}".format(**row))
    missing = [f"{each} ({package})" for each, package in PACKAGES.items() if not is_installed(each)]
    if missing:
        print(f"not installed: {', '.join(missing)}; pip install 'convlift[bench]'")


if __name__ == "__main__":
    main()
