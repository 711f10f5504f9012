"""Names, figures and durations as people read them: what every sentence is made of."""

import math
import re
import textwrap
from collections.abc import Iterable, Sequence

from convlift.records.result import Estimate, Verdict

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


def wrapped(text: str, longest: int, lines: int = 2) -> str:
    """The text on at most so many lines of at most `longest` characters, broken between words where it can be; only
    what is longer still loses its end."""
    broken = textwrap.wrap(printable(" ".join(text.split())), longest) or [""]
    if len(broken) > lines:
        broken = [*broken[: lines - 1], f"{broken[lines - 1][: longest - 1]}…"]
    return "\n".join(broken)


def labels_for(names: Sequence[str], longest: int) -> list[str]:
    """Each name on one line of at most `longest` characters: cut at its end; all cut where they begin, or in the
    middle, where two would read the same otherwise."""
    whole = [printable(" ".join(name.split())) for name in names]
    at_the_end = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in whole]
    at_the_start = [name if len(name) <= longest else f"…{name[len(name) - longest + 1 :]}" for name in whole]
    in_the_middle = [shorten(name, longest) for name in whole]
    different = [cut for cut in (at_the_end, at_the_start) if len(set(cut)) == len(set(whole))]
    return different[0] if different else in_the_middle


def signed(points: float, decimals: int = 1) -> str:
    """Percentage points with their sign; "n/a" where there is no figure."""
    # the added zero turns "-0.0" into "+0.0"
    return f"{round(points, decimals) + 0.0:+.{decimals}f}" if math.isfinite(points) else "n/a"


def typographic(text: str) -> str:
    """The text with a true minus sign, for the page; the terminal keeps to ASCII."""
    return text.replace("-", "−")


def interval(estimate: Estimate, decimals: int | None = None) -> tuple[str, str, str]:
    """Value, low and high, by default with as many decimals as `decimals_for` says."""
    places = decimals_for([estimate]) if decimals is None else decimals
    value, low, high = (signed(figure, places) for figure in (estimate.value, estimate.low, estimate.high))
    return value, low, high


def decimals_for(estimates: Iterable[Estimate]) -> int:
    """One for a whole column, or two where one decimal would show a bound of one of them as zero."""
    return 2 if any(abs(f) < 0.05 for e in estimates for f in (e.value, e.low, e.high) if f) else 1


def column_decimals(verdicts: Iterable[Verdict]) -> int:
    """The decimals of a table of shares: two where a proven one has a bound that one decimal would show as zero."""
    return decimals_for([share(verdict) for verdict in verdicts if verdict.label == "proven"])


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


def processor(name: str) -> str:
    """What networks run on, in a sentence; name: of a device."""
    return "the CPU" if name == "CPU" else printable(name)
