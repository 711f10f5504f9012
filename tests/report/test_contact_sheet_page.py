"""The contact sheet: a page and a picture of the same, and a draw in words."""

import io
import re

import pytest
from PIL import Image

from convlift.errors import ConvliftError
from convlift.recipe.augmentation import Augmentation
from convlift.records.contact_sheet import Draw, Sheet
from convlift.report.contact_sheet_page import check_sheet_file, draw_sheet, sheet_sentence, write_sheet
from convlift.report.wording.augmentation_in_words import DRAWN, draw_in_words, sheet_in_words


def png(grey: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (8, 8), grey).save(content, "PNG")
    return content.getvalue()


def sheet(**changes) -> Sheet:
    draws = (Draw(png(90), {"rotation": (0.1,)}), Draw(png(120), {}))
    given = {
        "data": "photos", "recipe": "mine <b>.yaml", "side": 8, "strengths": {"rotation": 0.2, "crop": 0.5},
        "rows": (("a<b>.png", "ant", png(60), draws), ("c.png", "bee", png(10), draws)),
        "settings": {"fill_mode": "edge", "erase_chance": 0.5}, "way": "afresh", "views": 0, "mixes": False,
    }  # fmt: skip
    return Sheet(**given | changes)


@pytest.mark.parametrize(
    ("levers", "words"),
    [
        ({}, "as it is"),
        ({"rotation": (-1 / 30,), "horizontal_flip": ()}, "mirrored, turned 12° to the right"),
        ({"rotation": (0.0004,), "brightness": (-0.001,), "contrast": (1.001,), "hue": (0.001,)}, "as it is"),
        ({"translation": (3.0, -1.0)}, "3 px right and 1 px up"),
        ({"translation": (0.0, 2.0), "zoom": (0.9,)}, "size ×0.90, 2 px down"),
        ({"quarter_turns": (3.0,), "vertical_flip": ()}, "a quarter turn to the right, upside down"),
        ({"crop": (0.5, 1.2)}, "50% of it enlarged, its width ×1.20"),
        ({"crop": (0.5, 1.0)}, "50% of it enlarged"),
        ({"shear": (0.1, -0.001)}, "sheared +0.10 along x"),
        ({"gamma": (1.2,), "channel_gain": (1.1, 1.0, 0.9)}, "gamma ×1.20, red ×1.10, blue ×0.90"),
        ({"channel_gain": (1.1, 1.0, 1.0, 0.9, 1.0, 1.0)}, "band 1 ×1.10, band 4 ×0.90"),
        ({"jpeg": (30.0,), "posterize": (1.0,), "greyscale": ()}, "1 bit, JPEG of quality 30, grey"),
        ({"rand_augment": (3.0, -0.3, 2.0, 0.3)}, "RandAugment: rotate -30% and equalize"),
        ({"trivial_augment": (4.0, 0.5)}, "TrivialAugment: solarize 50%"),
        (
            {"aug_mix": (0.4, 3.0, -0.3, 0.4, 2.0, 0.1, 0.2, 6.0, 0.25)},
            "AugMix: 40% of it rotate -30% and equalize; 20% of it posterize 25%",
        ),
        ({"aug_mix": (0.004, 3.0, -0.3), "horizontal_flip": ()}, "mirrored"),
        ({"erase": (0.12,), "perspective": (0.084,)}, "corners off by 8.4%, erased: 12%"),
    ],
)
def test_a_draw_in_words(levers, words):
    assert draw_in_words(levers) == words


def test_the_sheet_says_which_bands_it_shows():
    assert "Its images have 6 bands; the pictures show the first three" in sheet_in_words(sheet(channels=6))
    assert "the pictures show the first as grey" in sheet_in_words(sheet(channels=2))
    assert "bands" not in sheet_in_words(sheet()) + sheet_in_words(sheet(channels=1))


def test_there_are_words_for_every_lever():
    assert set(DRAWN) == set(Augmentation().strengths)


def test_the_page_holds_all_pictures_and_needs_no_other_file(tmp_path):
    text = write_sheet(sheet(), tmp_path / "sheet.html").read_text()
    assert text.count("data:image/png;base64,") == 6
    assert re.findall(r'src="(?!data:image/png;base64,)', text) == []
    assert text.count("<figcaption>turned 36° to the left</figcaption>") == 2
    assert "a&lt;b&gt;.png" in text
    assert "mine &lt;b&gt;.yaml" in text
    assert "<code>fill_mode</code>" in text
    assert "erase_chance" not in text, "what has its usual value"
    assert "new draws in every epoch" in text


def test_the_picture_has_a_column_a_draw_and_a_row_an_image(tmp_path):
    path = write_sheet(sheet(), tmp_path / "sheet.png")
    found = Image.open(path)
    assert found.size == draw_sheet(sheet()).size
    assert [found.getpixel((30 + column * 192, 30)) for column in range(3)] == [(60,) * 3, (90,) * 3, (120,) * 3]
    assert found.getpixel((30, found.height // 2 + 30)) == (10,) * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strengths": {}}, "does not augment"),
        ({"way": "views", "views": 1}, "1 copy of it that is drawn once"),
        ({"way": "views", "views": 3}, "3 copies of it that are drawn once"),
        ({"way": "never"}, "augmentation does nothing: set data.views"),
    ],
)
def test_how_the_network_meets_the_images(changes, said):
    assert said in sheet_in_words(sheet(**changes))


def test_the_line_for_the_terminal(tmp_path):
    line = sheet_sentence(sheet(), tmp_path / "sheet.html")
    assert line.startswith("2 training images at 8 pixels (rotation 0.2, crop 0.5, fill_mode edge) in ")


@pytest.mark.parametrize(("name", "match"), [("a.jpg", "ends in .html or .png"), ("no/a.html", "is not there")])
def test_a_name_that_cannot_be_is_refused(tmp_path, name, match):
    with pytest.raises(ConvliftError, match=match):
        check_sheet_file(tmp_path / name)
