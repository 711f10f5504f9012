"""What the user's own recipe does wrong: which of its levers its first training accuses, and what undoing one shows.

An accusation is cheap to check: the same recipe, trained once more with the lever undone. Only what that confirms is
a finding; without it the accusation is a suspicion.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.diagnose import STILL_FALLING, Diagnosis, diagnose
from convlift.catalogue.intervention import FEWEST_BATCHES, unaugmented
from convlift.catalogue.symptoms import Symptom
from convlift.errors import RecipeError
from convlift.recipe.architecture import ConvNet
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import STEP
from convlift.records.evidence_of_symptoms import AccuracyGap, Evidence, LossFellLast, NothingLearned, OneEpoch
from convlift.records.facts import Facts
from convlift.records.outcome import Outcome
from convlift.records.recipe_findings import (
    Confirmed,
    Fault,
    FewEpochs,
    OverAugmented,
    OverRegularized,
    OversizedBatches,
    Suspected,
    WrongLearningRate,
)

WORTH_REPORTING = 0.02  # of the score: less is not worth a finding about somebody's recipe
CERTAIN = 2.0  # standard errors, below which a difference of two training runs may not be there
# A step of Adam: 0.001 is Keras' default and that of Kingma and Ba 2015, section 2; ten times as much or a tenth of it
# is where tutorials fail most (Bengio 2012, section 3.1.1: "a factor of 2 to 10 from diverging").
HIGH_STEP, LOW_STEP = 3e-3, 2e-4
TENFOLD = 10.0
SHORTEST_CURVE = 4  # epochs, as diagnose.py needs for a trend
# Srivastava et al. 2014, section A.4 keep 0.5 to 0.8 of the units of hidden layers and more of convolutions; Krogh and
# Hertz 1992 and Loshchilov and Hutter 2019 decay by 0.0001 to 0.01 and 0.01 to 0.1; Szegedy et al. 2016 smooth by 0.1.
MOST_DROPOUT, MOST_STAGE_DROPOUT, MOST_L2, MOST_DECAY, MOST_SMOOTHING = 0.6, 0.4, 0.005, 0.3, 0.3
USUAL_BATCH = 32  # Masters and Luschi 2018
LEARNS_TOO_LITTLE = {Symptom.UNDERFIT, Symptom.OVER_AUGMENTED, Symptom.UNDER_TRAINED}


@dataclass(frozen=True)
class Accusation:
    """A lever of the recipe that its training accuses.

    name: of the probe, as its trial is called.
    fault: the lever, with its value and the one that undoes it.
    evidence: what the training showed.
    probe: the same recipe with the lever undone.
    cost: of the probe's training, in those of the recipe.
    """

    name: str
    fault: Fault
    evidence: Evidence
    probe: Recipe
    cost: float = 1.0

    @property
    def suspected(self) -> Suspected:
        """The finding while nobody has tried."""
        return Suspected(self.fault, self.evidence)


def accuse(outcome: Outcome, labels_n: NDArray[np.int64], recipe: Recipe, facts: Facts) -> tuple[Accusation, ...]:
    """The levers of `recipe` that its own training accuses, the most suspected first; () where it learned well.

    outcome: of that training; labels_n: the validation labels, in the order of the outcome's rows.
    """
    if not outcome.curve and outcome.status != "diverged":
        return ()
    found = {each.symptom: each for each in reversed(diagnose(outcome, labels_n, recipe, facts))}
    accusers = (_augmentation, _high_rate, _low_rate, _regularization, _batches, _epochs)
    return tuple(accusation for accuser in accusers for accusation in accuser(found, outcome, recipe, facts))


def confirmed(
    accusation: Accusation, score_with: float, score_without: float, standard_error: float
) -> Confirmed | None:
    """The finding, where undoing the lever helps; None where it does not, or not for certain.

    Scores in [0, 1], 1 at best, of one training each; standard_error: of their difference. score_with: NaN where that
    training diverged; the other is then finding enough.
    """
    if math.isnan(score_with) and math.isfinite(score_without):
        return Confirmed(accusation.fault, None, score_without)
    gain = score_without - score_with
    is_certain = gain > max(WORTH_REPORTING, CERTAIN * standard_error)
    return Confirmed(accusation.fault, score_with, score_without) if is_certain else None


def difference_error(with_it: NDArray[np.float64], without_it: NDArray[np.float64]) -> float:
    """Standard error of the difference of two scores from those of the same images (n,) each, in their unit."""
    each = np.asarray(without_it, float) - np.asarray(with_it, float)
    return float(each.std() / math.sqrt(max(1, len(each))))


Found = dict[Symptom, Diagnosis]


def _augmentation(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    switched_on = tuple((name, value) for name, value in recipe.data.augmentation.strengths.items() if value)
    blamed = found.get(Symptom.OVER_AUGMENTED) or found.get(Symptom.UNDERFIT)
    if switched_on and blamed:
        yield Accusation(
            "your recipe without its augmentation",
            OverAugmented(switched_on),
            blamed.evidence,
            unaugmented(recipe),
        )


def _high_rate(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    blamed = found.get(Symptom.UNSTABLE) or _learned_nothing(found)
    if blamed and _step(recipe) > HIGH_STEP:
        yield _at_rate(recipe, 1 / TENFOLD, blamed)


def _low_rate(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    blamed = found.get(Symptom.UNDER_TRAINED) or found.get(Symptom.UNDERFIT) or _learned_nothing(found)
    if blamed and _step(recipe) < LOW_STEP:
        yield _at_rate(recipe, TENFOLD, blamed)


def _at_rate(recipe: Recipe, factor: float, blamed: Diagnosis) -> Accusation:
    rate = recipe.training.learning_rate
    other = float(f"{rate * factor:.3g}")
    return Accusation(
        f"your recipe at learning rate {other:g}",
        WrongLearningRate(rate, other),
        blamed.evidence,
        recipe.edit(training={"learning_rate": other}),
    )


def _regularization(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    network, training = recipe.architecture, recipe.training
    stage_dropout = network.stage_dropout if isinstance(network, ConvNet) else 0.0
    known = {
        "dropout": (network.dropout, MOST_DROPOUT),
        "stage_dropout": (stage_dropout, MOST_STAGE_DROPOUT),
        "l2": (training.l2, MOST_L2),
        "weight_decay": (training.weight_decay, MOST_DECAY),
        "label_smoothing": (training.label_smoothing, MOST_SMOOTHING),
    }
    strong = tuple((name, value) for name, (value, most) in known.items() if value > most)
    evidence = _too_little(found, outcome, recipe)
    if not strong or not evidence:
        return
    dropouts = {"dropout": 0.0, **({"stage_dropout": 0.0} if isinstance(network, ConvNet) else {})}
    yield Accusation(
        "your recipe without its regularization",
        OverRegularized(strong),
        evidence,
        recipe.edit(architecture=dropouts, training={"l2": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0}),
    )


def _batches(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    size = recipe.training.batch_size
    is_large = size > USUAL_BATCH and facts.training_images < FEWEST_BATCHES * size
    if is_large and (evidence := _too_little(found, outcome, recipe)):
        yield Accusation(
            f"your recipe in batches of {USUAL_BATCH}",
            OversizedBatches(size, USUAL_BATCH),
            evidence,
            recipe.edit(training={"batch_size": USUAL_BATCH}),
        )


def _epochs(found: Found, outcome: Outcome, recipe: Recipe, facts: Facts) -> Iterator[Accusation]:
    """Longer is no fault of the rest, so it is the last to be accused, and the most expensive to try."""
    epochs = recipe.training.epochs
    blamed = found.get(Symptom.UNDER_TRAINED)
    evidence = blamed.evidence if blamed else _too_short(outcome, epochs)
    if not evidence or recipe.training.fine_tuning is not None:
        return
    more = (2 if epochs >= SHORTEST_CURVE else 4) * epochs
    try:
        probe = recipe.edit(training={"epochs": more})
    except RecipeError:  # there is a largest number
        return
    yield Accusation(
        f"your recipe for {more} epochs",
        FewEpochs(epochs, more),
        evidence,
        probe,
        cost=more / epochs,
    )


def _too_short(outcome: Outcome, epochs: int) -> Evidence | None:
    """Why a training too short for a curve may have ended too early; None where it did not."""
    losses = [report.validation_loss for report in outcome.curve]
    if epochs >= SHORTEST_CURVE or not losses:
        return None
    if len(losses) == 1:
        return OneEpoch()
    falls = losses[-1] < (1 - STILL_FALLING) * losses[-2]
    return LossFellLast(losses[-2], losses[-1]) if falls else None


def _learned_nothing(found: Found) -> Diagnosis | None:
    """The diagnosis of a training that never left guessing."""
    return next((each for each in found.values() if isinstance(each.evidence, NothingLearned)), None)


def _too_little(found: Found, outcome: Outcome, recipe: Recipe) -> Evidence | None:
    """The evidence that too little is learned in training itself; None where nothing does."""
    for symptom, diagnosis in found.items():
        if symptom in LEARNS_TOO_LITTLE:
            return diagnosis.evidence
    last = outcome.curve[-1] if outcome.curve else None
    # dropout is on in training alone: it shows as a training that does worse than validation; where classes are shown
    # more often than they are there, so does a training of rare ones
    if last is not None and not recipe.training.class_sampling and last.validation_accuracy - last.train_accuracy > 0.1:
        return AccuracyGap(last.train_accuracy, last.validation_accuracy)
    return None


def _step(recipe: Recipe) -> float:
    """How far a step goes, as a learning rate of Adam's."""
    return recipe.training.learning_rate / STEP[recipe.training.optimizer]
