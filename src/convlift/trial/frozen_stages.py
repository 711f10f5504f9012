"""Images that change every time, through the stages that stay frozen: what the trained stages learn from.

Nothing there has a gradient and no statistics move, so that these stages run without a graph, their batch norms folded
into their convolutions, and give what they make of an unchanged image only once.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from convlift.features.folding import fold
from convlift.model.backbone import split_at
from convlift.model.pretrained import Classifier, as_colour
from convlift.train.device import compute_in_half
from convlift.train.evaluate import outputs
from convlift.trial.batches import Draw, fits

HELD = 2**28  # bytes of one part that are kept: 13,000 images of 128 pixels under Lite0's last three stages

Inputs = Callable[[], Iterator[Tensor]]


class FrozenStages:
    """The part of a backbone below its last `stages` stages, as it was when this was made."""

    def __init__(self, network: Classifier, stages: int, sample_NCHW: Tensor) -> None:
        """sample_NCHW: a few images, which the folding is checked on. Raises RecipeError where the backbone has not so
        many stages."""
        self._below = fold(split_at(network.backbone, stages)[0], as_colour(sample_NCHW))

    def of_drawn(self, draw: Draw) -> Draw:
        """Draws activations (n, C, h, w) of images as `draw` draws these, for a training step."""
        return lambda chosen, streams: self.to_learn(draw(chosen, streams))

    def to_learn(self, images_NCHW: Tensor) -> Tensor:
        """Activations that a step can take as its inputs, which inference mode's are not."""
        with torch.no_grad(), compute_in_half(images_NCHW.device):
            return outputs(self._below, as_colour(images_NCHW))

    def of_unchanged(self, images: Inputs, *, keep: bool = True) -> Inputs:
        """Gives the activations of images that are always the same, batch by batch: made once where they take no more
        than HELD bytes, and no more than a device may hold; else, and without `keep`, anew each time."""
        held: list[Tensor] = []

        def given() -> Iterator[Tensor]:
            if held:
                yield from held
                return
            made: list[Tensor] | None = [] if keep else None
            size = 0
            for batch in images():
                with torch.inference_mode():
                    found = outputs(self._below, as_colour(batch))
                size += found.nbytes
                made = [*made, found] if made is not None and has_room(size, found.device) else None
                yield found
            held.extend(made or ())

        return given


def has_room(size: int, device: torch.device) -> bool:
    """Whether so many bytes may be kept where the activations lie."""
    return size <= HELD and (device.type == "cpu" or fits(size, device))
