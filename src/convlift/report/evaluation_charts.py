"""The charts of an evaluation: whether confidences are true, and ROC curves; each an <svg>, `width` CSS pixels wide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convlift.records.evaluation import Calibration, RocCurve
from convlift.report.charts import NARROW
from convlift.report.svg import INK, LIKELY, MUTED, PROVEN, RULE, axes, draw
from convlift.report.wording.phrases import counted, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 8  # beyond, lines hide each other: the weakest are drawn
COUNTS = 64  # pixels of the bars that say how many images a bin has


def reliability(found: Calibration, width: int) -> str:
    """Of the images of each confidence the share that is right, beside what it should be; how many images below."""
    side = min(width, 440)

    def paint(figure: "Figure") -> None:
        panel = axes(figure, 44, 52 + COUNTS, 10, 26)
        panel.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
        for each in found.bins:
            panel.plot([each.confidence] * 2, [each.confidence, each.right], color=LIKELY, linewidth=2)
        middles, shares = [each.confidence for each in found.bins], [each.right for each in found.bins]
        panel.plot(middles, shares, "o", color=PROVEN, markersize=6, clip_on=False)
        counts = axes(figure, 44, 36, 10, side - 36 - COUNTS)
        for each in found.bins:
            middle, breadth = (each.low + each.high) / 2, each.high - each.low
            counts.bar(middle, each.images, breadth * 0.86, color=MUTED)
        for one in (panel, counts):
            one.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        panel.set_xticks([tick / 5 for tick in range(6)], [])
        panel.grid()
        panel.set_title("share that is right", loc="left", fontsize=12, fontweight="bold", pad=10)
        counts.set_yticks([max(each.images for each in found.bins)])
        counts.set_xlabel("confidence; bars: images")

    words = "; ".join(
        f"{counted(each.images, 'image')} of confidence {each.confidence:.2f}, {each.right:.2f} right"
        for each in found.bins
    )
    return draw(f"reliability{width}", (side, side), paint, f"Reliability: {words}")


def roc(curves: Sequence[RocCurve], width: int) -> str:
    """ROC curves, the smallest areas first where there are many classes."""
    side = min(width, 440)
    shown = sorted(curves, key=lambda curve: curve.area)[:MOST_CURVES]
    dashes = ("solid", (0, (4, 2)), (0, (1, 2)), (0, (6, 2, 1, 2)))
    colours = (PROVEN, LIKELY)

    def paint(figure: "Figure") -> None:
        panel = axes(figure, 44, 40, 10, 26)
        panel.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        for number, curve in enumerate(shown):
            colour, dash = colours[number // len(dashes) % 2], dashes[number % len(dashes)]
            false, true = curve.false_rates, curve.true_rates
            panel.plot(false, true, color=colour, linestyle=dash, drawstyle="steps-post", clip_on=False)
            text = f"{shorten(curve.positive, 18 if width >= NARROW else 12)} {curve.area:.3f}"
            y = 0.05 + 0.07 * (len(shown) - 1 - number)
            panel.plot([0.42, 0.5], [y, y], color=colour, linestyle=dash)
            panel.text(0.53, y, text, color=INK, va="center", fontsize=11)
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        panel.set_title("sensitivity", loc="left", fontsize=12, fontweight="bold", pad=10)
        panel.set_xlabel("1 − specificity")
        panel.grid()

    words = "; ".join(f"{curve.positive} area {curve.area:.3f}" for curve in shown)
    return draw(f"roc{width}", (side, side), paint, f"ROC curves: {words}")
