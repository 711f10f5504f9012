"""Two recipes, and in words where they differ."""

from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.report.wording.recipe_differences import differences


def test_equal_recipes_differ_in_nothing():
    assert differences(Recipe(), Recipe()) == ()


def test_levers_are_named_area_by_area():
    before = Recipe().edit(data={"augmentation": {"rotation": 0.2}}, architecture={"dropout": 0.5})
    after = before.edit(
        data={"augmentation": {"rotation": 0.0}, "resolution": 32},
        architecture={"dropout": 0.2, "residual": True},
        training={"learning_rate": 0.005, "schedule": "one_cycle"},
    )
    assert differences(before, after) == (
        "data: resolution 32 instead of none, no rotation instead of 0.2",
        "architecture: residual yes instead of no, dropout 0.2 instead of 0.5",
        "training: learning rate 0.005 instead of 0.001, schedule one cycle instead of constant",
    )


def test_another_kind_of_network_is_one_change():
    lines = differences(built_in("plain"), built_in("transfer"))
    assert (
        "architecture: pretrained tf_efficientnet_lite0 instead of a network from scratch (1 stage of width 32)"
        in lines
    )
    assert any("fine tuning (epochs 8, stages 2" in line for line in lines)
    back = differences(built_in("transfer"), built_in("plain"))
    assert any("no fine tuning" in line for line in back)
