"""What a training showed, in sentences."""

from typing import assert_never

from convlift.catalogue.diagnose import Diagnosis
from convlift.records.evidence_of_symptoms import (
    AccuracyGap,
    AugmentationGap,
    DoubtedLabels,
    Evidence,
    FewImages,
    GradientsAgree,
    HalfOfTheImages,
    HighConfidence,
    LossFellLast,
    LossJumps,
    LossNotFinite,
    LossRises,
    LossStillFalls,
    LowAccuracy,
    LowRecall,
    NothingLearned,
    OneEpoch,
    UnevenClasses,
    WildStart,
)


def sentence(diagnosis: Diagnosis) -> str:
    """The symptom and what shows it, without a full stop."""
    return f"{diagnosis.symptom.value}: {evidence_in_words(diagnosis.evidence)}"


# one case a record, all of them in one place, so that a type checker finds the one that is missing
def evidence_in_words(evidence: Evidence) -> str:  # noqa: C901 - one case a record
    """What a training showed, as the part of a sentence that follows a colon."""
    match evidence:
        case HalfOfTheImages(half, whole):
            return f"accuracy {half:.3f} with half of the images, {whole:.3f} with all, in validation"
        case UnevenClasses(ratio):
            return f"the largest class has {ratio:.1f} times the images of the smallest"
        case FewImages(per_class):
            return f"{per_class:.0f} training images a class"
        case LossNotFinite(message):
            return message or "the loss stopped being finite"
        case WildStart(loss, guess):
            return f"the mean training loss of the first epoch is {loss:.2f}, where guessing gives {guess:.2f}"
        case NothingLearned(loss, guess):
            return f"the run failed to learn (its training loss ends at {loss:.2f}, where guessing gives {guess:.2f})"
        case AccuracyGap(training, validation):
            return f"accuracy {training:.3f} in training, {validation:.3f} in validation"
        case AugmentationGap(training, validation):
            return f"accuracy {training:.3f} on augmented training images, {validation:.3f} on plain validation images"
        case LowAccuracy(training, validation):
            return f"accuracy is {training:.3f} in training itself, {validation:.3f} in validation"
        case LossStillFalls(before, last, epochs):
            span = f"the last {epochs} epochs" if epochs > 1 else "the last epoch"
            return f"validation loss still falls at the end: {before:.3f} to {last:.3f} in {span}"
        case LossRises(lowest, epoch, last):
            return f"validation loss rises from {lowest:.3f} (epoch {epoch}) to {last:.3f} at the end"
        case LossJumps(times):
            return f"validation loss jumps by half or more {times} times"
        case GradientsAgree(batch_size, agreement, within, noise_scale):
            return (
                f"the gradients of two batches of {batch_size} images agree by {agreement:.2f} ± {within:.2f}, where 1 "
                f"would mean no noise (gradient noise scale {noise_scale:.0f} images)"
            )
        case HighConfidence(confidence, accuracy):
            return f"mean confidence {confidence:.3f}, but accuracy {accuracy:.3f} in validation"
        case DoubtedLabels(doubted, errors, images):
            return f"{doubted} of {errors} errors in {images} images contradict the label with confidence"
        case LowRecall(name, recall, images, mean):
            return (
                f"class {name} has a recall of {recall:.2f} in validation ({images} images), where the mean over all "
                f"classes is {mean:.2f}"
            )
        case OneEpoch():
            return "one epoch gives no curve that could show whether it is enough"
        case LossFellLast(before, last):
            return f"validation loss falls from {before:.3f} to {last:.3f} in the last epoch"
    assert_never(evidence)
