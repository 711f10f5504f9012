"""How a budget is divided between pilots, search and final runs, and what such a campaign can prove at best."""

import math

from scipy import stats

from convlift.errors import BudgetError
from convlift.evidence.final import PRIOR_RUNS
from convlift.evidence.gibbs import WITHIN

BETWEEN = 0.34  # variance over images of the difference of two recipes' chances, as a share of A(1-A)
USUAL_SEED_SD = 0.85  # points; the least that the final's variance assumes before it has seen any run


def pilots_and_finals(budget: int) -> tuple[int, int]:
    """(P, S): baseline runs and final runs out of `budget` trainings; the rest searches.

    Each run spent here is one the search does not get, so they stay near 10%: (1, 1) below 16, (2, 2) below 40,
    (2, 3) below 70, (2, 4) below 100. From 100 on (5, 6): the contrast has variance g (1/S + 1/P), so both arms need
    runs. Simulated power at 540 test images, a gain of 2.3 points and a seed deviation of .4 points: .87 with (2, 5),
    .98 with (5, 6).
    Raises BudgetError below 3.
    """
    if budget < 3:
        raise BudgetError(
            f"a budget of {budget} trainings leaves nothing to search; a baseline, one trial and a final run need 3. "
            "Allow more time."
        )
    for below, arms in ((16, (1, 1)), (40, (2, 2)), (70, (2, 3)), (100, (2, 4))):
        if budget < below:
            return arms
    return 5, 6


def minimum_detectable_points(n_test: int, pilots: int, finals: int, accuracy: float = 0.9) -> float:
    """The gain in points that the final's 95% interval can just tell from nothing: its expected half-width.

    accuracy: about where baseline and final score. Images: luck within an image, .44 A(1-A) a run, and what the two
    recipes' chances differ by from image to image, .34 A(1-A); seeds: .85 points a run.
    """
    images = 100.0**2 * accuracy * (1.0 - accuracy) * (WITHIN * (1 / pilots + 1 / finals) + BETWEEN) / n_test
    seeds = USUAL_SEED_SD**2 * (1 / pilots + 1 / finals)
    seed_df = PRIOR_RUNS + pilots + finals - 2
    df = (images + seeds) ** 2 / (images**2 / max(n_test - 1, 1) + seeds**2 / seed_df)
    return float(stats.t.ppf(0.975, df)) * math.sqrt(images + seeds)


def detectable_in_words(n_test: int, pilots: int, finals: int, accuracy: float = 0.9) -> str:
    """What this campaign can prove, to be said before it starts."""
    points = minimum_detectable_points(n_test, pilots, finals, accuracy)
    often = points * (1.0 + stats.norm.ppf(0.8) / stats.norm.ppf(0.975))
    return (
        f"With {n_test} test images, {_count(pilots, 'baseline run')} and {_count(finals, 'final run')}, a measured "
        f"gain under {points:.1f} points proves nothing; a true gain of {often:.1f} points is proven in four of five "
        "campaigns."
    )


def little_left_to_find(trainings: int, candidates: int) -> bool:
    """Whether more search is hardly worth it: at two trainings a candidate, one more gains about .006 points."""
    return trainings >= 2 * candidates


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
