"""What finished trials say of the machine's speed."""

from collections.abc import Sequence
from statistics import median_low

from convlift.cost.seconds import Timed
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.outcome import EpochReport

# times as long as the median epoch of its phase: longer ones loaded something first. On an H200 an epoch of .3 s takes
# 5 to 10 where a process sees images of a size, or a batch of a length, for the first time (docs/decisions/0038)
LOADING = 3.0


def timed(record: TrialRecord, facts: Facts) -> Timed | None:
    """What a trial says of the machine's speed, one that the clock stopped by the part that it got through; None where
    it says nothing."""
    outcome = record.outcome
    if outcome is None or record.status not in ("finished", "stopped") or not outcome.curve or record.spec.refit:
        return None  # a refit has more images than the facts say
    tuned = [epoch for epoch in outcome.curve if epoch.phase == "fine-tune"]
    first = [epoch for epoch in outcome.curve if epoch.phase != "fine-tune"]
    whole = record.status == "finished"
    once_tuned = loading([epoch.seconds for epoch in tuned])
    once = loading([epoch.seconds for epoch in first]) + once_tuned
    return Timed(
        record.recipe,
        record.fidelity,
        outcome.seconds - once,
        sum(epoch.seconds for epoch in outcome.curve) - once,
        sum(epoch.seconds for epoch in tuned) - once_tuned,
        1.0 if whole else _done(record, first, facts),
        1.0 if whole else _done(record, tuned, facts),
    )


def loading(seconds: Sequence[float]) -> float:
    """Of the seconds of a phase's epochs those that another training of the same process does not take again."""
    usual = median_low(seconds or [0.0])
    return sum(each - usual for each in seconds if each > LOADING * usual)


def _done(record: TrialRecord, epochs: Sequence[EpochReport], facts: Facts) -> float:
    """The share of a phase that a stopped trial got through."""
    return share_seen(record, epochs, facts, epochs[0].epochs) if epochs else 0.0


def share_seen(record: TrialRecord, epochs: Sequence[EpochReport], facts: Facts, whole: int) -> float:
    """The images seen in some epochs of a trial, as a share of those of `whole` epochs."""
    images = max(1.0, record.recipe.data.images * facts.training_images)
    seen = sum(images if epoch.images is None else epoch.images for epoch in epochs)
    return min(1.0, seen / (images * whole))


def part_trained(run: TrialRecord, facts: Facts) -> float:
    """The share of its training's images that a run saw: of those of its fine-tuning, where there is one."""
    if run.outcome is None:
        return 0.0
    whole, phase = longest_phase(run.recipe)
    counted = [epoch for epoch in run.outcome.curve if epoch.phase in (phase, "train")]
    return share_seen(run, counted, facts, whole)


def longest_phase(recipe: Recipe) -> tuple[int, str]:
    """Its epochs, and the name that it has where a training has two."""
    tuned = recipe.training.fine_tuning
    return (tuned.epochs, "fine-tune") if tuned else (recipe.training.epochs, "head")
