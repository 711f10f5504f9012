"""An exported file predicts what convlift predicts, in a process that finds no torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, parser
from PIL import Image

from command_line import convlift
from convlift.data.decode import from_array
from convlift.data.square import square
from convlift.deploy.model_folder import ModelConfig, write_model_folder
from convlift.deploy.onnx_classifier import load_onnx
from convlift.errors import ConvliftError
from convlift.interchange.parity import made_up_images
from onnx_files import CLASSES, RECIPE, config_of, folder_of, weights_of, without_torch


def expected(config: ModelConfig, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of convlift's own steps before the network."""
    pixels = square(from_array(image).pixels, config.channels, config.resolution, config.preparation)
    logits = ((pixels / 255.0 - 0.4) / 0.3).transpose(2, 0, 1).ravel() @ weights_of(config).astype(np.float64)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "run", config_of(3, 28, "squash"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(next(made_up_images())).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 31), (3, 224)])
def test_images_reach_the_network_as_convlift_prepares_them(
    tmp_path: Path, channels: int, side: int, policy: str
) -> None:
    config = config_of(channels, side, policy)
    images = [*made_up_images(), np.full((9, 300), 77, np.uint8)]
    found = load_onnx(folder_of(tmp_path / "run", config)).predict(images)
    for image, prediction in zip(images, found, strict=True):
        assert list(prediction.probabilities.values()) == pytest.approx(expected(config, image), abs=1e-5)


@pytest.mark.parametrize("policy", ["squash", "crop"])
def test_the_graph_resizes_to_a_side_that_no_image_is_kept_at(tmp_path: Path, policy: str) -> None:
    config = config_of(3, 300, policy)
    images = [*made_up_images()]
    found = load_onnx(folder_of(tmp_path / "run", config)).predict(images)
    for image, prediction in zip(images, found, strict=True):
        assert list(prediction.probabilities.values()) == pytest.approx(expected(config, image), abs=1e-3)


def test_predicting_needs_nothing_of_the_extra_train(run: Path, photo: Path) -> None:
    found = without_torch("from convlift.cli import main", f"main(['predict', {str(run)!r}, {str(photo)!r}])")
    assert (found.returncode, found.stderr) == (0, "")
    own = load_onnx(run).predict(photo)
    assert found.stdout == f"{photo}\t{own.label}\t{own.confidence:.3f}\n"


def test_without_torch_every_other_command_names_the_remedy(run: Path, photo: Path) -> None:
    commands: list[tuple[Any, ...]] = [
        ("recipes",),
        ("train", "digits"),
        ("improve", "digits"),
        ("evaluate", str(run), "digits"),
        ("export", str(run)),
        ("report", str(run)),
        ("predict", str(run), str(photo), "--device", "cuda"),
    ]
    found = without_torch(
        "from convlift.cli import main",
        "print('.', file=sys.stderr)",
        f"for command in {commands}:",
        "    try:",
        "        main(command)",
        "    except SystemExit as end:",
        "        print('exit', end.code, file=sys.stderr)",
        "import convlift",
        "try:",
        "    convlift.improve",
        "except convlift.ConvliftError as error:",
        "    print(error, file=sys.stderr)",
    )
    said = found.stderr.splitlines()[1:]
    assert said[0] == "exit 0"
    assert len(said) == 2 * len(commands)
    for sentence, code in zip(said[1:-1:2], said[2:-1:2], strict=True):
        assert " needs " in sentence
        assert sentence.endswith("pip install 'convlift[train]'.")
        assert code == "exit 2"
    assert said[-1].endswith("which is not installed; pip install 'convlift[train]'.")


def test_a_run_that_was_not_exported_says_where_to(run: Path) -> None:
    (run / "model" / "model.onnx").unlink()
    with pytest.raises(ConvliftError, match=r"holds no model\.onnx.*run `convlift export` on it where it was trained"):
        load_onnx(run)


def test_a_file_of_other_weights_is_refused(run: Path, tmp_path: Path) -> None:
    file = (run / "model" / "model.onnx").read_bytes()
    (tmp_path / "other").write_bytes(b"other weights")
    write_model_folder(run / "model", tmp_path / "other", RECIPE, config_of(3, 28, "squash"))
    (run / "model" / "model.onnx").write_bytes(file)
    with pytest.raises(ConvliftError, match="was not made of the model that lies beside it"):
        load_onnx(run)


def test_a_file_alone_predicts_wherever_torch_is(run: Path, photo: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    (run / "model" / "model.onnx").rename(alone)
    said = convlift("predict", alone, photo)
    model = load_onnx(alone)
    assert said.out.split("\t")[1] == model.predict(photo).label
    assert (model.config.alpha, model.classes, model.recipe) == ("black", CLASSES, RECIPE)
    with pytest.raises(ConvliftError, match="holds no PyTorch network"):
        _ = model.network


@pytest.mark.parametrize("content", [b"", b"no graph", helper.make_model(parser.parse_graph(
    "other (float[N,2] x) => (float[N,2] y) { y = Identity(x) }"), ir_version=10,
    opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()])  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(ConvliftError, match=r"cannot be run|is no file that `convlift export` wrote"):
        load_onnx(tmp_path / "file.onnx")
