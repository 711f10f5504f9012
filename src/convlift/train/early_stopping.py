"""Stop when the validation loss no longer falls, and keep the best epoch's weights (Prechelt 1998)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convlift.records.outcome import EpochReport


def stop_early(reports: Iterator[EpochReport], network: nn.Module, patience: int | None) -> Iterator[EpochReport]:
    """Pass reports on until `patience` epochs in a row had no lower validation loss than the best before them.

    However the loop ends (patience, the last epoch, an error in training, or a consumer that breaks out or closes
    this generator), `network` then holds the weights of the epoch with the lowest validation loss. Without patience
    reports pass untouched and the network keeps its last weights.
    """
    if patience is None:
        yield from reports
        return
    best_loss, best, waited = float("inf"), None, 0
    try:
        for report in reports:
            if report.validation_loss < best_loss:
                best_loss, best, waited = report.validation_loss, _copy(network), 0
            else:
                waited += 1
            yield report
            if waited >= patience:
                return
    finally:
        if best is not None:
            network.load_state_dict(best)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    # batch-norm statistics are part of the state too, so the best epoch comes back whole
    with torch.no_grad():
        return {name: tensor.clone() for name, tensor in network.state_dict().items()}
