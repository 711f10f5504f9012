"""What finished trials say of the machine's speed."""

from collections.abc import Sequence

from convlift.cost.seconds import Timed
from convlift.ledger.trials import TrialRecord
from convlift.records.facts import Facts
from convlift.records.outcome import EpochReport


def timed(record: TrialRecord, facts: Facts) -> Timed | None:
    """What a trial says of the machine's speed, one that the clock stopped by the part that it got through; None where
    it says nothing."""
    outcome = record.outcome
    if outcome is None or record.status not in ("finished", "stopped") or not outcome.curve or record.spec.refit:
        return None  # a refit has more images than the facts say
    tuned = [epoch for epoch in outcome.curve if epoch.phase == "fine-tune"]
    first = [epoch for epoch in outcome.curve if epoch.phase != "fine-tune"]
    whole = record.status == "finished"
    return Timed(
        record.recipe,
        record.fidelity,
        outcome.seconds,
        sum(epoch.seconds for epoch in outcome.curve),
        sum(epoch.seconds for epoch in tuned),
        1.0 if whole else _done(record, first, facts),
        1.0 if whole else _done(record, tuned, facts),
    )


def _done(record: TrialRecord, epochs: Sequence[EpochReport], facts: Facts) -> float:
    """The share of a phase that a stopped trial got through."""
    return share_seen(record, epochs, facts, epochs[0].epochs) if epochs else 0.0


def share_seen(record: TrialRecord, epochs: Sequence[EpochReport], facts: Facts, whole: int) -> float:
    """The images seen in some epochs of a trial, as a share of those of `whole` epochs."""
    images = max(1.0, record.recipe.data.images * facts.training_images)
    seen = sum(images if epoch.images is None else epoch.images for epoch in epochs)
    return min(1.0, seen / (images * whole))
