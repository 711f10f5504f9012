"""Changes to how the weights are found: optimizer, schedule, length and regularization."""

from convlift.catalogue.intervention import Edit, Intervention, multiplied, room_for_batches, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import EvenClasses, Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import STEP, Optimizer
from convlift.records.facts import Facts

UNEVEN = 1.5  # below, the weights of classes would differ by less than batches do by chance

_SLOW = (Symptom.UNDERFIT, Symptom.UNDER_TRAINED)
_OVER = (Symptom.OVERFIT, Symptom.OVERCONFIDENT)


def _penalized(recipe: Recipe, facts: Facts) -> Unfit | None:
    return None if recipe.training.l2 or recipe.training.weight_decay else Unmet("no penalty")


def _not_adam(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("adam") if recipe.training.optimizer in ("adam", "adamw") else None


def _no_warm_up(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("warmed up") if recipe.training.warmup > 0 else None


def _one_phase(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("two phases") if recipe.training.fine_tuning else None


def _room_for_batches(recipe: Recipe, facts: Facts) -> Unfit | None:
    return _one_phase(recipe, facts) or room_for_batches(2 * recipe.training.batch_size, facts)


def _even_classes(recipe: Recipe, facts: Facts) -> Unfit | None:
    return EvenClasses(facts.imbalance, UNEVEN) if facts.imbalance < UNEVEN else None


def _counts_images(recipe: Recipe, facts: Facts) -> Unfit | None:
    return _even_classes(recipe, facts) if facts.classes_alike else Unmet("images counted")


def _only(**way: float) -> Edit:
    """The edit that treats uneven classes this way and no other: two would prefer the rare ones twice."""
    none = {"class_balance": 0.0, "effective_number": 0.0, "class_sampling": 0.0, "logit_adjustment": 0.0}
    return sets("training", **(none | way))


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


def _averaged(recipe: Recipe, facts: Facts) -> Unfit | None:
    """It would leave a learning rate that stays high, and no average of what that leads to."""
    tuned = recipe.training.fine_tuning
    return Unmet("early stopping") if tuned and tuned.average_from is not None else None


TRAINING: tuple[Intervention, ...] = (
    Intervention(
        name="learning rate x3",
        area="training",
        claim="The most important number of all: larger steps, if they still converge.",
        source="Bengio 2012, section 3.1.1",
        helps=_SLOW,
        edit=_scaled("learning_rate", 3),
        prior=0.2,
        group="learning rate",
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        name="learning rate x0.3",
        area="training",
        claim="The most important number of all: smaller steps, where large ones overshoot.",
        source="Bengio 2012, section 3.1.1",
        helps=(Symptom.UNSTABLE,),
        edit=_scaled("learning_rate", 0.3),
        prior=0.0,
        group="learning rate",
        repeats=True,
        hurts=_SLOW,
    ),
    Intervention(
        name="epochs x2",
        area="training",
        claim="Training longer generalizes better, well past the point where it seems done.",
        source="Hoffer et al. 2017",
        helps=_SLOW,
        edit=_scaled("epochs", 2),
        prior=0.5,
        group="epochs",
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
    ),
    Intervention(
        name="epochs x3",
        area="training",
        claim="Three times as long: the largest step of torchvision's ResNet-50 recipe.",
        source="Vryniotis 2021, torchvision's new training recipe",
        helps=_SLOW,
        edit=_scaled("epochs", 3),
        prior=0.7,
        group="epochs",
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
        reported="+1.8 on ImageNet, for 600 epochs in place of 90 on top of TrivialAugment",
    ),
    Intervention(
        name="SGD with Nesterov momentum",
        area="training",
        claim="Plain gradients with momentum often generalize best.",
        source="Wilson et al. 2017",
        helps=(Symptom.OVERFIT,),
        edit=_optimizer("sgd", momentum=0.9, nesterov=True),
        prior=0.1,
        group="optimizer",
    ),
    Intervention(
        name="AdamW",
        area="training",
        claim="Steps scaled by each weight's own gradients need the least tuning.",
        source="Loshchilov and Hutter 2019, section 4",
        helps=(Symptom.UNDER_TRAINED, Symptom.UNSTABLE),
        edit=_optimizer("adamw"),
        prior=0.2,
        group="optimizer",
        unfit=_not_adam,
    ),
    Intervention(
        name="RMSprop",
        area="training",
        claim="Steps scaled by a running mean of squared gradients, with momentum.",
        source="Tan and Le 2019, section 5.2",
        helps=(Symptom.UNDER_TRAINED,),
        edit=_optimizer("rmsprop", momentum=0.9),
        prior=-0.1,
        group="optimizer",
    ),
    Intervention(
        name="cosine schedule",
        area="training",
        claim="The learning rate falls to zero along a cosine, so that the end settles.",
        source="Loshchilov and Hutter 2017, section 3",
        helps=(Symptom.UNSTABLE, Symptom.OVERFIT),
        edit=sets("training", schedule="cosine", warmup=0.0),
        prior=0.3,
        group="schedule",
        reported="+0.8 on ImageNet (He et al. 2019, table 6)",
    ),
    Intervention(
        name="cosine schedule with warm-up",
        area="training",
        claim="The same after a gentle start.",
        source="He et al. 2019, section 5.1",
        helps=(Symptom.UNSTABLE,),
        edit=sets("training", schedule="cosine", warmup=0.1),
        prior=0.3,
        group="schedule",
        reported="+0.8 on ImageNet (table 6)",
    ),
    Intervention(
        name="one cycle",
        area="training",
        claim="Up to a high learning rate and down again: the same score in fewer epochs.",
        source="Smith and Topin 2018, section 3",
        helps=(Symptom.UNDER_TRAINED, Symptom.UNSTABLE),
        edit=sets("training", schedule="one_cycle", warmup=0.25),
        prior=0.4,
        group="schedule",
        reported="+1.2 on CIFAR-10 (ResNet-56, 10,000 steps against 80,000 of a weak baseline)",
    ),
    Intervention(
        name="warm-up",
        area="training",
        claim="Small first steps, while the weights are random and gradients wild.",
        source="Goyal et al. 2017, section 2.2",
        helps=(Symptom.UNSTABLE,),
        edit=sets("training", warmup=0.1),
        prior=0.1,
        group="schedule",
        unfit=_no_warm_up,
    ),
    Intervention(
        name="label smoothing 0.05",
        area="training",
        claim="Softer targets cut over-confident mistakes.",
        source="Szegedy et al. 2016, section 7",
        helps=(*_OVER, Symptom.LABEL_NOISE),
        edit=sets("training", label_smoothing=0.05),
        prior=0.1,
        group="label smoothing",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        name="label smoothing 0.1",
        area="training",
        claim="Softer targets cut over-confident mistakes, most on noisy labels.",
        source="Szegedy et al. 2016, section 7; Lukasik et al. 2020 (noisy labels)",
        helps=(*_OVER, Symptom.LABEL_NOISE),
        edit=sets("training", label_smoothing=0.1),
        prior=0.2,
        group="label smoothing",
        hurts=(Symptom.UNDERFIT,),
        reported="+0.2 on ImageNet; +0.4 (He et al. 2019, table 6)",
    ),
    Intervention(
        name="rarer classes count more",
        area="training",
        claim="Between an image's vote and a class's: weights fall with the square root of a class's size.",
        source="Mahajan et al. 2018 (as sampling)",
        helps=(Symptom.IMBALANCE,),
        edit=_only(class_balance=0.5),
        prior=0.1,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        name="every class counts alike",
        area="training",
        claim="Rare classes weigh as much as common ones, which lifts their recall and costs the common ones some.",
        source="King and Zeng 2001, section 4.2",
        helps=(Symptom.IMBALANCE,),
        edit=_only(class_balance=1.0),
        prior=0.0,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        name="effective numbers",
        area="training",
        claim="Of many images of a class the next one shows little new: weights fall with how many of them differ.",
        source="Cui et al. 2019, section 4",
        helps=(Symptom.IMBALANCE,),
        edit=_only(effective_number=0.999),
        prior=0.0,
        group="class balance",
        unfit=_even_classes,
        reported="29.6 to 25.4% error on CIFAR-10, 100 to 1, all classes alike in the test (table 2)",
    ),
    Intervention(
        name="square-root sampling",
        area="training",
        claim="Rare classes are shown more often, with the square root of their size, in new variations each time.",
        source="Mahajan et al. 2018, section 2.2",
        helps=(Symptom.IMBALANCE,),
        edit=_only(class_sampling=0.5),
        prior=0.0,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        name="class-balanced sampling",
        area="training",
        claim="Every class is shown as often, the images of rare ones again and again.",
        source="Kang et al. 2020, section 3",
        helps=(Symptom.IMBALANCE,),
        edit=_only(class_sampling=1.0),
        prior=-0.3,
        group="class balance",
        unfit=_even_classes,
        reported="44.4 to 49.6% on ImageNet-LT, of the head alone (Kang et al. 2020, table 7)",
    ),
    Intervention(
        name="logit adjustment",
        area="training",
        claim="What an image shows is learned apart from how common its class is, as a score of classes asks.",
        source="Menon et al. 2021, section 4.2",
        helps=(Symptom.IMBALANCE,),
        edit=_only(logit_adjustment=1.0),
        prior=1.5,
        group="class balance",
        unfit=_counts_images,
        reported="+3.4 to +4.7 of balanced accuracy on four sets of very uneven classes (table 3)",
    ),
    Intervention(
        name="half a logit adjustment",
        area="training",
        claim="A half of it helps rare classes where each has too few images to be learned, whatever is counted.",
        source="Menon et al. 2021, section 4.2 (with a temperature)",
        helps=(Symptom.IMBALANCE,),
        edit=_only(logit_adjustment=0.5),
        prior=0.1,
        group="class balance",
        unfit=_even_classes,
    ),
    Intervention(
        name="no logit adjustment",
        area="training",
        claim="Common classes are more probable, as they are among the images.",
        source="Menon et al. 2021, section 2",
        helps=(Symptom.UNDERFIT,),
        edit=sets("training", logit_adjustment=0.0),
        prior=-0.5,
        group="class balance",
        hurts=(Symptom.IMBALANCE,),
    ),
    Intervention(
        name="weight decay 0.05",
        area="training",
        claim="Decay apart from the gradient, in place of L2 in the loss.",
        source="Loshchilov and Hutter 2019, section 2",
        helps=_OVER,
        edit=decayed(0.05),
        prior=0.2,
        group="weight penalty",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        name="weight decay 0.3",
        area="training",
        claim="Short trainings need strong decay: it acts in proportion to steps taken.",
        source="Loshchilov and Hutter 2019, appendix on normalized decay",
        helps=_OVER,
        edit=decayed(0.3),
        prior=0.1,
        group="weight penalty",
        hurts=_SLOW,
    ),
    Intervention(
        name="weak L2",
        area="training",
        claim="A light pull of the convolutions and dense layers towards zero.",
        source="Krogh and Hertz 1992, section 1",
        helps=_OVER,
        edit=sets("training", l2=1e-4, l2_layers="all", weight_decay=0.0),
        prior=0.0,
        group="weight penalty",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        name="no weight penalty",
        area="training",
        claim="A network that underfits is held back by decay and L2.",
        source="Krogh and Hertz 1992, section 1",
        helps=_SLOW,
        edit=sets("training", l2=0.0, weight_decay=0.0),
        prior=0.1,
        group="weight penalty",
        unfit=_penalized,
        hurts=_OVER,
    ),
    Intervention(
        name="batch size x2",
        area="training",
        claim="Steadier gradients and fewer of them, at the same learning rate: smaller steps for each image.",
        source="Goyal et al. 2017, section 2.1 (with the rate scaled)",
        helps=(Symptom.UNSTABLE, Symptom.LABEL_NOISE),
        edit=_scaled("batch_size", 2),
        prior=-0.2,
        group="batch size",
        unfit=_room_for_batches,
        repeats=True,
        hurts=(Symptom.UNDER_TRAINED, Symptom.DATA_LIMITED, Symptom.LARGE_BATCHES),
    ),
    Intervention(
        name="batch size x0.5",
        area="training",
        claim="Small batches take more steps and settle in flatter minima.",
        source="Keskar et al. 2017, section 2",
        helps=(Symptom.OVERFIT, Symptom.UNDER_TRAINED, Symptom.LARGE_BATCHES),
        edit=_scaled("batch_size", 0.5),
        prior=0.1,
        group="batch size",
        unfit=_one_phase,
        repeats=True,
        hurts=(Symptom.UNSTABLE,),
    ),
    Intervention(
        name="early stopping",
        area="training",
        claim="Stop after 5 epochs without a lower validation loss; keep the best.",
        source="Prechelt 1998",
        helps=(Symptom.OVERFIT, Symptom.LABEL_NOISE),
        edit=sets("training", patience=5),
        prior=0.0,
        group="early stopping",
        parts=("fine-tuning schedule",),
        unfit=_averaged,
        hurts=_SLOW,
    ),
)
