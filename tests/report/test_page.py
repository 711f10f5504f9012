"""The page: one safe file, whatever the campaign brought."""

import dataclasses
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from conftest import make_picture, make_result, make_story, make_verdicts
from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.reasons import JointChange, Why
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import InvalidRecipe
from convlift.records.contact_sheet import Draw, Sheet
from convlift.records.evidence_of_symptoms import AccuracyGap, LossNotFinite, LossStillFalls, LowRecall
from convlift.records.finding import Finding
from convlift.records.notes import NotAsked
from convlift.records.recipe_findings import FewEpochs, Suspected
from convlift.records.result import Result
from convlift.report.page import render
from convlift.report.page_records import Choice, Story
from convlift.report.wording.choice_of_changes import not_tried_in_words, why_in_words

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "img"}


class Reader(HTMLParser):
    """Checks that tags nest, and collects tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    result = make_result(make_verdicts(8))
    return render(result, make_story(result))


def test_the_answer_comes_first_and_every_part_is_there(page: str) -> None:
    text = " ".join(Reader(page).text.split())
    order = [
        "+11.1 points of accuracy",
        "From 0.712 to 0.823, proven on 648 sealed test images",
        "What changed, and what each change bought",
        "label smoothing 0.1",
        "How sure is this?",
        "2.9 points",
        "The data",
        "14 images appear twice.",
        "The model",
        "predicted dandelion, 97% sure",
        "The trials",
        "The recipe",
        "horizontal_flip: 0.5",
        "How this was judged",
        "Environment",
        "schema_version",
    ]
    positions = [text.index(words, text.index("Method")) for words in order]
    assert positions == sorted(positions)


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    reader = Reader(page)
    assert ("content", policy) in reader.attributes
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//|url\(\s*[\"']?(?:https?:)?//|@import", page)
    assert not reader.tags & {"script", "iframe", "object", "embed", "form", "base"}
    for name, value in reader.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith(("#", "data:"))


def test_every_name_is_escaped(result: Result) -> None:
    verdict = dataclasses.replace(result.verdicts[0], name=HOSTILE, claim=HOSTILE, source=HOSTILE)
    left_out = dataclasses.replace(verdict, shipped=False)
    hostile = dataclasses.replace(
        result,
        run=HOSTILE,
        metric=HOSTILE,
        data=HOSTILE,
        baseline_name=HOSTILE,
        start_name=HOSTILE,
        verdicts=(verdict, left_out),
        findings=(Finding(HOSTILE, "error", HOSTILE, (HOSTILE, "\udcff\x00.jpg"), HOSTILE),),
        notes=(NotAsked((HOSTILE,)),),
        recipe_findings=(Suspected(FewEpochs(1, 4), LossNotFinite(HOSTILE)),),
    )
    story = make_story(hostile, (HOSTILE, '" onerror="alert(1)', "{{ 7 * 7 }}"))
    story = dataclasses.replace(
        story,
        shipped_recipe=HOSTILE,
        baseline_recipe="a",
        start_recipe=HOSTILE,
        environment={HOSTILE: HOSTILE},
        baseline_diagnosis=(Diagnosis(Symptom.WEAK_CLASS, LowRecall(HOSTILE, 0.1, 9, 0.9)),),
        choice=Choice(tried={HOSTILE: Why((), (), 1.0)}, left_out={HOSTILE: InvalidRecipe(HOSTILE)}),
    )
    page = render(hostile, story)
    page.encode()
    assert "<script" not in page
    assert html.escape(HOSTILE) in page
    assert "{{ 7 * 7 }}" in page
    assert "\\udcff\\x00.jpg" in page
    assert not [name for name, _ in Reader(page).attributes if name.startswith("on")]


def test_the_same_records_give_the_same_page(page: str) -> None:
    result = make_result(make_verdicts(8))
    assert render(result, make_story(result)) == page


@pytest.mark.parametrize(
    ("gain", "words", "never"),
    [
        ((0.9, -0.8, 2.6), "No reliable improvement", "From 0.712 to"),
        ((-2.3, -4.0, -0.6), "Keep the baseline", "From 0.712 to"),
        ((2.3, 0.6, 4.0), "Better, but not proven", "No reliable improvement"),
    ],
)
def test_nothing_is_claimed_without_proof(gain: tuple[float, float, float], words: str, never: str) -> None:
    result = make_result(make_verdicts(8)[5:], gain)
    assert result.network
    result = dataclasses.replace(result, proven=False, network=dataclasses.replace(result.network, proven=False))
    main = Reader(render(result, make_story(result, ("ants", "bees")))).text
    assert words in main
    assert never not in " ".join(main.split())


def test_a_campaign_that_left_almost_nothing_still_has_a_page() -> None:
    result = dataclasses.replace(make_result((), (0.0, -1.0, 1.0)), counts={}, findings=(), notes=())
    story = Story("", "", "", ("a", "b"), np.zeros((0, 0), np.int64), (), (), {})
    text = Reader(render(result, story)).text
    assert "No change was tried" in text
    assert "The audit found nothing to report." in text


def test_a_thousand_classes_and_forty_changes_stay_small_and_readable() -> None:
    result = make_result(make_verdicts(40, long_names=True))
    result = dataclasses.replace(
        result, findings=(Finding("unreadable", "error", "Many.", tuple(f"{i}.jpg" for i in range(9_000))),)
    )
    noise = np.random.default_rng(0).integers(0, 255, (40, 4, 4)).tobytes()
    pictures = (*(make_picture(seed, side=300) for seed in range(20)), noise)
    story = make_story(result, tuple(f"class {i}" for i in range(1000)), trials=900, pictures=pictures)
    page = render(result, story)
    assert len(page.encode()) < 6_000_000
    reader = Reader(page)
    assert "Confusion matrix" not in page
    assert "Most frequent mistakes" in reader.text
    assert "The 30 weakest of 1,000 classes." in reader.text
    assert "and 8,980 more" in reader.text
    assert "The first 400 of 900" in reader.text
    assert page.count("<img ") == 18


def test_lines_that_differ_from_the_baseline_are_marked(page: str) -> None:
    marked = re.findall(r'<span class="changed">\s*(.*)\n</span>', page)
    assert marked == ["resolution: 160", "horizontal_flip: 0.5", "epochs: 20", "label_smoothing: 0.1"]


def test_the_recipe_can_be_copied_as_it_is(result: Result, story: Story) -> None:
    block = re.search(r"<pre>(.*?)</pre>", render(result, story), re.DOTALL)
    assert block is not None
    assert Reader(block.group(1)).text == story.shipped_recipe


def test_a_picture_that_is_none_is_left_out(result: Result, story: Story) -> None:
    images = (dataclasses.replace(story.hard_images[0], png=b"not a picture"), story.hard_images[1])
    assert render(result, dataclasses.replace(story, hard_images=images)).count("<img ") == 1


def test_what_the_network_saw_stands_beside_the_images(result: Result, story: Story) -> None:
    draw = Draw(make_picture(2), {"horizontal_flip": (), "rotation": (0.1,)})
    rows = (
        ("a/1.jpg", "<b>rose</b>", make_picture(1), (draw, draw)),
        ("a/2.jpg", "tulip", b"not a picture", (draw, draw)),
    )
    strengths = {"horizontal_flip": 0.5, "rotation": 0.2}
    sheet = Sheet("flowers", "", 128, rows, strengths, {}, "afresh", 0, mixes=True)
    plain, shown = render(result, story), render(result, dataclasses.replace(story, seen=sheet))
    assert "What the network saw" not in plain
    assert shown.count("<img ") == plain.count("<img ") + 3, "of a row whose picture is none nothing is left"
    assert shown.count("mirrored, turned 36° to the left</figcaption>") == 2
    assert "&lt;b&gt;rose&lt;/b&gt;" in shown
    assert "Images are also mixed with each other" in shown


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_opens_it_without_a_console_line(page: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --v=0 --dump-dom"
    )
    command = ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in found.stderr
    assert "How this was judged" in found.stdout


def test_why_changes_were_tried_is_told_and_folded(result: Result, story: Story) -> None:
    choice = Choice(
        symptoms=(Diagnosis(Symptom.OVERFIT, AccuracyGap(0.981, 0.702)),),
        tried={"horizontal flip": Why((Symptom.OVERFIT,), (), 0.75)},
        left_out={"width x2": JointChange(20, 30), HOSTILE: InvalidRecipe(HOSTILE)},
        seen=(Diagnosis(Symptom.UNDER_TRAINED, LossStillFalls(0.5, 0.4, 3)),),
        added={"epochs x3": Why((Symptom.UNDER_TRAINED,), (), 0.95)},
    )
    page = render(result, dataclasses.replace(story, choice=choice))
    text = Reader(page).text
    assert "Overfit: accuracy 0.981 in training, 0.702 in validation." in text
    assert "1 change that answers to it was added to the list" in text
    for reason in [*map(why_in_words, choice.tried.values()), *map(why_in_words, choice.added.values())]:
        assert reason[1:] in text
    for reason in map(not_tried_in_words, choice.left_out.values()):
        assert reason[1:] in text
    assert HOSTILE not in page
    section = page.partition('<section id="why">')[2].partition("</section>")[0]
    assert section.count("<details") == 3
    assert "<details open" not in section


def test_a_start_without_symptoms_and_a_story_without_reasons(result: Result, story: Story) -> None:
    assert 'id="why"' not in render(result, story), "a ledger of an earlier version holds no reasons"
    healthy = dataclasses.replace(story, choice=Choice(tried={"horizontal flip": Why((), (), 0.5)}))
    assert "It showed nothing that a change is known to mend." in Reader(render(result, healthy)).text
