"""Placebos change nothing, wherever they are put."""

from collections import Counter

import numpy as np
import pytest

from convlift.catalogue.candidates import CATALOGUE, compose, groups
from convlift.catalogue.placebos import PLACEBOS_PER_AREA, placebos
from convlift.recipe.built_in import BUILT_IN


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_all_of_them_together_leave_a_recipe_as_it_is(entry) -> None:
    several = placebos()
    assert compose(entry.recipe, several, np.ones(len(several), bool)) == entry.recipe


def test_every_area_has_as_many_and_nothing_is_expected_of_them() -> None:
    several = placebos()
    assert Counter(each.area for each in several) == dict.fromkeys(("data", "architecture", "training"), 7)
    assert PLACEBOS_PER_AREA == 7
    assert {(each.prior, each.intervention.prior, each.cost) for each in several} == {(0.0, 0.0, 1.0)}
    assert set(groups(several)) == {-1}


def test_no_name_is_taken_by_a_real_change() -> None:
    names = [each.name for each in placebos()]
    assert len(set(names)) == len(names)
    assert not set(names) & {each.name for each in CATALOGUE}
    assert all("placebo" in name for name in names)
