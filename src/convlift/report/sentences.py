"""The result in words: the phrases that the terminal and the page share."""

import math
import re
from typing import Literal

from convlift.evidence.metrics import title_of
from convlift.outcome import START, Estimate, Result, Verdict

Conclusion = Literal["better", "worse", "unclear"]

# Control characters, lone surrogates (undecodable file names) and direction overrides can garble a terminal, break the
# encoding of a file, or make a name read as another one.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with every character that cannot be shown safely replaced by its escape, such as `\\x1b`."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def shorten(text: str, longest: int) -> str:
    """One printable line of at most `longest` characters; the middle gives way, since names differ at their ends."""
    line = printable(" ".join(text.split()))
    if len(line) <= longest:
        return line
    tail = (longest - 1) // 3
    return f"{line[: longest - 1 - tail]}…{line[len(line) - tail :]}"


def signed(points: float, decimals: int = 1) -> str:
    """Percentage points with their sign; "n/a" where there is no figure."""
    # the added zero turns "-0.0" into "+0.0"
    return f"{round(points, decimals) + 0.0:+.{decimals}f}" if math.isfinite(points) else "n/a"


def typographic(text: str) -> str:
    """The text with a true minus sign, for the page; the terminal keeps to ASCII."""
    return text.replace("-", "−")


def interval(estimate: Estimate) -> tuple[str, str, str]:
    """Value, low and high with one decimal, or with two where one decimal would show a bound as zero."""
    figures = (estimate.value, estimate.low, estimate.high)
    decimals = 2 if any(abs(figure) < 0.05 for figure in figures) else 1
    value, low, high = (signed(figure, decimals) for figure in figures)
    return value, low, high


def share(verdict: Verdict) -> Estimate:
    """What one change bought, in points."""
    return Estimate(verdict.points, verdict.low, verdict.high)


def duration(seconds: float) -> str:
    """Wall-clock time as a person says it."""
    if not math.isfinite(seconds):
        return "n/a"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    larger, smaller = (f"{hours} h", f" {minutes:02d} min") if hours else (f"{minutes} min", f" {rest:02d} s")
    return larger if smaller.startswith(" 00") else larger + smaller


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun, "1 trial" or "12 trials"; `plural` where an s is not enough."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def conclusion(result: Result) -> Conclusion:
    """better: proven, the interval lies above 0; worse: it lies below; unclear: anything else claims nothing."""
    if result.gain_points.high < 0:
        return "worse"
    return "better" if result.proven and result.gain_points.low > 0 else "unclear"


def sealed_images(result: Result) -> str:
    """Such as "648 sealed test images"; without the number where it was not recorded."""
    count = result.counts.get("test")
    if result.folds:
        return f"all {count:,} images in {result.folds} folds"
    return "the sealed test images" if count is None else counted(count, "sealed test image")


def found_in_words(result: Result) -> str:
    """What the interval says of the gain."""
    return {"better": "proven", "worse": "proven to be worse", "unclear": "not proven"}[conclusion(result)]


def headline(result: Result) -> str:
    """The answer in one line, in ASCII so that every terminal shows it."""
    value, low, high = interval(result.gain_points)
    return (
        f"{printable(title_of(result.metric))} {result.baseline.value:.3f} -> {result.final.value:.3f}: {value} points "
        f"(95% interval {low} to {high}), {found_in_words(result)} on {sealed_images(result)}"
    )


def ranked(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """The start, which came first, then what shipped, then by what they bought; those without a figure last."""

    def place(verdict: Verdict) -> tuple[bool, bool, float]:
        bought = -verdict.points if math.isfinite(verdict.points) else math.inf
        return not verdict.name.startswith(START), not verdict.shipped, bought

    return sorted(verdicts, key=place)
