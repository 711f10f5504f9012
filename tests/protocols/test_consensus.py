"""What ships after a nested cross-validation: what most folds chose, and only what fits together."""

from dataclasses import replace

import pytest

from convlift.catalogue.candidates import CATALOGUE, Candidate
from convlift.catalogue.starting_points import StartingPoint
from convlift.protocols.consensus import Choice, consensus
from convlift.recipe.built_in import built_in
from convlift.search.augmentation_guard import weakened

RESIDUAL = StartingPoint("residual", built_in("residual").at(32), "")
PLAIN = StartingPoint("baseline", built_in("plain").at(32), "")
LISTED = tuple(
    Candidate(each, each.prior)
    for each in CATALOGUE
    if each.name in ("rotation 10 degrees", "epochs x2", "epochs x3", "one cycle", "label smoothing 0.1")
)


def choice(*names: str, start: StartingPoint = RESIDUAL, believed: float = 90.0) -> Choice:
    return Choice(start, LISTED, names, believed)


def test_changes_ship_that_half_of_the_folds_shipped() -> None:
    agreed = consensus([
        choice("rotation 10 degrees", "epochs x2"), choice("rotation 10 degrees", "epochs x2"),
        choice("one cycle", "epochs x2", "rotation 10 degrees"), choice("label smoothing 0.1"),
    ])  # fmt: skip
    assert set(agreed.names) == {"rotation 10 degrees", "epochs x2"}
    assert agreed.recipe.training.epochs == 2 * RESIDUAL.recipe.training.epochs
    assert agreed.recipe.data.augmentation.rotation > 0


def test_of_two_folds_one_is_enough_and_belief_breaks_the_tie() -> None:
    folds = [choice("rotation 10 degrees", "epochs x2", believed=90.0), choice("epochs x3", believed=91.0)]
    assert set(consensus(folds).names) == {"rotation 10 degrees", "epochs x3"}
    assert set(consensus([folds[0], replace(folds[1], believed=89.0)]).names) == {"rotation 10 degrees", "epochs x2"}


def test_only_the_folds_with_the_start_that_most_chose_have_a_say() -> None:
    agreed = consensus([
        choice("epochs x2"), choice("epochs x2"), choice("one cycle", start=PLAIN, believed=99.0),
    ])  # fmt: skip
    assert (agreed.start.name, agreed.names) == ("residual", ("epochs x2",))


def test_of_starts_that_equally_many_chose_the_one_that_is_believed_to_be_better_ships() -> None:
    folds = [choice("one cycle", start=PLAIN, believed=91.0), choice("epochs x2", believed=90.0)]
    assert consensus(folds).start.name == "baseline"
    assert consensus([folds[0], replace(folds[1], believed=92.0)]).start.name == "residual"


def test_of_levels_of_one_factor_the_one_more_often_shipped_stays() -> None:
    agreed = consensus([
        choice("epochs x3", "one cycle"), choice("epochs x2"), choice("epochs x3"), choice("epochs x2"),
        choice("epochs x2", "one cycle"),
    ])  # fmt: skip
    assert agreed.names == ("epochs x2",)
    assert agreed.recipe == RESIDUAL.recipe.edit(training={"epochs": 2 * RESIDUAL.recipe.training.epochs})


def test_what_the_guard_weakened_is_another_change() -> None:
    rotation = next(each for each in LISTED if each.name == "rotation 10 degrees")
    weak = weakened(rotation, RESIDUAL.recipe, "at half strength")
    folds = [choice("rotation 10 degrees"), Choice(RESIDUAL, (weak,), (weak.name,), 90.0), choice()]
    assert consensus(folds).names == ()
    assert consensus([*folds[1:2], *folds[1:2], folds[0]]).names == (weak.name,)


def test_nothing_ships_where_the_folds_agree_on_nothing() -> None:
    agreed = consensus([choice(), choice(), choice()])
    assert agreed.names == ()
    assert agreed.recipe == RESIDUAL.recipe


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_order_of_the_folds_changes_nothing(order: tuple[int, ...]) -> None:
    folds = [choice("epochs x2", "one cycle"), choice("epochs x3", "one cycle"), choice("epochs x2", "epochs x3")]
    found = consensus([folds[each] for each in order])
    assert "one cycle" in found.names
    assert len(found.names) == 2
