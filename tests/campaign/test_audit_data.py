"""An audit of a folder in which something of each kind is wrong: found, shown, and nothing changed."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from convlift import api
from convlift.campaign.audit_data import audit_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.cli import main
from convlift.errors import ConvliftError, Interrupted
from convlift.records.events import ImagesRead

COLOURS = {"red": (210, 40, 40), "blue": (40, 40, 210)}


def digest_of(folder):
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.png")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """36 training and 16 test images of either colour, each of its own texture; the test is darker.

    train/red/0.png is a blue one; test/blue/1.png is train/blue/1.png at half the size.
    """
    root, rng = tmp_path_factory.mktemp("audit") / "squares", np.random.default_rng(0)
    for part, count, light in (("train", 36, 1.0), ("test", 16, 0.35)):
        for name, colour in COLOURS.items():
            (root / part / name).mkdir(parents=True)
            for row in range(count):
                field = cv2.GaussianBlur(rng.normal(size=(48, 48)).astype(np.float32), (0, 0), 3)
                own = COLOURS["blue"] if (part, name, row) == ("train", "red", 0) else colour
                pixels = light * (np.array(own) + 60 * (field / field.std())[:, :, None])
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(root / part / name / f"{row}.png")
    with Image.open(root / "train" / "blue" / "1.png") as image:
        image.resize((24, 24), Image.Resampling.BOX).save(root / "test" / "blue" / "1.png")
    return root


@pytest.fixture(scope="module")
def audited(folder, tmp_path_factory):
    before = digest_of(folder)
    page = tmp_path_factory.mktemp("page") / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = api.audit(folder, page, quiet=True)
    assert digest_of(folder) == before
    return found, page


def test_everything_that_was_planted_is_found(audited):
    found, _ = audited
    kinds = {each.kind: each for each in found.findings}
    assert kinds["near-copy leak"].rows == (("test/blue/1.png", "train/blue/1.png"),)
    assert "train/red/0.png" in kinds["label errors"].items
    assert kinds["shift"].severity == "note"
    assert found.counts == {"test": 32, "train": 72}
    assert found.classes == {"blue": 52, "red": 52}
    (doubt,) = [each for each in found.doubts if each.key == "train/red/0.png"]
    assert (doubt.given, doubt.looks_like, doubt.part) == ("red", "blue", "train")
    severities = [each.severity for each in found.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


def test_the_page_shows_them(audited):
    found, page = audited
    text = page.read_text(encoding="utf-8")
    assert all(each.kind in text for each in found.findings)
    assert text.count("data:image/jpeg;base64,") >= 3
    assert {"train/red/0.png", "train/blue/1.png"} <= set(found.pictures)


def test_without_the_network_neither_labels_nor_parts_are_looked_at(folder, tmp_path):
    told = []
    found = audit_data(request_of(folder, None, tmp_path), Session(told.append), label_errors=False)
    kinds = {each.kind for each in found.findings}
    assert "near-copy leak" in kinds
    assert not kinds & {"label errors", "outliers", "shift"}
    assert found.quality is None
    assert not found.doubts
    assert told
    assert not any(isinstance(event, ImagesRead) for event in told)  # findings are the result, not a line on the way


def test_it_stops_when_asked(folder, tmp_path):
    with pytest.raises(Interrupted):
        audit_data(request_of(folder, None, tmp_path), Session(lambda event: None, lambda: 2), label_errors=False)


def test_the_command_prints_one_document_and_leaves_a_page(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["audit", str(folder), "--quiet", "--json", "--no-label-errors"])
    assert end.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parts"] == {"test": 32, "train": 72}
    assert "near-copy leak" in {each["kind"] for each in document["findings"]}
    assert (tmp_path / "runs" / "squares-audit.html").exists()


def test_options_that_make_no_sense_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(TypeError, match="there is no option 'seed'"):
        api.audit(folder, seed=1)
    with pytest.raises(ConvliftError, match="nor a regular expression"):
        api.audit(folder, group_from="(", quiet=True, label_errors=False)
    with pytest.raises(SystemExit) as end:
        main(["audit", str(folder), "--out", str(tmp_path / "nowhere" / "page.html")])
    assert end.value.code == 2
    assert not (tmp_path / "runs").exists()
