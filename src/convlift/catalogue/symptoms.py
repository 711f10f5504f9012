"""What can be wrong with a training: the symptoms that interventions are remedies for."""

from enum import StrEnum


class Symptom(StrEnum):
    """Each value is the name that a report prints."""

    UNDERFIT = "underfit"
    OVERFIT = "overfit"
    UNDER_TRAINED = "under-trained"
    OVERCONFIDENT = "overconfident"
    LABEL_NOISE = "label noise"
    IMBALANCE = "imbalanced classes"
    WEAK_CLASS = "a weak class"
    DATA_LIMITED = "few training images"
    OVER_AUGMENTED = "over-augmented"
    UNSTABLE = "unstable"
    LARGE_BATCHES = "batches larger than they need be"
