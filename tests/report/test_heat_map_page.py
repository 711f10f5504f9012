"""The pictures of `convlift predict --explain`, and their page."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from convlift.deploy.explain import Explanation
from convlift.deploy.predict import Prediction
from convlift.errors import ConvliftError
from convlift.report.heat_map_page import HeatMapPage, draw_heat_map


def explained(name, confidence, **more):
    """A dark image (20, 30) whose upper left corner is hot."""
    heat = np.zeros((20, 30), np.float32)
    heat[:5, :5] = 1
    prediction = Prediction(name, "a <b>", confidence, {"a <b>": confidence, "c": 1 - confidence}, **more)
    return Explanation(prediction, "a <b>", np.full((20, 30, 1), 40, np.uint8), heat)


def test_the_image_stands_left_and_its_map_right():
    picture = np.asarray(draw_heat_map(explained("x.png", 0.9)))
    height, width = picture.shape[:2]
    assert height >= 192
    left, right = picture[:, : width // 2 - 3], picture[:, width // 2 + 3 :]
    assert (left == 40).all()
    hot, cold = right[10, 10].astype(int), right[-10, -10]
    assert hot[0] > hot[2] + 30  # red
    assert (cold == 40).all()


def test_of_bands_the_picture_shows_the_first_three():
    bands = np.full((20, 30, 6), 40, np.uint8) + np.arange(6, dtype=np.uint8)
    picture = np.asarray(draw_heat_map(replace(explained("x.tif", 0.9), image=bands)))
    assert picture[0, 0].tolist() == [40, 41, 42]
    picture = np.asarray(draw_heat_map(replace(explained("x.tif", 0.9), image=bands[..., :2])))
    assert picture[0, 0].tolist() == [40, 40, 40]


def test_the_page_lists_all_with_the_surest_first_and_needs_no_other_file(tmp_path):
    page = HeatMapPage(tmp_path / "maps")
    for name, confidence, distance in (("one.png", 0.5, 2.0), ("deep/two\n.png", 0.75, 0.5), ("one.png", 0.625, None)):
        page.add(explained(name, confidence, distance=distance))
    text = page.close().read_text()
    assert re.findall(r"</b> (0\.\d+)", text) == ["0.750", "0.625", "0.500"]
    assert text.count("a &lt;b&gt;</b>") == 3
    assert text.count("<mark>unlike the training images</mark>") == 1
    assert "deep/two\\n.png" in text
    assert re.findall(r'src="(?!data:image/jpeg;base64,)', text) == []
    files = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert files == ["00001-one.jpg", "00002-two_.jpg", "00003-one.jpg", "index.html"]
    for name in files[:-1]:
        assert name in text
        assert Image.open(io.BytesIO((tmp_path / "maps" / name).read_bytes())).format == "JPEG"


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ConvliftError, match="is not an empty folder; name a new one"):
            HeatMapPage(path)
