import pytest
import yaml

from convlift.errors import RecipeError
from convlift.recipe.architecture import ConvNet, Pretrained
from convlift.recipe.built_in import BUILT_IN, SYNONYMS, built_in, with_backbone
from convlift.recipe.recipe import parse_recipe


def test_names_are_those_of_the_manual_and_each_has_a_line():
    assert [entry.name for entry in BUILT_IN] == [
        "plain",
        "residual",
        "residual-quick",
        "residual-photos",
        "resnet18",
        "resnet50",
        "frozen",
        "transfer",
        "fine-tune",
    ]
    assert all(entry.summary and "\n" not in entry.summary for entry in BUILT_IN)


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_every_built_in_recipe_survives_its_file(entry):
    assert parse_recipe(yaml.safe_load(entry.recipe.to_yaml())) == entry.recipe
    assert built_in(entry.name) is entry.recipe


def test_plain_is_the_tutorial_network():
    plain = built_in("plain")
    assert isinstance(plain.architecture, ConvNet)
    assert (plain.architecture.width, plain.architecture.kernel_size, plain.architecture.head_units) == (
        32,
        3,
        128,
    )
    assert (plain.architecture.stage_dropout, plain.architecture.dropout) == (0.25, 0.5)
    assert (plain.training.l2, plain.training.l2_layers) == (0.001, "convolution")
    assert (plain.training.optimizer, plain.training.epochs) == ("adam", 10)


def test_only_transfer_trains_the_backbone():
    assert built_in("frozen").training.fine_tuning is None
    tuned = built_in("transfer").training.fine_tuning
    assert tuned is not None
    assert (tuned.stages, tuned.batch_norm) == (2, "frozen")
    assert tuned.learning_rate < built_in("transfer").training.learning_rate


def test_an_unknown_name_lists_the_valid_ones_and_the_nearest():
    with pytest.raises(
        RecipeError,
        match=r"'transfr'.*did you mean 'transfer'.*plain, residual, residual-quick, residual-photos, resnet18",
    ):
        built_in("transfr")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet", "residual"),
        ("ResNet18", "resnet18"),
        ("resnet-50", "resnet50"),
        ("residual-photo", "residual-photos"),
        ("simple-cnn", "plain"),
        ("baseline", "plain"),
        ("fine_tune", "fine-tune"),
        ("finetuned", "fine-tune"),
        ("pre-trained", "frozen"),
        ("linear_probe", "frozen"),
    ],
)
def test_the_hint_knows_what_others_call_a_recipe(name, meant):
    with pytest.raises(RecipeError, match=rf"did you mean '{meant}'\?"):
        built_in(name)


def test_every_synonym_means_a_built_in_recipe():
    names = {entry.name for entry in BUILT_IN}
    assert set(SYNONYMS.values()) <= names
    assert not names & SYNONYMS.keys()


def test_with_backbone_names_backbone_and_weights():
    recipe = with_backbone(built_in("transfer"), "resnet50", "weights/resnet50.safetensors")
    assert isinstance(recipe.architecture, Pretrained)
    assert (recipe.architecture.backbone, recipe.architecture.weights) == (
        "resnet50",
        "weights/resnet50.safetensors",
    )
    assert recipe.training == built_in("transfer").training
    assert with_backbone(recipe) == recipe


def test_a_convnet_has_no_backbone():
    with pytest.raises(RecipeError, match=r"'resnet50'.*from scratch.*frozen or transfer"):
        with_backbone(built_in("plain"), "resnet50")
