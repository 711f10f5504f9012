"""What the calls of `api` give back: a campaign, a training, a diagnosis."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from convlift.catalogue.checks import Check
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.records.result import Estimate, Result, Verdict
from convlift.report.diagnosis_page import DiagnosisStory
from convlift.report.page_records import TrainingStory
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.remedies import Remedy
from convlift.report.wording.verdict_reasons import reason_in_words
from convlift.report.write import REPORT
from convlift.use import load

if TYPE_CHECKING:
    from convlift.deploy.classifier import Classifier


@dataclass(frozen=True)
class Campaign:
    """A finished campaign in its run folder."""

    folder: Path
    result: Result

    @property
    def test_score(self) -> Estimate:
        """Score of the network that ships on the sealed test, in [0, 1]; with folds, of the procedure over all images;
        where nothing was judged, on the validation images."""
        return self.result.claim.final if self.result.claim else self.result.final

    @property
    def changes(self) -> tuple[Verdict, ...]:
        """What is said of every change."""
        return self.result.verdicts

    def why(self, change: Verdict) -> str:
        """What the verdict on a change rests on, in words."""
        return reason_in_words(change)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how the result came about, a sentence each."""
        return tuple(note_sentence(note) for note in self.result.notes)

    @property
    def recipe(self) -> Recipe:
        """The shipped recipe."""
        return load_recipe(self.folder / "model" / "recipe.yaml")

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.folder / REPORT

    @cached_property
    def model(self) -> "Classifier":
        """The trained network, ready to predict."""
        return load(self.folder)


@dataclass(frozen=True)
class Training:
    """One training. score: on the validation images, 1 at best, with its 95% interval over `images` images; story: what
    its page says, its diagnosis among it; metric: its name."""

    folder: Path
    recipe: Recipe
    score: Estimate
    images: int
    seconds: float
    story: TrainingStory = field(repr=False)
    metric: str = "accuracy"

    @cached_property
    def model(self) -> "Classifier":
        """The trained network, ready to predict."""
        return load(self.folder)


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a training. answer: in one sentence; checks: of every cause that was looked at; todo: what to
    do about the faults, what is worth most first; page: to look at."""

    folder: Path
    answer: str
    checks: tuple[Check, ...]
    todo: tuple[Remedy, ...]
    page: Path
    story: DiagnosisStory = field(repr=False)

    @property
    def faults(self) -> tuple[Check, ...]:
        """The causes that were found or are suspected, the most important first; () where nothing is wrong."""
        return self.story.faults
