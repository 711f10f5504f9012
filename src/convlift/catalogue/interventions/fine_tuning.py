"""Changes to the second phase of transfer learning: what is unfrozen, how far and how long."""

from collections.abc import Callable
from typing import Any

from convlift.catalogue.intervention import Edit, Intervention, multiplied, room_for_batches
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import STEP, FineTuning
from convlift.records.facts import Facts

_SLOW = (Symptom.UNDERFIT, Symptom.UNDER_TRAINED)


def _fine_tuned(recipe: Recipe, facts: Facts) -> str:
    return "" if recipe.training.fine_tuning else "the backbone is not fine-tuned"


def _frozen(recipe: Recipe, facts: Facts) -> str:
    return "the backbone is fine-tuned already" if recipe.training.fine_tuning else ""


def _room_for_batches(recipe: Recipe, facts: Facts) -> str:
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
    return _tuned(lambda tuned: {"stages": None if tuned.stages is None else max(1, tuned.stages + change)})


def _start_fine_tuning(recipe: Recipe) -> Recipe:
    tuning = FineTuning(epochs=4, stages=1, learning_rate=multiplied(5e-4, STEP[recipe.training.optimizer]))
    return recipe.edit(training={"fine_tuning": tuning.model_dump()})


FINE_TUNING: tuple[Intervention, ...] = (
    Intervention(
        "batch norm follows the new images",
        "training",
        "Running statistics of the new images replace ImageNet's.",
        "Li et al. 2017 (AdaBN), section 3",
        (Symptom.UNDERFIT,),
        _tuned(lambda tuned: {"batch_norm": "update"}),
        0.0,
        networks=("pretrained",),
        unfit=_fine_tuned,
    ),
    Intervention(
        "fine-tuning learning rate x3",
        "training",
        "Images unlike ImageNet's need larger steps away from it.",
        "Li et al. 2020, section 3",
        _SLOW,
        _scaled("learning_rate", 3),
        0.2,
        group="fine-tuning learning rate",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        "fine-tuning learning rate x0.3",
        "training",
        "Images like ImageNet's need little change of its features.",
        "Li et al. 2020, section 3",
        (Symptom.OVERFIT, Symptom.UNSTABLE),
        _scaled("learning_rate", 0.3),
        0.0,
        group="fine-tuning learning rate",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=_SLOW,
    ),
    Intervention(
        "fine-tuning batch size x2",
        "training",
        "Steadier gradients and fewer of them.",
        "Goyal et al. 2017, section 2.1",
        (Symptom.UNSTABLE, Symptom.LABEL_NOISE),
        _scaled("batch_size", 2),
        -0.2,
        group="fine-tuning batch size",
        networks=("pretrained",),
        unfit=_room_for_batches,
        repeats=True,
        hurts=(Symptom.UNDER_TRAINED, Symptom.DATA_LIMITED, Symptom.LARGE_BATCHES),
    ),
    Intervention(
        "fine-tuning batch size x0.5",
        "training",
        "Batches of a few dozen and fewer generalize best.",
        "Masters and Luschi 2018, section 5",
        (Symptom.OVERFIT, Symptom.UNDER_TRAINED, Symptom.LARGE_BATCHES),
        _scaled("batch_size", 0.5),
        0.1,
        group="fine-tuning batch size",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        "longer fine-tuning",
        "training",
        "Twice the epochs of the second phase.",
        "Kolesnikov et al. 2020, section 3.3",
        _SLOW,
        _scaled("epochs", 2),
        0.5,
        group="fine-tuning epochs",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
    ),
    Intervention(
        "fine-tune the last stage",
        "training",
        "The last features are the most bound to the old task.",
        "Yosinski et al. 2014, section 4",
        _SLOW,
        _start_fine_tuning,
        1.0,
        group="stages",
        networks=("pretrained",),
        unfit=_frozen,
        parts=("fine-tuning epochs",),
    ),
    Intervention(
        "one more stage fine-tuned",
        "training",
        "Earlier stages adapt too.",
        "Yosinski et al. 2014, section 4",
        _SLOW,
        _stages(1),
        0.5,
        group="stages",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        "one stage fewer fine-tuned",
        "training",
        "Fewer free weights, for few images.",
        "Yosinski et al. 2014, section 4",
        (Symptom.OVERFIT, Symptom.DATA_LIMITED),
        _stages(-1),
        -0.2,
        group="stages",
        networks=("pretrained",),
        unfit=_fine_tuned,
        repeats=True,
        hurts=_SLOW,
    ),
)
