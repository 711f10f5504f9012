"""A label that a classifier doubts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DoubtedLabel:
    """An image that looks like another class than its label. part: its official part or "". confidence: in the class
    that it looks like, given_confidence: in its label, in [0, 1]."""

    key: str
    part: str
    given: str
    looks_like: str
    confidence: float
    given_confidence: float
