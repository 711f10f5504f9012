"""A recipe means exactly what it says: round trips, edits, and errors that name value, rule and remedy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convlift.errors import RecipeError
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe, load_recipe, parse_recipe
from convlift.recipe.section import levers


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    recipe = Recipe().edit(architecture={"kind": "pretrained", "dropout": 0.4}, training={"fine_tuning": {"stages": 2}})
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    assert load_recipe(path) == recipe
    assert load_recipe(path).fingerprint() == recipe.fingerprint()


@given(st.floats(0, 0.99), st.integers(1, 500), st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]))
def test_every_edit_is_kept_and_nothing_else_moves(smoothing: float, epochs: int, optimizer: str) -> None:
    edited = Recipe().edit(training={"label_smoothing": smoothing, "epochs": epochs, "optimizer": optimizer})
    back = edited.edit(training={"label_smoothing": 0.0, "epochs": 10, "optimizer": "adam"})
    assert back == Recipe()
    assert parse_recipe(yaml.safe_load(edited.to_yaml())) == edited


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("plain", "1ce2feeb67bbaaa6"),
        ("residual", "73eed4400a183280"),
        ("residual-quick", "9adedc26b17e7198"),
        ("residual-photos", "39bd9a8489e4ebc2"),
    ],
)
def test_levers_that_came_later_leave_recipes_their_fingerprints(name: str, digest: str) -> None:
    recipe = built_in(name)
    assert recipe.fingerprint().startswith(digest)
    edited = recipe.edit(architecture={"block": "bottleneck"})
    assert edited.fingerprint() != recipe.fingerprint()
    assert edited.edit(architecture={"block": "plain"}).fingerprint() == recipe.fingerprint()
    for each in (recipe, edited):
        assert parse_recipe(json.loads(json.dumps(each.identity()))) == each
        assert yaml.safe_load(each.to_yaml())["architecture"]["expansion"] == 6, "a recipe file has every lever"


@pytest.mark.parametrize(
    ("levers", "words"),
    [
        ({"extra_blocks": [1, 1]}, "'architecture.extra_blocks' has 2 numbers, but 'architecture.stages' is 1"),
        ({"extra_blocks": [40]}, "'architecture.extra_blocks.0' is 40: input should be less than or equal to 33"),
        ({"weight_standardization": True}, "'architecture.normalization' is none.*add one"),
        ({"stochastic_depth": 0.2}, "'architecture.stochastic_depth' is 0.2.*set 'architecture.residual'"),
        ({"shortcut": "pooled", "residual": True}, "'architecture.shortcut' is pooled.*halving' within"),
        ({"shortcut": "pooled", "halving": "within", "block": "convnext"}, "no shortcut passes a stride"),
    ],
)
def test_levers_that_would_have_no_effect_are_refused(levers: dict, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe().edit(architecture=levers)


def test_an_edit_may_switch_fine_tuning_on() -> None:
    tuned = Recipe().edit(training={"fine_tuning": {"epochs": 3}}).training.fine_tuning
    assert tuned is not None
    assert tuned.epochs == 3


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"traning": {}}, ["'traning'", "did you mean 'training'?"]),
        ({"convnet": None}, ["unknown key 'convnet'"]),  # as the part of the architecture that is in no file
        ({"architecture": {"convnet": 1}}, ["'architecture.kind' is missing"]),
        ({"training": {"labelsmoothing": 0.1}}, ["training.labelsmoothing", "label_smoothing"]),
        ({"architecture": {"kind": "pretrained", "bakbone": "x"}}, ["architecture.bakbone", "'backbone'"]),
        ({"architecture": {"kind": "transformer"}}, ["'transformer'", "'convnet', 'pretrained'"]),
        ({"data": {"augmentation": {"flip": 1}}}, ["data.augmentation.flip", "horizontal_flip"]),
        ({"training": {"epochs": "many"}}, ["training.epochs", "'many'", "integer"]),
        ({"training": {"learning_rate": float("nan")}}, ["training.learning_rate", "nan", "finite"]),
        ({"data": {"resolution": 4}}, ["data.resolution", "4", "greater than or equal to 8"]),
        (["data"], ["list", "mapping"]),
    ],
)
def test_a_fault_is_named_with_its_remedy(document: object, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(document)
    for word in words:
        assert word in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"training": {"epochs": 0, "optimiser": "adam"}})
    assert "training.epochs" in str(caught.value)
    assert "did you mean 'optimizer'?" in str(caught.value)


def test_a_broken_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("data: [")
    with pytest.raises(RecipeError, match=r"broken\.yaml is not valid YAML"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("kind", "native", "expected"),
    [("convnet", 8, 8), ("convnet", 128, 64), ("pretrained", 8, 96), ("pretrained", 900, 224)],
)
def test_the_images_own_resolution(kind: str, native: int, expected: int) -> None:
    recipe = parse_recipe({"architecture": {"kind": kind}})
    assert recipe.at(native).data.resolution == expected
    assert recipe.edit(data={"resolution": 40}).at(native).data.resolution == 40


def test_every_lever_says_its_range_and_source() -> None:
    rows = list(levers(Recipe))
    assert len(rows) > 45
    assert all(row.range and row.description and row.source for row in rows)
    assert (
        len({row.name for row in rows}) == len(rows) - 5
    )  # head_units, dropout and more stand in several architectures


def test_recipes_need_neither_torch_nor_timm() -> None:
    code = "import sys, convlift.recipe; sys.exit(any(m in sys.modules for m in ('torch', 'timm', 'sklearn', 'cv2')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_augmentation_without_the_later_levers_is_what_it_was() -> None:
    """Its identity, and so whatever ledgers and caches keep by it, knows the ten levers that there were at first."""
    recipe = parse_recipe({"data": {"augmentation": {"horizontal_flip": 0.5, "rotation": 0.05}}})
    assert list(recipe.identity()["data"]["augmentation"]) == [
        "horizontal_flip", "vertical_flip", "rotation", "zoom", "translation", "brightness", "contrast", "saturation",
        "hue", "noise",
    ]  # fmt: skip
    later = recipe.edit(data={"augmentation": {"crop": 0.5, "fill_mode": "edge"}})
    assert parse_recipe(later.identity()) == later
    assert later.fingerprint() != recipe.fingerprint()


def test_how_images_are_changed_is_no_change_of_them() -> None:
    settings = parse_recipe({"data": {"augmentation": {"fill_mode": "constant", "erase_chance": 1.0}}})
    assert not settings.data.augmentation.active
    assert settings.edit(data={"augmentation": {"cutout": 0.5}}).data.augmentation.active


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 0.0), (1, 0.25), (2, 0.5), (4, 1.0), (10, 1.0), (16, 1.0), (17, 0.0), (19, 0.0)]
)
def test_an_augmentation_grows_and_ends_with_the_epochs(epoch: int, factor: float) -> None:
    with pytest.raises(ValueError, match="more than the whole training"):
        Augmentation(grows_until=0.6, off_for_last=0.5)
    whole = Augmentation(rotation=0.2, horizontal_flip=0.5, fill_mode="edge", grows_until=0.2, off_for_last=0.15)
    found = whole.at(epoch / 20)
    assert found.strengths == {name: pytest.approx(factor * value) for name, value in whole.strengths.items()}
    assert whole.at(None) == whole


@pytest.mark.parametrize(("epochs", "off"), [(20, 3), (300, 45), (10, 1), (3, 0), (1, 0)])
def test_the_last_whole_epochs_are_without_it(epochs: int, off: int) -> None:
    whole = Augmentation(rotation=0.2, off_for_last=0.15)
    assert [whole.at(epoch / epochs).active for epoch in range(epochs)] == [True] * (epochs - off) + [False] * off


def test_without_a_course_an_augmentation_is_always_the_same() -> None:
    whole = Augmentation(rotation=0.2)
    assert all(whole.at(done) is whole for done in (None, 0.0, 0.99))


def test_a_recipe_of_an_older_version_still_loads() -> None:
    """It names the levers that there were, with their values."""
    names = ["horizontal_flip", "rotation", "zoom", "hue", "crop", "fill_mode", "erase", "erase_chance", "cutout"]
    usual = Augmentation().model_dump()
    old = parse_recipe({"data": {"augmentation": {name: usual[name] for name in names} | {"rotation": 0.05}}})
    assert old.data.augmentation == Augmentation(rotation=0.05)
    assert set(old.identity()["data"]["augmentation"]) == set(Augmentation.model_fields) - {
        name for name, field in Augmentation.model_fields.items() if field.json_schema_extra["later"]
    }


def test_a_loss_between_mixes_needs_mixes() -> None:
    words = r"'training.consistency' is 12, but 'data.augmentation.aug_mix' is 0; .* set the second \(3 is usual\)"
    with pytest.raises(RecipeError, match=words):
        Recipe().edit(training={"consistency": 12.0})
    mixes = Recipe().edit(data={"augmentation": {"aug_mix": 3.0}})
    assert not mixes.compares_views
    assert mixes.edit(training={"consistency": 12.0}).compares_views
