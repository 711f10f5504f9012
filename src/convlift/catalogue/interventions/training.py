"""Changes to how the weights are found: optimizer, schedule, length and regularization."""

from convlift.catalogue.intervention import Edit, Intervention, multiplied, room_for_batches, sets
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import STEP, Optimizer
from convlift.records.facts import Facts

UNEVEN = 1.5  # below, the weights of classes would differ by less than batches do by chance

_SLOW = (Symptom.UNDERFIT, Symptom.UNDER_TRAINED)
_OVER = (Symptom.OVERFIT, Symptom.OVERCONFIDENT)


def _penalized(recipe: Recipe, facts: Facts) -> str:
    return "" if recipe.training.l2 or recipe.training.weight_decay else "the weights carry no penalty"


def _not_adam(recipe: Recipe, facts: Facts) -> str:
    if recipe.training.optimizer in ("adam", "adamw"):
        return "Adam and AdamW differ by decoupled decay alone, which is a factor of its own"
    return ""


def _no_warm_up(recipe: Recipe, facts: Facts) -> str:
    return "the learning rate is warmed up already" if recipe.training.warmup > 0 else ""


def _one_phase(recipe: Recipe, facts: Facts) -> str:
    return "the batches of fine-tuning decide more" if recipe.training.fine_tuning else ""


def _room_for_batches(recipe: Recipe, facts: Facts) -> str:
    return _one_phase(recipe, facts) or room_for_batches(2 * recipe.training.batch_size, facts)


def _even_classes(recipe: Recipe, facts: Facts) -> str:
    if facts.imbalance < UNEVEN:
        return (
            f"the largest class has {facts.imbalance:.1f} times the images of the smallest; {UNEVEN:g} would be uneven"
        )
    return ""


def _optimizer(name: Optimizer, **fields: object) -> Edit:
    def edit(recipe: Recipe) -> Recipe:
        training = recipe.training
        ratio = STEP[name] / STEP[training.optimizer]
        tuned = training.fine_tuning
        converted = {"learning_rate": multiplied(tuned.learning_rate, ratio)} if tuned else None
        return recipe.edit(
            training={
                "optimizer": name,
                "learning_rate": multiplied(training.learning_rate, ratio),
                "weight_decay": multiplied(training.weight_decay, 1 / ratio),
                **fields,
                **({"fine_tuning": converted} if converted else {}),
            }
        )

    return edit


def decayed(amount: float) -> Edit:
    """The edit that sets decoupled decay; the amount is Adam's, see STEP.

    Decay and L2 punish the same thing: one of them at a time.
    """

    def edit(recipe: Recipe) -> Recipe:
        own = multiplied(amount, 1 / STEP[recipe.training.optimizer])
        return recipe.edit(training={"weight_decay": own, "l2": 0.0})

    return edit


def _scaled(field: str, factor: float) -> Edit:
    def edit(recipe: Recipe) -> Recipe:
        old = getattr(recipe.training, field)
        new = max(1, round(old * factor)) if isinstance(old, int) else multiplied(old, factor)
        return recipe.edit(training={field: new})

    return edit


TRAINING: tuple[Intervention, ...] = (
    Intervention(
        "learning rate x3",
        "training",
        "The most important number of all: larger steps, if they still converge.",
        "Bengio 2012, section 3.1.1",
        _SLOW,
        _scaled("learning_rate", 3),
        0.2,
        group="learning rate",
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        "learning rate x0.3",
        "training",
        "The most important number of all: smaller steps, where large ones overshoot.",
        "Bengio 2012, section 3.1.1",
        (Symptom.UNSTABLE,),
        _scaled("learning_rate", 0.3),
        0.0,
        group="learning rate",
        repeats=True,
        hurts=_SLOW,
    ),
    Intervention(
        "epochs x2",
        "training",
        "Training longer generalizes better, well past the point where it seems done.",
        "Hoffer et al. 2017",
        _SLOW,
        _scaled("epochs", 2),
        0.5,
        group="epochs",
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
    ),
    Intervention(
        "epochs x3",
        "training",
        "Three times as long: the largest step of torchvision's ResNet-50 recipe.",
        "Vryniotis 2021, torchvision's new training recipe",
        _SLOW,
        _scaled("epochs", 3),
        0.7,
        group="epochs",
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
        reported="+1.8 on ImageNet, for 600 epochs in place of 90",
    ),
    Intervention(
        "SGD with Nesterov momentum",
        "training",
        "Plain gradients with momentum often generalize best.",
        "Sutskever et al. 2013, section 2",
        (Symptom.OVERFIT,),
        _optimizer("sgd", momentum=0.9, nesterov=True),
        0.1,
        group="optimizer",
    ),
    Intervention(
        "AdamW",
        "training",
        "Steps scaled by each weight's own gradients need the least tuning.",
        "Loshchilov and Hutter 2019, section 4",
        (Symptom.UNDER_TRAINED, Symptom.UNSTABLE),
        _optimizer("adamw"),
        0.2,
        group="optimizer",
        unfit=_not_adam,
    ),
    Intervention(
        "RMSprop",
        "training",
        "Steps scaled by a running mean of squared gradients, with momentum.",
        "Tan and Le 2019, section 5.2",
        (Symptom.UNDER_TRAINED,),
        _optimizer("rmsprop", momentum=0.9),
        -0.1,
        group="optimizer",
    ),
    Intervention(
        "cosine schedule",
        "training",
        "The learning rate falls to zero along a cosine, so that the end settles.",
        "Loshchilov and Hutter 2017, section 3",
        (Symptom.UNSTABLE, Symptom.OVERFIT),
        sets("training", schedule="cosine", warmup=0.0),
        0.3,
        group="schedule",
        reported="+0.8 on ImageNet (He et al. 2019, table 6)",
    ),
    Intervention(
        "cosine schedule with warm-up",
        "training",
        "The same after a gentle start.",
        "He et al. 2019, section 5.1",
        (Symptom.UNSTABLE,),
        sets("training", schedule="cosine", warmup=0.1),
        0.3,
        group="schedule",
        reported="+0.8 on ImageNet (table 6)",
    ),
    Intervention(
        "one cycle",
        "training",
        "Up to a high learning rate and down again: the same score in fewer epochs.",
        "Smith and Topin 2018, section 3",
        (Symptom.UNDER_TRAINED, Symptom.UNSTABLE),
        sets("training", schedule="one_cycle", warmup=0.25),
        0.4,
        group="schedule",
        reported="+1.2 on CIFAR-10 (ResNet-56)",
    ),
    Intervention(
        "warm-up",
        "training",
        "Small first steps, while the weights are random and gradients wild.",
        "Goyal et al. 2017, section 2.2",
        (Symptom.UNSTABLE,),
        sets("training", warmup=0.1),
        0.1,
        group="schedule",
        unfit=_no_warm_up,
    ),
    Intervention(
        "label smoothing 0.05",
        "training",
        "Softer targets cut over-confident mistakes.",
        "Szegedy et al. 2016, section 7",
        (*_OVER, Symptom.LABEL_NOISE),
        sets("training", label_smoothing=0.05),
        0.1,
        group="label smoothing",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        "label smoothing 0.1",
        "training",
        "Softer targets cut over-confident mistakes, most on noisy labels.",
        "Szegedy et al. 2016, section 7",
        (*_OVER, Symptom.LABEL_NOISE),
        sets("training", label_smoothing=0.1),
        0.2,
        group="label smoothing",
        hurts=(Symptom.UNDERFIT,),
        reported="+0.2 on ImageNet; +0.4 (He et al. 2019, table 6)",
    ),
    Intervention(
        "rarer classes count more",
        "training",
        "Between an image's vote and a class's: weights fall with the square root of a class's size.",
        "Cui et al. 2019, section 4",
        (Symptom.IMBALANCE,),
        sets("training", class_balance=0.5),
        0.1,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        "every class counts alike",
        "training",
        "Rare classes weigh as much as common ones, which lifts their recall and costs the common ones some.",
        "King and Zeng 2001, section 4.2",
        (Symptom.IMBALANCE,),
        sets("training", class_balance=1.0),
        0.0,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        "weight decay 0.05",
        "training",
        "Decay apart from the gradient, in place of L2 in the loss.",
        "Loshchilov and Hutter 2019, section 2",
        _OVER,
        decayed(0.05),
        0.2,
        group="weight penalty",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        "weight decay 0.3",
        "training",
        "Short trainings need strong decay: it acts in proportion to steps taken.",
        "Loshchilov and Hutter 2019, appendix on normalized decay",
        _OVER,
        decayed(0.3),
        0.1,
        group="weight penalty",
        hurts=_SLOW,
    ),
    Intervention(
        "weak L2",
        "training",
        "A light pull of the convolutions and dense layers towards zero.",
        "Krogh and Hertz 1992, section 1",
        _OVER,
        sets("training", l2=1e-4, l2_layers="all", weight_decay=0.0),
        0.0,
        group="weight penalty",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        "no weight penalty",
        "training",
        "A network that underfits is held back by decay and L2.",
        "Krogh and Hertz 1992, section 1",
        _SLOW,
        sets("training", l2=0.0, weight_decay=0.0),
        0.1,
        group="weight penalty",
        unfit=_penalized,
        hurts=_OVER,
    ),
    Intervention(
        "batch size x2",
        "training",
        "Steadier gradients and fewer of them.",
        "Goyal et al. 2017, section 2.1",
        (Symptom.UNSTABLE, Symptom.LABEL_NOISE),
        _scaled("batch_size", 2),
        -0.2,
        group="batch size",
        unfit=_room_for_batches,
        repeats=True,
        hurts=(Symptom.UNDER_TRAINED, Symptom.DATA_LIMITED, Symptom.LARGE_BATCHES),
    ),
    Intervention(
        "batch size x0.5",
        "training",
        "Small batches take more steps and settle in flatter minima.",
        "Keskar et al. 2017, section 2",
        (Symptom.OVERFIT, Symptom.UNDER_TRAINED, Symptom.LARGE_BATCHES),
        _scaled("batch_size", 0.5),
        0.1,
        group="batch size",
        unfit=_one_phase,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        "early stopping",
        "training",
        "Stop after 5 epochs without a lower validation loss; keep the best.",
        "Prechelt 1998",
        (Symptom.OVERFIT, Symptom.LABEL_NOISE),
        sets("training", patience=5),
        0.0,
        group="early stopping",
        hurts=_SLOW,
    ),
)
