"""Several networks that predict as one, or one that predicts an image and its mirror image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Together(nn.Module):
    """(images_NCHW) -> the logarithm of the mean of all networks' probabilities_NK, whose softmax is that mean.

    mirrored: every network predicts each image and its mirror image, left to right (Krizhevsky et al. 2012, section
    4.1).
    """

    def __init__(self, networks: Sequence[nn.Module], *, mirrored: bool = False) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.mirrored = mirrored

    def forward(self, images_NCHW: Tensor) -> Tensor:
        seen = (images_NCHW, images_NCHW.flip(3)) if self.mirrored else (images_NCHW,)
        logs = [functional.log_softmax(network(images), dim=1) for network in self.networks for images in seen]
        return torch.logsumexp(torch.stack(logs), dim=0)
