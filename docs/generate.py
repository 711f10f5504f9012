"""Write docs/reference/ from the code: the commands, the levers, the catalogue of changes.

    python docs/generate.py

tests/test_docs.py fails where what lies there is not what this file would write.
"""

import inspect
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.models import ArgumentInfo, CommandInfo, OptionInfo, ParamMeta
from typer.utils import get_params_from_function

from convlift.catalogue.candidates import CATALOGUE, MOST
from convlift.catalogue.intervention import Intervention
from convlift.catalogue.interventions.architecture import ARCHITECTURE
from convlift.catalogue.interventions.augmentation import AUGMENTATION
from convlift.catalogue.interventions.colour_and_quality import COLOUR_AND_QUALITY
from convlift.catalogue.interventions.data import DATA
from convlift.catalogue.interventions.fine_tuning import FINE_TUNING
from convlift.catalogue.interventions.geometric import GEOMETRIC
from convlift.catalogue.interventions.head import HEAD
from convlift.catalogue.interventions.joint import JOINT
from convlift.catalogue.interventions.mixing import MIXING
from convlift.catalogue.interventions.refinements import REFINEMENTS
from convlift.catalogue.interventions.training import TRAINING
from convlift.catalogue.interventions.weaker import WEAKER
from convlift.cli import app
from convlift.recipe.built_in import BUILT_IN
from convlift.recipe.recipe import Recipe
from convlift.recipe.section import Lever, levers

REFERENCE = Path(__file__).parent / "reference"
WORKED_OUT = re.compile(r" \(default: (.+?)\)")
GENERATED = "<!-- Written by docs/generate.py; change the code, not this page. -->\n"

CHAPTERS = (
    ("Images before any chance: `catalogue/interventions/data.py`", DATA),
    ("Augmentation: `catalogue/interventions/augmentation.py`", AUGMENTATION),
    ("Turns, crops, distortions, erasing and policies: `catalogue/interventions/geometric.py`", GEOMETRIC),
    ("Light, tones, picture quality and weather: `catalogue/interventions/colour_and_quality.py`", COLOUR_AND_QUALITY),
    ("Less augmentation: `catalogue/interventions/weaker.py`", WEAKER),
    ("Images made of two: `catalogue/interventions/mixing.py`", MIXING),
    ("Body of a convnet: `catalogue/interventions/architecture.py`", ARCHITECTURE),
    ("Refinements of a convnet: `catalogue/interventions/refinements.py`", REFINEMENTS),
    ("Head: `catalogue/interventions/head.py`", HEAD),
    ("Training: `catalogue/interventions/training.py`", TRAINING),
    ("Fine-tuning: `catalogue/interventions/fine_tuning.py`", FINE_TUNING),
    ("Joint changes: `catalogue/interventions/joint.py`", JOINT),
)


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    return {
        REFERENCE / "cli.md": commands_page(),
        REFERENCE / "levers.md": levers_page(),
        REFERENCE / "catalogue.md": catalogue_page(),
    }


def commands_page() -> str:
    """All commands with their arguments and options, as `--help` gives them."""
    sections = [
        f"# Commands\n\n{GENERATED}\n{app.info.help}\n\n"
        "`convlift COMMAND --help` says the same in the terminal. Results go to stdout, progress and errors to stderr. "
        "What the exit codes mean stands in the [README](../../README.md#exit-codes).\n"
    ]
    return "\n".join(sections + [_command(command) for command in app.registered_commands])


def _command(command: CommandInfo) -> str:
    callback = command.callback
    assert callback is not None, "every command is a function"
    name = command.name or callback.__name__
    parameters = list(get_params_from_function(callback).values())
    arguments = [each for each in parameters if isinstance(each.default, ArgumentInfo)]
    options = [each for each in parameters if isinstance(each.default, OptionInfo)]
    usage = " ".join(["convlift", name, *map(_placeholder, arguments), "[OPTIONS]" if options else ""]).rstrip()
    rows = [(f"`{_placeholder(each)}`", "", _sentence(each)) for each in arguments]
    rows += [(_spelling(each), _default(each), _sentence(each)) for each in options]
    example = (command.epilog or "").removeprefix("Example: ")
    return (
        f"## convlift {name}\n\n```\n{usage}\n```\n\n{inspect.getdoc(callback)}\n\n"
        f"{_table(('argument or option', 'default', 'meaning'), rows)}\nExample: `{example}`\n"
    )


def _placeholder(parameter: ParamMeta) -> str:
    several = "..." if get_origin(parameter.annotation) is list else ""
    return parameter.name.upper() + several


def _spelling(parameter: ParamMeta) -> str:
    declared = parameter.default.param_decls or (f"--{parameter.name.replace('_', '-')}",)
    value = "" if parameter.annotation is bool else f" {parameter.default.metavar or _kind(parameter.annotation)}"
    return ", ".join(f"`{each}{value}`" for each in declared)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    kinds = [each for each in get_args(annotation) or (annotation,) if each is not type(None)]
    if get_origin(kinds[0]) is Literal:  # one that may be left out
        return _kind(kinds[0])
    return {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "Path": "PATH"}[kinds[0].__name__]


def _default(parameter: ParamMeta) -> str:
    default = parameter.default.default
    if default is None:
        # where the default is worked out, the help says how
        worked_out = WORKED_OUT.search(str(parameter.default.help))
        return worked_out.group(1) if worked_out else ""
    return "" if default is False else f"`{default}`"


def _sentence(parameter: ParamMeta) -> str:
    said = WORKED_OUT.sub("", str(parameter.default.help))
    return f"{said} At least {parameter.default.min}." if parameter.default.min is not None else said


def levers_page() -> str:
    """Every field of a recipe with its range, and what each built-in recipe sets."""
    text = [
        f"# Levers\n\n{GENERATED}\n"
        "Every field of a recipe. `convlift recipes` prints the same; [recipes](../recipes.md) says how to write one.\n"
    ]
    heads = ("lever", "range", "default", "what it does", "source")
    for section, rows in _by_section(list(levers(Recipe))):
        cells = [(f"`{_last(r.name)}`", f"`{r.range}`", f"`{r.default}`", r.description, r.source) for r in rows]
        text.append(f"## {section}\n\n{_table(heads, cells)}")
    text.append("## Built-in recipes\n\nWhat each sets to something other than the default.\n")
    for entry in BUILT_IN:
        values = [
            (f"`{name}`", f"`{value if isinstance(value, str) else json.dumps(value)}`")
            for name, value in _differences(entry.recipe)
        ]
        text.append(f"### {entry.name}\n\n{entry.summary}\n\n{_table(('lever', 'value'), values)}")
    return "\n".join(text)


def _by_section(rows: list[Lever]) -> Iterator[tuple[str, list[Lever]]]:
    """Levers under the heading of their section. Both kinds of architecture share its name, so they are told apart."""
    groups: dict[str, list[Lever]] = {}
    for row in rows:
        section = row.name.rpartition(".")[0]
        if section == "architecture":
            section = f"architecture, kind: {_kind_of(row, groups)}"
        groups.setdefault(section, []).append(row)
    yield from groups.items()


def _kind_of(row: Lever, groups: dict[str, list[Lever]]) -> str:
    # a pretrained network's levers come second and begin with the backbone
    begun = "architecture, kind: pretrained" in groups
    return "pretrained" if begun or _last(row.name) == "backbone" else "convnet"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _differences(recipe: Recipe) -> Iterator[tuple[str, object]]:
    """The levers that differ from the defaults of the recipe's own sections; the kind of network always."""
    network = recipe.architecture
    yield "architecture.kind", network.kind
    plain = Recipe(architecture=type(network)()).model_dump()
    if recipe.training.fine_tuning is not None:
        plain["training"]["fine_tuning"] = type(recipe.training.fine_tuning)().model_dump()
    yield from _leaves(recipe.model_dump(), plain)


def _leaves(new: dict[str, Any], old: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in new.items():
        if isinstance(value, dict):
            yield from _leaves(value, old[name], f"{prefix}{name}.")
        elif value != old[name]:
            yield f"{prefix}{name}", value


def catalogue_page() -> str:
    """Every change that a campaign may try."""
    text = [
        f"# Catalogue of changes\n\n{GENERATED}\n"
        f"The {len(CATALOGUE)} changes that a campaign may try, in the order in which they are applied. A campaign "
        f"tries those that fit its starting point and its images, at most {MOST}; the ledger keeps why the others were "
        "left out.\n\n"
        "- **Expected**: the gain in percentage points that the source leads one to expect, on the careful side. It is "
        "where the belief starts, never a result; see [method](../method.md).\n"
        "- **Published**: the gain that the source, or who is named, reports, in points; empty where no figure was "
        "found, so that the expectation is a default. Most figures are quoted from memory of the papers; those of "
        "Corley et al., Taylor and Nitschke, Ramachandran et al., Tan and Le and Bello et al. were looked up again.\n"
        "- **Factor**: changes with the same factor are levels of it, of which at most one is on. A change with "
        "several moves all of them, and is never on beside another change of one of them.\n"
        "- **For, against**: the symptoms of the first training that raise the expectation, and that lower it.\n"
    ]
    for title, interventions in CHAPTERS:
        rows = [_row(each) for each in interventions]
        heads = ("change", "area", "claim", "source", "for", "against", "expected", "published", "factor", "networks")
        text.append(f"## {title}\n\n{_table(heads, rows)}")
    return "\n".join(text)


def _row(each: Intervention) -> tuple[str, ...]:
    called, warned = (", ".join(symptom.value for symptom in symptoms) for symptoms in (each.helps, each.hurts))
    networks = "any" if len(each.networks) > 1 else each.networks[0]
    expected, factors = f"{each.prior:+g}", ", ".join(each.factors)
    return (each.name, each.area, each.claim, each.source, called, warned, expected, each.reported, factors, networks)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    # a bar would end the cell, even within code
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
