"""The options that several commands share, each with its help text."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    str,
    typer.Argument(
        help="Folder of class folders, table of paths and labels (.csv, .tsv, .parquet), archive (.zip, .tar), .npz "
        "file, digits or fashion-mnist."
    ),
]
Root = Annotated[Path | None, typer.Option(help="Where the files of a named data set lie.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the split, of every training, of the search.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Backbone = Annotated[str | None, typer.Option(help="timm name of a pretrained network, such as resnet50.")]
Backbones = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="timm name of a pretrained network, such as resnet50; of several, with commas between them, each is a "
        "starting point.",
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:NAME",
        help="Your own network: a function or class, of a Python file or as PACKAGE.MODULE:NAME, that makes a torch "
        "module or a Keras model, given the number of classes if it takes one; or a .keras file. Its code runs here "
        "and in the workers. It is trained as the recipe says, or by Adam at .001 for 10 epochs.",
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Let the Python code of the model's own network run, if it never ran here."),
]
Weights = Annotated[str | None, typer.Option(help="File with the backbone's weights (.safetensors, .pt, .pth).")]
MetricName = Annotated[
    Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "auroc", "kappa"],
    typer.Option("--metric", help="Score to be raised and judged."),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="Which images belong together (patient, camera, day): FILE.csv:COLUMN, or a regular expression on the "
        "path with one capture group. No split cuts a group."
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="PLAN.yaml",
        help="What `convlift audit --fix` proposed and you accepted: images that are left out, kept together or given "
        "another class. No file of the data is changed.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]

Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes (default: one a core, or up to four a GPU).")
]

DeviceName = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where networks run: auto (the GPUs that torch sees, else the CPU), cpu, cuda, cuda:N (one GPU) or mps.",
    ),
]

Trainings = Annotated[
    int | None,
    typer.Option(
        help="Instead of a budget: so many trainings of baseline, search and shipped recipe, at least 4, however long "
        "they take. The result is the same on a busy and on an idle machine, with few workers and with many."
    ),
]

LayoutName = Annotated[
    Literal["auto", "class", "folder/class"],
    typer.Option("--layout", help="Which folders are the classes, where a folder can be read in two ways."),
]
AlphaName = Annotated[
    Literal["white", "black", "ignore"],
    typer.Option("--alpha", help="What transparent pixels are laid on, or whether transparency is ignored."),
]
ValueRange = Annotated[
    str,
    typer.Option(
        "--value-range",
        metavar="bits|percentiles|LOW:HIGH",
        help="Which values of more than 8 bits become 0 and 255: 0 and the fewest whole bits that hold all of them; "
        "their 2nd and 98th percentile, of each band; two values; or other percentiles, such as 0.5%:99.5%.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="path=COLUMN,label=COLUMN",
        help="Of a table, where its columns have no usual names: which one is path, label, split or group; group= uses "
        "none.",
    ),
]
ImagesFolder = Annotated[
    Path | None, typer.Option("--images", help="Folder that the paths of a table lead from (default: the table's own).")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow links that lead out of the folder.")]
Shift = Annotated[
    str | None,
    typer.Option(
        "--shift",
        metavar="NAMES|all",
        help="Corruptions, with commas between them, or all fifteen of Hendrycks and Dietterich 2019: the score on "
        "corrupted copies of the test images too.",
    ),
]
AdaptBatchNorm = Annotated[
    int | None,
    typer.Option(
        "--adapt-batch-norm",
        min=0,
        metavar="NUMBER",
        help="Estimate the statistics of batch norms anew from these images, up to 256 of them, without their labels; "
        "those of training count as so many images (16 is usual).",
    ),
]
