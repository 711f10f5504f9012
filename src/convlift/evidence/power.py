"""What a campaign can prove at best: how many runs each recipe gets, and how small a gain the test then shows."""

import math
from dataclasses import dataclass

from scipy import stats

from convlift.errors import BudgetError
from convlift.evidence.image_variance import accuracy_variance
from convlift.evidence.pooled_folds import FOLD_SD, PRIOR_RUNS
from convlift.evidence.seeds import LIMITS, USUAL_DEVIATION, WORD_RUNS
from convlift.evidence.spike_and_slab import WITHIN
from convlift.records.notes import Detectable

BETWEEN = 0.34  # variance over images of the difference of two recipes' chances, as a share of A(1-A)
OFTEN = 1.0 + float(stats.norm.ppf(0.8) / stats.norm.ppf(0.975))  # half-widths, which four of five campaigns prove
SMALL = 1000  # images: with fewer, a test part of them proves so little that testing on all of them is worth its cost
USUAL_FOLDS = 5


def baseline_and_final_runs(budget: int) -> tuple[int, int]:
    """(P, S): baseline runs and final runs out of `budget` trainings; the rest searches.

    Each run spent here is one the search does not get: (1, 1) below 10, (2, 2) below 40, (2, 3) below 70, (2, 4) below
    100. With one run an arm nothing can be proven of the recipe. A second one costs the search .3 points of true gain
    at 12 trainings and .2 at 15, of 1.9 to 3.1; at 8 trainings it costs .5 to .7 of 1.7 (300 simulated campaigns). From
    100 on (5, 6): the contrast has variance g (1/S + 1/P), so both arms need runs. Simulated power at 540 test images,
    a gain of 2.3 points and a seed deviation of .4 points: .87 with (2, 5), .98 with (5, 6).
    Raises BudgetError below 3.
    """
    if budget < 3:
        raise BudgetError(
            f"a budget of {budget} trainings leaves nothing to search; a baseline, one trial and a final run need 3. "
            "Allow more time."
        )
    for below, arms in ((10, (1, 1)), (40, (2, 2)), (70, (2, 3)), (100, (2, 4))):
        if budget < below:
            return arms
    return 5, 6


@dataclass(frozen=True)
class Power:
    """What decides how small a gain can be proven.

    n_test: test images, as independent ones where they come in groups (`image_variance.effective_number`); with folds
        all images there are, since each is tested.
    baselines, finals: runs an arm, with folds in each fold.
    image_variance: of one run's score over images, points squared, by default that of an accuracy of .9.
    groups: how many groups the test images come in, 0 for none.
    folds: of a nested cross-validation, 1 for one sealed test.
    seed_variance: of a recipe's score, points squared; None for the usual one.
    seed_freedom: its degrees of freedom.
    """

    n_test: float
    baselines: int
    finals: int
    image_variance: float = accuracy_variance(0.9)
    groups: float = 0.0
    folds: int = 1
    seed_variance: float | None = None
    seed_freedom: float | None = None

    @property
    def points(self) -> float:
        """The gain in points that the final's 95% interval can just tell from nothing: its expected half-width.

        Images: luck within an image, .44 of the image variance a run, and what the two recipes' chances differ by from
        image to image, .34 of it; seeds: .85 points a run at an accuracy of .85 (see `seeds.scale`).
        """
        runs = 1 / self.baselines + 1 / self.finals
        images = self.image_variance * (WITHIN * runs + BETWEEN) / self.n_test
        shared = 1 / self.folds + 1 / (self.folds - 1) if self.folds > 1 else 0.0
        size = self.image_variance / USUAL_DEVIATION**2
        each = LIMITS[0] ** 2 * size if self.seed_variance is None else self.seed_variance
        seeds = each * runs / self.folds + max(each, FOLD_SD**2 * size) * shared
        image_df = max((self.groups or self.n_test) - 1.0, 1.0)
        prior_runs = PRIOR_RUNS if self.folds > 1 else WORD_RUNS
        seed_df = self.seed_freedom or prior_runs + self.folds * (self.baselines + self.finals - 2)
        df = (images + seeds) ** 2 / (images**2 / image_df + seeds**2 / seed_df)
        return float(stats.t.ppf(0.975, df)) * math.sqrt(images + seeds)

    @property
    def often(self) -> float:
        """The true gain in points that four of five campaigns prove."""
        return self.points * OFTEN


def minimum_detectable_points(
    n_test: float, baselines: int, finals: int, image_variance: float = accuracy_variance(0.9)
) -> float:
    """`Power.points` of independent images."""
    return Power(n_test, baselines, finals, image_variance).points


def between_networks(n_test: float, image_variance: float, groups: float = 0.0) -> Power:
    """Of the claim on two networks, whose seeds are as they are. Their difference on an image varies by .44 + .44 + .34
    of a run's variance: about the share of images that only one of them has right, .11 at an accuracy of .9."""
    return Power(n_test, 1, 1, image_variance, groups, seed_variance=0.0)


def detectable(images: int, power: Power) -> Detectable:
    """What a campaign on so many test images can prove."""
    return Detectable(
        images=images,
        baseline_runs=power.baselines,
        final_runs=power.finals,
        points=power.points,
        often=power.often,
        independent=power.n_test if power.groups else None,
        folds=power.folds,
    )


def little_left_to_find(trainings: int, candidates: int) -> bool:
    """Whether more search is hardly worth it: at two trainings a candidate, one more gains about .006 points."""
    return trainings >= 2 * candidates
