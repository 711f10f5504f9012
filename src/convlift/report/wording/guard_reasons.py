"""Why an augmentation was weakened or left out before it was tried."""

from convlift.search.decisions import AskedAbout


def guard_reason(asked: AskedAbout) -> str:
    """From what the first check of it found."""
    found = asked.answers[0]
    chance = "under 0.001" if found["p_value"] < 0.001 else f"{found['p_value']:.2g}"
    confused = found["confused"]
    mistake = f", most often {confused[0]} as {confused[1]}" if confused else ""
    return (
        f"The starting network classifies {100 * found['augmented_accuracy']:.0f}% of such images correctly, against "
        f"{100 * found['accuracy']:.0f}% as they are; with its last layer fitted to them it misclassifies "
        f"{found['harm_points']:.1f} more of 100 untouched images{mistake} (probability by chance alone: {chance})."
    )
