"""A training's run folder belongs to one question and one process: nothing is overwritten by anything else."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from command_line import convlift
from convlift import api, use
from convlift.campaign.one_training import RECORD, check_memory, folder_of, training_folder, write_record
from convlift.console.disk import check_room
from convlift.errors import ConvliftError, DiskError, LedgerError, RecipeError
from convlift.ledger.ledger import LEDGER_FILE
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.records.result import Estimate

DIGITS = load_digits()
TINY = Recipe().edit(architecture={"width": 8, "head_units": 16}, training={"epochs": 1})
OUTCOME = Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES, seconds=1.0)
QUESTION = {"data": "abc", "recipe": {"training": {"epochs": 3}}, "seed": 0, "metric": "accuracy", "groups": ""}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, tmp_path_factory):
    """An empty working folder; one cache for all tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    return tmp_path


def photos(folder, first):
    """Twenty images a class, of two classes, beginning with image `first`."""
    for name, label in (("a", 0), ("b", 1)):
        (folder / name).mkdir(parents=True)
        chosen = DIGITS.images[DIGITS.target == label][first : first + 20]
        for number, image in enumerate(chosen):
            Image.fromarray(np.rint(image * 15).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def finished(folder, question=QUESTION):
    """A run folder as a training of `question` leaves it."""
    with training_folder(folder, question):
        (folder / "model").mkdir(exist_ok=True)
        (folder / "model" / "model.safetensors").write_bytes(b"weights")
        write_record(folder, question, Estimate(0.9, 0.8, 0.95), 40, OUTCOME)
    return folder


def test_two_data_sets_in_folders_of_one_name_have_two_runs(place):
    one = api.train(photos(place / "x" / "photos", 0), TINY, quiet=True)
    before = weights(one.folder)
    other = api.train(photos(place / "y" / "photos", 30), TINY, quiet=True)
    assert one.folder != other.folder
    assert {run.parent.name for run in (one.folder, other.folder)} == {"runs"}
    assert all(run.name.startswith("photos-train-") for run in (one.folder, other.folder))
    assert weights(one.folder) == before != weights(other.folder)


def test_the_same_question_has_the_same_folder_and_says_so(place, capfd):
    data = photos(place / "photos", 0)
    one = api.train(data, TINY, quiet=True)
    before = weights(one.folder)
    data.rename(place / "elsewhere").rename(data)
    again = api.train(data, TINY)
    assert again.folder == one.folder
    assert "holds this training already" in " ".join(capfd.readouterr().err.split())
    assert weights(one.folder) == before
    assert sorted(path.name for path in one.folder.iterdir()) == ["lock", "model", "report.html", "training.json"]


def test_another_recipe_seed_or_metric_has_another_folder(place):
    data = photos(place / "photos", 0)
    runs = [
        api.train(data, TINY, quiet=True),
        api.train(data, TINY.edit(training={"epochs": 2}), quiet=True),
        api.train(data, TINY, seed=1, quiet=True),
        api.train(data, TINY, metric="balanced-accuracy", quiet=True),
        api.train(data, TINY, group_from=r"(\d)\.png", quiet=True),
    ]
    assert len({run.folder for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": "def"}, "data was abc, is def"),
        ({"recipe": {"training": {"epochs": 4}}}, "recipe.training.epochs was 3, is 4"),
        ({"seed": 1}, "seed was 0, is 1"),
        ({"metric": "kappa", "seed": 1, "groups": "g"}, "and 1 more"),
    ],
)
def test_the_folder_of_another_training_is_refused_and_stays(place, changed, words):
    finished(place / "run")
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    with (
        pytest.raises(ConvliftError, match="holds the model of another training") as caught,
        training_folder(place / "run", {**QUESTION, **changed}),
    ):
        pytest.fail("it was entered")
    assert words in str(caught.value)
    assert "name another folder with --out" in str(caught.value)
    assert {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()} == before


def test_out_names_the_folder_of_another_run(place):
    photos(place / "one", 0)
    photos(place / "two", 30)
    (place / "tiny.yaml").write_text(TINY.to_yaml())
    call = ("--recipe", "tiny.yaml", "--out", "run", "--quiet")
    assert convlift("train", "one", *call).code == 0
    said = convlift("train", "two", *call)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("convlift: run holds the model of another training (data was ")
    assert convlift("train", "one", *call).code == 0


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        (lambda folder: (folder / LEDGER_FILE).touch(), "holds a campaign of convlift improve"),
        (lambda folder: ((folder / "fold-1").mkdir(), (folder / "fold-1" / LEDGER_FILE).touch()), "holds a campaign"),
        (lambda folder: (folder / "model").mkdir(), "holds a model, and nothing there says of which training"),
    ],
    ids=["campaign", "cross-validation", "model of an older version"],
)
def test_the_folder_of_another_kind_of_run_is_refused(place, leave, words):
    (place / "run").mkdir()
    leave(place / "run")
    with pytest.raises(ConvliftError, match=words), training_folder(place / "run", QUESTION):
        pytest.fail("it was entered")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"question": 3}', b"[" * 100_000, b"\xff\xfe", b"9" * 5000]
)
def test_a_damaged_record_is_no_permission(place, content):
    finished(place / "run")
    (place / "run" / RECORD).write_bytes(content)
    with pytest.raises(ConvliftError) as caught, training_folder(place / "run", QUESTION):
        pytest.fail("it was entered")
    assert "name another folder" in str(caught.value)


def test_a_folder_with_other_things_in_it_may_be_used(place):
    (place / "run").mkdir()
    (place / "run" / "notes.txt").write_text("mine")
    finished(place / "run")
    assert (place / "run" / "notes.txt").read_text() == "mine"


def fail(folder, error):
    """A training that ends in an error; whether the same one was done there before."""
    with training_folder(folder, QUESTION) as is_done:
        (folder / "half").touch()
        error.args = (is_done,)
        raise error


def test_a_first_training_that_fails_leaves_nothing(place):
    with pytest.raises(KeyboardInterrupt, match="False"):
        fail(place / "deep" / "er" / "run", KeyboardInterrupt())
    assert list(place.iterdir()) == []


def test_a_repetition_that_fails_leaves_the_first(place):
    finished(place / "run")
    with pytest.raises(ValueError, match="True"):
        fail(place / "run", ValueError())
    assert (place / "run" / "model" / "model.safetensors").read_bytes() == b"weights"


def test_what_was_killed_before_it_left_a_model_is_in_nobodys_way(place):
    (place / "run").mkdir()
    write_record(place / "run", {**QUESTION, "seed": 7}, Estimate(0.9, 0.8, 0.95), 40, OUTCOME)
    with training_folder(place / "run", QUESTION) as is_done:
        assert not is_done


def test_two_at_once_are_told_apart(place):
    with training_folder(place / "run", QUESTION):
        with (
            pytest.raises(LedgerError, match=rf"run is held by pid {os.getpid()} on host"),
            training_folder(place / "run", QUESTION),
        ):
            pytest.fail("it was entered")
        assert (place / "run").is_dir()


def test_of_many_that_begin_together_one_trains_and_none_removes_anothers_folder(place):
    together, entered, refused = threading.Barrier(8), [], []

    def begin():
        together.wait()
        try:
            with training_folder(place / "new" / "run", QUESTION):
                entered.append((place / "new" / "run").is_dir())
                together.wait()  # until all others have been refused
        except LedgerError as error:
            refused.append(str(error))
            together.wait()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entered == [True]
    assert len(refused) == 7
    assert (place / "new" / "run").is_dir()


def test_the_folder_follows_every_part_of_the_question():
    changes = ({}, {"data": "x"}, {"seed": 1}, {"metric": "kappa"}, {"groups": "g"}, {"recipe": {}})
    assert len({folder_of("photos", {**QUESTION, **change}) for change in changes}) == len(changes)
    assert folder_of("photos", dict(reversed(QUESTION.items()))) == folder_of("photos", QUESTION)


def test_the_record_says_what_was_trained(place):
    done = api.train(photos(place / "photos", 0), TINY, seed=4, quiet=True)
    record = json.loads((done.folder / RECORD).read_text())
    assert record["question"]["seed"] == 4
    assert parse_recipe(record["question"]["recipe"]) == done.recipe
    assert record["validation"]["score"] == done.score.value


def test_a_path_that_cannot_be_a_folder_is_refused(place):
    (place / "file").write_text("x")
    for path in (place / "file", place / "file" / "run", place / ("x" * 300)):
        with (
            pytest.raises(ConvliftError, match=r"cannot be made \(.*\); name another"),
            training_folder(path, QUESTION),
        ):
            pytest.fail("it was entered")


def test_a_disk_without_room_is_refused_before_the_training(place):
    with pytest.raises(DiskError, match=r"needs about 1000000000000 MB, but the disk at /.* has .* free; free space"):
        check_room(place / "not" / "yet", 1e18)
    check_room(place, 1)


def test_a_network_that_no_memory_holds_is_refused_before_it_is_built(place):
    huge = TINY.edit(architecture={"width": 512, "head_units": 4096}, data={"resolution": 512})
    with pytest.raises(RecipeError, match=r"137,\d\d\d million weights, which take 2,\d\d\d GB .* lower its width"):
        api.train("digits", huge, quiet=True)
    assert list(place.iterdir()) == []
    check_memory(1000, 16_000)


@pytest.fixture
def small_disk(tmp_path):
    """disk(bytes): a mounted file system of that size, as only an administrator can make one."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
        if made.returncode:
            pytest.skip(f"no file system can be mounted here ({made.stderr.decode().strip()})")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_that_names_it(small_disk, place):
    (place / "tiny.yaml").write_text(TINY.to_yaml())
    full = small_disk("64k")
    said = convlift("train", "digits", "--recipe", "tiny.yaml", "--quiet", "--out", full / "run")
    assert (said.code, said.out) == (75, "")
    assert said.err.startswith(f"convlift: {full / 'run'} needs about 4 MB, but the disk at {full} has ")
    assert list(full.iterdir()) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from convlift import api
from convlift.cli import main
from convlift.recipe.recipe import load_recipe
import convlift.trial.run_trial, convlift.deploy.predict
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
main(sys.argv[2:])
"""


def limited(size, call):
    """The command line, where no file may grow beyond `size` bytes, as on a disk that is nearly full."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *call], capture_output=True, text=True, check=False
    )


def test_a_disk_that_fills_while_the_weights_are_saved_is_one_sentence(place):
    (place / "tiny.yaml").write_text(TINY.to_yaml())
    convlift("train", "digits", "--recipe", "tiny.yaml", "--quiet", "--out", place / "first")  # fills the cache
    found = limited(2000, ["train", "digits", "--recipe", "tiny.yaml", "--quiet", "--out", "run"])
    assert found.returncode == 75
    assert found.stderr.startswith("convlift: run cannot be written: the disk at /")
    assert " is full (File too large, " in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (place / "run").exists()


def test_a_disk_that_fills_during_a_repetition_leaves_the_first_model(place):
    (place / "tiny.yaml").write_text(TINY.to_yaml())
    call = ["train", "digits", "--recipe", "tiny.yaml", "--quiet", "--out", "run"]
    assert convlift(*call).code == 0
    before = weights(place / "run")
    found = limited(2000, call)
    assert found.returncode == 75
    assert weights(place / "run") == before
    assert use.load(place / "run").classes == tuple("0123456789")
    assert not list((place / "run").rglob(".*"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seed": -1}, "seed '-1' is no whole number from 0"),
        ({"seed": 2**63}, "is no whole number from 0"),
        ({"seed": "zero"}, "seed 'zero' is no whole number"),
        ({"seed": True}, "seed 'True' is no whole number"),
        ({"recipe": 3}, "a int is no recipe; give a built-in name"),
        ({"recipe": None}, "a NoneType is no recipe"),
        ({"recipe": {}}, r"convlift.parse_recipe makes one of a dict"),
        ({"recipe": "x" * 5000}, "is neither a file nor a built-in recipe"),
        ({"recipe": "a\0b"}, "is neither a file nor a built-in recipe"),
        ({"metric": "acuracy"}, "there is no metric 'acuracy'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(place, wrong, words):
    with pytest.raises(ConvliftError, match=words):
        api.train("digits", **{"recipe": TINY, "quiet": True, **wrong})
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("option", ["--recipe", "--weights", "--out", "--root", "--group-from"])
def test_a_path_that_is_too_long_is_one_sentence(place, option):
    (place / "tiny.yaml").write_text(TINY.to_yaml())
    long = "x" * 5000 + (".safetensors" if option == "--weights" else "")
    named = "fashion-mnist" if option == "--root" else "digits"  # the files of digits are always there
    said = convlift("train", named, "--quiet", option, long)
    assert said.code == 2
    assert said.err.startswith("convlift: ")
    assert said.err.count("\n") == 1
