"""How the weights are found."""

from typing import Literal

from convlift.recipe.section import Section, lever

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "one_cycle"]

# How large a step each optimizer's learning rate must name to move as Adam does at 1: SGD's 0.01 for fine-tuning
# (Kornblith et al. 2019, section 4) stands beside Adam's 0.001, since at 0.05 a new head on pretrained features
# collapsed to chance on digits; RMSprop with momentum 0.9 adds up about ten steps. A change of optimizer converts by
# these ratios, so that it commutes with changes of the learning rate and keeps learning rate x decay, the shrinkage a
# step.
STEP: dict[Optimizer, float] = {"adam": 1.0, "adamw": 1.0, "rmsprop": 0.1, "sgd": 10.0}


SMALLER = 0.75  # of the side, in the steps on small images


class FineTuning(Section):
    """The second phase of transfer learning: the backbone, or its last stages, trained at a lower learning rate."""

    epochs: int = lever(4, "passes over the training images", "Howard and Ruder 2018", ge=1, le=1000)
    stages: int | None = lever(
        None,
        "how many of the backbone's last stages are trained; null: all",
        "Yosinski et al. 2014",
        ge=1,
        le=16,
    )
    learning_rate: float = lever(3e-4, "largest step size of this phase", "Howard and Ruder 2018", gt=0, le=10)
    schedule: Schedule = lever("one_cycle", "how the learning rate moves", "Smith and Topin 2019")
    warmup: float = lever(
        0.1,
        "fraction of the steps in which the learning rate rises",
        "Goyal et al. 2017, section 2.2",
        ge=0,
        le=0.9,
    )
    batch_size: int = lever(32, "images per step", "Masters and Luschi 2018", ge=1, le=4096)
    small_first: float = lever(
        0.0,
        "share of the steps, the first ones, on images of three quarters of the side, which cost half; then no "
        "activations are stored",
        "Tan and Le 2021, section 4",
        ge=0,
        le=1,
    )
    average_from: float | None = lever(
        None,
        "share of the steps after which all weights are averaged alike, but with early stopping; null: as "
        "`training.average` says",
        "Izmailov et al. 2018, section 3.1",
        ge=0,
        lt=1,
    )
    layer_decay: float = lever(
        1.0,
        "factor on the learning rate from each stage to the one before it, the head having the whole of it",
        "Howard and Ruder 2018, section 3.2",
        gt=0,
        le=1,
    )
    batch_norm: Literal["frozen", "update"] = lever(
        "frozen",
        "frozen: unfrozen stages keep the pretrained running statistics; update: they follow the batches",
        "Chollet 2020, Keras guide to transfer learning; Ioffe and Szegedy 2015",
    )


def smaller(resolution: int) -> int:
    """The side, in pixels, of the small images of `small_first`: a whole number of eights, as halvings like it."""
    return max(8, 8 * round(SMALLER * resolution / 8))


class Training(Section):
    """Optimization and regularization; for a pretrained backbone, those of the head's phase."""

    epochs: int = lever(10, "passes over the training images", "Goodfellow et al. 2016, section 7.8", ge=1, le=10_000)
    batch_size: int = lever(32, "images per step", "Masters and Luschi 2018", ge=1, le=65_536)
    optimizer: Optimizer = lever(
        "adam",
        "the rule that turns gradients into steps",
        "Kingma and Ba 2015; Loshchilov and Hutter 2019; Sutskever et al. 2013",
    )
    learning_rate: float = lever(1e-3, "largest step size", "Bengio 2012", gt=0, le=10)
    momentum: float = lever(0.9, "sgd and rmsprop", "Sutskever et al. 2013", ge=0, lt=1)
    nesterov: bool = lever(False, "sgd: Nesterov's momentum", "Sutskever et al. 2013")
    schedule: Schedule = lever(
        "constant", "how the learning rate moves", "Loshchilov and Hutter 2017; Smith and Topin 2019"
    )
    warmup: float = lever(
        0.0,
        "fraction of the steps in which the learning rate rises",
        "Goyal et al. 2017, section 2.2",
        ge=0,
        le=0.9,
    )
    l2: float = lever(
        0.0,
        "adds l2 * sum(w^2) to the loss, as Keras' l2() does: without the factor 1/2, so the gradient is 2 * l2 * w",
        "Krogh and Hertz 1992",
        ge=0,
        le=1,
    )
    l2_layers: Literal["all", "convolution"] = lever("all", "whose weights `l2` holds for", "Krogh and Hertz 1992")
    weight_decay: float = lever(
        0.0,
        "decoupled: w shrinks by learning_rate * weight_decay * w each step",
        "Loshchilov and Hutter 2019",
        ge=0,
        le=1,
    )
    decay_norms_and_biases: bool = lever(
        False,
        "whether decay and l2 reach biases and normalization weights too",
        "He et al. 2019, section 3.1",
    )
    label_smoothing: float = lever(
        0.0,
        "probability moved from the label to all classes alike",
        "Szegedy et al. 2016, section 7",
        ge=0,
        lt=1,
    )
    class_balance: float = lever(
        0.0,
        "weight of an image in the loss: its class has n_k images, n_k^-class_balance; 1: every class counts alike",
        "King and Zeng 2001, section 4.2",
        ge=0,
        le=1,
    )
    effective_number: float = lever(
        0.0,
        "in place of class_balance: an image's weight is (1 - b) / (1 - b^n_k), as if the n_k images of its class were "
        "at most 1 / (1 - b) different ones; 0: off, .9 to .9999 are usual",
        "Cui et al. 2019, section 4",
        ge=0,
        lt=1,
        later=True,
    )
    class_sampling: float = lever(
        0.0,
        "classes are drawn in proportion to n_k^(1 - class_sampling), as many images an epoch as there are; 1: every "
        "class as often, the images of small ones several times",
        "Kang et al. 2020, section 3; Mahajan et al. 2018, section 2.2 (the square root)",
        ge=0,
        le=1,
        later=True,
    )
    logit_adjustment: float = lever(
        0.0,
        "times the logarithm of its class's share of the training images, added to a logit while training: the network "
        "learns what an image shows apart from how common its class is, and at 1 predicts as if all were alike",
        "Menon et al. 2021, section 4.2",
        ge=0,
        le=2,
        later=True,
    )
    consistency: float = lever(
        0.0,
        "times the Jensen-Shannon divergence of what is predicted for an image and for two of its AugMix mixes, added "
        "to its cross-entropy; a step then takes three times as many images; without effect on stored features",
        "Hendrycks et al. 2020, section 3 (AugMix: 12)",
        ge=0,
        le=100,
        later=True,
    )
    average: float = lever(
        0.0,
        "decay of the running average of all weights, which is what a training leaves; 0: the last step's weights, as "
        "with early stopping",
        "Polyak and Juditsky 1992; Tarvainen and Valpola 2017",
        ge=0,
        lt=1,
    )
    patience: int | None = lever(
        None,
        "early stopping: epochs without a lower validation loss before training ends, and the best epoch's weights are "
        "restored; null: train to the end",
        "Prechelt 1998",
        ge=1,
    )
    fine_tuning: FineTuning | None = None

    @property
    def treats_classes(self) -> bool:
        """Whether rare classes count more than they have images."""
        return bool(self.class_balance or self.effective_number or self.class_sampling or self.logit_adjustment)
