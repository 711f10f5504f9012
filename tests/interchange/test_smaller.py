"""Files of fewer bits: made from a graph, judged by the answers that they change, kept only where these cost little."""

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from PIL import Image

from convlift.deploy.onnx_classifier import OnnxClassifier, load_onnx
from convlift.errors import ConvliftError
from convlift.interchange.agreement import (
    LEAST,
    LEAST_CHECKED,
    agreement,
    compare_answers,
    is_kept,
    labels_of,
    parted,
    refusal,
    squares_of,
)
from convlift.interchange.onnx_file import whole_graph
from convlift.interchange.smaller import in_float16, in_int8, with_int8_weights
from onnx_files import CLASSES, RECIPE, config_of, linear, linear_network, weights_of

CONFIG = config_of(3, 8, "squash")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of noise, in folders of classes."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    paths = [folder / CLASSES[number % 3] / f"{number}.png" for number in range(LEAST + 100)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return paths


def loaded(made: ModelProto, file: Path) -> OnnxClassifier:
    file.write_bytes(made.SerializeToString())
    return load_onnx(file)


def inputs_of(model: OnnxClassifier, paths: list[Path]):
    for square in squares_of(model, paths):
        yield ((square.transpose(2, 0, 1)[None] / 255.0 - 0.4) / 0.3).astype(np.float32)


def test_fewer_bits_keep_the_answers(tmp_path: Path, photos: list[Path]) -> None:
    network = linear_network(CONFIG, 5.0 * weights_of(CONFIG))
    model = loaded(whole_graph(network, CONFIG, RECIPE), tmp_path / "whole.onnx")
    calibration, others = parted(photos)
    in_eight = in_int8(network, inputs_of(model, calibration))
    for made, most in ((in_float16(network), 0.01), (in_eight, 0.2), (with_int8_weights(network), 0.05)):
        smaller = loaded(whole_graph(made, CONFIG, RECIPE), tmp_path / "small.onnx")
        squares = squares_of(model, others[:50])
        apart = np.abs(model.probabilities(squares) - smaller.probabilities(squares)).max()
        assert 0.0 < apart < most
        assert compare_answers(model, smaller, others).changed < 0.05 * len(others)


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path: Path, photos: list[Path]) -> None:
    model = loaded(linear(CONFIG), tmp_path / "one.onnx")
    other = loaded(linear(CONFIG, np.roll(weights_of(CONFIG), 5)), tmp_path / "other.onnx")
    found = compare_answers(model, other, photos)
    assert not is_kept(found)
    assert re.search(r"change \d+ of \d+ answers.*, and cost .* points of accuracy; 1% is allowed", str(refusal(found)))
    assert is_kept(compare_answers(model, model, photos))


def test_images_are_calibrated_on_or_checked_on() -> None:
    paths = [Path(f"{number}.png") for number in range(1000)]
    calibration, others = parted(paths)
    assert len(calibration) == 200
    assert sorted([*calibration, *others]) == sorted(paths)
    assert len(parted(paths[:LEAST])[1]) == LEAST_CHECKED
    with pytest.raises(ConvliftError, match=f"name at least {LEAST} with --images"):
        parted(paths[: LEAST - 1])


@pytest.mark.parametrize(
    ("images", "changed", "kept"), [(368, 0, True), (367, 0, False), (556, 1, True), (368, 1, False)]
)
def test_changed_answers_bound_the_loss(images: int, changed: int, kept: bool) -> None:
    before = np.zeros(images, np.int64)
    after = before.copy()
    after[:changed] = 1
    assert is_kept(agreement(before, after, None)) == kept


def test_labels_show_that_changed_answers_cost_nothing() -> None:
    before = np.zeros(4000, np.int64)
    after, labels = before.copy(), before.copy()
    after[:80], labels[:40] = 1, 1  # of 80 changed answers half were wrong before, half are wrong now
    found = agreement(before, after, labels)
    assert found.most_changed > 0.01
    assert found.gain is not None
    assert found.gain.value == 0.0
    assert is_kept(found)
    assert not is_kept(agreement(before, after, None))


def test_the_nearest_folder_of_a_classs_name_is_the_label() -> None:
    paths = [Path("/data/bee/ant/deep/1.png"), Path("/data/bee/2.png")]
    assert labels_of(paths, ("ant", "bee")) is not None
    assert list(labels_of(paths, ("ant", "bee"))) == [0, 1]  # type: ignore[arg-type]
    assert labels_of([*paths, Path("/data/3.png")], ("ant", "bee")) is None
