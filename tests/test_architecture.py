"""The rules of the house that a machine can check."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import convlift

ROOT = Path(__file__).parents[1]
PACKAGE = Path(convlift.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 350
# files of a name that another room has too: none may be added, and one that is renamed goes from here
TWINS_LEFT: set[str] = set()
HEAVY = ("torch", "torchvision", "timm", "sklearn", "cv2", "matplotlib")


def named(path):
    return str(path.relative_to(PACKAGE))


def test_a_room_imports_only_what_stands_below_it(capsys):
    broken = lint_imports(str(ROOT / ".importlinter"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) < MOST_LINES


def test_the_rooms_start_empty():
    # what imports one module of a room must not get all of it
    rooms = [path for path in FILES if path.name == "__init__.py" and path.parent != PACKAGE]
    assert rooms
    assert [named(path) for path in rooms if path.read_text().strip()] == []


def test_no_two_files_share_a_name():
    """An editor's tab says whose file it is. A recipe's section and the interventions on it are one subject."""
    counted = Counter(path.name for path in FILES if path.name != "__init__.py")
    sections = {path.name for path in (PACKAGE / "recipe").iterdir()}
    changes = {path.name for path in (PACKAGE / "catalogue" / "interventions").iterdir()}
    twins = {named(path) for path in FILES if counted[path.name] > 1}
    allowed = {f"{room}/{name}" for room in ("recipe", "catalogue/interventions") for name in sections & changes}
    assert twins - allowed == TWINS_LEFT


def test_only_the_command_line_prints():
    calls = [
        f"{named(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    # the answers of `convlift predict` are printed one by one, as they come
    assert [call for call in calls if not call.startswith(("cli.py", "deploy/answers.py"))] == []


def test_one_file_knows_the_names_of_the_ledgers_facts():
    """`campaign/` and `report/` read and write typed decisions (search/decisions.py), never a key."""
    calls = [
        f"{named(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("recall", "record", "history")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    assert [call for call in calls if not call.startswith(("ledger/", "search/decisions.py"))] == []


def test_timm_is_imported_in_one_place():
    places = [
        named(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "timm" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "timm")
    ]
    assert places == ["model/backbone.py"]


def test_what_only_reads_and_writes_is_light():
    light = [
        path for path in FILES if named(path).split("/")[0] in ("cli.py", "ledger", "report", "catalogue", "recipe")
    ]
    modules = [".".join(("convlift", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in light]
    code = f"import sys, importlib\nfor module in {modules}: importlib.import_module(module)\n"
    code += f"print(*[name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []
