"""What is wrong with somebody's own recipe, in sentences."""

from typing import NamedTuple, assert_never

from convlift.records.recipe_findings import (
    Fault,
    FewEpochs,
    OverAugmented,
    OverRegularized,
    OversizedBatches,
    RecipeFinding,
    Strengths,
    Suspected,
    WrongLearningRate,
)
from convlift.report.wording.diagnoses import evidence_in_words
from convlift.report.wording.phrases import counted


class _Said(NamedTuple):
    """fault: what the recipe is, after "your recipe is"; with_it, without_it: the two runs in a few words, which follow
    their scores; remedy: after "train it", where that is not `without_it`."""

    fault: str
    with_it: str
    without_it: str
    remedy: str = ""


def finding_in_words(finding: RecipeFinding) -> str:
    """A sentence on a fault that was undone; two on one that is only suspected."""
    fault, with_it, without_it, remedy = _said(finding.fault)
    if isinstance(finding, Suspected):
        shown = evidence_in_words(finding.evidence)
        return f"Your recipe may be {fault}: {shown}. To find out, train it {remedy or without_it}."
    if finding.with_it is None:
        return (
            f"Your recipe is {fault}: {with_it} the run failed to learn, {without_it} it scores "
            f"{finding.without_it:.3f} on the validation images."
        )
    return (
        f"Your recipe is {fault}: {finding.with_it:.3f} {with_it}, {finding.without_it:.3f} {without_it}, on the "
        "validation images."
    )


def fault_in_words(fault: Fault) -> str:
    """What the recipe is, after "your recipe is"."""
    return _said(fault).fault


def _said(fault: Fault) -> _Said:
    match fault:
        case OverAugmented(strengths):
            return _Said("over-augmented", f"with its augmentation ({_named(strengths)})", "without its augmentation")
        case WrongLearningRate(rate, other):
            level = "high" if fault.is_too_high else "low"
            return _Said(f"trained with a learning rate that is too {level}", f"at {rate:g}", f"at {other:g}")
        case OverRegularized(strengths):
            return _Said("regularized too strongly", f"with its {_named(strengths)}", "without regularization")
        case OversizedBatches(size, other):
            too_large = "trained in batches that are too large for so few images"
            return _Said(too_large, f"in batches of {size}", f"in batches of {other}")
        case FewEpochs(epochs, other):
            before = f"after {counted(epochs, 'epoch')}"
            return _Said("trained for too few epochs", before, f"after {other}", f"for {other} epochs")
    assert_never(fault)


def _named(strengths: Strengths) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in strengths)
