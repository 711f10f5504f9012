"""What of the catalogue a network of the user's own is offered, and why it is not offered the rest."""

import pytest

from convlift.catalogue.candidates import CATALOGUE, candidates, compose
from convlift.catalogue.intervention import misfit, why_unfit
from convlift.catalogue.unfit import NotInNetwork, OneSize, OtherNetwork
from convlift.recipe.architecture import Own
from convlift.recipe.built_in import OWN
from convlift.report.wording.choice_of_changes import not_tried_in_words, unfit_in_words
from starts import FLOWERS

EVERY = ("dropout", "activation", "normalization")
LARGER = "higher resolution with more dropout and shifts"


def recipe(resolution=64, **found):
    """As it is written down once a network was looked into."""
    own = Own(code="net.py:Net", digest="0" * 64, **{"last_layer": "fc", "changes": EVERY, **found})
    return OWN.edit(architecture=own.model_dump(), data={"resolution": resolution})


def offered(start, facts=FLOWERS):
    chosen, left_out = candidates(start, facts, (), 200)
    return {each.name for each in chosen}, {each.name: each.reason for each in left_out}


def test_it_gets_changes_of_all_three_areas():
    chosen, left_out = candidates(recipe(), FLOWERS, (), 200)
    names = {each.name for each in chosen}
    assert {each.area for each in chosen} == {"data", "architecture", "training"}
    assert names >= {"horizontal flip", "zoom 15%", "standardize", "ImageNet statistics", "higher resolution"}
    assert names >= {"label smoothing 0.1", "epochs x2", "learning rate x3", "weight decay 0.05"}
    assert names >= {"batch norm", "more dropout"}
    assert names | {each.name for each in left_out} == {each.name for each in CATALOGUE}


def test_its_architecture_gets_no_other_change_than_these():
    chosen, _ = candidates(recipe(), FLOWERS, (), 200)
    for each in chosen:
        before, after = recipe().architecture.model_dump(), each.intervention.edit(recipe()).architecture.model_dump()
        changed = {name for name in after if after[name] != before.get(name)}
        assert changed <= {"dropout", "activation", "normalization"}, each.name
        assert bool(changed) == (each.area == "architecture") or each.intervention.parts, each.name


@pytest.mark.parametrize("change", EVERY)
def test_a_change_is_offered_only_where_the_network_can_have_it(change):
    names = {"dropout": {"more dropout", LARGER}, "normalization": {"batch norm"}}
    names["activation"] = {each.name for each in CATALOGUE if each.group == "activation" and "own" in each.networks}
    every, _ = offered(recipe())
    without, why = offered(recipe(changes=tuple(name for name in EVERY if name != change)))
    assert names[change]
    assert names[change] <= every
    assert every - without == names[change]
    assert {why[name] for name in names[change]} == {NotInNetwork(change)}


def test_where_the_size_is_fixed_no_other_is_offered():
    free, _ = offered(recipe())
    fixed, why = offered(recipe(side=64))
    assert free - fixed == {"higher resolution", "lower resolution", LARGER}
    assert all(why[name] == OneSize(64) for name in free - fixed)


def test_dropout_that_it_has_may_be_less():
    assert "less dropout" not in offered(recipe())[0]
    assert offered(recipe(dropout=0.5))[0] >= {"less dropout", "more dropout"}


def test_every_reason_has_words():
    _, why = offered(recipe(side=64, changes=()))
    words = {name: not_tried_in_words(reason) for name, reason in why.items()}
    assert all(words.values())
    assert words["higher resolution"] == "this network takes images of 64 x 64 pixels alone"
    assert words["more dropout"] == "this network's last layer is no linear one"
    assert words["batch norm"] == "this network normalizes already, or has no convolutions"
    assert words["width x2"] == "meant for a convnet network"
    assert words["head of 512 units"] == "meant for a convnet or pretrained network"
    assert unfit_in_words(OtherNetwork(("convnet", "own"))) == "meant for a convnet or user's own network"


def test_a_recipe_that_its_network_cannot_be_is_a_misfit():
    assert misfit(recipe()) is misfit(recipe(side=64)) is misfit(recipe(None, side=64)) is None
    assert misfit(recipe(32, side=64)) == OneSize(64)
    for change, value in (("dropout", 0.1), ("activation", "gelu"), ("normalization", "batch")):
        assert misfit(recipe(**{change: value})) is None
        assert misfit(recipe(**{change: value}, changes=())) == NotInNetwork(change)


def test_all_that_may_be_on_together_is_a_recipe_of_it():
    start = recipe()
    chosen, _ = candidates(start, FLOWERS, (), 200)
    on, moved = [], set()
    for each in chosen:
        on.append(not moved & set(each.intervention.factors))
        moved |= set(each.intervention.factors) if on[-1] else set()
    every = compose(start, chosen, on)
    assert misfit(every) is None
    own = every.architecture
    assert own.model_dump() == start.architecture.model_dump() | {
        "dropout": own.dropout, "activation": own.activation, "normalization": "batch"
    }  # fmt: skip
    assert own.dropout > 0
    assert own.activation != "own"


def test_an_edit_that_is_no_change_is_none():
    batch = next(each for each in CATALOGUE if each.name == "batch norm")
    assert why_unfit(batch, recipe(), FLOWERS) is None
    assert unfit_in_words(why_unfit(batch, recipe(normalization="batch"), FLOWERS))
