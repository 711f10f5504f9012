"""The charts of the report: each function returns an <svg> for the page, `width` CSS pixels wide."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convlift.records.outcome import EpochReport
from convlift.records.result import Estimate, Result, Verdict
from convlift.report.page_records import Role, TrialRecord
from convlift.report.svg import HARMFUL, INK, LIKELY, MUTED, PAPER, PROVEN, RULE, UNDECIDED, axes, draw
from convlift.report.wording.headline import conclusion, judged_images, own_step, ranked, was_tried
from convlift.report.wording.phrases import share, signed, typographic, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN_STEP = "this network"  # beside its recipe's runs
LEADING = 14  # pixels from line to line of a name
NARROW = 500  # below this width, on phones, a name stands above its bar
# marker, colour, fill: shape and fill repeat what the colour says (the page's legend names them)
_LABEL_MARKERS = {
    "proven": ("o", PROVEN, PROVEN),
    "likely": ("D", LIKELY, LIKELY),
    "undecided": ("o", UNDECIDED, PAPER),
    "harmful": ("X", HARMFUL, HARMFUL),
}
_ROLE_MARKERS: dict[Role, tuple[str, str, str]] = {
    "given": ("s", INK, INK),
    "start": ("v", MUTED, PAPER),
    "low-fidelity": ("^", MUTED, PAPER),
    "baseline": ("s", MUTED, MUTED),
    "search": ("o", LIKELY, PAPER),
    "final": ("o", PROVEN, PROVEN),
    "average": ("*", PROVEN, PROVEN),
    "mirrored": ("*", PROVEN, PAPER),
    "ensemble": ("P", PROVEN, PROVEN),
    "mirrored ensemble": ("P", PROVEN, PAPER),
}


def scores(result: Result, width: int) -> str:
    """The scores of the baseline and of what ships, each with its 95% interval."""
    final_colour = {"better": PROVEN, "worse": HARMFUL, "unclear": INK, "open": INK}[conclusion(result)]
    before, after = (result.claim.baseline, result.claim.final) if result.claim else (result.baseline, result.final)
    rows = [("final", after, final_colour, -1.0)]
    if result.ships == "baseline":
        rows = [("baseline", after, INK, -1.0)]
    elif before is not None:
        rows.insert(0, ("baseline", before, MUTED, 0.0))

    def paint(figure: "Figure") -> None:
        panel = axes(figure, 1, 24, 1, 4)
        for name, estimate, colour, y in rows:
            panel.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=3)
            panel.plot([estimate.value], [y], "o", color=colour, markersize=9)
            _note(panel, f"{name} {estimate.value:.3f}", (estimate.value, y), (0, 11), ha="center")
        # names are centred on their points and need some 60 pixels on either side
        panel.set_xlim(_limits([estimate for _, estimate, _, _ in rows], 70 / width))
        panel.set_ylim(-1.4, len(rows) - 1.25)
        _only_vertical_grid(panel)
        _end_at_one(panel)

    words = "; ".join(f"{name} {e.value:.3f}, 95% interval {e.low:.3f} to {e.high:.3f}" for name, e, _, _ in rows)
    return draw(
        f"scores{width}", (width, 44 + 44 * len(rows)), paint, f"{result.metric} on {judged_images(result)}: {words}"
    )


def forest(verdicts: tuple[Verdict, ...], width: int) -> str:
    """What each change is believed to add, in points, with its 95% interval: shipped changes first."""
    shown = [v for v in ranked(verdicts) if _finite(share(v)) and was_tried(v)]

    def paint(figure: "Figure") -> None:
        names = [(verdict.name, INK if verdict.shipped else MUTED) for verdict in shown]
        panel, lines = _named_rows(figure, names, width)
        panel.axvline(0, color=MUTED, linewidth=1)
        for verdict, y in zip(shown, lines, strict=True):
            marker, colour, fill = _LABEL_MARKERS[verdict.label]
            panel.plot([verdict.low, verdict.high], [y, y], color=colour, linewidth=2)
            panel.plot(verdict.points, y, marker, color=colour, markerfacecolor=fill, markersize=8)
        shipped = sum(verdict.shipped for verdict in shown)
        if 0 < shipped < len(shown):
            panel.axhline(0.5 - shipped, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        panel.set_xlim(_limits([share(v) for v in shown] + [Estimate(0, 0, 0)], 0.03))
        panel.xaxis.set_major_formatter(lambda value, _: typographic(f"{value:+g}") if value else "0")

    words = "; ".join(
        f"{v.name} {signed(v.points)} points ({signed(v.low)} to {signed(v.high)}), {v.label}" for v in shown
    )
    return draw(f"forest{width}", _rows_size([v.name for v in shown], width), paint, f"Share of each change: {words}")


def steps(result: Result, width: int) -> str:
    """From the baseline's score to the final one, a step for each shipped change, one for what is unexplained, and one
    for what the network that ships has over its recipe's runs."""
    shipped = [v for v in ranked(result.verdicts) if v.shipped and math.isfinite(v.points)]
    moves = [(v.name, v.points) for v in shipped] + [("unexplained", result.unexplained_points)]
    own = own_step(result)
    moves += [(OWN_STEP, own)] if own else []
    moves = [(name, points) for name, points in moves if math.isfinite(points)]
    baseline = result.baseline or result.final
    final = result.network.final if result.network and own else result.final
    ends = np.concatenate(([0.0], np.cumsum([points for _, points in moves]))) / 100 + baseline.value

    def paint(figure: "Figure") -> None:
        names = [("baseline", INK), *((name, INK) for name, _ in moves), ("final", INK)]
        panel, lines = _named_rows(figure, names, width)
        for i, (name, points) in enumerate(moves):
            colour = MUTED if name in ("unexplained", OWN_STEP) else PROVEN if points >= 0 else HARMFUL
            panel.plot([ends[i]] * 2, [lines[i], lines[i + 1]], color=MUTED, linewidth=1)
            panel.barh(lines[i + 1], ends[i + 1] - ends[i], left=ends[i], height=_bar(width), color=colour)
            _note(
                panel,
                typographic(signed(points)),
                (max(ends[i], ends[i + 1]), lines[i + 1]),
                (6, 0),
                va="center",
            )
        for estimate, y in ((baseline, lines[0]), (final, lines[-1])):
            panel.plot([estimate.value], [y], "o", color=INK, markersize=8)
            _note(panel, f"{estimate.value:.3f}", (estimate.value, y), (10, 0), va="center", weight="bold")
        low, high = _limits([Estimate(end, end, end) for end in (*ends, final.value)], 0.04)
        # figures stand to the right of their bars and need some 60 pixels
        panel.set_xlim(low, high + (high - low) * 60 / width)
        _end_at_one(panel)

    words = "; ".join(f"{name} {signed(points)} points" for name, points in moves)
    description = f"From {baseline.value:.3f} to {final.value:.3f}: {words}"
    return draw(
        f"steps{width}", _rows_size(["baseline", *(name for name, _ in moves), "final"], width), paint, description
    )


def curves(baseline: tuple[EpochReport, ...], final: tuple[EpochReport, ...], width: int) -> str:
    """Loss and accuracy over the epochs: validation solid, training dashed; baseline grey, final coloured."""
    narrow = width < NARROW
    height = 440 if narrow else 250

    def paint(figure: "Figure") -> None:
        half = (width - 40) // 2
        left = axes(figure, 40, 36 + 220 if narrow else 36, 8 if narrow else half + 30, 22)
        right = axes(figure, 40 if narrow else half + 60, 36, 8, 242 if narrow else 22)
        for panel, quantity in ((left, "loss"), (right, "accuracy")):
            for curve, colour in ((baseline, MUTED), (final, PROVEN)):
                epochs = range(1, len(curve) + 1)
                for split, dashes in (("train", (0, (3, 2))), ("validation", "solid")):
                    heights = [getattr(report, f"{split}_{quantity}") for report in curve]
                    # one epoch makes no line: show its point
                    panel.plot(epochs, heights, color=colour, linestyle=dashes, marker="." if len(curve) == 1 else "")
                for epoch in _phase_starts(curve):
                    panel.axvline(epoch + 0.5, color=RULE, linewidth=1)
            panel.set_title(quantity, loc="left", fontsize=12, fontweight="bold", pad=10)
            panel.set_xlabel("epoch")
            _whole_numbers(panel)
            panel.grid(axis="y")
        _stop_at_one(right)

    words = "; ".join(
        f"{name} ends with validation loss {curve[-1].validation_loss:.3f}, accuracy "
        f"{curve[-1].validation_accuracy:.3f} after epoch {len(curve)}"
        for name, curve in (("baseline", baseline), ("final", final))
        if curve
    )
    return draw(f"curves{width}", (width, height), paint, f"Learning curves: {words}")


def trials(records: tuple[TrialRecord, ...], result: Result, width: int) -> str:
    """Validation score of every trial in order, and beside it the scores on the sealed test, where it was opened."""
    scored = [record for record in records if math.isfinite(record.score)]

    def paint(figure: "Figure") -> None:
        side = (96 if width >= NARROW else 76) if result.judged else 0
        panel = axes(figure, 40, 36, side + 12, 26)
        for role, (marker, colour, fill) in _ROLE_MARKERS.items():
            chosen = [record for record in scored if record.role == role]
            numbers, heights = [r.number for r in chosen], [r.score for r in chosen]
            panel.plot(numbers, heights, marker, color=colour, markerfacecolor=fill, markersize=6, clip_on=False)
        if result.judged:
            _sealed_panel(panel, axes(figure, width - side, 36, 0, 26), result)
        panel.set_title("validation score", loc="left", fontsize=12, fontweight="bold", pad=10)
        panel.set_xlabel("trial")
        _whole_numbers(panel)
        panel.grid(axis="y")
        _stop_at_one(panel)

    best = max((record.score for record in scored), default=math.nan)
    words = f"{len(records)} trials; best validation score {best:.3f}"
    words += f"; final on the sealed test {(result.claim or result).final.value:.3f}" if result.judged else ""
    return draw(f"trials{width}", (width, 280), paint, words)


def _sealed_panel(panel: "Axes", sealed: "Axes", result: Result) -> None:
    """The scores on the sealed test, at the right of the trials' own."""
    sealed.sharey(panel)
    before, after = (result.claim.baseline, result.claim.final) if result.claim else (result.baseline, result.final)
    for x, estimate, colour in ((0, before, MUTED), (1, after, PROVEN)):
        if estimate is not None:
            sealed.plot([x, x], [estimate.low, estimate.high], color=colour, linewidth=3, clip_on=False)
            sealed.plot([x], [estimate.value], "o", color=colour, markersize=9, clip_on=False)
    panel.axhline(after.value, color=PROVEN, linewidth=1, linestyle=(0, (2, 3)))
    sealed.set_title("sealed test", loc="left", fontsize=12, fontweight="bold", pad=10)
    sealed.set_xticks([0, 1], ["base", "final"])
    sealed.set_xlim(-0.6, 1.6)
    sealed.tick_params(labelleft=False)
    sealed.grid(axis="y")


def _named_rows(figure: "Figure", names: Sequence[tuple[str, str]], width: int) -> tuple["Axes", list[float]]:
    """Axes with one named row per (name, colour), and the height of each row's bar."""
    narrow = width < NARROW
    panel = axes(figure, 2 if narrow else 236, 28, 8, 4)
    panel.set_ylim(0.5 - len(names), 0.5)
    _only_vertical_grid(panel)
    for row, (name, colour) in enumerate(names):
        lines = _row_label(name, width).split("\n")
        for number, line in enumerate(lines):
            # a line at a time: widths are those of the browser's font, which nobody knows here
            below = LEADING * (number - (len(lines) - 1) / 2)
            panel.annotate(
                line,
                (0, -row + 0.22 if narrow else -row),
                (0 if narrow else -14, -below),
                xycoords=panel.get_yaxis_transform(),
                textcoords="offset points",
                ha="left" if narrow else "right",
                va="center",
                color=colour,
                # on phones names lie on the grid: a patch of paper keeps them readable
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1} if narrow else None,
            )
    return panel, [-row - 0.22 if narrow else -float(row) for row in range(len(names))]


def _row_label(name: str, width: int) -> str:
    return wrapped(name, 46 if width < NARROW else 33)


def _rows_size(names: Sequence[str], width: int) -> tuple[float, float]:
    """All rows are as high as the highest label asks for."""
    more = LEADING if any("\n" in _row_label(name, width) for name in names) else 0
    return width, 32 + len(names) * ((40 if width < NARROW else 26) + more)


def _bar(width: int) -> float:
    return 0.3 if width < NARROW else 0.56


def _only_vertical_grid(panel: "Axes") -> None:
    panel.set_yticks([])
    panel.grid(axis="x")
    panel.spines["bottom"].set_visible(False)


def _whole_numbers(panel: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _stop_at_one(panel: "Axes") -> None:
    """A score has no more than 1, and so has its axis."""
    low, high = panel.get_ylim()
    if high > 1.0:
        panel.set_ylim(min(low, 0.99), 1.0)


def _end_at_one(panel: "Axes") -> None:
    """The same along x, where room beyond 1 is left for names: no tick and no grid there."""
    low, high = panel.get_xlim()
    panel.set_xticks([tick for tick in panel.get_xticks() if low <= tick <= min(high, 1.0 + 1e-9)])
    panel.set_xlim(low, high)


def _note(panel: "Axes", text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    panel.annotate(text, at, offset, textcoords="offset points", **style)


def _phase_starts(curve: tuple[EpochReport, ...]) -> list[int]:
    return [i for i in range(1, len(curve)) if curve[i].phase != curve[i - 1].phase]


def _finite(estimate: Estimate) -> bool:
    return all(math.isfinite(figure) for figure in (estimate.value, estimate.low, estimate.high))


def _limits(estimates: Iterable[Estimate], padding: float) -> tuple[float, float]:
    """The span of all finite figures, widened by this fraction of the whole axis at both ends."""
    figures = [f for e in estimates for f in (e.value, e.low, e.high) if math.isfinite(f)] or [0.0]
    low, high = min(figures), max(figures)
    # where all figures agree any width will do: a hundredth shows a score, a point a share
    margin = (high - low) * padding / (1 - 2 * padding) or 0.01
    return low - margin, high + margin
