"""The result in words: the phrases that the terminal and the page share."""

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Literal

from convlift.evidence.metrics import title_of
from convlift.records.result import START, ClassScore, Estimate, Result, Verdict

Conclusion = Literal["better", "worse", "unclear", "open"]
ALARMING = 3.0  # standard errors between validation and test that chance does not explain
NAMED = 6  # classes in one sentence
Z = 1.96  # standard errors in half of a 95% interval

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


def conclusion(result: Result) -> Conclusion:
    """better: proven, the interval lies above 0; worse: it lies below; unclear: anything else claims nothing; open:
    the sealed test was not opened."""
    gain = result.gain_points
    if not result.judged or gain is None or result.baseline is None:
        return "open"
    if gain.high < 0:
        return "worse"
    return "better" if result.proven and gain.low > 0 and not result.shortened else "unclear"


def judged_images(result: Result) -> str:
    """The images that the scores are of, such as "648 sealed test images"; without the number where it was not
    recorded."""
    kind = "sealed test image" if result.judged else "validation image"
    count = result.counts.get("test" if result.judged else "validation")
    if result.folds:
        return f"all {count:,} images in {result.folds} folds"
    return f"the {kind}s" if count is None else counted(count, kind)


def found_in_words(result: Result) -> str:
    """What the interval says of the gain."""
    return {
        "better": "proven",
        "worse": "proven to be worse",
        "unclear": "not proven",
        "open": "not judged",
    }[conclusion(result)]


def headline(result: Result) -> str:
    """The answer in a line or two, in ASCII so that every terminal shows it."""
    title, images, gain = printable(title_of(result.metric)), judged_images(result), result.gain_points
    if conclusion(result) == "open" or result.baseline is None or gain is None:
        return _not_judged(result, title, images)
    value, low, high = interval(gain)
    return (
        f"{title} {result.baseline.value:.3f} -> {result.final.value:.3f}: {value} points "
        f"(95% interval {low} to {high}), {found_in_words(result)} on {images}"
    )


def _not_judged(result: Result, title: str, images: str) -> str:
    """Scores of validation images, which are no judgement, and why there is none."""
    if result.ships == "baseline" or result.baseline is None:
        scores, chosen = f"{result.final.value:.3f}", "it was"
    else:
        scores, chosen = f"{result.baseline.value:.3f} -> {result.final.value:.3f}", "they were"
    chosen = "" if result.ships == "baseline" else f", by which {chosen} chosen"
    said = printable(result.why) or "The sealed test was not opened."
    is_said = said.lower().startswith("not judged")
    return f"{title} {scores} on {images}{chosen}{'' if is_said else '; not judged'}. {said}"


def shipped_network(result: Result) -> str:
    """Whose network ships, in one sentence, where that is not the searched recipe's; else ""."""
    if result.ships == "baseline":
        return "Keep your baseline: the network in the run folder is the baseline's own."
    if result.ships == "start":
        start = printable(result.start_name)
        return f"What ships is the bare start, {start}, without any change of the search."
    return ""


def network_alone(result: Result) -> str:
    """The score of the one network that ships, with its own interval; "" where it was not tested."""
    if result.shipped is None or not result.judged:
        return ""
    alone = result.shipped
    return (
        f"The network that ships, alone: {printable(title_of(result.metric))} {alone.value:.3f} (95% interval "
        f"{alone.low:.3f} to {alone.high:.3f}) on {judged_images(result)}."
    )


def warnings_of(result: Result) -> tuple[str, ...]:
    """What a reader must not miss, a sentence each, for terminal, page and model card alike."""
    found = []
    if result.shortened:
        found.append(
            f"The baseline had only {printable(result.shortened)}, since all of its training did not fit into the "
            "time. A gain over it is no gain over the whole baseline, and is not called proven."
        )
    if result.opened > 1:
        times = "twice" if result.opened == 2 else f"{result.opened} times"
        found.append(f"This sealed test was opened {times}, this campaign included; a note says what that means.")
    found += [said for said in (never_predicted(result), flattered(result)) if said]
    return tuple(found)


def never_predicted(result: Result) -> str:
    """Which classes what ships never predicts, although there are images of them; "" for none."""
    return unpredicted(result.classes, result.metric, judged_images(result))


def unpredicted(classes: Iterable[ClassScore], metric: str, images: str) -> str:
    """The same from the scores a class; images: in words, those that the scores are of."""
    missed = [each.name for each in classes if each.images and not each.predicted]
    if not missed:
        return ""
    named = ", ".join(f"'{printable(name)}'" for name in missed[:NAMED])
    more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    one = len(missed) == 1
    advice = f"add images of {'it' if one else 'them'}."
    if metric != "balanced-accuracy":
        advice = "--metric balanced-accuracy counts every class the same, however rare."
    which = f"class {named}" if one else f"the classes {named}{more}"
    return f"The network never predicts {which} on {images}; {advice}"


def flattered(result: Result) -> str:
    """That validation promises more than the test keeps, by more than three standard errors; else ""."""
    test, validation = result.counts.get("test", 0), result.counts.get("validation", 0)
    if not result.judged or result.folds or not test or not validation:
        return ""
    of_the_test = 100 * (result.final.high - result.final.low) / (2 * Z)
    # the same spread between images on both sides
    error = of_the_test * math.sqrt(1 + test / validation)
    if not result.optimism_points > ALARMING * error:
        return ""
    return (
        f"The shipped recipe scores {signed(result.optimism_points)} points more on the validation images than on the "
        f"sealed test, which is more than {ALARMING:g} standard errors of that difference: the two differ in kind, or "
        "images of one are also in the other. Look at how the data are split."
    )


def never_tried(result: Result) -> str:
    """How many changes of the list no trial had on, in one sentence; "" for none."""
    number = sum(not was_tried(verdict) for verdict in result.verdicts)
    if not number:
        return ""
    them = "it" if number == 1 else "them"
    listed = f"{counted(number, 'change')} of the list {'was' if number == 1 else 'were'}"
    return f"{listed} never switched on: nothing is known of {them}."


def was_tried(verdict: Verdict) -> bool:
    """Whether there is anything to say of a change."""
    return verdict.trials > 0 or verdict.shipped


def ranked(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """The start, which came first, then what shipped, then by what they bought; those without a figure last."""

    def place(verdict: Verdict) -> tuple[bool, bool, float]:
        bought = -verdict.points if math.isfinite(verdict.points) else math.inf
        return not verdict.name.startswith(START), not verdict.shipped, bought

    return sorted(verdicts, key=place)
