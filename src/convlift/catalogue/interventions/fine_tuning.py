"""Changes to the second phase of transfer learning: what is unfrozen, how far and how long."""

from collections.abc import Callable
from typing import Any

from convlift.catalogue.intervention import Edit, Intervention, multiplied, room_for_batches
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import STEP, FineTuning
from convlift.records.facts import Facts

_SLOW = (Symptom.UNDERFIT, Symptom.UNDER_TRAINED)
AVERAGE_FROM = 0.4  # of the steps on (decision 0035)


def _fine_tuned(recipe: Recipe, facts: Facts) -> Unfit | None:
    return None if recipe.training.fine_tuning else Unmet("not fine-tuned")


def _frozen(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("fine-tuned") if recipe.training.fine_tuning else None


def _room_for_batches(recipe: Recipe, facts: Facts) -> Unfit | None:
    tuned = recipe.training.fine_tuning
    return room_for_batches(2 * tuned.batch_size, facts) if tuned else _fine_tuned(recipe, facts)


def _tuned(change: Callable[[FineTuning], dict[str, Any]]) -> Edit:
    """An edit of the second phase: `change` gives its new fields; where there is no second phase nothing changes."""

    def edit(recipe: Recipe) -> Recipe:
        tuned = recipe.training.fine_tuning
        return recipe if tuned is None else recipe.edit(training={"fine_tuning": change(tuned)})

    return edit


def _scaled(field: str, factor: float) -> Edit:
    def change(tuned: FineTuning) -> dict[str, Any]:
        old = getattr(tuned, field)
        return {field: max(1, round(old * factor)) if isinstance(old, int) else multiplied(old, factor)}

    return _tuned(change)


def _stages(change: int) -> Edit:
    def edit(recipe: Recipe) -> Recipe:
        tuned = recipe.training.fine_tuning
        if tuned is None or tuned.stages is None:
            return recipe
        stages = max(1, tuned.stages + change)
        return _reading(recipe, stages).edit(training={"fine_tuning": {"stages": stages}})

    return edit


def _reading(recipe: Recipe, stages: int) -> Recipe:
    """The recipe with a head that reads no more than so many stages: only those that are trained."""
    network = recipe.architecture
    if not isinstance(network, Pretrained) or network.pooled_stages <= stages:
        return recipe
    return recipe.edit(architecture={"pooled_stages": stages})


def _averaging(first: float | None) -> Edit:
    """To weights that are averaged at a rate that stays where it is highest, or back to one cycle; where it is so
    already nothing changes."""

    def change(tuned: FineTuning) -> dict[str, Any]:
        if (tuned.average_from is None) == (first is None):
            return {}
        return {"schedule": "one_cycle" if first is None else "constant", "average_from": first}

    return _tuned(change)


def _averaged(recipe: Recipe, facts: Facts) -> Unfit | None:
    tuned = recipe.training.fine_tuning
    if tuned and recipe.training.patience:
        return Unmet("early stopping")
    return Unmet("averaged") if tuned and tuned.average_from is not None else _fine_tuned(recipe, facts)


def _not_averaged(recipe: Recipe, facts: Facts) -> Unfit | None:
    tuned = recipe.training.fine_tuning
    return Unmet("not averaged") if tuned and tuned.average_from is None else _fine_tuned(recipe, facts)


def _start_fine_tuning(recipe: Recipe) -> Recipe:
    tuning = FineTuning(epochs=4, stages=1, learning_rate=multiplied(5e-4, STEP[recipe.training.optimizer]))
    return _reading(recipe, 1).edit(training={"fine_tuning": tuning.model_dump()})


FINE_TUNING: tuple[Intervention, ...] = (
    Intervention(
        name="batch norm follows the new images",
        area="training",
        claim="Running statistics of the new images replace ImageNet's.",
        source="Li et al. 2017 (AdaBN), section 3",
        helps=(Symptom.UNDERFIT,),
        edit=_tuned(lambda tuned: {"batch_norm": "update"}),
        prior=0.0,
        networks=("pretrained",),
        unfit=_fine_tuned,
    ),
    Intervention(
        name="fine-tuning learning rate x3",
        area="training",
        claim="Images unlike ImageNet's need larger steps away from it.",
        source="Li et al. 2020, section 3",
        helps=_SLOW,
        edit=_scaled("learning_rate", 3),
        prior=0.2,
        group="fine-tuning learning rate",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        name="fine-tuning learning rate x0.3",
        area="training",
        claim="Images like ImageNet's need little change of its features.",
        source="Li et al. 2020, section 3",
        helps=(Symptom.OVERFIT, Symptom.UNSTABLE),
        edit=_scaled("learning_rate", 0.3),
        prior=0.0,
        group="fine-tuning learning rate",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=_SLOW,
    ),
    Intervention(
        name="fine-tuned weights averaged",
        area="training",
        claim="The learning rate stays high, and the mean of the weights that it leads to is better than any of them.",
        source="Izmailov et al. 2018, section 3.1",
        helps=(Symptom.OVERFIT, Symptom.LABEL_NOISE),
        edit=_averaging(AVERAGE_FROM),
        prior=1.0,
        group="fine-tuning schedule",
        networks=("pretrained",),
        unfit=_averaged,
        reported="+0.8 on ImageNet in 10 epochs more (ResNet-50; table 2)",
    ),
    Intervention(
        name="fine-tuning ends at zero",
        area="training",
        claim="One cycle of the learning rate, whose last steps settle, instead of an average over many.",
        source="Smith and Topin 2019",
        helps=(Symptom.UNSTABLE, Symptom.UNDERFIT),
        edit=_averaging(None),
        prior=-0.5,
        group="fine-tuning schedule",
        networks=("pretrained",),
        unfit=_not_averaged,
    ),
    Intervention(
        name="fine-tuning batch size x2",
        area="training",
        claim="Steadier gradients and fewer of them.",
        source="Goyal et al. 2017, section 2.1",
        helps=(Symptom.UNSTABLE, Symptom.LABEL_NOISE),
        edit=_scaled("batch_size", 2),
        prior=-0.2,
        group="fine-tuning batch size",
        networks=("pretrained",),
        unfit=_room_for_batches,
        repeats=True,
        hurts=(Symptom.UNDER_TRAINED, Symptom.DATA_LIMITED, Symptom.LARGE_BATCHES),
    ),
    Intervention(
        name="fine-tuning batch size x0.5",
        area="training",
        claim="Batches of a few dozen and fewer generalize best.",
        source="Masters and Luschi 2018, section 5",
        helps=(Symptom.OVERFIT, Symptom.UNDER_TRAINED, Symptom.LARGE_BATCHES),
        edit=_scaled("batch_size", 0.5),
        prior=0.1,
        group="fine-tuning batch size",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        name="longer fine-tuning",
        area="training",
        claim="Twice the epochs of the second phase.",
        source="Kolesnikov et al. 2020, section 3.3",
        helps=_SLOW,
        edit=_scaled("epochs", 2),
        prior=0.5,
        group="fine-tuning epochs",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
    ),
    Intervention(
        name="fine-tune the last stage",
        area="training",
        claim="The last features are the most bound to the old task.",
        source="Yosinski et al. 2014, section 4",
        helps=_SLOW,
        edit=_start_fine_tuning,
        prior=1.0,
        group="stages",
        networks=("pretrained",),
        unfit=_frozen,
        parts=("fine-tuning epochs", "pooled stages"),
    ),
    Intervention(
        name="one more stage fine-tuned",
        area="training",
        claim="Earlier stages adapt too.",
        source="Yosinski et al. 2014, section 4",
        helps=_SLOW,
        edit=_stages(1),
        prior=0.5,
        group="stages",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.OVERFIT,),
        parts=("pooled stages",),
    ),
    Intervention(
        name="one stage fewer fine-tuned",
        area="training",
        claim="Fewer free weights, for few images.",
        source="Yosinski et al. 2014, section 4",
        helps=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        edit=_stages(-1),
        prior=-0.2,
        group="stages",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=_SLOW,
        parts=("pooled stages",),
    ),
)
