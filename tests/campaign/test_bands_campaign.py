"""A whole campaign on images of six bands, of which the fifth alone tells the class, by the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from command_line import Said, convlift
from convlift import use
from convlift.deploy.onnx_classifier import load_onnx
from convlift.recipe.recipe import Recipe

BANDS, TELLING, SIDE = 6, 4, 16
PARTS = {"train": 120, "val": 60, "test": 90}
CLASSES = ("north", "middle", "south")


def tiles(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise in every band, and in the fifth a bright strip, whose place is the class."""
    rng, labels = np.random.default_rng(seed), np.arange(count) % len(CLASSES)
    images = rng.normal(120, 30, (count, SIDE, SIDE, BANDS))
    for image, label in zip(images, labels, strict=True):
        first = 1 + 5 * label + rng.integers(0, 3)
        image[first : first + 3, :, TELLING] += 60
    return np.clip(images, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def data(place: Path) -> Path:
    arrays = {}
    for seed, (part, count) in enumerate(PARTS.items()):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = tiles(count, seed)
    np.savez(place / "tiles.npz", **arrays)
    return place / "tiles.npz"


@pytest.fixture(scope="module")
def ran(data: Path, place: Path, small_backbone: tuple[str, Path]) -> Said:
    """With a baseline that is trained too little."""
    weak = Recipe().edit(architecture={"width": 8}, training={"epochs": 1, "learning_rate": 1e-4})
    (place / "weak.yaml").write_text(weak.to_yaml(), encoding="utf-8")
    name, weights = small_backbone
    return convlift(
        "improve", data, "--current", place / "weak.yaml", "--trainings", 4, "--workers", 1, "--out", place / "run",
        "--backbone", name, "--weights", weights, "--device", "cpu", "--json", "--quiet",
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(ran: Said, place: Path) -> Path:
    assert ran.code == 0, ran.err
    return place / "run"


@pytest.fixture(scope="module")
def tile(place: Path) -> Path:
    """One as a file, a page a band, whose strip lies in the south."""
    pages = [Image.fromarray(band) for band in np.moveaxis(tiles(3, 9)[0][2], 2, 0)]
    pages[0].save(place / "tile.tif", save_all=True, append_images=pages[1:])
    return place / "tile.tif"


def test_the_campaign_finds_a_network_that_sees_the_fifth_band(ran: Said, run: Path) -> None:
    result = json.loads(ran.out)
    assert result["final"]["score"] > result["baseline"]["score"] + 0.1
    assert (run / "report.html").is_file()
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["preprocessing"]["channels"] == BANDS == len(config["preprocessing"]["mean"])


def test_it_predicts_arrays_and_files_and_explains_them(run: Path, tile: Path, place: Path) -> None:
    images, labels = tiles(60, 9)
    model = use.load(run)
    said = [prediction.label for prediction in model.predict(images)]
    assert np.mean(np.array(said) == labels.astype(str)) > 0.7
    done = convlift("predict", run, tile, "--json", "--explain", place / "heat")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)["predictions"]
    assert found["label"] == model.predict(images[2]).label
    assert list((place / "heat").iterdir())


def test_its_exported_file_says_the_same(run: Path, tile: Path) -> None:
    done = convlift("export", run, "--images", tile, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert not document["parity"]["made_up"]
    exported, images = load_onnx(Path(document["file"])), tiles(3, 9)[0]
    for image in images:
        assert exported.predict(image).probabilities == pytest.approx(
            use.load(run).predict(image).probabilities, abs=1e-4
        )


@pytest.mark.parametrize(
    ("augmentation", "said"),
    [
        ({"saturation": 0.2}, "'data.augmentation.saturation' is 0.2 and the images have 6 bands"),
        ({"night": 0.5}, "night"),
    ],
)
def test_a_recipe_with_a_lever_of_colours_is_refused_before_anything_is_trained(
    data: Path, place: Path, augmentation: dict[str, float], said: str
) -> None:
    recipe = Recipe().edit(data={"augmentation": augmentation})
    (place / "coloured.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    refused = convlift("improve", data, "--current", place / "coloured.yaml", "--trainings", 4, "--out", place / "none")
    assert refused.code == 2
    assert said in refused.err.splitlines()[-1]
    assert not (place / "none" / "ledger.sqlite").exists()


def test_a_corruption_of_colours_is_refused_too(data: Path, run: Path, place: Path) -> None:
    refused = convlift("improve", data, "--trainings", 4, "--shift", "fog,brightness", "--out", place / "none")
    assert (refused.code, "corruption 'fog' is of colours" in refused.err) == (2, True)
    again = convlift("evaluate", run, data, "--shift", "snow")
    assert (again.code, "corruption 'snow' is of colours" in again.err) == (2, True)
    assert convlift("evaluate", run, data, "--shift", "contrast").code == 0
