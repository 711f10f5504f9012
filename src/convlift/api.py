"""What people call to make a model: `improve`, `train`, `report`. The command line only parses, calls these and what
stands in `use`, and prints."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from convlift.campaign.audit_data import Audited, audit_data
from convlift.campaign.diagnose_training import diagnose_finished, diagnose_training
from convlift.campaign.dry_run import Preview
from convlift.campaign.dry_run import preview as preview_campaign
from convlift.campaign.learn_priors import gather, write_expectations
from convlift.campaign.look_at_augmentation import look_at_augmentation
from convlift.campaign.look_at_plan import look_at_plan
from convlift.campaign.propose_plan import leave_plan
from convlift.campaign.request import OPTIONS, READING_OPTIONS, TRAINING_OPTIONS, Request, request_of
from convlift.campaign.run import run_campaign
from convlift.campaign.session import Session
from convlift.campaign.train_once import train_once
from convlift.catalogue.priors import Expectations
from convlift.console.cache_folder import cache_folder
from convlift.console.interrupt import interruptible
from convlift.console.known_options import check_options
from convlift.console.progress import Progress
from convlift.data.revised import load_plan
from convlift.errors import ConvliftError, Interrupted
from convlift.handles import Campaign, Diagnosis, Training
from convlift.ledger.ledger import read_ledger, understood
from convlift.model.source_loader import refuse_while_loading
from convlift.protocols.aa_test import AATest, run_aa
from convlift.protocols.cross_validation import run_folds
from convlift.protocols.plan_of_folds import preview_folds
from convlift.recipe.recipe import Recipe
from convlift.records.contact_sheet import Sheet
from convlift.records.data_plan import DataPlan
from convlift.report.audit_page import write_audit
from convlift.report.diagnosis_page import tell_diagnosis, write_diagnosis
from convlift.report.live import Live
from convlift.report.summary import tell_training
from convlift.report.training_page import write_training
from convlift.report.write import write_report, write_when_told
from convlift.review.loopback import serve_review
from convlift.search.result_in_ledger import result_of


def improve(
    data: object, budget: str | None = None, *, cv: int | None = None, quiet: bool = False, **options: Any
) -> Campaign:
    """Make a better network for these images within the budget (20 minutes where nothing is said), and say what each
    change bought.

    data: folder of class folders, table of paths and labels, .zip or .tar archive, .npz file in MedMNIST's layout,
    "digits" or "fashion-mnist"; or a data set in memory: pairs of image and label as torchvision has them, a tuple
    (images, labels), a data set of Hugging Face, or a dictionary of these by part.
    cv: folds of a nested cross-validation, 2 to 10, instead of one sealed test. quiet: nothing on stderr. options:
    fields of `campaign.request.Request`, such as current, out, seed, metric or trainings.
    The same call continues an interrupted campaign; a finished one is only read.
    Raises DataError, BudgetError, RecipeError, WeightsError, LedgerError; Interrupted after Ctrl-C.
    """
    with _at_work(quiet) as (session, cache):
        check_options(options, OPTIONS)
        request = request_of(data, budget, cache, **options)
        _check_folds(request, cv)
        return Campaign(*(run_campaign(request, session) if cv is None else run_folds(request, cv, session)))


def aa(data: object, campaigns: int = 20, budget: str | None = None, *, quiet: bool = False, **options: Any) -> AATest:
    """The A/A test: campaigns like those of `improve` on these images, in which every change is a placebo.

    What they claim of recipes is false, so they say how often a campaign claims what is not so. campaigns: how many;
    budget: of each, by default 30s. out: the folder of all run folders, by default runs/NAME-aa-HASH. The same call
    continues.
    Raises as `improve` does; Interrupted after Ctrl-C, with what is finished on disk.
    """
    if options.pop("cv", None) is not None:
        raise ConvliftError("the A/A test judges each campaign on one sealed test; leave out cv.")
    if options.pop("model_weights", None) is not None:
        raise ConvliftError("the A/A test compares trainings of one recipe; leave out model_weights.")
    if options.pop("refit", False):
        raise ConvliftError("nobody deploys a network of the A/A test; leave out refit.")
    if options.pop("shift", None) is not None or options.pop("shift_data", None) is not None:
        raise ConvliftError("the A/A test counts claims on clean images; leave out shift and shift_data.")
    if options.get("optimize") not in (None, "clean"):
        raise ConvliftError("the A/A test counts claims on clean images; leave out optimize.")
    with _at_work(quiet) as (session, cache):
        check_options(options, OPTIONS)
        return run_aa(request_of(data, budget, cache, usual="30s", **options), campaigns, session)


def preview(
    data: object, budget: str | None = None, *, cv: int | None = None, quiet: bool = False, **options: Any
) -> Preview:
    """What `improve` would do with the same arguments, found without training anything and without a run folder.

    Raises what `improve` raises of the data, the recipe and the weights.
    """
    with _at_work(quiet) as (session, cache):
        check_options(options, OPTIONS)
        request = request_of(data, budget, cache, **options)
        _check_folds(request, cv)
        return preview_campaign(request, session) if cv is None else preview_folds(request, cv, session)


def train(data: object, recipe: str | Path | Recipe = "transfer", *, quiet: bool = False, **options: Any) -> Training:
    """Train one recipe once: no search, no claim. The test split stays closed; the score is the validation's.

    recipe: a built-in name, a recipe file, a Recipe, or a function or class that makes a network of your own; model:
    the same as text, FILE.py:NAME or PACKAGE.MODULE:NAME, to be trained as the recipe says; out: the run folder, by
    default runs/NAME-train-HASH, the same for the same data, recipe, seed and metric; seed, root, metric, group_from,
    layout, alpha, value_range, follow_links, columns, images, device: as for `improve`. The same training again
    replaces the model; into the folder of another run nothing is trained.
    Raises DataError, RecipeError, WeightsError; Diverged; ConvliftError where the run folder cannot be made or holds
    another run; DiskError, LedgerError.
    """
    with _at_work(quiet, stops=False) as (session, cache):
        check_options(options, TRAINING_OPTIONS)
        with train_once(request_of(data, None, cache, current=recipe, **options), session) as done:
            story = tell_training(done)
            write_training(story)
    return Training(done.run, done.recipe, done.score, story.images, done.outcome.seconds, story, done.metric)


def contact_sheet(
    data: object, recipe: str | Path | Recipe = "fine-tune", *, quiet: bool = False, **options: Any
) -> Sheet:
    """Some training images beside what a recipe's augmentation makes of them; nothing is trained.

    recipe, and options: as for `train`. Raises DataError, RecipeError.
    """
    with _at_work(quiet) as (session, cache):
        check_options(options, TRAINING_OPTIONS)
        return look_at_augmentation(request_of(data, None, cache, current=recipe, **options), session)


def diagnose(
    data: object,
    recipe: str | Path | Recipe = "plain",
    budget: str | None = None,
    *,
    run: str | Path | None = None,
    once: bool = False,
    quiet: bool = False,
    **options: Any,
) -> Diagnosis:
    """Train a recipe once, as it is, and say what is wrong with it and what to do. The test stays closed.

    recipe, and options: as for `train`. budget: the most that all of it may take, such as "5m". once: train no second
    time where the training accuses a setting of the recipe. run: instead of training anything, the run folder or model
    folder of an earlier training, diagnose or campaign, on the same data.
    Raises as `train` does, but of a training that diverges, which is diagnosed too; Interrupted after Ctrl-C.
    """
    with _at_work(quiet) as (session, cache):
        check_options(options, TRAINING_OPTIONS)
        request = request_of(data, budget, cache, current=recipe, **options)
        if budget is None:
            request = replace(request, budget_seconds=math.inf)
        at_work = (
            diagnose_training(request, session, once=once)
            if run is None
            else diagnose_finished(Path(run), request, session)
        )
        with at_work as done:
            story = tell_diagnosis(done)
            page = write_diagnosis(story)
        if done.is_stopped:
            raise Interrupted(f"stopped; {page} says what was seen until then.", session.stop())
    return Diagnosis(done.trained.run, story.headline, story.checks, story.todo, page, story)


def audit(
    data: object,
    out: str | Path | None = None,
    *,
    fix: str | Path | None = None,
    label_errors: bool = True,
    quiet: bool = False,
    **options: Any,
) -> Audited:
    """What is wrong with a data set: copies, labels, groups, odd images, parts that differ. Nothing is trained.

    out: a page to be written. fix: a file for a plan of what to do about it, to be decided on (`convlift review`, or by
    hand) and given to `improve` as plan; decisions in a plan that lies there stay. label_errors: whether a pretrained
    network looks too, at labels, outliers and parts. options: root, group_from, plan, layout, alpha, value_range,
    follow_links, columns, images, device, as for `improve`. Raises DataError, ConvliftError.
    """
    if fix is not None and options.get("plan") is not None:
        raise ConvliftError("a plan is made of the data as they lie there; leave out --plan or --fix.")
    if fix is not None and Path(fix).expanduser().exists():
        load_plan(Path(fix))  # a fault in it is said before minutes are spent
    with _at_work(quiet) as (session, cache):
        check_options(options, READING_OPTIONS)
        request = request_of(data, None, cache, **options)
        found = audit_data(request, session, label_errors=label_errors, with_plan=fix is not None)
        if fix is not None and found.plan is not None:
            found = replace(found, plan=leave_plan(Path(fix), found.plan))
        if out is not None:
            write_audit(found, Path(out))
    return found


def review(
    plan: str | Path,
    data: object = None,
    port: int = 0,
    tell: Callable[[str], None] = lambda address: None,
    *,
    quiet: bool = False,
) -> DataPlan:
    """A page on this machine to decide on a plan of `audit` entry by entry, until Ctrl-C; the plan as it is then.

    data: where the images lie now, if not where they were audited. port: 0 for any that is free. tell: is given the
    page's address, which nobody else knows. Raises ConvliftError where the plan is for other data or cannot be read.
    """
    with _at_work(quiet, stops=False) as (session, cache):
        looked = look_at_plan(Path(plan), data, cache, session)
    return load_plan(serve_review(looked, port, tell))


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


def _check_folds(request: Request, cv: int | None) -> None:
    if request.model_weights is not None and cv is not None:
        raise ConvliftError(
            "--cv compares recipes that are trained anew in every fold; leave out --model-weights, or --cv."
        )
    if (request.shift or request.shift_data) and cv is not None:
        raise ConvliftError(
            "--cv compares recipes that are trained anew in every fold, and --shift two networks; leave one out."
        )
    if request.refit and cv is not None:
        raise ConvliftError("--cv ends with a training on all images as it is; leave out --refit.")


@contextmanager
def _at_work(quiet: bool, *, stops: bool = True) -> Iterator[tuple[Session, Path]]:
    """A session that tells the terminal and has its documents written, and the cache folder. stops: whether Ctrl-C asks
    it to stop, rather than ending it."""
    refuse_while_loading()
    with Progress(quiet=quiet) as progress:
        listen = write_when_told(Live(progress))
        if stops:
            with interruptible() as stop:
                yield Session(listen, stop), cache_folder(listen)
        else:
            yield Session(listen), cache_folder(listen)
