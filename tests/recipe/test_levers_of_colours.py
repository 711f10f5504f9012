"""What is defined on colours is refused where images have bands, and nothing else is."""

import pytest

from convlift.errors import RecipeError
from convlift.recipe.augmentation import OF_COLOURS, Augmentation
from convlift.recipe.built_in import built_in, recipe_from
from convlift.recipe.data import refuse_colours_of_bands


@pytest.mark.parametrize("lever", OF_COLOURS)
def test_a_lever_of_colours_is_refused_for_bands_alone(lever: str) -> None:
    used = Augmentation.model_validate({lever: 0.3, "brightness": 0.1})
    for channels in (1, 3):
        refuse_colours_of_bands(used, channels)
    with pytest.raises(RecipeError, match=rf"'data.augmentation.{lever}' is 0.3 and the images have 6 bands; .*to 0\."):
        refuse_colours_of_bands(used, 6)


def test_all_other_levers_are_taken() -> None:
    others = [name for name in Augmentation().strengths if name not in OF_COLOURS]
    refuse_colours_of_bands(Augmentation.model_validate(dict.fromkeys(others, 0.05)), 13)


def test_a_built_in_recipe_for_bands_leaves_out_what_it_changes_of_colours() -> None:
    usual, bands = built_in("fine-tune"), built_in("fine-tune", 6)
    assert usual.data.augmentation.saturation > 0 == bands.data.augmentation.saturation
    assert bands.edit(data={"augmentation": {"saturation": usual.data.augmentation.saturation}}) == usual
    assert built_in("fine-tune", 1) is usual
    assert recipe_from(usual.edit(architecture={"backbone": "resnet50"}), 6).data == bands.data
    own = usual.edit(data={"augmentation": {"saturation": 0.3}})
    assert recipe_from(own, 6) is own, "somebody's own is left to be refused"


def test_a_recipe_of_somebodys_own_is_not_changed_though_it_augments_as_a_built_in_one() -> None:
    own = built_in("fine-tune").edit(training={"weight_decay": 0.03})
    assert recipe_from(own, 6) is own
    with pytest.raises(RecipeError, match=r"'data\.augmentation\.saturation' is .* set saturation to 0"):
        refuse_colours_of_bands(own.data.augmentation, 6)
