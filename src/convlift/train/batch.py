"""What one step of training, or of evaluation, is given."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from.

    inputs: images_NCHW float, or any tensor that the network takes; of several views of each image all first ones, all
        second ones and so on.
    targets: labels_N int64, or probabilities_NK (mixed images).
    whole: (N,) bool, which images are not mixed: these alone tell how the training goes; None for all of them.
    """

    inputs: Tensor
    targets: Tensor
    whole: Tensor | None = None

    @property
    def views(self) -> int:
        """How many inputs there are for a target."""
        return len(self.inputs) // len(self.targets)
