"""What a campaign will be able to prove, said before it begins."""

from convlift.records.notes import Detectable
from convlift.report.wording.note_sentences import tested

MOST = 100.0  # points between two scores


def power_sentence(expected: Detectable) -> str:
    """From an accuracy of .9, and with folds from assumed runs."""
    assumed = "if nine in ten images are classified correctly"
    if expected.folds > 1:
        runs = {1: "once", 2: "twice"}.get(expected.final_runs, f"{expected.final_runs} times")
        assumed += f" and each recipe is run {runs} in every fold"
    if expected.points > MOST:
        return f"With {tested(expected)}, no gain can be proven ({assumed})."
    hardly = f"With {tested(expected)}, a gain under about {expected.points:.1f} points can hardly be proven"
    if expected.often > MOST:
        return f"{hardly} ({assumed})."
    return f"{hardly}, and one of {expected.often:.1f} points is in four of five campaigns ({assumed})."


def folds_advice(images: int, folds: int) -> str:
    """What a small data set could do instead of setting a test part aside."""
    return (
        f"All {images} images would be test images with --cv: {folds} campaigns, each tested on images of its own, "
        f"which takes {folds} times as many trainings."
    )
