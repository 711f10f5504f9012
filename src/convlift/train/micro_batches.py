"""How far batches are cut where a device's memory holds no whole one; read without torch."""

from dataclasses import dataclass


@dataclass
class MicroBatches:
    """Owns how many parts a batch is taken in, which only grows: memory that was too small will be so again.

    fewest: images of the smallest part that a gradient was taken of, 0 as long as every batch was whole. Batch norm
    normalizes by these alone.
    """

    parts: int = 1
    fewest: int = 0
