"""What is said of label errors, outliers and parts that differ."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.audit.feature_space import Shift
from convlift.audit.label_errors import LabelErrors
from convlift.records.finding import Finding

LABEL_ERRORS = "label errors"
SURE = 0.001  # the p-value from which on two parts are said to differ
TOLD = 0.55  # and the share of images whose part must be told: with many images the least difference is certain
CERTAIN = 0.02  # of the labels wrong at the least, for a warning: of CIFAR-10's clean ones .014 seem so (decision 0052)


def label_findings_of(found: LabelErrors, keys: Sequence[str]) -> list[Finding]:
    """The images whose labels are doubtful: a warning where some are surely wrong, else a note."""
    if not len(found.order):
        return []
    is_grave = found.least >= CERTAIN
    share = f"probably between {found.least:.1%} and {found.most:.1%}" if is_grave else f"at most {found.most:.1%}"
    told = f"Some labels are wrong, some images only hard: {share} of all labels are wrong."
    if not found.knows:
        told = "It knows these classes too little to tell wrong labels from images that are hard."
    one = len(found.order) == 1
    message = (
        f"{len(found.order):,} of {len(keys):,} images {'looks' if one else 'look'} like another class than "
        f"{'its' if one else 'their'} label to a classifier that never saw them and gives {found.right:.0%} of all "
        f"images their label. {told}"
    )
    items = tuple(keys[row] for row in found.order.tolist())
    remedy = "Look at them, the first are the surest; correct what is wrong."
    return [Finding(LABEL_ERRORS, "warning" if is_grave else "note", message, items, remedy)]


def outlier_findings(rows: NDArray[np.int64], keys: Sequence[str], looked_at: int) -> list[Finding]:
    """A note of images that are unlike all others, to be looked at."""
    if not len(rows):
        return []
    one = len(rows) == 1
    message = (
        f"{len(rows)} of {looked_at:,} images {'looks' if one else 'look'} unlike all others to a pretrained network: "
        "rare ones, or ones that do not belong here."
    )
    items = tuple(keys[row] for row in rows.tolist())
    return [Finding("outliers", "note", message, items, "Look at them; remove what does not belong here.")]


def shift_findings(shift: Shift, keys: Sequence[str]) -> list[Finding]:
    """A warning where test images are told from training images of the same classes; a note where no groups were given,
    for parts of other patients or cameras differ as they should."""
    if shift.p_value > SURE or shift.accuracy < TOLD:
        return []
    message = (
        f"The test part looks different from the training part: of {shift.images:,} images that a classifier never "
        f"saw, as many of each class from either part, it tells the part of {shift.accuracy:.0%}; 50% are chance. "
        "Scores on the test are of such images; those in validation are of images like training."
    )
    items = tuple(keys[row] for row in shift.typical[:100].tolist())
    remedy = "Check that the test is what the model will meet; the images named are the most different."
    if not shift.grouped:
        remedy += " Parts that hold other patients, cameras or days differ so, as they should: see --group-from."
    return [Finding("shift", "warning" if shift.grouped else "note", message, items, remedy)]
