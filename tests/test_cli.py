"""The command line: help, documents on stdout, one sentence on stderr, exit codes, and nothing half-written."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from command_line import convlift
from convlift import api, use
from convlift.cli import app
from convlift.recipe.built_in import BUILT_IN
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.recipe.section import levers

COMMANDS = [command.callback.__name__ for command in app.registered_commands]
DIGITS = np.rint(load_digits().images[:60] * (255 / 16)).astype(np.uint8)
HEAVY = {"torch", "timm", "sklearn", "cv2", "matplotlib", "scipy"}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, tmp_path_factory):
    """An empty working folder; one cache for all tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run folder, what `train digits --recipe plain --json` said)."""
    folder = tmp_path_factory.mktemp("trained")
    before = dict(os.environ)
    os.environ["CONVLIFT_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    try:
        said = convlift("train", "digits", "--recipe", "plain", "--json", "--out", folder / "run")
    finally:
        os.environ.clear()
        os.environ.update(before)
    return folder / "run", said


def digit(path, number=0):
    """Write a digit as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DIGITS[number]).save(path)
    return path


def test_there_are_these_commands():
    assert COMMANDS == [
        "improve",
        "aa",
        "train",
        "diagnose",
        "audit",
        "review",
        "preview",
        "recipes",
        "predict",
        "evaluate",
        "export",
        "serve",
        "report",
        "salvage",
        "priors",
    ]


def test_preview_writes_a_sheet_and_says_what_is_on_it(place):
    said = convlift("preview", "digits", "--recipe", "fine-tune", "--out", "seen.html", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("8 training images at 96 pixels (horizontal_flip 0.5, rotation 0.04, ")
    assert said.out.endswith(" in seen.html\n")
    assert (place / "seen.html").read_text().count("<figure>") == 8 * 7
    refused = convlift("preview", "digits", "--out", "seen.gif")
    assert (refused.code, refused.out) == (2, "")
    assert [path.name for path in place.iterdir()] == ["seen.html"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = convlift(command, "--help")
    assert said.code == 0
    assert f"Example: convlift {command}" in said.out
    assert "Usage:" in said.out
    assert convlift(command, "-h") == said


def test_help_says_where_runs_go(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "(default: runs/NAME-HASH)" in convlift("improve", "--help").out
    assert "(default: runs/NAME-train-HASH)" in convlift("train", "--help").out
    assert "(default: one a core, or up to four a GPU)" in convlift("improve", "--help").out


def test_without_a_command_help_is_shown():
    assert "Commands" in convlift().out


def test_help_and_recipes_import_nothing_heavy():
    calls = [["--help"], *([command, "--help"] for command in COMMANDS), ["recipes"], ["recipes", "--show", "plain"]]
    code = (
        "import sys\nfrom convlift.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: assert 'numpy' not in sys.modules\n"
        f"for call in {calls}:\n  try: main(call)\n  except SystemExit as end: assert not end.code\n"
        f"print(*sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stderr.split() == []


def test_recipes_lists_every_recipe_and_lever_whole_on_a_narrow_terminal():
    lines = convlift("recipes").out.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(lines).split())
    for entry in BUILT_IN:
        assert f"{entry.name} {entry.summary}" in words
    for lever in levers(Recipe):
        assert f"{lever.name} {lever.range}, default {lever.default} {lever.description} [{lever.source}]" in words


def test_recipes_as_a_document():
    said = convlift("recipes", "--json")
    document = json.loads(said.out)
    assert said.code == 0
    assert document["schema_version"] == 1
    assert {name: parse_recipe(entry["recipe"]) for name, entry in document["recipes"].items()} == {
        entry.name: entry.recipe for entry in BUILT_IN
    }
    assert document["levers"] == [lever._asdict() for lever in levers(Recipe)]


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_a_shown_recipe_is_a_recipe_file(entry):
    assert parse_recipe(yaml.safe_load(convlift("recipes", "--show", entry.name).out)) == entry.recipe


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory):
    """Data and recipes that nothing can be made of."""
    place = tmp_path_factory.mktemp("mistakes")
    (place / "empty").mkdir()
    digit(place / "loose" / "0.png")
    for number in range(30):
        for name in ("one/cats", "few/cats", "broken/a", "broken/b"):
            digit(place / name / f"{number}.png", number)
    digit(place / "few" / "dogs" / "0.png", 50)
    digit(place / "few" / "dogs" / "1.png", 51)
    for number in range(4):
        (place / "broken" / "a" / f"page{number}.png").write_text("<html>")
    objects = np.array([{}] * 4, dtype=object)
    np.savez(place / "objects.npz", train_images=objects, train_labels=np.arange(4))
    (place / "typo.yaml").write_text("training: {lerning_rate: 0.1}")
    (place / "range.yaml").write_text("training: {epochs: 0}\ndata: {resolution: 4}")
    (place / "notes.txt").write_text("hello")
    (place / "list.csv").write_text("file,kind\none/cats/0.png,cats\nnone.png,cats\none/cats/1.png,\n")
    (place / "cut.zip").write_bytes(b"PK\3\4")
    return place


@pytest.fixture
def bad(mistakes, monkeypatch):
    """The folder of all mistakes, as the working folder."""
    monkeypatch.chdir(mistakes)
    return mistakes


USAGE = {
    "unknown recipe": ("train digits --recipe plian", ["'plian'", "did you mean 'plain'", "residual"]),
    "missing recipe file": ("train digits --recipe none.yaml", ["'none.yaml'", "neither a file nor", "plain"]),
    "unknown key": ("train digits --recipe typo.yaml", ["training.lerning_rate", "did you mean 'learning_rate'"]),
    "out of range": (
        "train digits --recipe range.yaml",
        ["'training.epochs' is 0", "equal to 1", "'data.resolution' is 4", "equal to 8"],
    ),
    "no YAML": ("train digits --recipe notes.txt", ["notes.txt holds a str", "mapping"]),
    "missing path": ("train nowhere", ["'nowhere'", "no data", "give a folder of class folders"]),
    "mistyped name": ("train digts", ["'digts'", "did you mean 'digits'"]),
    "no kind of data": ("train notes.txt", ["'notes.txt'", "is of no kind that is read", "give a folder", "a table"]),
    "unknown backbone": ("train digits --backbone resnet51", ["'resnet51'", "no network of timm", "resnet50"]),
    "missing weights": ("train digits --weights w.safetensors", ["w.safetensors", "not there", "give the path"]),
    "no column": ("train list.csv", ["list.csv has no column of labels", "'file', 'kind'", "--columns label=CLASS"]),
    "faulty rows": (
        "train list.csv --columns label=kind",
        ["2 of 3 rows of list.csv are faulty", "row 3 names 'none.png', which is not there; row 4 has no label"],
    ),
    "other folder": ("train list.csv --columns label=kind --images few", ["3 of 3 rows", "paths lead from ", "few"]),
    "columns of no table": ("train one --columns label=kind", ["--columns is for tables", "leave it out"]),
    "no weights file": ("train digits --weights notes.txt", ["'notes.txt'", "neither auto, random nor"]),
    "backbone for a convnet": (
        "train digits --recipe plain --backbone resnet18",
        ["'resnet18'", "needs a pretrained architecture", "use the recipe frozen or transfer"],
    ),
    "run folder under a file": (
        "train digits --recipe plain --out notes.txt/run",
        ["notes.txt/run", "cannot be made", "name another"],
    ),
    "budget in words": ("improve digits --budget soon", ["'soon'", "not a duration", "20m"]),
    "no budget": ("improve digits --budget 0s", ["'0s'", "no time at all", "at least one second"]),
    "improve an unknown recipe": ("improve digits --current plian", ["'plian'", "did you mean 'plain'"]),
    "improve an unknown key": ("improve digits --current typo.yaml", ["did you mean 'learning_rate'"]),
    "plan an unknown recipe": ("improve digits --dry-run --current plian", ["'plian'", "did you mean 'plain'"]),
    "plan nothing": ("improve nowhere --dry-run", ["'nowhere'", "no data"]),
    "placebos for nothing": ("aa nowhere", ["'nowhere'", "no data"]),
    "placebos for an unknown recipe": ("aa digits --current plian", ["'plian'", "did you mean 'plain'"]),
    "improve nothing": ("improve nowhere", ["'nowhere'", "no data"]),
    "improve an unknown backbone": ("improve digits --backbone resnet51", ["'resnet51'", "resnet50"]),
    "improve missing weights": ("improve digits --weights w.safetensors", ["w.safetensors", "not there"]),
    "robust against nothing": (
        "improve digits --optimize shifted",
        ["--optimize shifted needs", "--shift fog,snow"],
    ),
    "no device": ("train digits --device tpu", ["device 'tpu'", "none that convlift knows", "give auto, cpu, cuda"]),
    "no GPU": ("improve digits --device cuda:1", ["'cuda:1' is a GPU", "torch sees none", "leave the device to auto"]),
    "no Mac": ("predict nowhere 0.png --device mps", ["'mps'", "torch sees none", "leave the device to auto"]),
    "no model": ("predict nowhere 0.png", ["nowhere holds no model", "is missing", "give a run folder"]),
    "no run": ("report nowhere", ["nowhere", "ledger.sqlite", "give the folder of a run"]),
    "no recipe to show": ("recipes --show plian", ["'plian'", "did you mean 'plain'"]),
}
DATA = {
    "cut archive": ("train cut.zip", ["cut.zip cannot be unpacked", "download or pack it anew"]),
    "empty folder": ("train empty", ["empty holds no image", "one folder per class", "JPEG"]),
    "no class folders": (
        "train loose",
        ["loose holds 1 images", "none in a class folder", "make one folder per class"],
    ),
    "one class": ("train one", ["one class ('cats') only", "at least 2 classes", "Give one folder per class"]),
    "too few images": ("train few", ["class 'dogs' has 2 distinct images", "at least 3", "Add images"]),
    "unreadable images": ("train broken", ["4 of 64 images", "more than 5%", "HTML page", "Repair or remove"]),
    "objects": ("train objects.npz", ["train_images in objects.npz", "plain numbers are needed"]),
    "improve an empty folder": ("improve empty", ["empty holds no image"]),
    "improve objects": ("improve objects.npz", ["train_images in objects.npz"]),
}
FAULTS = [(2, *case) for case in USAGE.values()] + [(3, *case) for case in DATA.values()]


@pytest.mark.parametrize(("code", "line", "words"), FAULTS, ids=[*USAGE, *DATA])
def test_a_fault_is_one_sentence_and_its_exit_code(bad, code, line, words):
    before = sorted(bad.rglob("*"))
    command, *rest = line.split()
    said = convlift(command, *rest, *(["--quiet"] if command in ("train", "improve", "aa") else []))
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("convlift: ")
    assert said.err.endswith((".\n", "?\n"))
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err
    assert sorted(bad.rglob("*")) == before


def test_progress_goes_to_stderr_before_the_sentence(bad):
    said = convlift("train", "one")
    assert said.out == ""
    assert [line.startswith("convlift: ") for line in said.err.splitlines()] == [False, True]


@pytest.mark.parametrize("command", ["improve", "aa"])
def test_a_budget_for_less_than_one_training_leaves_no_run(place, command):
    said = convlift(command, "digits", "--budget", "1s", "--workers", "1", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("convlift: budget 1s was over before the shortest training of any network had begun;")
    assert "goes on." in said.err
    assert list(place.glob("runs/*")) == []


def test_a_training_that_explodes_says_so_once_and_leaves_no_run(place):
    recipe = Recipe().edit(
        architecture={"width": 8}, training={"optimizer": "sgd", "learning_rate": 10, "l2": 1, "epochs": 3}
    )
    (place / "wild.yaml").write_text(recipe.to_yaml())
    said = convlift("train", "digits", "--recipe", "wild.yaml", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("convlift: the training loss became ")
    assert "learning rate of 10" in said.err
    assert said.err.lower().count("lower the learning") == 1
    assert [path.name for path in place.iterdir()] == ["wild.yaml"]


def test_an_option_that_is_not_there_is_a_usage_error():
    said = convlift("train", "digits", "--sed", "1")
    assert (said.code, said.out) == (2, "")
    assert "--seed" in said.err
    assert "Traceback" not in said.err


def test_train_prints_one_document(trained):
    run, said = trained
    assert said.code == 0
    assert said.out.count("\n") == 1
    document = json.loads(said.out)
    assert document.keys() >= {"schema_version", "run", "metric", "validation", "seconds", "diagnosis", "suspicions"}
    assert (document["schema_version"], document["run"]) == (1, str(run))
    score = document["validation"]
    assert 0.9 < score["low"] < score["score"] < score["high"] < 1
    assert document["seconds"] > 0
    assert "convlift:" not in said.err


def test_train_leaves_a_model_and_nothing_else(trained):
    run, _ = trained
    assert sorted(path.name for path in run.iterdir()) == ["lock", "model", "report.html", "training.json"]
    assert sorted(path.name for path in (run / "model").iterdir()) == [
        *("README.md", "SHA256SUMS", "config.json", "likeness.safetensors", "model.safetensors", "recipe.yaml")
    ]
    card = (run / "model" / "README.md").read_text()
    assert "accuracy on 359 validation images" in card


def test_train_in_words_goes_to_the_run_folder_of_its_question(place):
    (place / "short.yaml").write_text(Recipe().edit(architecture={"width": 8}, training={"epochs": 1}).to_yaml())
    said = convlift("train", "digits", "--recipe", "short.yaml", "--seed", "3", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("validation accuracy 0.")
    (run,) = (place / "runs").iterdir()
    assert f"model   runs/{run.name}/model\n" in said.out
    assert "\ndiagnosis: " in said.out
    assert said.out.rstrip().endswith(f"convlift predict runs/{run.name} IMAGES")
    assert run.name.startswith("digits-train-")
    assert (run / "model" / "config.json").is_file()


def test_the_same_from_python(place, tmp_path_factory):
    recipe = Recipe().edit(architecture={"width": 8}, training={"epochs": 1})
    one, other = (api.train("digits", recipe, out=place / name, seed=5, quiet=True) for name in ("one", "other"))
    files = [(run.folder / "model" / "model.safetensors").read_bytes() for run in (one, other)]
    assert files[0] == files[1]
    assert one.score == other.score
    assert one.images == 361
    assert one.recipe.data.resolution == 8
    assert use.load(place / "one").predict([]) == []
    assert one.model.classes == tuple("0123456789")
