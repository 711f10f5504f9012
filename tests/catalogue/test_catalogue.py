"""The contract that every intervention passes."""

import itertools
from dataclasses import replace

import pytest

from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.intervention import misfit, why_unfit
from convlift.errors import RecipeError
from convlift.recipe.architecture import why_impossible
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Tones
from starts import DIGITS, FLOWERS, PHOTOS, STARTS, XRAYS, start

WORLDS = (FLOWERS, PHOTOS, DIGITS, XRAYS, replace(PHOTOS, classes_alike=True))
RARE = {
    "no horizontal flip",
    "no vertical flip",
    "no rotation",
    "no mixing",
    "no quarter turns",
    "half the crop",
    "half the distortions",
    "half the erasing",
    "half the zoom",
    "half the shift",
    "half the colour changes",
    "half the pixel noise",
    "half the changes of tones",
    "half the weather",
    "half the loss of quality",
    "small stem",
    "large stem",
    "no hidden dense layer",
    "blurred halving",
    "deep stem",
    "pooled shortcuts",
    "stochastic depth 0.1",
    "no logit adjustment",
}
AREAS = ("data", "architecture", "training")


def fitting(recipe: Recipe, facts):
    return [each for each in CATALOGUE if not why_unfit(each, recipe, facts)]


def test_the_catalogue_is_broad_enough():
    assert len({each.name for each in CATALOGUE}) == len(CATALOGUE) >= 40
    for area in AREAS:
        assert sum(each.area == area for each in CATALOGUE) >= 10


@pytest.mark.parametrize("intervention", CATALOGUE, ids=lambda each: each.name)
def test_every_intervention_keeps_its_contract(intervention):
    assert intervention.claim.endswith(".")
    assert any(character.isdigit() for character in intervention.source)
    assert intervention.helps
    assert intervention.networks
    assert -1 <= intervention.prior <= 3
    tried = 0
    for name, facts in itertools.product(STARTS, WORLDS):
        recipe = start(name, facts)
        if why_unfit(intervention, recipe, facts):
            continue
        tried += 1
        edited = intervention.edit(recipe)
        assert edited != recipe
        touched = [area for area in AREAS if getattr(edited, area) != getattr(recipe, area)]
        assert intervention.area in touched
        assert touched == [intervention.area] or intervention.parts, "a change of several areas names its parts"
        if not intervention.repeats:
            assert intervention.edit(edited) == edited
    assert tried or intervention.name in RARE, "fits nothing that a user may bring"


def test_the_rare_interventions_fit_recipes_made_for_them():
    augmented = start("residual", FLOWERS).edit(
        data={
            "augmentation": {
                "horizontal_flip": 0.5,
                "vertical_flip": 0.5,
                "rotation": 0.1,
                "zoom": 0.6,
                "translation": 0.4,
                "hue": 0.2,
                "noise": 0.2,
                "quarter_turns": 0.75,
                "aspect": 0.2,
                "crop": 0.5,
                "erase": 0.4,
                "gamma": 0.4,
                "jpeg": 0.6,
                "haze": 0.5,
            },
            "mixing": {"mixup": 0.2},
        },
        architecture={"stem": "large", "head_units": 128},
        training={"logit_adjustment": 1.0},
    )
    large = start("plain", FLOWERS).edit(data={"resolution": 128})
    found = fitting(augmented, FLOWERS) + fitting(large, FLOWERS) + fitting(built_in("resnet50").at(128), FLOWERS)
    assert {each.name for each in found} >= RARE


def test_what_changes_nothing_in_a_network_of_other_blocks_is_no_candidate():
    """Bottlenecks have their shortcuts, and halve by a stride."""
    recipe = built_in("resnet50").at(128).edit(architecture={"residual": False})
    names = {each.name for each in fitting(recipe, FLOWERS)}
    assert not names & {"residual connections", "average pooling", "strided convolution", "max pooling"}
    assert {"blurred halving", "deep stem", "pooled shortcuts", "stochastic depth 0.1"} <= names
    small = built_in("residual").at(28)
    assert not {each.name for each in fitting(small, XRAYS)} & {"blurred halving", "deep stem", "pooled shortcuts"}


@pytest.mark.parametrize("facts", [PHOTOS, DIGITS], ids=["photos", "digits"])
@pytest.mark.parametrize("name", STARTS)
def test_edits_of_different_factors_commute(name, facts):
    recipe = start(name, facts)
    for one, other in itertools.combinations(fitting(recipe, facts), 2):
        if set(one.factors) & set(other.factors):
            continue
        try:
            there = other.edit(one.edit(recipe))
        except RecipeError:
            with pytest.raises(RecipeError):
                one.edit(other.edit(recipe))
            continue
        assert there == one.edit(other.edit(recipe)), f"{one.name} and {other.name} depend on their order"


def test_contrast_is_raised_where_it_is_low_and_grey_is_for_colours():
    bright, dark, flat = Tones(0.45, 0.2, 0.02), Tones(0.14, 0.06, 0.06), Tones(0.48, 0.1, 0.04)
    drawn, both = Tones(0.3, 0.38, 0.48), {"CLAHE", "equalized images"}

    def fit(facts, tones):
        found = {each.name for each in fitting(start("plain", facts), replace(facts, tones=tones))}
        return found & {*both, "grey images"}

    assert fit(PHOTOS, bright) == fit(PHOTOS, None) == {"grey images"}
    assert fit(PHOTOS, dark) == fit(PHOTOS, flat) == {"grey images", *both}
    assert fit(XRAYS, bright) == fit(XRAYS, dark) == both
    assert fit(XRAYS, drawn) == fit(XRAYS, None) == set()


def test_the_batches_of_the_last_phase_are_candidates():
    """A start that fine-tunes is diagnosed by its second phase, whose batches answer its symptom."""

    def fit(recipe):
        return {each.name for each in fitting(built_in(recipe), FLOWERS) if "batch size" in each.name}

    assert fit("plain") == {"batch size x2", "batch size x0.5"}
    assert fit("transfer") == {"fine-tuning batch size x2", "fine-tuning batch size x0.5"}


@pytest.mark.parametrize("name", STARTS)
def test_levels_of_one_factor_differ(name):
    recipe = start(name, PHOTOS)
    by_group = {}
    for each in fitting(recipe, PHOTOS):
        if each.group:
            by_group.setdefault(each.group, []).append(each.edit(recipe))
    for group, recipes in by_group.items():
        assert len({each.fingerprint() for each in recipes}) == len(recipes), group


def test_an_optimizer_brings_its_own_learning_rate_and_keeps_the_decay_of_a_step():
    sgd = next(each for each in CATALOGUE if each.name == "SGD with Nesterov momentum")
    before = start("transfer", FLOWERS)
    after = sgd.edit(before)
    assert after.training.learning_rate == pytest.approx(0.02)
    assert after.training.learning_rate * after.training.weight_decay == pytest.approx(
        before.training.learning_rate * before.training.weight_decay
    )
    assert after.training.fine_tuning.learning_rate == pytest.approx(0.01)


def test_cached_features_are_augmented_through_views_alone():
    for name in ("frozen", "transfer"):
        names = {each.name for each in fitting(start(name, PHOTOS), PHOTOS)}
        assert "mirrored, zoomed and shifted views" in names
        assert "horizontal flip" not in names
    for name in ("plain", "residual", "full"):
        names = {each.name for each in fitting(start(name, PHOTOS), PHOTOS)}
        assert "horizontal flip" in names
        assert not any("views" in each for each in names)


def test_every_convnet_that_fits_can_be_built():
    from convlift.cost.multiply_adds import cost

    for name in ("plain", "residual", "custom"):
        recipe = start(name, DIGITS)
        for each in fitting(recipe, DIGITS):
            edited = each.edit(recipe)
            assert not misfit(edited)
            cost(edited.architecture, classes=5, channels=1, resolution=edited.data.resolution)


@pytest.mark.parametrize(
    ("side", "change"),
    [
        (8, {"stages": 4}),
        (64, {"stages": 5, "stem": "large"}),
        (66, {"stages": 1, "self_attention": True}),
        (65, {"stages": 1, "self_attention": True, "pooling": "strided"}),  # 33 positions a side, not 32
    ],
)
def test_what_the_network_refuses_is_a_misfit(side, change):
    from convlift.cost.multiply_adds import cost

    recipe = start("plain", FLOWERS).edit(data={"resolution": side}, architecture=change)
    with pytest.raises(RecipeError) as caught:
        cost(recipe.architecture, classes=5, channels=3, resolution=side)
    assert misfit(recipe) is not None
    assert f"{why_impossible(recipe.architecture, side)}." == str(caught.value)
