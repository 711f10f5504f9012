"""The running average of a network's weights, which varies less than the weights of the last step."""

import torch
from torch import nn
from torch.optim import Optimizer

WARM_UP = 10  # steps: after n of them the average reaches back n / WARM_UP at most, so that it forgets how it began


class AveragedWeights:
    """An exponential moving average of all floating-point weights and running statistics of a network.

    Polyak and Juditsky 1992 averaged all steps alike; the exponential form forgets the early ones (Tarvainen and
    Valpola 2017, equation 2, with the warm-up of TensorFlow's ExponentialMovingAverage). Where weights are averaged,
    so are the statistics of the batch norms that were normalizing with them.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._own = [each for each in network.state_dict(keep_vars=True).values() if each.is_floating_point()]
        self._averages = [each.detach().clone() for each in self._own]

    def follow(self, optimizer: Optimizer) -> None:
        """Take every step of the optimizer into the average."""
        optimizer.register_step_post_hook(lambda *_: self.update())

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are into the average."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (WARM_UP + self._steps))
        torch._foreach_lerp_(self._averages, [each.detach() for each in self._own], 1.0 - decay)

    @torch.no_grad()
    def put(self) -> None:
        """Write the average into the network."""
        torch._foreach_copy_([each.detach() for each in self._own], self._averages)
