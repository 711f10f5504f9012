"""The documentation says what the code does: pages are fresh, links lead somewhere, examples exist."""

import ast
import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml
from typer.models import OptionInfo
from typer.utils import get_params_from_function

import convlift
from convlift.audit import findings
from convlift.catalogue.candidates import CATALOGUE
from convlift.cli import app
from convlift.data import splits
from convlift.evidence import changes_per_trial, posterior, spike_and_slab, verdicts
from convlift.evidence.power import baseline_and_final_runs, minimum_detectable_points
from convlift.recipe.built_in import BUILT_IN
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.recipe.section import levers
from convlift.recipe.training import STEP
from convlift.search import allocate, low_fidelity, space
from convlift.search import augmentation_guard as guard

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [text for named, text in FENCE.findall(page.read_text(encoding="utf-8")) if named == language]


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", GENERATED, ids=name_of)
def test_generated_pages_are_fresh(page):
    assert page.read_text(encoding="utf-8") == GENERATED[page], "stale: run `make docs`"


def test_every_command_every_lever_and_every_change_is_documented():
    reference = {page.name: text for page, text in GENERATED.items()}
    for command in app.registered_commands:
        assert f"## convlift {command.callback.__name__}\n" in reference["cli.md"]
    for lever in levers(Recipe):
        written = lever.range.replace("|", "\\|")
        row = f"| `{lever.name.rpartition('.')[2]}` | `{written}` | `{lever.default}` | {lever.description} |"
        assert row in reference["levers.md"], lever.name
    for entry in BUILT_IN:
        assert f"### {entry.name}\n" in reference["levers.md"]
    for intervention in CATALOGUE:
        assert f"| {intervention.name} | {intervention.area} | {intervention.claim} |" in reference["catalogue.md"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_can_be_found(page):
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
    assert page in linked | {index}


def options_of(command: str) -> set[str]:
    """Every spelling of every option. Raises StopIteration where there is no such command."""
    callback = next(each.callback for each in app.registered_commands if each.callback.__name__ == command)
    spelled = {"--help"}
    for name, parameter in get_params_from_function(callback).items():
        if isinstance(parameter.default, OptionInfo):
            spelled |= set(parameter.default.param_decls or [f"--{name.replace('_', '-')}"])
            if parameter.default.default is True:  # a switch that is on: typer adds the one that turns it off
                spelled.add(f"--no-{name.replace('_', '-')}")
    return spelled


def command_lines(page: Path) -> list[str]:
    """Lines of unnamed blocks, and code within sentences."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [line.partition("  #")[0] for line in lines + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_page_exists(page):
    names = {each.callback.__name__ for each in app.registered_commands}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in command_lines(page):
        words = shlex.split(line.replace("[OPTIONS]", ""), posix=False)
        if words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile, line
        if words[:1] == ["convlift"] and len(words) > 1 and not words[1].startswith("-") and words[1] != "COMMAND":
            assert words[1] in names, line
            assert {word for word in words[2:] if word.startswith("-")} <= options_of(words[1]), line


def test_every_recipe_in_a_page_is_one():
    found = [block for page in PAGES for block in blocks(page, "yaml")]
    assert found
    for block in found:
        parse_recipe(yaml.safe_load(block))


def test_python_in_a_page_compiles_and_names_what_exists():
    for page in PAGES:
        for block in blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "convlift":
                    assert node.attr in convlift.__all__, f"{name_of(page)}: convlift.{node.attr}"


def quoted() -> list[tuple[str, str]]:
    """What pages say of figures that are set in the code."""
    shares = f"{100 * splits.SEALED_SHARE:g}% of the images"
    arms = [baseline_and_final_runs(trainings) for trainings in (9, 39, 69, 99, 100)]
    least = [[minimum_detectable_points(n, *both) for both in ((2, 2), (5, 2), (5, 6))] for n in (200, 600, 1000, 5000)]
    lean = f"from {posterior.LEAN_RUNS} trainings and {posterior.LEAN_IMAGES:,} validation images on"
    return [
        ("docs/method.md", f"counts as {space.WORST_POINTS:g} points below the median"),
        ("docs/decisions/0005-collapsed-runs.md", f"counts as {space.WORST_POINTS:g} points below the median"),
        ("docs/method.md", f"kappa ~ N({spike_and_slab.KAPPA:g}, {spike_and_slab.KAPPA_SD:g}^2)"),
        (
            "docs/method.md",
            f"v ~ scaled inverse chi^2({spike_and_slab.LOW_FIDELITY_DF:g}, {spike_and_slab.LOW_FIDELITY_SD:g}^2)",
        ),
        ("docs/decisions/0012-cheap-tier.md", f"by at most {low_fidelity.MOST} trainings"),
        ("docs/decisions/0006-pilots-and-finals.md", f"as many as {100 * allocate.BASELINE_SHARE:g}% of the trainings"),
        ("docs/decisions/0006-pilots-and-finals.md", f"pay for, at most {allocate.MOST_BASELINE_RUNS}"),
        ("docs/decisions/0006-pilots-and-finals.md", f"at most {100 * allocate.DEAR_SHARE:g}% of the trainings"),
        ("docs/decisions/0007-lean-or-best.md", lean),
        ("docs/decisions/0009-optimizer-ratios.md", "| " + " | ".join(f"{ratio:g}" for ratio in STEP.values()) + " |"),
        ("docs/method.md", "| P, S | " + " | ".join(f"{p}, {s}" for p, s in arms) + " |"),
        ("docs/method.md", f"{changes_per_trial.MOST_ON} changes"),
        ("docs/method.md", f"lose {changes_per_trial.BEARABLE_POINTS:g} points at most"),
        ("docs/method.md", f"a score to {changes_per_trial.KNOWN_TO:g} points"),
        (
            "docs/method.md",
            f"m is {spike_and_slab.SLAB_MEAN:g}, and 0 for lists of up to {spike_and_slab.SHORT_LIST} changes",
        ),
        (
            "docs/method.md",
            f"lose over {-posterior.HARMFUL_POOL:g} points on average, each counted as {posterior.COUNTED:g}",
        ),
        ("docs/method.md", f"worth {posterior.POINTS_PER_TRAINING:g} point"),
        ("docs/method.md", f"for the first {spike_and_slab.WEIGHTED_AFTER} runs"),
        ("docs/method.md", f"s2 = {spike_and_slab.RESHUFFLE_POINTS:g}^2 / n"),
        (
            "docs/method.md",
            f"recognized is below {guard.RECOGNIZED:g}, the harm at least {guard.LEAST_POINTS:g} point",
        ),
        ("docs/method.md", f"p at most {guard.LARGEST_P:g}"),
        (
            "docs/method.md",
            f"up to {guard.MOST_IMAGES} validation images, within {100 * guard.SHARE:g}% of the budget",
        ),
        ("docs/method.md", f"above {verdicts.LIKELY:g}, below {verdicts.HARMFUL:g}"),
        *(("docs/method.md", "| " + " | ".join(f"{points:.1f}" for points in row) + " |") for row in least),
        ("docs/verdicts.md", f"probability above {verdicts.LIKELY:g}"),
        ("docs/data.md", f"sealed test takes {shares}"),
        ("docs/data.md", f"{100 * splits.CARVED_VALIDATION:g}% of the training part validates"),
        ("docs/data.md", f"more than {findings.MAX_UNREADABLE:.0%} of the files"),
    ]


@pytest.mark.parametrize(("page", "words"), quoted())
def test_figures_in_the_pages_are_those_of_the_code(page, words):
    assert words in " ".join((ROOT / page).read_text(encoding="utf-8").split())
