"""The page, the lines and the document of an audit say one thing."""

import io
import json
from dataclasses import replace
from pathlib import Path

from PIL import Image
from rich.console import Console

from convlift.campaign.audit_data import Audited, DoubtedLabel, LabelQuality
from convlift.records.finding import Finding
from convlift.report.audit_page import audit_document, headline, labels_sentence, print_audit, render_audit


def picture():
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG")
    return content.getvalue()


FOUND = Audited(
    "photos",
    1200,
    {"test": 200, "train": 1000},
    {"cat": 800, "dog": 400, "<owl>": 0},
    (
        Finding(
            "near-copy leak", "warning", "2 sets leak.", ("a/1.jpg = b/<2>.jpg", "a/3.jpg = b/4.jpg"), "Remove them."
        ),
        Finding("label errors", "note", "40 look odd.", tuple(f"a/{row}.jpg" for row in range(40)), "Look at them."),
        Finding("uneven classes", "note", "One is large."),
    ),
    tuple(DoubtedLabel(f"a/{row}.jpg", "train", "cat", "dog", 0.93, 0.04) for row in range(40)),
    LabelQuality(1000, 0.81, 40, 0.034, 0.121),
    {"a/1.jpg": picture(), "b/<2>.jpg": picture(), "a/0.jpg": picture()},
    12.5,
)
CLEAN = replace(FOUND, findings=(), doubts=(), quality=None, pictures={})


def test_the_answer_counts_what_was_found():
    assert headline(FOUND) == "1 warning and 2 notes."
    assert headline(CLEAN) == "Nothing was found."
    assert labels_sentence(CLEAN) == ""
    assert labels_sentence(FOUND) == (
        "Of 1,000 labels, of 1,200 in all, 40 are doubtful; 3.4% to 12.1% are wrong, by a classifier that gives 81.0% "
        "of all images their label."
    )

    spotless = replace(FOUND, quality=replace(FOUND.quality, least=0.0))
    assert "; at most 12.1% are wrong" in labels_sentence(spotless)


def test_the_page_has_pictures_side_by_side_and_needs_nothing_else():
    text = render_audit(FOUND)
    # a/1.jpg and its copy, and a/0.jpg and a/1.jpg among the labels
    assert text.count('<img src="data:image/jpeg;base64,') == 4
    assert "b/&lt;2&gt;.jpg" in text
    assert "<2>" not in text
    assert "looks like dog, 93%" in text
    assert "all 2 entries" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "The audit found nothing to report." in render_audit(CLEAN)


def test_the_lines_name_the_first_files():
    content = io.StringIO()
    print_audit(FOUND, Path("photos.html"), Console(file=content, width=200))
    lines = content.getvalue().splitlines()
    assert lines[0] == "photos: 1,200 images of 2 classes. 1 warning and 2 notes."
    assert lines[1] == "warning: near-copy leak. 2 sets leak. Remove them. [a/1.jpg = b/<2>.jpg, a/3.jpg = b/4.jpg]"
    assert lines[2].endswith("[a/0.jpg, a/1.jpg, a/2.jpg and 37 more]")
    assert lines[-1] == "page: photos.html"


def test_the_document_has_every_file():
    document = json.loads(json.dumps(audit_document(FOUND), allow_nan=False))
    assert document["answer"] == headline(FOUND)
    assert len(document["label_errors"]) == len(document["findings"][1]["items"]) == 40
    assert document["labels"] == {"looked_at": 1000, "right": 0.81, "flagged": 40, "least": 0.034, "most": 0.121}
    assert audit_document(CLEAN)["labels"] is None
