"""One file that says what convlift says, or none: over the families of networks, sizes and batches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from command_line import convlift
from convlift.campaign.artifacts import write_model
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.deploy.model_folder import ModelConfig
from convlift.deploy.onnx_classifier import load_onnx
from convlift.deploy.predict import Model, load
from convlift.errors import ConvliftError, UnreadableImage
from convlift.interchange import export as exporting
from convlift.interchange.agreement import LEAST, LEAST_CHECKED
from convlift.interchange.export import export_onnx
from convlift.interchange.onnx_file import PROBABILITIES, onnx_model
from convlift.interchange.parity import check_parity
from convlift.interchange.preprocessing_graph import IMAGES
from convlift.model.blocks import block
from convlift.model.build import build_network
from convlift.model.checkpoint import save_network
from convlift.model.together import Together
from convlift.recipe.architecture import ConvNet
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.confidence import Confidence
from own_networks import MNIST, NONE_ALLOWED, TUTORIAL, looked_into, small, write

CLASSES = ("ant", "bee", "größe")
EVERYTHING = {
    "stages": 2, "blocks": 2, "residual": True, "normalization": "group", "squeeze_excitation": True,
    "self_attention": True, "summary": "average", "pooling": "strided", "activation": "gelu",
}  # fmt: skip

FIELD = {
    "stages": 2, "blocks": 1, "width": 16, "halving": "within", "blur_pool": True, "attention": "cbam",
    "normalization": "batch", "summary": "gem", "stem": "deep", "stochastic_depth": 0.2, "head_units": 0,
    "block": "bottleneck", "weight_standardization": True,
}  # fmt: skip
CONVNEXT = {"block": "convnext", "normalization": "layer", "attention": "eca", "halving": "within"}


def network_of(recipe: Recipe, channels: int, side: int) -> nn.Module:
    """With statistics that are no longer those of an untrained network."""
    torch.manual_seed(0)
    network = build_network(recipe.architecture, classes=len(CLASSES), channels=channels, resolution=side)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def model_of(recipe: Recipe, channels: int, side: int, *, together: bool = False, temperature: float = 1.0) -> Model:
    network = network_of(recipe, channels, side)
    if together:
        network = Together([network, network_of(recipe.edit(training={"epochs": 3}), channels, side)], mirrored=True)
    config = ModelConfig(
        CLASSES, channels, side, recipe.data.resize, (0.4,) * channels, (0.3,) * channels, {}, grey=recipe.data.grey
    )
    return Model(network, recipe, replace(config, confidence=Confidence(temperature)))


def every_block() -> Model:
    """Bottlenecks, then an inverted residual and a ConvNeXt block on what they give: one export for all."""
    model = model_of(Recipe().edit(architecture=FIELD), 3, 32)
    for levers, halves in ((FIELD | {"block": "inverted_residual"}, False), (CONVNEXT, True)):
        added = block(ConvNet.model_validate(levers), 128, 128, halves=halves, skipped=0.2)
        model.network.features.extend(nn.Sequential(*added).eval())
    return model


def standardized(model: Model) -> Model:
    """The same, of images that are each standardized by itself."""
    return Model(model.network, model.recipe, replace(model.config, std=None))


FAMILIES = {
    "plain": lambda: model_of(built_in("plain"), 1, 8),
    "quick, cropped": lambda: model_of(built_in("residual-quick").edit(data={"resize": "crop"}), 3, 32),
    "everything": lambda: model_of(Recipe().edit(architecture=EVERYTHING, data={"resize": "letterbox"}), 3, 32),
    "every block": lambda: every_block(),
    "mirrored pair": lambda: model_of(built_in("residual"), 1, 16, together=True),
    "grey, each by itself": lambda: standardized(
        model_of(built_in("plain").edit(data={"grey": True, "resize": "letterbox"}), 3, 16)
    ),
    "at a temperature": lambda: model_of(built_in("plain"), 1, 8, temperature=2.5),
    "pretrained": lambda: model_of(built_in("fine-tune").edit(architecture={"weights": "random"}), 3, 64),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_of_every_family_predicts_what_convlift_predicts(family: str) -> None:
    """On images of five sizes, and in batches of one, three and eight."""
    model = FAMILIES[family]()
    parity = check_parity(model, onnx_model(model), [])
    assert parity.network < 1e-5
    assert parity.made_up


def test_the_temperature_is_inside_the_file_and_said_of_it() -> None:
    model = FAMILIES["at a temperature"]()
    made = onnx_model(model)
    told = {each.key: each.value for each in made.metadata_props}
    assert json.loads(told["convlift.confidence"])["temperature"] == 2.5
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8).repeat(3, 3)[..., :3]
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (probabilities,) = session.run([PROBABILITIES], {IMAGES: image})
    assert probabilities[0] == pytest.approx(list(model.predict(image[0]).probabilities.values()), abs=1e-3)


KERAS = """
import keras
from keras import layers

def make(num_classes):
    inputs = keras.Input((20, 20, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(x)))
"""
OWN = {
    "tutorial, grey images": (TUTORIAL, "Net", 1),
    "log-softmax": (MNIST, "Net", 3),
    "probabilities by view": (small(end="x.view(x.size(0), -1).softmax(1)"), "make", 1),
    "sigmoids": (small(end="x.sigmoid()"), "make", 1),
    "keras": (KERAS, "make", 3),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras' own code
def test_a_network_of_somebodys_own_is_exported_with_what_adapts_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*NONE_ALLOWED)
    source, function, channels = OWN[name]
    write(tmp_path, {"net.py": source})
    own, side, *_ = looked_into(f"{tmp_path}/net.py:{function}", classes=len(CLASSES), channels=channels, side=32)
    model = model_of(Recipe().edit(architecture=own.model_dump()), channels, side)
    assert check_parity(model, onnx_model(model), []).network < 1e-5


def run_of(folder: Path, name: str) -> Path:
    """A run folder with the model of a built-in network for colour images of 16 pixels."""
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 16, 3), dtype=np.uint8)
    source = array_source("made up", {None: (images, np.arange(60) % len(CLASSES))}, CLASSES)
    dataset = Dataset(store := open_store(source, folder / "cache"), make_splits(store, 0))
    recipe = built_in(name).edit(data={"resolution": 16})
    normal = np.full(3, 0.4, np.float32), np.full(3, 0.3, np.float32)
    save_network(folder / "weights.safetensors", network_of(recipe, 3, 16), normal)
    write_model(folder / "run" / "model", folder / "weights.safetensors", recipe, dataset, {"accuracy": "0.9"})
    (folder / "run" / "model" / "README.md").write_text("# Image classifier\n", encoding="utf-8")
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the smallest network, which torch's exporter takes half the time for."""
    return run_of(tmp_path_factory.mktemp("run"), "plain")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_the_command_writes_a_file_that_needs_nothing_but_onnxruntime(run: Path, photo: Path) -> None:
    done = convlift("export", run, "--images", photo, "--json")
    document = json.loads(done.out)
    assert document["file"] == str(run / "model" / "model.onnx")
    assert (document["parity"]["images"], document["parity"]["made_up"]) == (1, False)
    session = onnxruntime.InferenceSession(document["file"], providers=["CPUExecutionProvider"])
    (found,) = session.run([PROBABILITIES], {IMAGES: np.asarray(Image.open(photo))[None]})
    expected = load(run).predict(photo)
    names = json.loads(session.get_modelmeta().custom_metadata_map["convlift.classes"])
    assert names == list(CLASSES)
    assert names[int(found[0].argmax())] == expected.label
    assert load_onnx(run).predict(photo).probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    assert dict(zip(names, found[0], strict=True)) == pytest.approx(expected.probabilities, abs=1e-3)


def test_the_card_tells_of_the_file_once(run: Path) -> None:
    for _ in range(2):
        convlift("export", run)
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert card.count("## model.onnx") == 1
    assert "On 5 made-up images no probability differs from convlift's by more than" in card
    load(run)  # the folder is whole


def test_a_file_elsewhere_is_not_told_of_in_the_card(run: Path, tmp_path: Path) -> None:
    before = (run / "model" / "README.md").read_text(encoding="utf-8")
    done = export_onnx(run, tmp_path / "new" / "net.onnx")
    assert done.file.is_file()
    assert (run / "model" / "README.md").read_text(encoding="utf-8") == before


def test_a_file_that_predicts_something_else_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(model: Model) -> onnx.ModelProto:
        changed = Model(network_of(built_in("residual"), 3, 16), model.recipe, model.config)
        for parameter in changed.network.parameters():
            parameter.data.mul_(1.5)
        return onnx_model(changed)

    monkeypatch.setattr("convlift.interchange.onnx_file.onnx_model", other)
    with pytest.raises(ConvliftError, match=r"would differ from convlift by .* in a probability"):
        export_onnx(run, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_prepares_images_otherwise_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(model: Model) -> onnx.ModelProto:
        from dataclasses import replace

        return onnx_model(Model(model.network, model.recipe, replace(model.config, resize="crop")))

    monkeypatch.setattr("convlift.interchange.onnx_file.onnx_model", other)
    with pytest.raises(ConvliftError, match="would prepare an image of 64 x 48 pixels otherwise"):
        export_onnx(run, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named_with_its_remedy(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(ConvliftError, match=r"needs no_such_package, not installed; pip install 'convlift\[export\]'"):
        export_onnx(run)


def test_an_image_that_cannot_be_read_stops_the_export(run: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableImage, match=r"broken\.png cannot be read"):
        export_onnx(run, tmp_path / "net.onnx", [str(broken)])


def test_a_folder_is_no_file(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConvliftError, match=r"is a folder; name a file in it"):
        export_onnx(run, tmp_path)


def test_figures_that_are_no_numbers_stop_the_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convlift.interchange.parity._predicted", lambda model, inputs: np.full((1, 3), np.nan))
    with pytest.raises(ConvliftError, match="would differ from convlift by nan"):
        export_onnx(run, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_card_keeps_what_stands_after_the_section(run: Path) -> None:
    card = run / "model" / "README.md"
    card.write_text("# Image classifier\n\n## model.onnx\n\nold\n\n## My own\n\nkept\n", encoding="utf-8")
    convlift("export", run)
    text = card.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.index("## model.onnx") < text.index("## My own") < text.index("kept")
    assert text.count("## ") == 2


def test_a_model_written_anew_takes_the_old_file_with_it(run: Path) -> None:
    from convlift.deploy.model_folder import read_model_folder, write_model_folder

    export_onnx(run)
    weights, recipe, config = read_model_folder(run)
    assert (run / "model" / "model.onnx").is_file()
    write_model_folder(run / "model", weights, recipe, config)
    assert not (run / "model" / "model.onnx").exists()


def test_transparent_images_are_not_compared(run: Path, photo: Path, tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.open(photo).convert("RGBA").save(clear)
    assert export_onnx(run, None, [str(photo), str(clear)]).parity.images == 1


def test_named_images_that_are_none_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("no image", encoding="utf-8")
    with pytest.raises(ConvliftError, match="there is no image at"):
        export_onnx(run, tmp_path / "net.onnx", [str(tmp_path / "**" / "*.txt")])


def test_eight_bits_are_written_beside_what_they_cost(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = run_of(tmp_path_factory.mktemp("residual"), "residual")
    rng = np.random.default_rng(5)
    for number in range(LEAST):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    document = json.loads(convlift("export", run, "--precision", "int8", "--images", tmp_path, "--json").out)
    assert document["file"] == str(run / "model" / "model-int8.onnx")
    assert document["agreement"]["images"] == LEAST_CHECKED
    assert document["agreement"]["gain"] is None
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert "in int8; an image" in card
    assert f"Of {LEAST_CHECKED} answers" in card
    assert load_onnx(Path(document["file"])).classes == CLASSES


def test_eight_bits_need_images(run: Path) -> None:
    said = convlift("export", run, "--precision", "int8")
    assert (said.code, "name at least 400 with --images" in said.err) == (2, True)


def test_a_program_predicts_from_squares(run: Path) -> None:
    said = convlift("export", run, "--format", "torch-export")
    assert "a program of torch.export; a square of 16 pixels took" in said.out
    about = {"convlift.json": ""}
    program = torch.export.load(run / "model" / "model.pt2", extra_files=about).module()
    squares = np.random.default_rng(6).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    found = program(torch.from_numpy(squares)).detach().numpy()
    assert np.abs(found - load(run).probabilities(list(squares))).max() < 1e-5
    assert json.loads(about["convlift.json"])["classes"] == list(CLASSES)
    assert convlift("export", run, "--format", "torch-export", "--precision", "int8").code == 2
