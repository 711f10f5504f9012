"""The images of a contact sheet: training images of every class, as the network sees them."""

import io

import numpy as np
import pytest
from PIL import Image

from convlift import api
from convlift.errors import ConvliftError
from convlift.recipe.built_in import built_in

BRIGHT = built_in("plain").edit(data={"augmentation": {"brightness": 0.2, "quarter_turns": 0.75}})


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def sheet():
    return api.contact_sheet("digits", BRIGHT, quiet=True)


def test_there_is_an_image_of_each_class_while_there_are_classes(sheet):
    assert len({label for _, label, *_ in sheet.rows}) == len(sheet.rows) == 8
    assert (sheet.data, sheet.side, sheet.way, sheet.mixes) == ("digits", 8, "afresh", False)
    assert sheet.strengths == {"brightness": 0.2, "quarter_turns": 0.75}


def test_each_draw_is_the_image_changed_by_what_is_told(sheet):
    for _, _, original, draws in sheet.rows:
        before = pixels(original)
        assert len(draws) == 6
        for draw in draws:
            turned = np.rot90(before, int(draw.levers.get("quarter_turns", (0,))[0]))
            expected = (turned + 255 * draw.levers["brightness"][0]).clip(0, 255)
            assert np.abs(pixels(draw.picture) - expected).max() <= 1


@pytest.mark.parametrize(
    ("recipe", "way"),
    [("transfer", "never"), ("fine-tune", "afresh"), (built_in("frozen").edit(data={"views": 2}), "views")],
)
def test_how_the_network_meets_them_follows_from_the_recipe(recipe, way):
    assert api.contact_sheet("digits", recipe, quiet=True).way == way


def test_a_recipe_without_augmentation_has_no_draws():
    sheet = api.contact_sheet("digits", "plain", quiet=True)
    assert [draws for *_, draws in sheet.rows] == [()] * 8


def test_a_fault_in_the_recipe_is_said_first():
    with pytest.raises(ConvliftError, match="neither a file nor a built-in recipe"):
        api.contact_sheet("nowhere", "plian", quiet=True)
