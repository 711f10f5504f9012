"""What people call: `improve`, `train`, `load`, `report`. The command line only parses, calls these and prints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from convlift.campaign.artifacts import REPORT, in_words, write_model, write_report
from convlift.campaign.learn_priors import gather, write_expectations
from convlift.campaign.one_training import (
    check_memory,
    check_space,
    folder_of,
    question_of,
    training_folder,
    write_record,
)
from convlift.campaign.open_data import open_data
from convlift.campaign.request import Request
from convlift.campaign.run import conduct
from convlift.catalogue.priors import Expectations
from convlift.console.cache_folder import cache_folder
from convlift.console.disk import writing_into
from convlift.console.duration import parse_duration
from convlift.console.interrupt import interruptible
from convlift.console.progress import Progress, clock_text
from convlift.console.resources import usable_cpus, usable_memory, usable_workers
from convlift.data.choices import Choices
from convlift.data.dataset import Dataset
from convlift.data.decode import Alpha
from convlift.data.readers.layout import Layout
from convlift.errors import BudgetError, ConvliftError, Diverged
from convlift.evidence.metrics import metric_named
from convlift.evidence.total_gain import one_network
from convlift.ledger.ledger import read_ledger, understood
from convlift.protocols.aa_test import AATest, run_aa
from convlift.protocols.cross_validation import conduct_folds
from convlift.protocols.dry_run import preview as run_preview
from convlift.recipe.built_in import recipe_from
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.records.result import Estimate, Result, Verdict
from convlift.report.narration import environment, result_of
from convlift.report.preview import Preview
from convlift.report.training import Trained, TrainingStory, tell_training, write_training
from convlift.search.allocate import FEWEST_COUNTED

if TYPE_CHECKING:
    from convlift.deploy.predict import Model


class Options(TypedDict, total=False):
    """What `improve` can be told beside the data and the budget.

    out: run folder, by default runs/NAME-HASH, the same for the same question. current: the recipe to be improved: a
    built-in name, a file or a Recipe, by default "plain". backbone, weights: instead of the packaged network. root:
    where the files of a named data set lie. ship: which changes the final recipe takes, see `evidence.posterior.ship`.
    workers: processes of one thread each, by default as many as the cores and the memory that may be used allow. quiet:
    nothing on stderr. metric: what is raised and judged, a name of `evidence.metrics.METRICS`. group_from: which images
    belong together, FILE.csv:COLUMN or a regular expression on their paths; see docs/data.md. priors: a file that
    `learn_priors` wrote, in place of the packaged one. cv: for `improve`, folds of a nested cross-validation, 2 to 10,
    by default none but one sealed test. trainings: how many trainings the campaign has instead of a budget, whatever
    they take: its result is the same on a busy and on an idle machine.
    """

    out: str | Path | None
    current: str | Path | Recipe
    backbone: str | None
    weights: str | None
    root: str | Path | None
    seed: int
    ship: Literal["auto", "lean", "best"]
    workers: int | None
    quiet: bool
    metric: str
    group_from: str | None
    priors: str | Path | None
    layout: Layout
    alpha: Alpha
    follow_links: bool
    cv: int | None
    trainings: int | None


@dataclass(frozen=True)
class Campaign:
    """A finished campaign in its run folder."""

    folder: Path
    result: Result

    @property
    def test_score(self) -> Estimate:
        """Score of the shipped recipe on the sealed test, in [0, 1]; with folds, over all images."""
        return self.result.final

    @property
    def changes(self) -> tuple[Verdict, ...]:
        """What is said of every change."""
        return self.result.verdicts

    @property
    def recipe(self) -> Recipe:
        """The shipped recipe."""
        return load_recipe(self.folder / "model" / "recipe.yaml")

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.folder / REPORT

    @cached_property
    def model(self) -> "Model":
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
    def model(self) -> "Model":
        """The trained network, ready to predict."""
        return load(self.folder)


def improve(data: str | Path, budget: str | None = None, **options: Unpack[Options]) -> Campaign:
    """Make a better network for these images within the budget (20 minutes where nothing is said), and say what each
    change bought.

    data: folder of class folders, folder with train/ and test/, a .npz file in MedMNIST's layout, "digits" or
    "fashion-mnist". The same call continues an interrupted campaign; a finished one is only read.
    Raises DataError, BudgetError, RecipeError, WeightsError, LedgerError; Interrupted after Ctrl-C.
    """
    request = _request(data, budget, options)
    with interruptible() as stop, Progress(quiet=options.get("quiet", False)) as progress:
        if (folds := options.get("cv")) is not None:
            return Campaign(*conduct_folds(request, folds, progress, stop))
        return Campaign(*conduct(request, progress, stop))


def aa(data: str | Path, campaigns: int = 20, budget: str | None = None, **options: Unpack[Options]) -> AATest:
    """The A/A test: campaigns like those of `improve` on these images, in which every change is a placebo.

    What they claim is false, so they say how often a campaign claims what is not so. campaigns: how many; budget: of
    each, by default 30s. out: the folder of all run folders, by default runs/NAME-aa-HASH. The same call continues.
    Raises as `improve` does; Interrupted after Ctrl-C, with what is finished on disk.
    """
    if options.get("cv") is not None:
        raise ConvliftError("the A/A test judges each campaign on one sealed test; leave out cv.")
    request = _request(data, budget, options, "30s")
    with interruptible() as stop, Progress(quiet=options.get("quiet", False)) as progress:
        return run_aa(request, campaigns, progress, stop)


def preview(data: str | Path, budget: str | None = None, **options: Unpack[Options]) -> Preview:
    """What `improve` would do with the same arguments, found without training anything and without a run folder.

    Raises what `improve` raises of the data, the recipe and the weights.
    """
    request = _request(data, budget, options)
    with interruptible() as stop, Progress(quiet=options.get("quiet", False)) as progress:
        return run_preview(request, progress, stop, options.get("cv"))


def _checked_seed(seed: int) -> int:
    """The seed, where torch and numpy take it. Raises ConvliftError."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ConvliftError(f"seed {str(seed)[:40]!r} is no whole number from 0 to {2**63 - 1}; give one, such as 0.")
    return seed


def _request(data: str | Path, budget: str | None, options: Options, usual: str = "20m") -> Request:
    out, root, priors = options.get("out"), options.get("root"), options.get("priors")
    trainings = options.get("trainings")
    if trainings is not None and budget is not None:
        raise BudgetError(
            f"--budget {budget} and --trainings {trainings} are two lengths of one campaign; give one of them."
        )
    if trainings is not None and trainings < FEWEST_COUNTED:
        raise BudgetError(
            f"--trainings {trainings} is too few: a baseline, a search and what ships need at least {FEWEST_COUNTED}."
        )
    return Request(
        data=str(data),
        budget_seconds=parse_duration(budget or usual) if trainings is None else math.inf,
        trainings=trainings or 0,
        current=options.get("current", "plain"),
        out=Path(out) if out else None,
        backbone=options.get("backbone"),
        weights=options.get("weights"),
        root=Path(root) if root else None,
        seed=_checked_seed(options.get("seed", 0)),
        ship=options.get("ship", "auto"),
        workers=options.get("workers") or usable_workers(usable_cpus(), usable_memory()),
        cache=cache_folder(_say(quiet=options.get("quiet", False))),
        metric=options.get("metric", "accuracy"),
        group_from=options.get("group_from"),
        choices=Choices(
            options.get("layout", "auto"), options.get("alpha", "white"), options.get("follow_links", False)
        ),
        priors=Path(priors) if priors else None,
    )


def _say(*, quiet: bool) -> Callable[[str], None]:
    def say(text: str) -> None:
        with Progress(quiet=quiet) as progress:
            progress.say(text)

    return say


def train(
    data: str | Path,
    recipe: str | Path | Recipe = "transfer",
    *,
    out: str | Path | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    quiet: bool = False,
    metric: str = "accuracy",
    group_from: str | None = None,
    layout: Layout = "auto",
    alpha: Alpha = "white",
    follow_links: bool = False,
) -> Training:
    """Train one recipe once: no search, no claim. The test split stays closed; the score is the validation's.

    recipe: a built-in name, a recipe file or a Recipe; out: the run folder, by default runs/NAME-train-HASH, the same
    for the same data, recipe, seed and metric; the rest: as for `improve`. The same training again
    replaces the model; into the folder of another run nothing is trained.
    Raises DataError, RecipeError, WeightsError; Diverged; ConvliftError where the run folder cannot be made or holds
    another run; DiskError, LedgerError.
    """
    with Progress(quiet=quiet) as progress:
        _checked_seed(seed)
        chosen, judged_by, cache = recipe_from(recipe), metric_named(metric), cache_folder(progress.say)
        place = Path(root) if root else None
        choices = Choices(layout, alpha, follow_links)
        dataset, _ = open_data(str(data), place, seed, cache, progress, group_from=group_from, choices=choices)
        chosen = chosen.at(dataset.store.native_resolution)
        question = question_of(dataset, chosen, seed, metric)
        folder = Path(out) if out else folder_of(dataset.name, question)
        with training_folder(folder, question) as is_done:
            if is_done:
                progress.say(
                    f"note: {folder} holds this training already; it is done again and replaces the old model."
                )
            outcome = _train(chosen, seed, dataset, folder, cache, progress)
            validation = dataset.splits.validation
            points = judged_by.points(outcome.validation_probabilities, dataset.labels[validation])
            score = one_network(points / 100.0, dataset.groups_of(validation), lowest=judged_by.lowest)
            scores = {f"{judged_by.title} on {len(validation)} validation images": in_words(score)}
            weights = Path(outcome.weights)
            try:
                with writing_into(folder):
                    write_record(folder, question, score, len(validation), outcome.seconds)
                write_model(folder, weights, chosen, dataset, scores)
            finally:
                weights.unlink(missing_ok=True)
            told = Trained(folder, chosen, dataset, outcome, score, metric, environment(seed, 1))
            with writing_into(folder):
                story = tell_training(told)
                write_training(story)
        return Training(folder, chosen, score, len(validation), outcome.seconds, story, metric)


def _train(recipe: Recipe, seed: int, dataset: Dataset, folder: Path, cache: Path, progress: Progress) -> Outcome:
    """Train once, with the weights left beside the model. Raises Diverged."""
    # torch takes seconds to import, and errors of the data should not wait for it
    from convlift.cost.multiply_adds import cost
    from convlift.model.threads import keep_to
    from convlift.trial.run_trial import run_trial

    keep_to(usable_cpus())
    side = recipe.data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    size = cost(recipe.architecture, classes=len(dataset.classes), channels=dataset.channels, resolution=side)
    check_memory(size.parameters, usable_memory())
    check_space(folder, size.parameters)
    outcome = run_trial(
        TrialSpec(recipe, seed),
        dataset,
        cache,
        lambda epoch: progress.show(
            f"{epoch.phase} epoch {epoch.epoch + 1} of {epoch.epochs}: validation accuracy "
            f"{epoch.validation_accuracy:.4f}, {clock_text((epoch.epochs - epoch.epoch - 1) * epoch.seconds)} left"
        ),
        Limits(save_to=str(folder / ".trained.safetensors")),
    )
    if outcome.status != "finished":
        raise Diverged(outcome.reason)
    return outcome


def load(path: str | Path) -> "Model":
    """The model in a run folder or model folder. Raises ConvliftError where it is missing or damaged."""
    from convlift.deploy.predict import load as load_model

    return load_model(path)


def report(folder: str | Path) -> Campaign:
    """Render a finished campaign's page again. Raises LedgerError where it is not finished."""
    with read_ledger(Path(folder)) as ledger, understood(ledger):
        write_report(ledger)
        return Campaign(Path(folder), result_of(ledger))


def learn_priors(runs: Sequence[str | Path], out: str | Path | None = None) -> Expectations:
    """What finished campaigns lead one to expect of every change, for `improve(priors=...)`; out: the file to write.

    runs: run folders, or the ledger files in them. Raises LedgerError where one holds no finished campaign,
    ConvliftError where the file cannot be written.
    """
    found = gather([Path(run) for run in runs])
    if out is not None:
        write_expectations(found, Path(out))
    return found
