"""How the weights are found."""

from typing import Literal

from pydantic import Field

from convlift.section import Section

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "one_cycle"]


class FineTuning(Section):
    """The second phase of transfer learning: the backbone, or its last stages, trained at a lower learning rate."""

    epochs: int = Field(4, ge=1, le=1000)
    stages: int | None = Field(None, ge=1, le=16, description="how many of the backbone's last stages are trained; null: all")
    learning_rate: float = Field(3e-4, gt=0, le=10)
    schedule: Schedule = "one_cycle"
    warmup: float = Field(0.1, ge=0, le=0.9, description="fraction of the steps in which the learning rate rises")
    batch_size: int = Field(32, ge=1, le=4096)
    batch_norm: Literal["frozen", "update"] = Field(
        "frozen", description="frozen: unfrozen stages keep the pretrained running statistics; update: they follow the batches"
    )


class Training(Section):
    """Optimization and regularization. For a pretrained backbone these rule the head's phase; `fine_tuning` the second."""

    epochs: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(32, ge=1, le=65_536)
    optimizer: Optimizer = "adam"
    learning_rate: float = Field(1e-3, gt=0, le=10)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd and rmsprop")
    nesterov: bool = Field(False, description="sgd: Nesterov's momentum")
    schedule: Schedule = "constant"
    warmup: float = Field(0.0, ge=0, le=0.9, description="fraction of the steps in which the learning rate rises")
    l2: float = Field(
        0.0, ge=0, le=1,
        description="adds l2 * sum(w^2) to the loss, as Keras' l2() does: without the factor 1/2, so the gradient is 2 * l2 * w",
    )
    l2_layers: Literal["all", "convolution"] = Field("all", description="whose weights `l2` holds for")
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="decoupled: w shrinks by learning_rate * weight_decay * w each step (Loshchilov and Hutter 2019)"
    )
    decay_norms_and_biases: bool = Field(False, description="whether decay and l2 reach biases and normalization weights too")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Szegedy et al. 2016, section 7")
    patience: int | None = Field(
        None, ge=1, description="early stopping: epochs without a lower validation loss before training ends; "
        "the best epoch's weights are restored. null: train to the end",
    )
    fine_tuning: FineTuning | None = None
