"""What is said of a model's probabilities."""

from convlift.records.confidence import BY_OTHERS, Calibrated
from convlift.report.wording.phrases import counted

# of the thresholds in an evaluation
THRESHOLDS = (
    "Thresholds were chosen on validation images and stored with the model: that of a sensitivity so that a new image "
    "of the class passes it at least so often, Youden's J for the largest sensitivity + specificity. What they give "
    "here may differ by chance, and does where images differ from those of training."
)


def calibrated(note: Calibrated) -> str:
    """The temperature of what ships, and what it makes of its probabilities on the test."""
    if note.fitted_on == "nothing":
        how = "The probabilities are as the network gives them: no image was left to fit a temperature on."
    else:
        by = "the validation images"
        if note.fitted_on == BY_OTHERS:
            by += ", which it learned from, by runs of its recipe that did not"
        how = f"The logits are divided by a temperature of {note.temperature:.2f}, fitted on {by}; no label changes."
    if note.images is None:
        return how
    return (
        f"{how} On the {counted(note.images, 'test image')} the log loss is {note.log_loss:.3f} ("
        f"{note.log_loss_before:.3f} without the temperature) and the calibration error {note.error:.3f} (95% interval "
        f"{note.error_low:.3f} to {note.error_high:.3f}; chance alone gives {note.by_chance:.3f})."
    )
