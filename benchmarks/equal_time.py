"""convlift and what else one would do, in the same time: same images, parts, cores and machine, one after another.

Of every data set, budget and seed each of these has the same wall clock, from the start of its process:

    convlift      `convlift improve --budget`, through the command line, with an empty cache
    convlift-4    the same with `--max-latency 4`: as many networks in a prediction as the ensemble may have
    fine-tuned    one training of all layers of the same pretrained network, in plain PyTorch
    residual      one training of a ResNet-9 from scratch (images of less than 64 pixels)
    fastai        fastai's `fine_tune` (where it is installed: pip install 'convlift[bench]')
    ensemble      random recipes of convlift's catalogue, and a greedy ensemble of them

`rivals.py` has the last four. What is said of each:

    test          accuracy on the test images, which nobody saw before
    optimism      what it reports of itself (its validation score; convlift: the score that its result states) less
                  that, in points
    ms            of the forward pass of all networks that it needs for an image, with one thread, at 1 and at 32 images
                  a batch
    seconds       until it had its score; convlift's until its process ended

A run that is in the file of results already is not done again, unless it failed. A line a run, in the order in which
they ended.

Command: python benchmarks/equal_time.py NAME=DATA [NAME=DATA ...] [--minutes 5 15] [--seeds 1,2,3] [--rivals ...]
DATA is what `convlift improve` reads, or one of two archives of which a subset without official parts is drawn first:
cifar10_jpegbytes.npz (5,000 images) and the folder of Fashion-MNIST's IDX files (10,000 images).
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rivals import RIVALS, milliseconds, why_absent

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset

RESULTS = Path(__file__).parent / "results" / "equal-time.json"
OURS, OURS_4 = "convlift", "convlift-4"
EVERYBODY = (OURS, OURS_4, *RIVALS)
CIFAR_IMAGES, FASHION_IMAGES = 5_000, 10_000
SMALL = 64  # pixels, below which a network from scratch is a rival


@dataclass(frozen=True)
class Task:
    """What everybody is given. name, data: of the images; flips: whether a mirror image keeps its label."""

    name: str
    data: str
    minutes: float
    seed: int
    cores: int
    flips: bool
    device: str = "cpu"


def prepared(data: str, folder: Path) -> str:
    """What is to be read: `data` itself, or the subset of an archive, drawn once and written to `folder`."""
    path = Path(data)
    if (path / "train-images-idx3-ubyte.gz").is_file():
        target, draw = folder / "fashion-mnist.npz", fashion
    elif path.suffix == ".npz" and "offsets" in np.load(path).files:
        target, draw = folder / "cifar10.npz", cifar
    else:
        return data
    if not target.is_file():
        images, labels = draw(path)
        np.savez(target, train_images=images, train_labels=labels)
    return str(target)


def cifar(archive: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels drawn from the official training part."""
    import cv2

    with np.load(archive) as stored:
        data, offsets, labels, count = stored["data"], stored["offsets"], stored["labels"], int(stored["n_train"])
    chosen = np.random.default_rng(0).permutation(count)[:CIFAR_IMAGES]
    files = [data[offsets[row] : offsets[row + 1]] for row in chosen]
    images = np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1] for file in files])
    return images, labels[chosen].astype(np.int64)


def fashion(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same of Fashion-MNIST."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    chosen = np.random.default_rng(0).permutation(len(labels))[:FASHION_IMAGES]
    return images[chosen], labels[chosen].astype(np.int64)


def run_convlift(task: Task, folder: Path, *options: str) -> dict[str, Any]:
    """A campaign, and what it shipped. Raises RuntimeError where it shipped nothing."""
    run, began = folder / "run", time.monotonic()
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "improve", task.data]
    asked = ["--budget", f"{round(60 * task.minutes)}s", "--seed", str(task.seed), "--out", str(run), "--quiet"]
    asked += ["--device", task.device]
    done = subprocess.run(
        [*command, *asked, *options],
        capture_output=True,
        text=True,
        env={**os.environ, "CONVLIFT_CACHE": str(folder / "cache")},
    )
    seconds = time.monotonic() - began
    if not (run / "model" / "model.safetensors").is_file():
        raise RuntimeError(fault(done))
    from convlift.deploy.predict import load
    from convlift.ledger.ledger import read_ledger
    from convlift.search.result_in_ledger import result_of

    with read_ledger(run) as ledger:
        result = result_of(ledger)
    model, (dataset, test) = load(run), parts(task, folder / "cache")
    steps = model.config
    squares = dataset.store.pixels(steps.resolution, steps.preparation)[dataset.splits.test]
    score = float((model.probabilities(list(squares)).argmax(1) == test).mean())
    networks = [(model._network, (steps.channels, steps.resolution, steps.resolution))]
    return {
        "test": score,
        "reported": (result.claim or result).final.value,
        "seconds": round(seconds, 1),
        **{f"ms_batch_{size}": round(milliseconds(networks, size), 3) for size in (1, 32)},
        "details": {
            "start": result.start_name,
            "ships": result.ships,
            "judged": result.judged,
            "trials": result.trials,
            "gain_points": result.claim and result.claim.gain_points.value,
            "proven": result.is_better,
            "shipped": [verdict.name for verdict in result.verdicts if verdict.shipped],
        },
    }


def run_rival(rival: str, task: Task, folder: Path) -> dict[str, Any]:
    """One of `rivals.py`. Raises RuntimeError where it ends with nothing."""
    out = folder / "found.npz"
    command = [sys.executable, str(Path(__file__).with_name("rivals.py")), rival, task.data, "--out", str(out)]
    command += ["--seconds", str(60 * task.minutes), "--seed", str(task.seed), "--cores", str(task.cores)]
    command += ["--cache", str(folder / "cache"), "--device", task.device]
    command += [] if task.flips else ["--no-flips"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not out.with_suffix(".json").is_file():
        raise RuntimeError(fault(done))
    said: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    _, test = parts(task, folder / "cache")
    return {"test": float((np.load(out)["test"].argmax(1) == test).mean()), **said}


def fault(done: "subprocess.CompletedProcess[str]") -> str:
    """The last that a process said before it ended without a model."""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def parts(task: Task, cache: Path) -> tuple[Dataset, NDArray[np.int64]]:
    """The images, split as convlift splits them by this seed, and the labels of the test, to score by."""
    dataset, sealed = open_data(request_of(task.data, None, cache, seed=task.seed), Session())
    return dataset, sealed.open()


def run(rival: str, task: Task, out: Path) -> dict[str, Any]:
    """One line of the results."""
    folder = out / f"{task.name}-{task.minutes:g}-{task.seed}-{rival}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cache").mkdir(parents=True)
    line: dict[str, Any] = {
        "data": task.name,
        "minutes": task.minutes,
        "seed": task.seed,
        "cores": task.cores,
        "device": task.device,
        "rival": rival,
        "load_before": round(os.getloadavg()[0], 1),
    }
    try:
        if rival in (OURS, OURS_4):
            line |= run_convlift(task, folder, *(["--max-latency", "4"] if rival == OURS_4 else []))
        else:
            line |= run_rival(rival, task, folder)
    except RuntimeError as error:
        return line | {"failed": str(error)}
    shutil.rmtree(folder / "cache")
    return line | {"optimism_points": round(100 * (line["reported"] - line["test"]), 2)}


def table(lines: list[dict[str, Any]]) -> str:
    """One line for each data set, budget and rival: means over seeds, ± their standard error.

    better of two: of the fine-tuned and the residual training of each seed the one that validation likes better, which
    took twice the time.
    """
    rows = [f"{'data':<14}{'min':>5}  {'rival':<15}{'test ± error (n)':<22}{'ours less theirs':<18}"]
    rows[0] += f"{'optimism':>8}{'ms at 1':>9}{'at 32':>8}{'seconds':>9}"
    sound = [line for line in lines if "failed" not in line]
    for name, minutes in dict.fromkeys((line["data"], line["minutes"]) for line in sound):
        here = [line for line in sound if (line["data"], line["minutes"]) == (name, minutes)]
        by_rival = {each: {line["seed"]: line for line in here if line["rival"] == each} for each in EVERYBODY}
        one, other = by_rival["fine-tuned"], by_rival["residual"]
        by_rival["better of two"] = {seed: better(one[seed], other[seed]) for seed in one.keys() & other}
        for rival, found in by_rival.items():
            if found:
                ours = by_rival[OURS] if rival != OURS else {}
                rows.append(f"{name:<14}{minutes:>5g}  {rival:<15}{figures(found, ours)}")
    again = {question(line) for line in sound}
    failed = [line for line in lines if question(line) not in again]
    return "\n".join(
        rows + [f"{x['data']} {x['minutes']:g} {x['rival']} seed {x['seed']}: {x['failed']}" for x in failed]
    )


def question(line: dict[str, Any]) -> tuple[Any, ...]:
    """What a line answers."""
    return (*(line[key] for key in ("data", "minutes", "seed", "cores", "rival")), line.get("device", "cpu"))


def better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two trainings the one that validation likes better, for the time of both."""
    best = max(one, other, key=lambda line: line["reported"])
    return best | {"seconds": one["seconds"] + other["seconds"]}


def figures(found: dict[int, dict[str, Any]], ours: dict[int, dict[str, Any]]) -> str:
    """Of one rival on one data set."""
    mean = {key: statistics.mean(line[key] for line in found.values()) for key in KEYS}
    ahead = [100 * (ours[seed]["test"] - line["test"]) for seed, line in found.items() if seed in ours]
    compared = f"{statistics.mean(ahead):+.2f}{error(ahead)}" if ahead else ""
    test = f"{mean['test']:.4f}{error([line['test'] for line in found.values()])} ({len(found)})"
    return (
        f"{test:<22}{compared:<18}{mean['optimism_points']:>+8.2f}{mean['ms_batch_1']:>9.2f}{mean['ms_batch_32']:>8.2f}"
        f"{mean['seconds']:>9.0f}"
    )


KEYS = ("test", "optimism_points", "ms_batch_1", "ms_batch_32", "seconds")


def error(values: list[float]) -> str:
    """The standard error of their mean, as it is written behind it; nothing of a single one."""
    return f" ± {statistics.stdev(values) / len(values) ** 0.5:.2g}" if len(values) > 1 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=DATA")
    parser.add_argument("--minutes", nargs="+", type=float, default=[5.0, 15.0])
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rivals", nargs="+", choices=EVERYBODY, help="default: all that suit the images")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cuda: only convlift, fine-tuned and residual use it")
    parser.add_argument(
        "--unflipped", nargs="*", default=["digits"], help="names whose mirror images mean another thing"
    )
    parser.add_argument("--out", type=Path, default=Path("runs") / "equal-time")
    parser.add_argument("--json", type=Path, default=RESULTS)
    asked = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])  # what is started from here inherits it
    asked.out.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in asked.json.read_text().splitlines()] if asked.json.is_file() else []
    done = {question(line) for line in lines if "failed" not in line}
    absent = {each: why_absent(each) for each in RIVALS}
    for rival in asked.rivals or EVERYBODY:
        if absent.get(rival):
            print(f"{rival} is left out: {absent[rival]}", file=sys.stderr)
    for minutes in asked.minutes:
        for number, seed in enumerate(map(int, asked.seeds.split(","))):
            for name, _, where in (entry.partition("=") for entry in asked.data):
                task = Task(
                    name,
                    prepared(where, asked.out),
                    minutes,
                    seed,
                    asked.cores,
                    name not in asked.unflipped,
                    asked.device,
                )
                rivals = [each for each in asked.rivals or suitable(task, asked.out) if not absent.get(each)]
                first = number % len(rivals)  # nobody is always the one that finds the machine warm
                for rival in rivals[first:] + rivals[:first]:
                    if (name, minutes, seed, asked.cores, rival, asked.device) not in done:
                        lines.append(run(rival, task, asked.out))
                        with asked.json.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(lines[-1]) + "\n")
                        print(json.dumps(lines[-1]), flush=True)
    here = (asked.cores, asked.device)
    print(table([line for line in lines if (line["cores"], line.get("device", "cpu")) == here]))


def suitable(task: Task, out: Path) -> tuple[str, ...]:
    """Everybody; from scratch only where the images are small."""
    dataset, _ = parts(task, out / f"cache-{task.name}")
    return EVERYBODY if dataset.store.native_resolution < SMALL else tuple(x for x in EVERYBODY if x != "residual")


if __name__ == "__main__":
    main()
