"""What a Keras model says of its training: its optimizer, where it is compiled, and the penalties on its weights."""

from collections.abc import Iterator
from typing import Any

from convlift.errors import RecipeError

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
OTHER = -1.0  # the strength of a penalty of another kind
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def training_of(model: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(levers of training, what is passed over, in few words). Raises RecipeError for an unknown optimizer."""
    levers, unread = _optimizer(model)
    more, others = _penalties(model)
    return levers | more, (*unread, *others)


def _optimizer(model: Any) -> tuple[dict[str, Any], list[str]]:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}, []
    kind = type(optimizer).__name__.lower()
    if kind not in OPTIMIZERS:
        raise RecipeError(
            f"the Keras model {model.name!r} is compiled with {kind}; adam, adamw, sgd and rmsprop are known."
        )
    levers: dict[str, Any] = {"optimizer": kind, "learning_rate": float(f"{float(optimizer.learning_rate):.6g}")}
    if kind in ("sgd", "rmsprop"):
        levers["momentum"] = float(optimizer.momentum)
    if kind == "sgd":
        levers["nesterov"] = bool(optimizer.nesterov)
    if optimizer.weight_decay:  # decoupled in Keras, whatever the optimizer
        levers["weight_decay"] = float(optimizer.weight_decay)
    unread = ["clipped gradients"] if any(getattr(optimizer, name, None) for name in CLIPS) else []
    if not isinstance(getattr(optimizer, "_learning_rate", 0.0), float | int) and _is_schedule(optimizer):
        unread.append("a schedule of the learning rate")
    return levers, unread


def _is_schedule(optimizer: Any) -> bool:
    import keras

    return isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)


def _penalties(model: Any) -> tuple[dict[str, Any], list[str]]:
    """L2 on the kernels of all convolutions, or of all convolutions and dense layers, in one strength, is a lever."""
    convolutions: set[float | None] = set()
    dense: set[float | None] = set()
    unread = []
    for layer in _flat(model):
        penalty = getattr(layer, "kernel_regularizer", None)
        if hasattr(layer, "kernel_regularizer"):
            (dense if type(layer).__name__ == "Dense" else convolutions).add(_strength(penalty))
        names = ("bias_regularizer", "activity_regularizer", "depthwise_regularizer", "pointwise_regularizer")
        if any(getattr(layer, name, None) is not None for name in names):
            unread.append("penalties on other weights than kernels")
    every = convolutions | dense
    if every <= {None}:
        return {}, sorted(set(unread))
    is_even = len(convolutions) == 1 and not convolutions & {None, OTHER}
    if is_even and dense <= {None}:
        return {"l2": next(iter(convolutions)), "l2_layers": "convolution"}, sorted(set(unread))
    if is_even and dense == convolutions:
        return {"l2": next(iter(convolutions)), "l2_layers": "all"}, sorted(set(unread))
    return {}, sorted({*unread, "penalties that differ between layers"})


def _strength(penalty: Any) -> float | None:
    if penalty is None:
        return None
    return round(float(penalty.l2), 10) if type(penalty).__name__ == "L2" else OTHER


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _flat(layer)
