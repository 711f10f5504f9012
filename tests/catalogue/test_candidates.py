import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlift.catalogue.candidates import (
    CATALOGUE,
    CostLimit,
    candidates,
    compose,
    groups,
    limit_for,
    priors,
    shared_with,
    valid,
)
from convlift.catalogue.intervention import head_only
from convlift.catalogue.priors import Expectations, Learned
from convlift.catalogue.reasons import JointChange, NoPlace, TooDear, Why
from convlift.catalogue.symptoms import Symptom
from convlift.errors import RecipeError
from convlift.report.wording.choice_of_changes import not_tried_in_words, why_in_words
from starts import DIGITS, FLOWERS, PHOTOS, STARTS, start


def switches(chosen, on):
    return [position in set(on) for position in range(len(chosen))]


AREAS = {"data", "architecture", "training"}


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("facts", [FLOWERS, DIGITS], ids=["flowers", "digits"])
@pytest.mark.parametrize("limit", [3, 8, 24, 40])
def test_every_start_gets_candidates_of_all_three_areas(name, facts, limit):
    chosen, left_out = candidates(start(name, facts), facts, (), limit)
    assert {each.area for each in chosen} == AREAS
    assert len(chosen) <= limit
    assert {each.name for each in chosen} | {each.name for each in left_out} == {each.name for each in CATALOGUE}
    assert all(each.reason for each in left_out)


def test_a_short_list_holds_what_promises_most_in_catalogue_order():
    recipe = start("plain", FLOWERS)
    every, _ = candidates(recipe, FLOWERS, (), 100)
    chosen, left_out = candidates(recipe, FLOWERS, (), 12)
    assert len(chosen) == 12
    assert [each for each in every if each in chosen] == list(chosen)
    best = max(every, key=lambda each: each.prior)
    assert best in chosen
    assert any(isinstance(each.reason, NoPlace) and each.reason.places == 12 for each in left_out)


def test_a_symptom_raises_the_interventions_that_answer_it():
    recipe = start("plain", FLOWERS)
    calm = {each.name: each.prior for each in candidates(recipe, FLOWERS, (), 100)[0]}
    noisy = {each.name: each.prior for each in candidates(recipe, FLOWERS, (Symptom.LABEL_NOISE,), 100)[0]}
    raised = {name for name in calm if noisy[name] > calm[name]}
    lowered = {name for name in calm if noisy[name] < calm[name]}
    assert raised == {"label smoothing 0.05", "label smoothing 0.1", "batch size x2", "early stopping"}
    assert lowered >= {"epochs x2", "epochs x3"}


def test_overfitting_and_underfitting_pull_opposite_ways():
    recipe = start("plain", FLOWERS)
    calm, over, under = (
        {each.name: each.prior for each in candidates(recipe, FLOWERS, symptoms, 200)[0]}
        for symptoms in ((), (Symptom.OVERFIT,), (Symptom.UNDERFIT,))
    )
    for name in ("horizontal flip", "zoom 15%", "label smoothing 0.1", "weight decay 0.05", "more dropout"):
        assert under[name] < calm[name] < over[name], name
    for name in ("width x2", "one more block a stage", "one more stage", "less dropout", "head of 512 units"):
        assert over[name] < calm[name] < under[name], name


def test_an_over_augmented_start_is_offered_less_of_it():
    """The recipe flips and turns by up to 72 degrees."""
    recipe = start("custom", FLOWERS)
    chosen, _ = candidates(recipe, FLOWERS, (Symptom.OVER_AUGMENTED,), 20)
    by_name = {each.name: each for each in chosen}
    assert {"half the rotation", "all augmentation at half strength"} <= set(by_name)
    half = by_name["all augmentation at half strength"].intervention.edit(recipe).data.augmentation
    assert (half.horizontal_flip, half.rotation) == (0.25, 0.1)
    assert not any(each.name == "half the zoom" for each in chosen), "there is no zoom to halve"


def test_without_augmentation_there_is_nothing_to_be_consistent_with():
    recipe = start("plain", FLOWERS)
    by_name = {each.name: each.intervention for each in candidates(recipe, FLOWERS, (), 500)[0]}
    mixed = by_name["AugMix"].edit(recipe)
    assert (mixed.data.augmentation.aug_mix, mixed.training.consistency) == (3.0, 12.0)
    fewer = {each.name: each.intervention for each in candidates(mixed, FLOWERS, (Symptom.OVER_AUGMENTED,), 500)[0]}
    assert fewer["no augmentation"].edit(mixed) == recipe
    half = fewer["all augmentation at half strength"].edit(mixed)
    assert (half.data.augmentation.aug_mix, half.training.consistency) == (1.5, 12.0)


def test_every_change_has_its_reason():
    symptoms = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
    chosen, left_out = candidates(start("plain", FLOWERS), FLOWERS, symptoms, 20)
    flip = next(each for each in chosen if each.name == "horizontal flip")
    assert flip.why == Why(symptoms, (), flip.prior, 0, flip.intervention.reported)
    why = {each.name: why_in_words(each.why) for each in chosen}
    assert why["horizontal flip"].startswith("for it: overfit, few training images; expected +1.00 points (published:")
    assert why["batch norm"].startswith("no symptom for or against it; expected +0.50 points")
    reasons = {each.name: not_tried_in_words(each.reason) for each in left_out}
    assert "others promise more" in reasons["width x2"]
    assert "against it: overfit; expected +0.15 points" in reasons["width x2"]
    assert "no published gain; default" in " ".join(why.values())


def test_past_campaigns_take_the_place_of_the_catalogue():
    learned = Expectations((), {"convnet": {"horizontal flip": Learned(-0.8, 0.4, 7)}})
    of_convnets, _ = candidates(start("plain", FLOWERS), FLOWERS, (), 200, expectations=learned)
    flip = next(each for each in of_convnets if each.name == "horizontal flip")
    assert flip.prior == -0.8
    assert flip.why == Why((), (), -0.8, campaigns=7)
    assert why_in_words(flip.why) == "no symptom for or against it; expected -0.80 points (7 past campaigns)"
    of_pretrained, _ = candidates(start("full", FLOWERS), FLOWERS, (), 200, expectations=learned)
    assert next(each for each in of_pretrained if each.name == "horizontal flip").prior == 0.5


@pytest.mark.parametrize("name", ["plain", "transfer", "full"])
def test_a_joint_change_moves_several_areas_and_is_never_on_beside_its_parts(name):
    recipe = start(name, PHOTOS)
    chosen, _ = candidates(recipe, PHOTOS, (), 200)
    names = [each.name for each in chosen]
    joint = names.index("longer, augmented and regularized training")
    edited = chosen[joint].intervention.edit(recipe)
    assert edited.data != recipe.data
    assert edited.training.epochs == 2 * recipe.training.epochs
    assert edited.training.label_smoothing == 0.1
    assert edited.data.views or name != "transfer", "stored features see no augmentation but in views"
    for part in (
        "label smoothing 0.05",
        "epochs x3",
        "weak L2",
        "longer training on shifted and zoomed images",
    ):
        assert not valid(recipe, chosen, switches(chosen, (joint, names.index(part)))), part
    assert valid(recipe, chosen, switches(chosen, (joint, names.index("learning rate x3"))))
    alone = groups(chosen)
    assert alone[joint] == alone[names.index("longer training on shifted and zoomed images")] >= 0
    assert alone[joint] != alone[names.index("epochs x3")]


def test_what_can_be_asked_of_a_head_on_stored_features():
    recipe = start("transfer", PHOTOS)
    chosen, _ = candidates(recipe, PHOTOS, (), 200)
    frozen = head_only(recipe)
    means = dict(zip((each.name for each in chosen), shared_with(frozen, chosen), strict=True))
    asked = {"label smoothing 0.1", "epochs x2", "no hidden dense layer", "mirrored views", "lower resolution"}
    asked |= {"longer training on shifted and zoomed images", "AdamW", "SGD with Nesterov momentum"} & set(means)
    assert all(means[name] for name in asked)
    for name in ("one more stage fine-tuned", "longer fine-tuning", "batch norm follows the new images"):
        assert not means[name], name
    for each, shared in zip(chosen, shared_with(frozen, chosen), strict=True):
        if shared:
            edited = each.intervention.edit(frozen)
            assert edited != frozen
            assert edited.training.fine_tuning is None
    of_full, _ = candidates(start("full", PHOTOS), PHOTOS, (), 200)
    flip = [each for each in of_full if each.name == "horizontal flip"]
    assert shared_with(head_only(start("full", PHOTOS)), flip) == (False,), "features are stored without views"


def test_what_costs_too_much_is_left_out_with_its_price():
    def cost(recipe):
        return recipe.training.epochs / 10

    chosen, left_out = candidates(start("plain", FLOWERS), FLOWERS, (), 100, CostLimit(cost, 2.5))
    assert "epochs x2" in {each.name for each in chosen}
    assert next(each.cost for each in chosen if each.name == "epochs x2") == 2
    assert next(each.reason for each in left_out if each.name == "epochs x3") == TooDear(3.0, 2.5)


def test_a_place_on_a_short_list_goes_to_what_is_worth_its_price():
    def cost(recipe):
        return recipe.training.epochs / 10

    of_time = {each.name for each in candidates(start("plain", FLOWERS), FLOWERS, (), 12)[0]}
    chosen, _ = candidates(start("plain", FLOWERS), FLOWERS, (), 12, CostLimit(cost))
    assert "epochs x3" in of_time
    assert "epochs x3" not in {each.name for each in chosen}
    assert next(
        each.promise
        for each in candidates(start("plain", FLOWERS), FLOWERS, (), 200, CostLimit(cost))[0]
        if each.name == "epochs x3"
    ) == pytest.approx(0.7 - 0.2 * 2)


def test_a_short_list_holds_one_level_of_a_factor_before_it_holds_two():
    short, left_out = candidates(start("plain", FLOWERS), FLOWERS, (Symptom.OVERFIT, Symptom.DATA_LIMITED), 14)
    named = [each.intervention.group for each in short if each.intervention.group]
    assert len(named) == len(set(named))
    reasons = {each.name: each.reason for each in left_out}
    assert reasons["longer training on shifted and zoomed images"] == JointChange(14, 30)
    long, _ = candidates(start("plain", FLOWERS), FLOWERS, (Symptom.OVERFIT, Symptom.DATA_LIMITED), 35)
    assert {"zoom 15%", "zoom 30%", "longer training on shifted and zoomed images"} <= {each.name for each in long}


def test_compose_applies_what_is_on_and_nothing_on_is_the_start():
    recipe = start("plain", PHOTOS)
    chosen, _ = candidates(recipe, PHOTOS)
    names = [each.name for each in chosen]
    on = switches(chosen, (names.index("batch norm"), names.index("epochs x2")))
    made = compose(recipe, chosen, np.array(on))
    assert made == recipe.edit(architecture={"normalization": "batch"}, training={"epochs": 20})
    assert compose(recipe, chosen, switches(chosen, ())) == recipe


def test_two_levels_of_one_factor_are_refused():
    recipe = start("plain", FLOWERS)
    chosen, _ = candidates(recipe, FLOWERS)
    names = [each.name for each in chosen]
    on = (names.index("epochs x2"), names.index("epochs x3"))
    assert groups(chosen)[on[0]] == groups(chosen)[on[1]] >= 0
    assert not valid(recipe, chosen, switches(chosen, on))
    with pytest.raises(RecipeError, match="both set one factor"):
        compose(recipe, chosen, switches(chosen, on))


def test_a_combination_that_leaves_no_image_is_invalid():
    # alone, the large stem fits a last map of 2 pixels and so does a fifth stage; together they leave none
    recipe = start("residual", FLOWERS).edit(data={"resolution": 96}, architecture={"stages": 4})
    chosen, _ = candidates(recipe, FLOWERS, (), 100)
    names = [each.name for each in chosen]
    on = (names.index("large stem"), names.index("one more stage"))
    assert valid(recipe, chosen, switches(chosen, on[:1]))
    assert valid(recipe, chosen, switches(chosen, on[1:]))
    assert not valid(recipe, chosen, switches(chosen, on))


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(STARTS)), data=st.data())
def test_any_choice_of_one_level_a_factor_is_a_recipe_or_plainly_invalid(name, data):
    recipe = start(name, PHOTOS)
    chosen, _ = candidates(recipe, PHOTOS)
    factors = [set(each.intervention.factors) for each in chosen]
    on = data.draw(st.sets(st.integers(0, len(chosen) - 1), max_size=12))
    clash = any(factors[i] & factors[j] for i, j in itertools.combinations(sorted(on), 2))
    if clash:
        assert not valid(recipe, chosen, switches(chosen, on))
    elif valid(recipe, chosen, switches(chosen, on)):
        assert (compose(recipe, chosen, switches(chosen, on)) == recipe) == (not on)


def test_lists_for_the_regression_have_one_entry_a_candidate():
    chosen, _ = candidates(start("transfer", FLOWERS), FLOWERS)
    assert len(groups(chosen)) == len(priors(chosen)) == len(chosen)
    assert all(-1 <= prior <= 3 for prior in priors(chosen))


def test_the_limit_follows_the_number_of_trainings():
    assert [limit_for(trainings) for trainings in (1, 8, 20, 100)] == [3, 16, 40, 40]
