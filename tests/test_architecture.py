"""The rules of the house that a machine can check."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import convlift
import convlift.errors

ROOT = Path(__file__).parents[1]
PACKAGE = Path(convlift.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 40  # as for arguments and complexity, see ruff in pyproject.toml
# what is longer -> why
LONG_FILES = {
    "catalogue/interventions/training.py": "data: one entry a change",
    "cli.py": "one function a command, its options with their help texts",
    "ledger/ledger.py": "one handle, whose operations share its state",
}
LONG_FUNCTIONS = {
    ("evidence/gibbs.py", "sweep"): "one sweep of the sampler, with the reason of each step",
    ("report/wording/diagnoses.py", "evidence_in_words"): "one case a record, which a type checker counts",
}
# files of a name that another room has too: none may be added, and one that is renamed goes from here
TWINS_LEFT: set[str] = set()
HEAVY = ("torch", "torchvision", "timm", "sklearn", "cv2", "matplotlib")


def named(path):
    return str(path.relative_to(PACKAGE))


def test_a_room_imports_only_what_stands_below_it():
    # in a process of its own: it closes every log handler, and keras' own one then closes pytest's stderr
    run = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_file_is_long(path):
    lines = len(path.read_text().splitlines())
    assert (lines > MOST_LINES) == (named(path) in LONG_FILES), f"{lines} lines"


def test_no_function_is_long():
    """Its docstring is not counted."""
    found = {
        (named(path), node.name)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and lines_of(node) > MOST_LINES_OF_A_FUNCTION
    }
    assert found == set(LONG_FUNCTIONS)


def lines_of(node):
    has_docstring = ast.get_docstring(node) is not None and len(node.body) > 1
    return node.end_lineno - node.body[has_docstring].lineno + 1


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
    assert [call for call in calls if not call.startswith(("cli.py", "deploy/print_predictions.py"))] == []


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


# where sentences for people are written: what they read, what they type, what errors say, what a catalogue describes,
# and what the audit finds (`Finding` carries its sentences from where the files are looked at)
SENTENCES = (
    "report/",
    "cli.py",
    "console/options.py",
    "errors.py",
    "recipe/",
    "catalogue/interventions/",
    "catalogue/placebos.py",
    "catalogue/starting_points.py",
    "catalogue/symptoms.py",
    "audit/",
)
# file and beginning of the sentence -> why it stands there
SENTENCES_LEFT = {
    ("data/readers/class_folders.py", "Move them into"): "a remedy of a Finding, from a table of them",
    ("data/readers/class_folders.py", "Follow them with"): "a remedy of a Finding, from a table of them",
    (
        "deploy/print_predictions.py",
        "convlift: {} passed over",
    ): "`convlift predict` prints its answers one by one, as they come",
}
IN_WORDS_LEFT = {("ledger/database.py", "_in_words"): "makes errors of SQLite into errors that say what to do"}
SAYS = re.compile(r"[\w)'\"%}]\.(?: [A-Z{]|$)")


def test_only_the_report_puts_records_into_words():
    found = {
        (named(path), node.name)
        for path in FILES
        if not named(path).startswith("report/")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_in_words")
    }
    assert found == set(IN_WORDS_LEFT)


def test_no_sentence_outside_the_rooms_that_speak():
    """Facts below, sentences above: other rooms hand up records. Docstrings, errors, asserts and Findings may speak."""
    found = [
        (named(path), text)
        for path in FILES
        if not named(path).startswith(SENTENCES)
        for text in sentences_in(ast.parse(path.read_text()), may_find=named(path).startswith("data/"))
    ]
    left = [any(file == at and text.startswith(begin) for at, begin in SENTENCES_LEFT) for file, text in found]
    assert [each for each, is_left in zip(found, left, strict=True) if not is_left] == []
    assert sum(left) == len(SENTENCES_LEFT), "one that is gone goes from the list"


def test_what_reads_as_a_sentence_is_found():
    code = '''
def f(a, path):
    """A docstring is a sentence of its own."""
    remedy = "Give another folder with --out."
    if a:
        raise LedgerError(f"{path} holds something else. {remedy}")
    assert a, "It was told before that there is one."
    said = f"With {a} images nothing can be proven. {path}"
    return said, "no sentence at all", "It is one.", Finding("leak", "note", "Two images are the same one.")
'''
    said, finding = "With {} images nothing can be proven. {}", "Two images are the same one."
    assert sentences_in(ast.parse(code), may_find=True) == [said]
    assert sentences_in(ast.parse(code), may_find=False) == [said, finding]


def sentences_in(tree, *, may_find):
    """Its strings that read as a sentence, without those that only errors, asserts, docstrings and, where they may,
    Findings say: written there, or given a name that is said there."""
    excused = {id(node) for root in spoken(tree, may_find=may_find) for node in ast.walk(root)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = [text_of(node) for node in ast.walk(tree) if id(node) not in excused | parts]
    return [text for text in texts if len(text.split()) >= 4 and SAYS.search(text.strip())]


def spoken(tree, *, may_find):
    """What is a docstring, an assert's message, raised, handed to an error or a Finding; and what is assigned to names
    that are used there, in the same function or at the top of the file."""
    scopes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]
    for scope in scopes:
        roots = [root for node in ast.walk(scope) for root in spoken_by(node, may_find=may_find)]
        yield from roots
        names = {node.id for root in roots for node in ast.walk(root) if isinstance(node, ast.Name)}
        own = tree.body if scope is tree else ast.walk(scope)
        yield from (node for node in own if names & assigned_names(node))


def spoken_by(node, *, may_find):
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise():
            return [node]
        case ast.Assert(msg=ast.AST() as message):
            return [message]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            is_error = name.endswith("Error") or hasattr(convlift.errors, name)
            return [node] if is_error or (may_find and name == "Finding") else []
    return []


def assigned_names(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def text_of(node):
    """The text of a string or f-string, with {} for what is filled in; "" of anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""
