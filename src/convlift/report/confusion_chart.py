"""The chart of a confusion matrix, `width` CSS pixels wide."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convlift.report.charts import NARROW
from convlift.report.svg import HARMFUL, INK, PAPER, PROVEN, axes, draw
from convlift.report.wording.phrases import labels_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRIX_CLASSES = 30  # beyond, a confusion matrix is a grey square


def confusion(counts_KK: NDArray[np.int64], classes: tuple[str, ...], width: int) -> str:
    """Confusion matrix for at most 30 classes: rows are true classes, cells the percentage of a row's images."""
    number = len(classes)
    rows = counts_KK.sum(axis=1, keepdims=True)
    rates_KK = counts_KK / np.maximum(rows, 1)
    longest = 26 if width >= NARROW else 14
    labels = labels_for(classes, longest)
    letters = max(len(label) for label in labels)
    margin = 16 + 7 * letters
    cell = min((width - margin - 8) / number, 60)
    extent = cell * number
    font = min(12, max(7, 0.6 * cell))

    def paint(figure: "Figure") -> None:
        panel = axes(figure, margin, 8, 8, margin)
        for i, j in zip(*np.nonzero(counts_KK), strict=True):
            rate = rates_KK[i, j]
            colour = PROVEN if i == j else HARMFUL
            panel.barh(i, 0.94, left=j - 0.47, height=0.94, color=colour, alpha=0.12 + 0.88 * rate)
            if cell >= 22:
                text = f"{100 * rate:.0f}" if rate >= 0.005 else "·"
                panel.text(j, i, text, ha="center", va="center", color=PAPER if rate > 0.5 else INK, fontsize=font)
        panel.set_xticks(range(number), labels, rotation=90, fontsize=font)
        panel.set_yticks(range(number), labels, fontsize=font)
        panel.tick_params(labelbottom=False, labeltop=True, pad=4)
        panel.set_xlim(-0.5, number - 0.5)
        panel.set_ylim(number - 0.5, -0.5)
        panel.spines["bottom"].set_visible(False)

    right = np.trace(counts_KK) / max(int(counts_KK.sum()), 1)
    words = f"Confusion matrix of {number} classes; {100 * right:.1f}% of the test images are on its diagonal"
    return draw(f"confusion{width}", (extent + margin + 8, extent + margin + 8), paint, words)
