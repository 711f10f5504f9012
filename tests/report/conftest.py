"""A made-up campaign of any size, for every test of this room."""

import io

import numpy as np
import pytest
from PIL import Image

from convlift.recipe.recipe import Recipe
from convlift.records.finding import Finding
from convlift.records.notes import LittleLeft
from convlift.records.outcome import EpochReport
from convlift.records.result import Estimate, Label, NetworkGain, Result, Verdict
from convlift.records.verdict_grounds import Estimated
from convlift.report.page_records import HardImage, Role, Story, TrialRecord

FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")
CHANGES = (
    ("start from transfer", "architecture", 6.2, "proven"),
    ("horizontal flip", "data", 1.4, "likely"),
    ("label smoothing 0.1", "training", 1.1, "likely"),
    ("resolution 160", "data", 0.9, "likely"),
    ("fine-tune the last 3 stages", "training", 0.6, "undecided"),
    ("squeeze-and-excitation", "architecture", 0.2, "undecided"),
    ("vertical flip", "data", -0.4, "undecided"),
    ("dropout 0.5", "training", -2.4, "harmful"),
)


def make_verdicts(number: int, long_names: bool = False) -> tuple[Verdict, ...]:
    verdicts = []
    for i in range(number):
        name, area, points, label = CHANGES[i % len(CHANGES)]
        if i >= len(CHANGES):
            name, points = f"{name}, variant {i}", points / 4 - 0.3
            label = "undecided" if points > -0.5 else "harmful"
        if long_names:
            name = f"{name} with a name that goes on and on and on for much longer than any column {i}"
        verdicts.append(make_verdict(name, area, points, label))
    return tuple(verdicts)


def make_verdict(name: str, area: str, points: float, label: Label) -> Verdict:
    return Verdict(
        name=name,
        area=area,  # type: ignore[arg-type]
        label=label,
        points=points,
        low=points - 1.3,
        high=points + 1.4,
        probability=0.9,
        trials=11,
        seconds=184.0,
        shipped=points > 0.5,
        reason=Estimated(38),
        claim="A mirrored image shows the same thing.",
        source="Krizhevsky et al. 2012, section 4.1",
    )


def make_result(
    verdicts: tuple[Verdict, ...],
    gain: tuple[float, float, float] = (11.1, 8.0, 14.2),
    test_images: int = 648,
) -> Result:
    value, low, high = gain
    before, after = (
        Estimate(0.712, 0.681, 0.743),
        Estimate(0.712 + value / 100, 0.695 + value / 100, 0.735 + value / 100),
    )
    shares = sum(verdict.points for verdict in verdicts if verdict.shipped)
    return Result(
        run="runs/flowers-20",
        metric="accuracy",
        data="flowers",
        baseline_name="plain",
        start_name="transfer",
        baseline=before,
        final=after,
        gain_points=Estimate(value - 0.2, low - 1.0, high + 0.6),
        network=NetworkGain(before, after, Estimate(value, low, high), low > 0, 90, 18, 0.001),
        proven=low > 1.0,
        verdicts=verdicts,
        unexplained_points=value - shares,
        trials=38,
        seconds=872.0,
        budget_seconds=900.0,
        optimism_points=0.4,
        findings=(
            Finding(
                "duplicates",
                "warning",
                "14 images appear twice.",
                ("a/1.jpg", "b/2.jpg"),
                "Delete one of each.",
            ),
            Finding("imbalance", "note", "The largest class has 1.5 times as many images as the smallest."),
        ),
        notes=(LittleLeft(),),
        counts={"test": test_images},
    )


def make_curve(phases: tuple[tuple[str, int], ...], top: float) -> tuple[EpochReport, ...]:
    reports = []
    for phase, epochs in phases:
        for epoch in range(1, epochs + 1):
            done = 1 - np.exp(-(len(reports) + 1) / 5)
            reports.append(
                EpochReport(
                    phase=phase,  # type: ignore[arg-type]
                    epoch=epoch,
                    epochs=epochs,
                    train_loss=1.6 - 1.2 * done,
                    train_accuracy=0.2 + (top - 0.12) * done,
                    validation_loss=1.6 - 1.05 * done + 0.02 * np.sin(7 * len(reports)),
                    validation_accuracy=0.2 + (top - 0.2) * done + 0.01 * np.sin(5 * len(reports)),
                    learning_rate=1e-3,
                    seconds=4.0,
                )
            )
    return tuple(reports)


def make_trials(verdicts: tuple[Verdict, ...], number: int) -> tuple[TrialRecord, ...]:
    rng = np.random.default_rng(3)
    records = []
    for i in range(number):
        role: Role = "baseline" if i < 2 else "start" if i < 5 else "final" if i >= number - 3 else "search"
        on = tuple(v.name for v in verdicts if role == "search" and rng.random() < 0.4)
        height = {"baseline": 0.715, "start": 0.77, "search": 0.79 + 0.02 * i / number, "final": 0.827}[role]
        failed = i == 12
        score = float("nan") if failed else height + 0.016 * rng.standard_normal()
        records.append(TrialRecord(i + 1, role, on, score, "diverged" if failed else "finished", 21.5))
    return tuple(records)


def make_confusion(number: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    errors = rng.random((number, number)) < min(1.0, 4 / number)
    return (errors * rng.integers(0, 12, (number, number)) + 110 * np.eye(number)).astype(np.int64)


def make_picture(seed: int, side: int = 128) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(content, "PNG")
    return content.getvalue()


def make_story(
    result: Result,
    classes: tuple[str, ...] = FLOWERS,
    trials: int = 38,
    pictures: tuple[bytes, ...] | None = None,
) -> Story:
    number = len(classes)
    rng = np.random.default_rng(7)
    recalls = 0.6 + 0.2 * rng.random((2, number))
    counts = tuple(int(count) for count in rng.integers(440, 640, number))
    if pictures is None:
        pictures = tuple(make_picture(seed) for seed in range(8))
    return Story(
        shipped_recipe=Recipe()
        .edit(
            data={"resolution": 160, "augmentation": {"horizontal_flip": 0.5}},
            training={"label_smoothing": 0.1, "epochs": 20},
        )
        .to_yaml(),
        baseline_recipe=Recipe().to_yaml(),
        start_recipe=Recipe().edit(training={"epochs": 20}).to_yaml(),
        classes=classes,
        confusion=make_confusion(number),
        baseline_recall=tuple(recalls[0].tolist()),
        final_recall=tuple((recalls[1] + 0.12).tolist()),
        class_counts={
            "train": counts,
            "validation": tuple(count // 5 for count in counts),
            "test": tuple(count // 4 for count in counts),
        },
        trials=make_trials(result.verdicts, trials),
        baseline_curve=make_curve((("train", 10),), 0.72),
        final_curve=make_curve((("head", 12), ("fine-tune", 6)), 0.83),
        hard_images=tuple(
            HardImage(png, classes[i % number], classes[(i + 1) % number], 0.97 - 0.02 * i)
            for i, png in enumerate(pictures)
        ),
        minimum_detectable_points=2.9,
        environment={
            "convlift": "0.1.0",
            "torch": "2.13.0",
            "machine": "2 cores, x86_64",
            "threads": "2 workers of 1 thread",
            "seed": "0",
        },
    )


@pytest.fixture
def result() -> Result:
    return make_result(make_verdicts(8))


@pytest.fixture
def story(result: Result) -> Story:
    return make_story(result)
