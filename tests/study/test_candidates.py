import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starts import DIGITS, FLOWERS, PHOTOS, STARTS, start

from convlift.errors import RecipeError
from convlift.study.candidates import CATALOGUE, candidates, compose, groups, limit_for, priors, valid
from convlift.study.symptoms import Symptom


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
    assert any("others promise more" in each.reason for each in left_out)


def test_a_symptom_raises_the_interventions_that_answer_it():
    recipe = start("plain", FLOWERS)
    calm = {each.name: each.prior for each in candidates(recipe, FLOWERS, (), 100)[0]}
    noisy = {each.name: each.prior for each in candidates(recipe, FLOWERS, (Symptom.LABEL_NOISE,), 100)[0]}
    raised = {name for name in calm if noisy[name] > calm[name]}
    assert raised == {"label smoothing 0.05", "label smoothing 0.1", "batch size x2", "early stopping"}


def test_what_costs_too_much_is_left_out_with_its_price():
    def cost(recipe):
        return recipe.training.epochs / 10

    chosen, left_out = candidates(start("plain", FLOWERS), FLOWERS, (), 100, cost=cost, dearest=2.5)
    assert "epochs x2" in {each.name for each in chosen}
    assert next(each.cost for each in chosen if each.name == "epochs x2") == 2
    assert "3.0 of the start's" in next(each.reason for each in left_out if each.name == "epochs x3")


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
    with pytest.raises(RecipeError, match="levels of one factor"):
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
    numbers = groups(chosen)
    on = data.draw(st.sets(st.integers(0, len(chosen) - 1), max_size=12))
    clash = any(numbers[i] == numbers[j] >= 0 for i, j in itertools.combinations(sorted(on), 2))
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
