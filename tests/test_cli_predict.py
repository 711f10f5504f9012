"""`convlift predict`: files, folders, patterns and lists in; an answer an image out, whatever else cannot be read."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from command_line import convlift
from convlift import api
from convlift.recipe.recipe import Recipe

DIGITS = np.rint(load_digits().images[:60] * (255 / 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a network for digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    recipe = Recipe().edit(architecture={"width": 16}, training={"epochs": 4, "learning_rate": 3e-3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        api.train("digits", recipe, out=folder, quiet=True)
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digit(path, number=0):
    """Write a digit as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DIGITS[number]).save(path)
    return path


@pytest.fixture
def photos(place):
    """Digits in a tree: 0 at the top, 1 deeper, 2 without a suffix, one broken, one text, one hidden."""
    digit(place / "photos" / "0.png", 0)
    digit(place / "photos" / "deep" / "er" / "1.png", 1)
    digit(place / "photos" / "deep" / "two.png", 2).rename(place / "photos" / "deep" / "two")
    (place / "photos" / "page.JPG").write_text("<html>")
    (place / "photos" / "read me.txt").write_text("hello")
    (place / "photos" / ".hidden.png").write_bytes((place / "photos" / "0.png").read_bytes())
    return place / "photos"


def named(said):
    """The images that got an answer, in order."""
    return [line.split("\t")[0] for line in said.out.splitlines()]


def feed(monkeypatch, content):
    """Put bytes on stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_predict_names_digits(run, place):
    paths = [digit(place / f"{number}.png", number) for number in range(10)]
    said = convlift("predict", run, *paths, "--json")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["unreadable"] == document["passed_over"] == []
    found = document["predictions"]
    assert [each["image"] for each in found] == [str(path) for path in paths]
    assert sum(each["label"] == str(number) for number, each in enumerate(found)) >= 7
    assert all(each["confidence"] == each["probabilities"][each["label"]] for each in found)


def test_predict_lists_what_it_cannot_read_and_names_the_rest(run, place):
    good, page = digit(place / "good.png", 3), place / "page.png"
    page.write_text("<html>")
    said = convlift("predict", run, good, page, "gone.png", "--json")
    assert (said.code, said.err) == (3, "")
    document = json.loads(said.out)
    assert [each["image"] for each in document["predictions"]] == [str(good)]
    assert [each["image"] for each in document["unreadable"]] == [str(page), "gone.png"]
    assert "HTML page" in document["unreadable"][0]["reason"]
    assert "give the path of an image" in document["unreadable"][1]["reason"]


def test_predict_in_words_is_one_line_an_image(run, place):
    odd = digit(place / "two\nlines.png", 4)
    said = convlift("predict", run, odd, "gone\n.png")
    assert said.code == 3
    assert said.out.count("\n") == 1
    image, label, confidence = said.out.rstrip("\n").split("\t")
    assert (Path(image).name, label) == ("two\\nlines.png", "4")
    assert 0 < float(confidence) <= 1
    assert said.err == "convlift: gone\\n.png cannot be read (No such file or directory); give the path of an image.\n"


IN_FOLDER = ["photos/0.png", "photos/deep/two", "photos/deep/er/1.png"]


def test_a_folder_is_searched_to_the_bottom(run, photos):
    said = convlift("predict", run, "photos")
    assert said.code == 3
    assert named(said) == IN_FOLDER
    assert said.err.splitlines() == [
        "convlift: photos/page.JPG cannot be read (HTML page, not one of JPEG, PNG, GIF, BMP, TIFF, WEBP, PPM); "
        "repair it or leave it out.",
        "convlift: 2 files that are no images were passed over (photos/.hidden.png, photos/read me.txt).",
    ]
    assert named(convlift("predict", run, "photos/")) == IN_FOLDER


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/*.png", ["photos/0.png"]),
        ("photos/[0-9].png", ["photos/0.png"]),
        ("**/*.png", ["photos/0.png", "photos/deep/er/1.png"]),
        ("photos/**", [*IN_FOLDER[:1], "photos/deep/er/1.png", "photos/deep/two"]),
        ("photos/d*", IN_FOLDER[1:]),
        ("photos/deep/*", ["photos/deep/er/1.png", "photos/deep/two"]),
    ],
)
def test_a_pattern_that_the_shell_left_is_expanded(run, photos, pattern, found):
    assert named(convlift("predict", run, pattern)) == found


def test_a_file_with_the_name_of_a_pattern_is_that_file(run, place):
    digit(place / "a[1].png")
    digit(place / "a1.png")
    assert named(convlift("predict", run, "a[1].png")) == ["a[1].png"]


def test_a_pattern_without_a_match_is_said_and_the_rest_answered(run, photos):
    said = convlift("predict", run, "*.gif", "photos/0.png", "nowhere/")
    assert (said.code, named(said)) == (3, ["photos/0.png"])
    assert "*.gif: no file has a name like this; check the pattern.\n" in said.err
    assert "nowhere/ cannot be read (No such file or directory)" in said.err


def test_a_folder_without_images_is_said(run, place):
    (place / "empty").mkdir()
    (place / "texts").mkdir()
    (place / "texts" / "a.txt").write_text("hello")
    said = convlift("predict", run, "empty", "texts")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("convlift: empty: holds no image; JPEG, PNG")
    assert "convlift: 1 file that is no image was passed over (texts/a.txt)." in said.err


def test_links_in_a_circle_end(run, photos):
    (photos / "deep" / "loop").symlink_to(photos)
    (photos / "gone.png").symlink_to(photos / "nothing.png")
    (photos / "elsewhere.png").symlink_to(photos / "deep" / "two")
    said = convlift("predict", run, "photos")
    assert sorted(named(said)) == sorted([*IN_FOLDER, "photos/elsewhere.png"])
    assert "photos/gone.png cannot be read (No such file" in said.err


def test_a_pipe_is_never_opened(run, photos):
    os.mkfifo(photos / "pipe")
    os.mkfifo(photos / "pipe.png")
    said = convlift("predict", run, "photos", "photos/pipe.png")
    assert named(said) == IN_FOLDER
    assert "photos/pipe.png cannot be read (no regular file)" in said.err


@pytest.mark.parametrize(
    "content",
    [
        b"photos/0.png\nphotos/deep/two\n\nphotos/deep/er/1.png",
        b"photos/0.png\r\nphotos/deep\r\n",
        b"photos/0.png\0photos/deep/two\0photos/deep/er/1.png\0",
        b"photos/0.png\nphotos/d*\n",
    ],
    ids=["lines", "Windows lines with a folder", "zero bytes", "pattern"],
)
def test_a_list_on_stdin(run, photos, monkeypatch, content):
    feed(monkeypatch, content)
    said = convlift("predict", run, "-")
    assert (said.code, said.err, named(said)) == (0, "", IN_FOLDER)


def test_closed_streams_are_no_traceback(run, photos):
    call = f"{sys.executable} -c 'from convlift.cli import main; main()' predict {run}"
    for line, code, words in (
        (f"{call} photos/0.png <&-", 0, "photos/0.png\t"),
        (f"{call} - <&-", 3, "-: stdin is closed; give it a list of images, one a line."),
        (f"{call} photos/0.png >&-", 0, ""),
    ):
        found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert (found.returncode, "Traceback" in found.stderr) == (code, False), line
        assert words in found.stdout + found.stderr


def test_a_list_that_begins_with_a_byte_order_mark(run, photos, monkeypatch):
    feed(monkeypatch, b"\xef\xbb\xbfphotos/0.png\r\n")
    assert named(convlift("predict", run, "-")) == ["photos/0.png"]


def test_an_empty_list_has_no_answers(run, monkeypatch):
    feed(monkeypatch, b"")
    assert convlift("predict", run, "-") == (0, "", "")


def test_a_list_may_name_what_is_not_there(run, photos, monkeypatch):
    feed(monkeypatch, b"photos/0.png\nnix.png\n\xff\xfe.png\n-\nphotos/deep/two\n")
    said = convlift("predict", run, "-")
    assert (said.code, named(said)) == (3, ["photos/0.png", "photos/deep/two"])
    assert [line.split(" cannot")[0] for line in said.err.splitlines()] == [
        *("convlift: nix.png", "convlift: \\udcff\\udcfe.png", "convlift: -")
    ]


def test_csv_has_a_row_an_image_and_a_column_a_class(run, photos):
    said = convlift("predict", run, "photos", "--csv")
    assert said.code == 3
    assert "page.JPG" in said.err
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["image"] for row in rows] == IN_FOLDER
    assert list(rows[0]) == ["image", "label", "confidence", *(f"p({number})" for number in range(10)), "unlike"]
    for row in rows:
        assert row["unlike"] == "false"
        assert row["confidence"] == row[f"p({row['label']})"]
        assert sum(float(row[f"p({number})"]) for number in range(10)) == pytest.approx(1, abs=1e-4)


def test_csv_survives_commas_quotes_and_line_breaks(run, place):
    odd = digit(place / 'a, "b"\nc.png')
    rows = list(csv.reader(io.StringIO(convlift("predict", run, odd, "--csv").out)))
    assert rows[1][0].endswith('a, "b"\\nc.png')
    assert len(rows) == 2


def test_the_document_of_a_folder_holds_everything(run, photos):
    said = convlift("predict", run, "photos", "*.gif", "--json")
    assert (said.code, said.err) == (3, "")
    document = json.loads(said.out)
    assert [each["image"] for each in document["predictions"]] == IN_FOLDER
    assert all(each["notes"] == [] for each in document["predictions"])
    assert [each["image"] for each in document["unreadable"]] == ["photos/page.JPG", "*.gif"]
    assert document["passed_over"] == ["photos/.hidden.png", "photos/read me.txt"]


def test_more_classes_than_one_stand_side_by_side(run, photos):
    document = json.loads(convlift("predict", run, "photos/0.png", "--top", 3, "--json").out)
    (found,) = document["predictions"]
    ranked = sorted(found["probabilities"].items(), key=lambda named: -named[1])[:3]
    assert [(each["label"], each["probability"]) for each in found["top"]] == ranked
    line = convlift("predict", run, "photos/0.png", "--top", 3).out.rstrip("\n").split("\t")
    assert line == ["photos/0.png", *(text for label, value in ranked for text in (label, f"{value:.3f}"))]
    assert len(convlift("predict", run, "photos/0.png", "--top", 99).out.split("\t")) == 21
    said = convlift("predict", run, "photos/0.png", "--top", 2, "--csv")
    assert (said.code, said.err) == (*(2, "convlift: --csv has every class's probability already; leave out --top.\n"),)


def test_an_image_unlike_those_of_training_is_marked(run, photos):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    lines = convlift("predict", run, "photos/0.png", "noise.png").out.splitlines()
    assert ["unlike: true" in line for line in lines] == [False, True]
    assert lines[1].split("\t")[-1] == "unlike: true"
    found = json.loads(convlift("predict", run, "photos/0.png", "noise.png", "--json").out)["predictions"]
    assert [each["unlike"] for each in found] == [False, True]
    assert found[0]["distance"] < 1 < found[1]["distance"]
    rows = csv.DictReader(io.StringIO(convlift("predict", run, "noise.png", "--csv").out))
    assert [row["unlike"] for row in rows] == ["true"]


def test_explain_leaves_a_picture_an_image_and_a_page(run, photos):
    said = convlift("predict", run, "photos", "--explain", "maps")
    assert (said.code, named(said)) == (3, IN_FOLDER)
    assert said.out == convlift("predict", run, "photos").out
    assert sorted(os.listdir("maps")) == ["00001-0.jpg", "00002-two.jpg", "00003-1.jpg", "index.html"]
    page = Path("maps/index.html").read_text()
    assert page.count("<li>") == 3
    again = convlift("predict", run, "photos", "--explain", "maps")
    assert (again.code, again.out) == (2, "")
    assert again.err == "convlift: --explain maps is not an empty folder; name a new one, whose files are all ours.\n"


def test_an_image_on_stdin_is_that_image(run, photos):
    call = f"{sys.executable} -c 'from convlift.cli import main; main()' predict {run} -"
    found = subprocess.run(["bash", "-c", f"{call} < photos/0.png"], capture_output=True, text=True, check=True)
    expected = convlift("predict", run, "photos/0.png").out.replace("photos/0.png", "<stdin>")
    assert (found.stdout, found.stderr) == (expected, "")


def test_one_form_of_output(run, photos):
    said = convlift("predict", run, "photos", "--csv", "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err == "convlift: --json and --csv exclude one another; leave one out.\n"


def test_values_that_training_never_saw_are_said_beside_the_answer(run, place):
    Image.fromarray(DIGITS[3].astype(np.uint16) * 257).save(place / "deep.png")
    said = convlift("predict", run, "deep.png")
    assert (said.code, named(said)) == (0, ["deep.png"])
    assert said.err == ("convlift: deep.png: 16 bit, read as 0 to 65535, but training saw images of 8 bits only.\n")


def test_a_reader_that_leaves_early_is_no_fault(run, photos):
    command = f"{sys.executable} -c 'from convlift.cli import main; main()' predict {run} photos | head -n 1"
    found = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[1]}}"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("photos/0.png\t")
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_answers_is_one_sentence(run, photos):
    with open("/dev/full", "w") as full:
        call = [sys.executable, "-c", "from convlift.cli import main; main()", "predict", str(run), "photos/0.png"]
        found = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.stderr.startswith("convlift: a disk cannot be written (No space left on device); free space")
    assert found.stderr.count("\n") == 1
    assert found.returncode == 75


def test_names_that_the_terminal_cannot_show_are_escaped(run, place):
    digit(place / "ü.png")
    call = [sys.executable, "-c", "from convlift.cli import main; main()", "predict", str(run), "ü.png"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.startswith("\\xfc.png\t")
