"""The command line: parse, call, print; nothing else."""

import errno
import json
import sys
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from convlift.console.disk import refusal_behind
from convlift.console.extras import fault_of
from convlift.console.options import (
    AdaptBatchNorm,
    AlphaName,
    AsJson,
    Backbone,
    Backbones,
    Columns,
    Data,
    DeviceName,
    FollowLinks,
    GroupFrom,
    ImagesFolder,
    LayoutName,
    MetricName,
    Network,
    Plan,
    Quiet,
    Root,
    Seed,
    Shift,
    Trainings,
    TrustCode,
    ValueRange,
    Weights,
    Workers,
)
from convlift.errors import ConvliftError

if TYPE_CHECKING:
    from convlift.records.result import Result

app = typer.Typer(
    name="convlift",
    help="Make a convolutional image classifier better, and prove what each change bought.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from convlift.records.software import software_version

        print(f"convlift {software_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Make a convolutional image classifier better, and prove what each change bought."""


NO_RELIABLE_IMPROVEMENT = 4


@app.command(epilog="Example: convlift improve photos/ --budget 20m")
def improve(
    data: Data,
    budget: Annotated[
        str | None, typer.Option(help="Wall clock of everything, such as 90s, 20m or 1h30m (default: 20m).")
    ] = None,
    trainings: Trainings = None,
    current: Annotated[str, typer.Option(help="Recipe to be improved: built-in name or YAML file.")] = "plain",
    model: Network = None,
    model_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The weights that you trained --model to (.safetensors, .pt, .pth, .ckpt; of Keras .h5, .keras): what "
            "ships is compared with that network.",
        ),
    ] = None,
    keep_network: Annotated[
        bool, typer.Option("--keep-network", help="Change the recipe, but try no other network than its own.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME-HASH).")] = None,
    backbone: Backbones = None,
    weights: Weights = None,
    root: Root = None,
    seed: Seed = 0,
    workers: Workers = None,
    device: DeviceName = "auto",
    ship: Annotated[
        Literal["auto", "lean", "best"],
        typer.Option(
            help="Which changes ship: lean: P(helps) > .6; best: the best guess; "
            "auto: lean from 60 trainings and 2,000 validation images on."
        ),
    ] = "auto",
    max_latency: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|MILLISECONDS",
            help="What a prediction may take: so many networks' time (from 2 on, several networks may predict "
            "together, and mirror images beside the images), or a time such as 20ms for one image on the device that "
            "trains.",
        ),
    ] = "1",
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Once it was judged, train what ships again on all images, those of the test too, into RUN/model-all: "
            "beyond the budget, about as long as the last trainings took.",
        ),
    ] = False,
    shift: Shift = None,
    shift_data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Class folders of images from another season, camera or place: the score on them too.",
        ),
    ] = None,
    optimize: Annotated[
        Literal["clean", "shifted", "mean"],
        typer.Option(
            help="What every choice goes by: the score on validation images, on corrupted copies of them, or the mean "
            "of both; with --shift or --shift-data."
        ),
    ] = "clean",
    metric: MetricName = "accuracy",
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    priors: Annotated[
        Path | None, typer.Option(help="Expected gains, from `convlift priors` (default: the packaged ones).")
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=10,
            help="2 to 10 folds of a nested cross-validation, 5 where no number is given: every image is tested once, "
            "by one of as many campaigns that share the budget. For data sets under about 1,000 images.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print the plan, the time it takes, what could be proven.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for a better recipe within the budget, judge it once on the sealed test, and write the run folder.

    The same command continues an interrupted campaign. Exit code 4: finished without a reliable improvement.
    """
    from convlift import api
    from convlift.report.documents import plan_document
    from convlift.report.plan import print_preview

    options: dict[str, Any] = {
        "current": current, "model": model, "model_weights": model_weights, "keep_network": keep_network, "out": out,
        "backbone": backbone, "weights": weights, "root": root, "seed": seed,
        "workers": workers, "ship": ship, "metric": metric, "group_from": group_from, "layout": layout, "alpha": alpha,
        "follow_links": follow_links, "columns": columns, "images": images, "priors": priors,
        "trainings": trainings, "device": device, "max_latency": max_latency, "refit": refit, "plan": plan,
        "shift": shift, "shift_data": shift_data, "optimize": optimize, "value_range": value_range,
    }  # fmt: skip
    if dry_run:
        expected = api.preview(data, budget, cv=cv, quiet=quiet, **options)
        if as_json:
            print(json.dumps(plan_document(expected)))
        else:
            print_preview(expected, Console())
        if not expected.is_possible:
            raise typer.Exit(ConvliftError.exit_code)
        return
    campaign = api.improve(data, budget, cv=cv, quiet=quiet, **options)
    _show(campaign.result, as_json)
    if not campaign.result.is_better:
        raise typer.Exit(NO_RELIABLE_IMPROVEMENT)


@app.command(epilog="Example: convlift aa photos/ --campaigns 20 --budget 30s")
def aa(
    data: Data,
    campaigns: Annotated[int, typer.Option(min=1, help="How many campaigns.")] = 20,
    budget: Annotated[
        str | None, typer.Option(help="Wall clock of each campaign, such as 30s or 2m (default: 30s).")
    ] = None,
    trainings: Trainings = None,
    current: Annotated[str, typer.Option(help="Recipe that is left as it is: built-in name or YAML file.")] = "plain",
    model: Network = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run folders (default: runs/NAME-aa-HASH).")] = None,
    root: Root = None,
    seed: Seed = 0,
    workers: Workers = None,
    device: DeviceName = "auto",
    metric: MetricName = "accuracy",
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count how often campaigns claim a gain where there is none: real campaigns in which every change is a placebo.

    Beside it, on the same trainings, what keeping whatever scored higher would have claimed. The same command
    continues an interrupted test.
    """
    from convlift import api
    from convlift.evidence.null_campaigns import plain
    from convlift.report.terminal import print_tally

    found = api.aa(
        data, campaigns, budget, current=current, model=model, out=out, root=root, seed=seed, workers=workers,
        metric=metric, group_from=group_from, plan=plan, layout=layout, alpha=alpha, follow_links=follow_links,
        columns=columns, images=images, trainings=trainings, device=device, value_range=value_range, quiet=quiet,
    )  # fmt: skip
    if as_json:
        print(json.dumps(plain(found.campaigns, found.tally, campaigns)))
    else:
        print_tally(found.tally, Console())
        print(f"run folders and aa.json in {found.folder}")


@app.command(epilog="Example: convlift train photos/ --recipe transfer --seed 1")
def train(
    data: Data,
    recipe: Annotated[str, typer.Option(help="Built-in name or YAML file.")] = "transfer",
    model: Network = None,
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME-train-HASH).")] = None,
    backbone: Backbone = None,
    weights: Weights = None,
    root: Root = None,
    seed: Seed = 0,
    device: DeviceName = "auto",
    metric: MetricName = "accuracy",
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train one recipe once: model, page and diagnosis. The score is the validation's; the test stays sealed."""
    from convlift import api
    from convlift.recipe.built_in import recipe_from, with_backbone
    from convlift.report.documents import training_document
    from convlift.report.training_page import print_training

    chosen = recipe if model else with_backbone(recipe_from(recipe), backbone, weights)
    done = api.train(
        data, chosen, model=model, out=out, seed=seed, root=root, quiet=quiet, metric=metric,
        group_from=group_from, plan=plan, layout=layout, alpha=alpha, follow_links=follow_links,
        columns=columns, images=images, device=device, value_range=value_range,
    )  # fmt: skip
    if as_json:
        print(json.dumps(training_document(done.story)))
    else:
        print_training(done.story, Console())


@app.command(epilog="Example: convlift diagnose photos/ --recipe mine.yaml")
def diagnose(
    data: Data,
    recipe: Annotated[str, typer.Option(help="Built-in name or YAML file.")] = "plain",
    model: Network = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Train nothing: the run folder or model folder of train, diagnose or improve on the same data."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most wall clock of everything, such as 90s or 10m (default: no limit).")
    ] = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Train no second time, to confirm it, where the training accuses a setting of the recipe."
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME-diagnosis-HASH).")] = None,
    backbone: Backbone = None,
    weights: Weights = None,
    root: Root = None,
    seed: Seed = 0,
    device: DeviceName = "auto",
    metric: MetricName = "accuracy",
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train your recipe or network once, as it is, and say what is wrong with it and what to do: no search.

    The test stays sealed: all figures are of training and validation images.
    """
    from convlift import api
    from convlift.deploy.own_code import allow_code
    from convlift.recipe.built_in import recipe_from, with_backbone
    from convlift.report.diagnosis_page import diagnosis_document, print_diagnosis

    if run is not None and trust_code:
        allow_code(run)
    chosen = recipe if model else with_backbone(recipe_from(recipe), backbone, weights)
    done = api.diagnose(
        data, chosen, budget, run=run, once=once, model=model, out=out, seed=seed, root=root, quiet=quiet,
        metric=metric, group_from=group_from, plan=plan, layout=layout, alpha=alpha, follow_links=follow_links,
        columns=columns, images=images, device=device, value_range=value_range,
    )  # fmt: skip
    if as_json:
        print(json.dumps(diagnosis_document(done.story)))
    else:
        print_diagnosis(done.story, Console(highlight=False))


@app.command(epilog="Example: convlift audit photos/ --out photos.html")
def audit(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="The page (default: runs/NAME-audit.html).")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.yaml",
            help="Write a plan of what to do about it, for `convlift review` and `improve --plan`; what was decided in "
            "a plan that lies there stays.",
        ),
    ] = None,
    label_errors: Annotated[
        bool,
        typer.Option(
            help="Have the packaged pretrained network look at labels, outliers and the difference of official parts: "
            "some 20 seconds a thousand images on a core, once."
        ),
    ] = True,
    root: Root = None,
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    device: DeviceName = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look for what is wrong with a data set: copies, labels, groups, odd images, parts that differ.

    Nothing is trained and no file changed. Exit code 0 whatever is found.
    """
    from convlift import api
    from convlift.report.audit_page import audit_document, print_audit, write_audit

    for option, file in (("--out", out), ("--fix", fix)):
        if file is not None and not file.expanduser().parent.is_dir():
            raise ConvliftError(f"{option} {file} lies in a folder that is not there; make {file.parent} first.")
    found = api.audit(
        data, label_errors=label_errors, fix=fix, root=root, group_from=group_from, plan=plan, layout=layout,
        alpha=alpha, follow_links=follow_links, columns=columns, images=images, device=device, value_range=value_range,
        quiet=quiet,
    )  # fmt: skip
    page = write_audit(found, out or Path("runs") / f"{found.data}-audit.html")
    if as_json:
        print(json.dumps(audit_document(found)))
    else:
        print_audit(found, page, Console(highlight=False), fix)


@app.command(epilog="Example: convlift review plan.yaml")
def review(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="What `convlift audit --fix` wrote.")],
    data: Annotated[str | None, typer.Option(help="Where the images lie, if not where they were audited.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 for any that is free.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Decide on a plan entry by entry, on a page of this machine: A accepts, R rejects, U takes back, arrows walk.

    Every decision is in the file at once; Ctrl-C ends it, and the same command goes on. Nobody else can reach the page.
    """
    from convlift import api
    from convlift.report.review_page import review_line, reviewed_line

    def tell(address: str) -> None:
        print(f"convlift: {review_line(address)}", file=sys.stderr, flush=True)

    print(reviewed_line(api.review(plan, data, port, tell, quiet=quiet)))


@app.command(epilog="Example: convlift preview photos/ --recipe mine.yaml --out seen.html")
def preview(
    data: Data,
    recipe: Annotated[str, typer.Option(help="Built-in name or YAML file.")] = "fine-tune",
    model: Network = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page (.html), or one picture (.png).")] = Path(
        "preview.html"
    ),
    root: Root = None,
    seed: Seed = 0,
    plan: Plan = None,
    layout: LayoutName = "auto",
    alpha: AlphaName = "white",
    value_range: ValueRange = "bits",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    quiet: Quiet = False,
) -> None:
    """Show what a recipe's network sees: some training images, and beside each what its augmentation makes of it.

    What was drawn stands under every picture. Nothing is trained, and the test stays sealed.
    """
    from convlift import api
    from convlift.report.contact_sheet_page import check_sheet_file, sheet_sentence, write_sheet

    check_sheet_file(out)
    sheet = api.contact_sheet(
        data, recipe, model=model, root=root, seed=seed, plan=plan, layout=layout, alpha=alpha,
        follow_links=follow_links, columns=columns, images=images, value_range=value_range, quiet=quiet,
    )  # fmt: skip
    print(sheet_sentence(sheet, write_sheet(sheet, out)))


@app.command(epilog="Example: convlift recipes --show residual")
def recipes(
    show: Annotated[str | None, typer.Option(help="Print this built-in recipe as YAML.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the built-in recipes and every lever of a recipe, with its range, default and source."""
    from convlift.recipe.built_in import built_in
    from convlift.report.recipe_list import print_recipes, recipes_document

    if show is not None:
        chosen = built_in(show)
        print(
            json.dumps({"schema_version": 1, "recipe": chosen.model_dump()}) if as_json else chosen.to_yaml().rstrip()
        )
        return
    if as_json:
        print(json.dumps(recipes_document()))
    else:
        print_recipes(Console(highlight=False))


@app.command(epilog="Example: convlift predict runs/photos-1a2b3c4d more/ --csv > answers.csv")
def predict(
    model: Annotated[Path, typer.Argument(help="Run folder or model folder.")],
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image files, folders (searched to the bottom), patterns, or - for a list or an image on stdin."
        ),
    ],
    device: DeviceName = "auto",
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row an image, with every class's probability.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many classes of each image, the most probable first.")] = 1,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write every image beside a heat map of what speaks for its label, and a page of all.",
        ),
    ] = None,
    adapt_batch_norm: AdaptBatchNorm = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Classify images with a trained model: one line an image, with the label and its probability.

    `unlike: true` marks an image unlike those of training, whose label may mean nothing; of images of the same kind,
    one in a hundred is marked. Unreadable ones are listed, never replaced; then the exit code is 3.
    """
    from convlift import use
    from convlift.deploy.print_predictions import Style, print_predictions

    if as_json and as_csv:
        raise ConvliftError("--json and --csv exclude one another; leave one out.")
    if as_csv and top > 1:
        raise ConvliftError("--csv has every class's probability already; leave out --top.")
    style = Style.JSON if as_json else Style.CSV if as_csv else Style.LINES
    loaded, page = use.load(model, device, trust_code=trust_code), None
    if adapt_batch_norm is not None:
        from convlift.deploy.adapt_to_named import adapt_to_named

        adapt_to_named(str(model), loaded, images, adapt_batch_norm)
    if explain is not None:
        from convlift.report.heat_map_page import HeatMapPage

        page = HeatMapPage(explain) if loaded.places else None
    try:
        watch = page.add if page else None
        unreadable = print_predictions(loaded, images, style, top=top, watch=watch, quiet=quiet)
    finally:
        if page:
            page.close()
    if unreadable:
        raise typer.Exit(3)


@app.command(epilog="Example: convlift evaluate runs/photos-1a2b3c4d new-photos/ --csv answers.csv")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Run folder or model folder.")],
    data: Data,
    part: Annotated[
        Literal["test", "validation", "train", "all"] | None,
        typer.Option(help="Which official part of the data (default: the test part, or all where there is none)."),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another model, to be compared with on the same images.")] = None,
    metric: Annotated[
        Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "auroc", "kappa"] | None,
        typer.Option(help="Score that two models are compared by (default: accuracy)."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Class whose thresholds are reported, with their sensitivity and specificity (default: the second of "
            "two).",
        ),
    ] = None,
    shift: Shift = None,
    adapt_batch_norm: AdaptBatchNorm = None,
    root: Root = None,
    group_from: GroupFrom = None,
    plan: Plan = None,
    layout: LayoutName = "auto",
    follow_links: FollowLinks = False,
    columns: Columns = None,
    images: ImagesFolder = None,
    device: DeviceName = "auto",
    page: Annotated[
        Path | None,
        typer.Option("--report", help="Write a page with reliability plot, ROC curves and mistakes to this HTML file."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--csv", help="Write a row an image to this file, the surest mistakes first.")
    ] = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a model on labelled images: every metric with its interval, classes, calibration, and beside another model.

    Exit code 3: some images cannot be read; they are listed and count nowhere.
    """
    from convlift import use
    from convlift.console.atomic import write_text
    from convlift.report.evaluation_lines import evaluation_csv, evaluation_document, print_evaluation

    for option, file in (("--csv", answers), ("--report", page)):
        if file is not None and not file.parent.is_dir():
            raise ConvliftError(f"{option} {file} lies in a folder that is not there; make {file.parent} first.")
    found = use.evaluate(
        model, data, part=part, against=against, positive=positive, metric=metric, root=root, group_from=group_from,
        plan=plan, layout=layout, follow_links=follow_links, columns=columns, images=images, device=device,
        shift=shift, adapt_batch_norm=adapt_batch_norm, trust_code=trust_code, quiet=quiet,
    )  # fmt: skip
    if as_json:
        print(json.dumps(evaluation_document(found)))
    else:
        print_evaluation(found, Console(highlight=False))
    if answers is not None:
        write_text(answers, evaluation_csv(found))
    if page is not None:
        from convlift.report.evaluation_page import render_evaluation

        write_text(page, render_evaluation(found))
    for sentence in found.unreadable:
        print(f"convlift: {sentence}", file=sys.stderr)
    if found.unreadable:
        raise typer.Exit(3)


@app.command(epilog="Example: convlift export runs/photos-1a2b3c4d --images photos/")
def export(
    model: Annotated[Path, typer.Argument(help="Run folder or model folder.")],
    out: Annotated[Path | None, typer.Option(help="The file (default: model.onnx beside the weights).")] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="Images, or a folder, to check the file on (default: made-up ones); repeatable."
        ),
    ] = None,
    format: Annotated[
        Literal["onnx", "torch-export"],
        typer.Option(help="onnx, or torch-export: a program for PyTorch, which takes images that are resized already."),
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(
            help="Of an ONNX file. int8 needs 400 images or more with --images, such as the model has not learned "
            "from, and is written only where they show that it costs less than a point."
        ),
    ] = "float32",
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Write a model as one ONNX file: uint8 images of any size in, probabilities out, the preprocessing inside.

    It is written only where it predicts what convlift predicts. Needs: pip install 'convlift\\[export]'.
    """
    from convlift import use
    from convlift.report.export_lines import exported_document, exported_sentence

    done = use.export(model, out, images or [], format=format, precision=precision, trust_code=trust_code)
    print(json.dumps(exported_document(done)) if as_json else exported_sentence(done))


@app.command(epilog="Example: convlift serve runs/photos-1a2b3c4d --port 8080")
def serve(
    model: Annotated[Path, typer.Argument(help="Run folder or model folder.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines come.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8000,
    max_megabytes: Annotated[float, typer.Option(help="Most of a request's body, in 10^6 bytes.")] = 20.0,
    max_megapixels: Annotated[float, typer.Option(help="Most of an image, in 10^6 pixels; 64 at most.")] = 25.0,
    max_images: Annotated[int, typer.Option(min=1, help="Most of one request.")] = 32,
    max_seconds: Annotated[float, typer.Option(help="Most that an upload may take, and its answer again.")] = 30.0,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Most requests inside at a time; a further one is told to come again (503).")
    ] = 32,
    decoders: Annotated[
        int, typer.Option(min=0, help="Processes that decode, one image at a time each (default: 0, one a core).")
    ] = 0,
    device: DeviceName = "auto",
    trust_code: TrustCode = False,
) -> None:
    """Answer over HTTP: a page to drop an image on, /predict, /predict/batch, /model, /health, /metrics.

    Only this machine can reach it unless --host says otherwise. Needs: pip install 'convlift\\[serve]'.
    """
    from convlift import use

    use.serve(
        model, host, port, lambda line: print(f"convlift: {line}", file=sys.stderr, flush=True), device=device,
        trust_code=trust_code, megabytes=max_megabytes, megapixels=max_megapixels, images=max_images,
        seconds=max_seconds, waiting=max_waiting, decoders=decoders,
    )  # fmt: skip


@app.command(epilog="Example: convlift report runs/photos-1a2b3c4d")
def report(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished campaign.")],
    as_json: AsJson = False,
) -> None:
    """Show a finished campaign's result again, and render report.html anew."""
    from convlift import api

    _show(api.report(run).result, as_json)


@app.command(epilog="Example: convlift salvage runs/photos-1a2b3c4d --out runs/photos-saved")
def salvage(
    run: Annotated[Path, typer.Argument(help="Run folder with a damaged ledger; it is only read.")],
    out: Annotated[Path, typer.Option(help="New run folder.")],
    as_json: AsJson = False,
) -> None:
    """Save what is whole of a damaged run folder into a new one, and list what is lost.

    `convlift improve` with --out and the new folder goes on there.
    """
    from convlift.ledger.salvage import salvage as save

    saved = save(run, out)
    if as_json:
        print(json.dumps({"schema_version": 1, **saved._asdict(), "folder": str(saved.folder)}))
        return
    print(f"saved {saved.trials} trials, {saved.ended} of them with their outcome, into {saved.folder}")
    for lost in saved.lost:
        print(f"lost: {lost}")


@app.command(epilog="Example: convlift priors runs/photos-1a2b3c4d runs/leaves-5e6f7a8b --out priors.json")
def priors(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of finished campaigns, or their ledger files.")],
    out: Annotated[Path | None, typer.Option(help="Write the priors file that improve --priors reads.")] = None,
    as_json: AsJson = False,
) -> None:
    """Learn from finished campaigns what to expect of each change, beside what its source reports."""
    from convlift import api
    from convlift.catalogue.priors import document
    from convlift.report.terminal import print_expectations

    found = api.learn_priors(runs, out)
    if as_json:
        print(json.dumps(document(found)))
    else:
        print_expectations(found, Console())


def with_folds(arguments: list[str]) -> list[str]:
    """The arguments with the usual number of folds after a bare --cv; typer knows no option that may go without one."""
    found = list(arguments)
    if "--cv" in found:
        from convlift.evidence.power import USUAL_FOLDS

        after = found.index("--cv") + 1
        if not found[after : after + 1] or not found[after].isdigit():
            found.insert(after, str(USUAL_FOLDS))
    return found


def _show(result: "Result", as_json: bool) -> None:
    from convlift.report.documents import result_document
    from convlift.report.terminal import print_result

    if as_json:
        print(json.dumps(result_document(result)))
    else:
        print_result(result, Console())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; a fault that the user can act on becomes one line on stderr and its exit code.

    arguments: those of the process, unless given.
    """
    sys.stdout, sys.stderr = sys.stdout or StringIO(), sys.stderr or StringIO()  # None where they were closed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name that the terminal cannot show is escaped, not a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app(with_folds(sys.argv[1:] if arguments is None else arguments))
        except ModuleNotFoundError as error:
            raise fault_of(error) from error
        finally:
            sys.stdout.flush()
    except (OSError, ConvliftError) as error:
        refusal = refusal_behind(error)  # a full disk, whoever met it
        fault = refusal or error
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # of whatever option
            fault = ConvliftError(f"no path is as long as '{str(error.filename)[:40]}...'; check the command.")
        if not isinstance(fault, ConvliftError):
            raise
        if refusal:
            sys.stdout = StringIO()  # or Python would fail once more while it ends
        print(f"convlift: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)
    except KeyboardInterrupt:
        print("convlift: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
