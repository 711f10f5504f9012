"""A data set cut into folds: what every fold's campaign is asked for, and how the budget is shared."""

from dataclasses import dataclass, replace
from pathlib import Path

from convlift.campaign.campaign_identity import folder_for
from convlift.campaign.open_data import read_images, side_for
from convlift.campaign.prepare import CLOSING_SECONDS, problem_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset
from convlift.data.groups import check_number
from convlift.data.sealed import SealedLabels, seal
from convlift.data.splits import Fold, Splits, make_splits
from convlift.errors import ConvliftError
from convlift.recipe.built_in import recipe_from
from convlift.search.problem import Problem

FEWEST, MOST = 2, 10
USUAL_FINAL = 0.15  # of a fold's budget: a long final run, whose like on all images is kept in reserve


@dataclass(frozen=True)
class Nest:
    """One nested cross-validation. parts: the splits of fold 0, which has no test, and of folds 1 to K; whole, sealed
    labels aside: the data set with every label, and problem: what ships is trained by them."""

    request: Request
    folder: Path
    whole: Dataset
    problem: Problem
    parts: tuple[Splits, ...]

    @property
    def folds(self) -> int:
        return len(self.parts) - 1

    @property
    def numbers(self) -> range:
        """Of the folds."""
        return range(1, self.folds + 1)

    @property
    def reserve(self) -> float:
        """Part of the budget that is kept for the training of what ships, on more images than a fold had."""
        return USUAL_FINAL / self.folds * len(self.parts[0].train) / len(self.parts[1].train)

    @property
    def kept_seconds(self) -> float:
        """Of the budget, for what comes after the folds."""
        if self.request.trainings:
            return 0.0
        return self.reserve * self.request.budget_seconds + CLOSING_SECONDS

    @property
    def fold_seconds(self) -> float:
        """An even share of the rest, 0 where there is none."""
        return max((self.request.budget_seconds - self.kept_seconds) / self.folds, 0.0)

    def fold(self, number: int) -> tuple[Dataset, SealedLabels]:
        """A fold's data set, its test sealed."""
        return seal(self.whole.store, self.parts[number], self.whole.groups)

    def folder_of(self, number: int) -> Path:
        """A fold's run folder."""
        return self.folder / f"fold-{number}"

    def request_of(self, number: int, seconds: float) -> Request:
        """What a fold's campaign is asked for."""
        fold = Fold(number, self.folds)
        return replace(self.request, out=self.folder_of(number), budget_seconds=seconds, fold=fold)


def cut_folds(request: Request, folds: int, session: Session) -> Nest:
    """Read the images and cut all folds, so that what does not fit is said before any training.

    Raises ConvliftError, DataError, RecipeError, WeightsError; Interrupted where somebody asks to stop.
    """
    if not FEWEST <= folds <= MOST:
        raise ConvliftError(f"--cv {folds} is out of range; give {FEWEST} to {MOST} folds, or leave it out.")
    if not request.max_latency.is_usual:
        raise ConvliftError(
            f"--cv judges networks on their own, and --max-latency {request.max_latency} lets several predict "
            "together; leave out one of them."
        )
    store, groups = read_images(request, session, side_for(recipe_from(request.current).data))
    if (store.official != "").any():
        raise ConvliftError(
            f"{store.name} brings its own test or validation part, and --cv makes each image a test image in turn; "
            "leave out --cv, or give all images in one folder of class folders."
        )
    parts = tuple(make_splits(store, request.seed, groups, Fold(number, folds)) for number in range(folds + 1))
    if groups is not None:
        for part in parts[1:]:
            check_number(store.name, groups[part.test])
    whole, _ = seal(store, parts[0], groups)
    shipped = replace(request, fold=Fold(0, folds))
    problem = problem_of(shipped, whole)
    return Nest(request, request.out or folder_for(shipped, whole, problem), whole, problem, parts)
