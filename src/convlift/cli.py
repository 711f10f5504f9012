"""The command line: parse, call, print; nothing else."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from convlift.errors import ConvliftError

app = typer.Typer(
    name="convlift",
    help="Make a convolutional image classifier better, and prove what each change bought.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str,
    typer.Argument(help="Folder of class folders, folder with train/ and test/, .npz file, digits or fashion-mnist."),
]
Root = Annotated[Path | None, typer.Option(help="Where the files of a named data set lie.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the split, of every training, of the search.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Backbone = Annotated[str | None, typer.Option(help="timm name of a pretrained network, such as resnet50.")]
Weights = Annotated[str | None, typer.Option(help="File with the backbone's weights (.safetensors, .pt, .pth).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]

NO_RELIABLE_IMPROVEMENT = 4


@app.command(epilog="Example: convlift improve photos/ --budget 20m")
def improve(
    data: Data,
    budget: Annotated[str, typer.Option(help="Wall clock of everything, such as 90s, 20m or 1h30m.")] = "20m",
    current: Annotated[str, typer.Option(help="Recipe to be improved: built-in name or YAML file.")] = "plain",
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME-HASH).")] = None,
    backbone: Backbone = None,
    weights: Weights = None,
    root: Root = None,
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one a core).")] = None,
    ship: Annotated[
        Literal["auto", "lean", "best"],
        typer.Option(
            help="Which changes ship: lean: P(helps) > .6; best: the best guess; "
            "auto: lean from 60 trainings and 2,000 validation images on."
        ),
    ] = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for a better recipe within the budget, judge it once on the sealed test, and write the run folder.

    The same command continues an interrupted campaign. Exit code 4: finished without a reliable improvement.
    """
    from convlift import api
    from convlift.report.document import document
    from convlift.report.terminal import print_result

    campaign = api.improve(
        data,
        budget,
        current=current,
        out=out,
        backbone=backbone,
        weights=weights,
        root=root,
        seed=seed,
        workers=workers,
        ship=ship,
        quiet=quiet,
    )
    if as_json:
        print(json.dumps(document(campaign.result)))
    else:
        print_result(campaign.result, Console())
    if not campaign.result.proven:
        raise typer.Exit(NO_RELIABLE_IMPROVEMENT)


@app.command(epilog="Example: convlift train photos/ --recipe transfer --seed 1")
def train(
    data: Data,
    recipe: Annotated[str, typer.Option(help="Built-in name or YAML file.")] = "transfer",
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME-train-SEED).")] = None,
    backbone: Backbone = None,
    weights: Weights = None,
    root: Root = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train one recipe once and write its model folder. The score is the validation's; the test stays sealed."""
    from convlift import api
    from convlift.conduct import recipe_from
    from convlift.recipes import with_backbone

    chosen = with_backbone(recipe_from(recipe), backbone, weights)
    done = api.train(data, chosen, out=out, seed=seed, root=root, quiet=quiet)
    if as_json:
        score = {"score": done.score.value, "low": done.score.low, "high": done.score.high}
        found = {"schema_version": 1, "run": str(done.folder), "validation": score, "seconds": done.seconds}
        print(json.dumps(found))
    else:
        print(
            f"validation accuracy {done.score.value:.4f} (95% interval {done.score.low:.4f} to {done.score.high:.4f}) "
            f"on {done.images} images, trained in {done.seconds:.0f} s; model in {done.folder / 'model'}"
        )


@app.command(epilog="Example: convlift recipes --show residual")
def recipes(
    show: Annotated[str | None, typer.Option(help="Print this built-in recipe as YAML.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the built-in recipes and every lever of a recipe, with its range, default and source."""
    from convlift.recipe import Recipe
    from convlift.recipes import BUILT_IN, built_in
    from convlift.section import levers

    if show is not None:
        print(built_in(show).to_yaml(), end="")
        return
    if as_json:
        named = {entry.name: {"summary": entry.summary, "recipe": entry.recipe.model_dump()} for entry in BUILT_IN}
        rows = [lever._asdict() for lever in levers(Recipe)]
        print(json.dumps({"schema_version": 1, "recipes": named, "levers": rows}))
        return
    console = Console(highlight=False)
    console.print("Built-in recipes", style="bold")
    for entry in BUILT_IN:
        console.print(Text(entry.name, "cyan"), Padding(Text(entry.summary), (0, 0, 0, 4)))
    console.print("\nLevers: range, default", style="bold")
    for lever in levers(Recipe):
        line = Text.assemble((lever.name, "cyan"), f"  {lever.range}, default {lever.default}")
        console.print(line, Padding(Text(f"{lever.description} [{lever.source}]"), (0, 0, 0, 4)))


@app.command(epilog="Example: convlift predict runs/photos-1a2b3c4d more/*.jpg --json")
def predict(
    model: Annotated[Path, typer.Argument(help="Run folder or model folder.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    as_json: AsJson = False,
) -> None:
    """Name images with a trained model. Unreadable ones are listed, never replaced; then the exit code is 3."""
    from convlift import api
    from convlift.data.items import printable
    from convlift.errors import UnreadableImage

    network = api.load(model)
    found, unreadable = [], []
    for image in images:
        try:
            found += network.predict([image])
        except UnreadableImage as error:
            unreadable.append({"image": str(image), "reason": str(error)})
    if as_json:
        rows = [
            {"image": p.image, "label": p.label, "confidence": p.confidence, "probabilities": p.probabilities}
            for p in found
        ]
        print(json.dumps({"schema_version": 1, "predictions": rows, "unreadable": unreadable}))
    else:
        for prediction in found:
            print(f"{printable(prediction.image)}\t{prediction.label}\t{prediction.confidence:.3f}")
        for image_and_reason in unreadable:
            print(f"convlift: {image_and_reason['reason']}", file=sys.stderr)
    if unreadable:
        raise typer.Exit(3)


@app.command(epilog="Example: convlift report runs/photos-1a2b3c4d")
def report(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished campaign.")],
    as_json: AsJson = False,
) -> None:
    """Show a finished campaign's result again, and render report.html anew."""
    from convlift import api
    from convlift.report.document import document
    from convlift.report.terminal import print_result

    campaign = api.report(run)
    if as_json:
        print(json.dumps(document(campaign.result)))
    else:
        print_result(campaign.result, Console())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; a fault that the user can act on becomes one line on stderr and its exit code.

    arguments: those of the process, unless given.
    """
    try:
        app(arguments)
    except ConvliftError as error:
        print(f"convlift: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("convlift: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
