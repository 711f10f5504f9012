"""The running average of a network's weights, which varies less than the weights of the last step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer

WARM_UP = 10  # steps: after n of them the average reaches back n / WARM_UP at most, so that it forgets how it began

Share = Callable[[int], float]  # how much of the average the n-th weights are that it takes in, n from 1 on


def exponential(decay: float) -> Share:
    """Polyak and Juditsky 1992 averaged all steps alike; the exponential form forgets the early ones (Tarvainen and
    Valpola 2017, equation 2, with the warm-up of TensorFlow's ExponentialMovingAverage)."""
    return lambda n: 1.0 - min(decay, (1 + n) / (WARM_UP + n))


def alike(n: int) -> float:
    """All weights count the same. At a learning rate that stays high these lie around a better place than any of them
    (Izmailov et al. 2018, "Averaging weights leads to wider optima", sections 3.1 and 3.4)."""
    return 1.0 / n


class AveragedWeights:
    """An average of all floating-point weights and running statistics of a network, step after step.

    Where weights are averaged, so are the statistics of the batch norms that were normalizing with them.
    """

    def __init__(self, network: nn.Module, share: Share, begins: Callable[[], bool] = lambda: True) -> None:
        """begins: asked after every step; the average takes in nothing before it says so."""
        self._share, self._begins = share, begins
        self._steps = 0
        self._own = [each for each in network.state_dict(keep_vars=True).values() if each.is_floating_point()]
        self._averages = [each.detach().clone() for each in self._own]

    def follow(self, optimizer: Optimizer) -> None:
        """Take every step of the optimizer into the average."""
        optimizer.register_step_post_hook(lambda *_: self.update())

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are into the average."""
        if self._steps or self._begins():
            self._steps += 1
            torch._foreach_lerp_(self._averages, self._weights(), self._share(self._steps))

    @torch.no_grad()
    def put(self) -> None:
        """Write the average into the network; where nothing was taken in, it stays as it is."""
        if self._steps:
            torch._foreach_copy_(self._weights(), self._averages)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network has the average within, and its own weights again after."""
        own = [each.clone() for each in self._weights()]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._weights(), own)

    def _weights(self) -> list[torch.Tensor]:
        return [each.detach() for each in self._own]
