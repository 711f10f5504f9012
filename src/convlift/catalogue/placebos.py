"""Changes that change nothing: what an A/A campaign is given in place of the catalogue.

Every training has a seed of its own, so a recipe that is left as it is already trains to another network. Whatever a
campaign claims of such a change is false.
"""

from typing import get_args

from convlift.catalogue.candidates import Candidate
from convlift.catalogue.intervention import Intervention
from convlift.recipe.recipe import Recipe
from convlift.records.result import Area

PLACEBOS_PER_AREA = 7  # 21 in all: about as many as a campaign of ten trainings tries
_SOURCE = "made to do nothing"


def _unchanged(recipe: Recipe) -> Recipe:
    return recipe


def placebos(number: int = PLACEBOS_PER_AREA) -> tuple[Candidate, ...]:
    """`number` candidates in each area, all with an effect of exactly zero and no expectation."""
    return tuple(
        Candidate(
            Intervention(
                name=f"{area} placebo {place}",
                area=area,
                claim="Leaves the recipe as it is; only the seed differs, as it does in every training.",
                source=_SOURCE,
                helps=(),
                edit=_unchanged,
                prior=0.0,
            ),
            prior=0.0,
        )
        for area in get_args(Area)
        for place in range(1, number + 1)
    )
