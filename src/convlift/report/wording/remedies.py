"""What to do about each fault, with the command for it."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from convlift.campaign.request import Request
from convlift.catalogue.checks import Check
from convlift.catalogue.prospects import Prospect
from convlift.records.evidence_of_checks import Confidences, RecallBySize
from convlift.report.wording.checks_in_words import expectation

MOST = 5
FOLDER = "diagnosis"  # in the run folder: recipes to try, and the list of doubtful labels
RECIPE, DOUBTED = "recipe.yaml", "doubtful-labels.csv"

_WITHOUT_RECIPE = {
    "copies": "Remove these images from the training part (findings.txt lists them), or let convlift make the split.",
    "labels": "Look at the doubtful images on the page, and correct the labels that are wrong: {doubted} lists all.",
    "shortcuts": "Bring all classes to one format, size and border, as the findings say.",
    "classes": "Collect more images of the small classes.",
    "confidence": "Divide the logits by {temperature:.2f} where you use the network elsewhere; convlift does.",
    "amount of data": "Collect more images.",
}


@dataclass(frozen=True)
class Remedy:
    """What to do: a sentence, what it brings, and the command, "" where there is none to give."""

    todo: str
    brings: str
    command: str


def remedies(faults: tuple[Check, ...], run: Path, asked: Request) -> tuple[Remedy, ...]:
    """At most MOST lines for the ranked faults, and one that tries all changes and judges them; () where nothing is at
    fault."""
    found = [line for check in faults for line in _of(check, run, asked)][: MOST - 1]
    if not faults:
        return ()
    every = Remedy(
        "Let the search try these and others, and judge them on the sealed test.",
        "what each change brings is measured, with an interval",
        _command("improve", "--current", run / FOLDER / RECIPE, asked),
    )
    return (*found, every)


def _of(check: Check, run: Path, asked: Request) -> list[Remedy]:
    lines = []
    is_weak = check.cause == "classes" and not any(isinstance(each, RecallBySize) for each in check.shown)
    if check.cause in _WITHOUT_RECIPE and not is_weak:
        todo = _WITHOUT_RECIPE[check.cause].format(
            doubted=run / FOLDER / DOUBTED,
            temperature=next((each.temperature for each in check.shown if isinstance(each, Confidences)), 1.0),
        )
        brings = "the accuracy stays as it is" if check.cause == "confidence" else ""
        lines.append(Remedy(todo, brings, ""))
    lines += [_try(each, run, asked) for each in check.prospects[:1]]
    return lines


def _try(prospect: Prospect, run: Path, asked: Request) -> Remedy:
    name = prospect.name
    todo = f"Train {name}." if name.startswith("your recipe") else f"Change the recipe: {name}."
    return Remedy(todo, expectation(prospect), _command("train", "--recipe", run / FOLDER / file_of(name), asked))


def file_of(name: str) -> str:
    """The file of a recipe with a change, by the change's name."""
    words = re.sub(r"[^a-z0-9.]+", "-", name.removeprefix("your recipe ").lower()).strip("-")
    return f"{words}.yaml"


def _command(command: str, option: str, recipe: Path, asked: Request) -> str:
    data = asked.data if isinstance(asked.data, str) else "DATA"
    more: list[str] = []
    given = (
        ("--seed", str(asked.seed), "0"), ("--metric", asked.metric, "accuracy"), ("--layout", asked.layout, "auto"),
        ("--alpha", asked.alpha, "white"), ("--group-from", asked.group_from or "", ""),
        ("--root", str(asked.root or ""), ""), ("--columns", asked.columns or "", ""),
        ("--images", str(asked.images or ""), ""), ("--value-range", asked.value_range, "bits"),
    )  # fmt: skip
    for name, value, usual in given:
        more += [name, value] if value != usual else []
    more += ["--follow-links"] if asked.follow_links else []
    return shlex.join(["convlift", command, data, option, str(recipe), *more])
