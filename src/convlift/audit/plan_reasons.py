"""Why an image is to be left out, kept with others, or given another class: the sentences of a plan."""

from collections.abc import Sequence

from convlift.records.doubted_label import DoubtedLabel

HEADER = """\
# What `convlift audit` proposes. Decide with `convlift review THIS_FILE`, or here by hand: state is accepted, to review
# or rejected. `convlift improve DATA --plan THIS_FILE` obeys what is accepted; near copies stay together unless they
# are rejected, and nothing else that is not accepted changes anything. No file of the data is ever changed. Comments
# are lost when `convlift review` writes.
"""
PARTS = {"train": "training", "validation": "validation", "test": "test"}
_NAMED = 3


def copies_of_two_classes(filed: Sequence[tuple[str, str]], doubt: DoubtedLabel | None) -> str:
    """Of an image that is filed under other classes too. filed: (path, class) of its copies."""
    copies = _and([f"{key} ({name})" for key, name in filed])
    said = f"The very same image is filed under another class: {copies}. One label must be wrong."
    if doubt:
        said += f" It looks like {doubt.looks_like}, {doubt.confidence:.0%}, and like {doubt.given}, "
        said += f"{doubt.given_confidence:.0%}."
    return said


def copy_across_parts(part: str, stays: Sequence[tuple[str, str]]) -> str:
    """Of an image of a part whose copy is in another part, where it stays. stays: (path, part)."""
    where = _and([f"{key} ({PARTS[of]})" for key, of in stays])
    return f"The very same image is in another part: {where}. Left out of {PARTS[part]}, it leaks no more."


def near_copy_across_parts(part: str, other: str, stays: str, likeness: float, how: str) -> str:
    """The same of a near copy; stays: the part of the other one."""
    return (
        f"Shows nearly the same as {other} ({PARTS[stays]}), {_alike(likeness, how)}. Left out of {PARTS[part]}, it "
        "leaks no more."
    )


def near_copy_of_two_classes(given: str, other: str, name: str, likeness: float, how: str) -> str:
    """Of an image that shows nearly the same as one of another class, called `name`."""
    return (
        f"Filed as {given}, and shows nearly the same as {other}, filed as {name}: {_alike(likeness, how)}. Leave out "
        "the wrong one, or neither where such a detail or turn is what tells the classes apart."
    )


def near_copies_together(images: int, likeness: float, how: str) -> str:
    """Of near copies that a split keeps together in any case."""
    return f"{images} images show nearly the same, {_alike(likeness, how)}: cut apart, the test would know one of them."


def large_scene(images: int, share: float, likeness: float) -> str:
    """Of near copies that are cut unless somebody wants it otherwise."""
    return (
        f"{images} images show nearly the same, {_alike(likeness, '')}. They are {share:.0%} of a class, so that no "
        "split keeps them together unless this is accepted."
    )


JUNK = {
    "clear": "Transparent everywhere: nothing but the background is left of it.",
    "flat": "One flat colour once decoded: it shows nothing.",
    "dark": "Much darker than the others.",
    "bright": "Much brighter than the others.",
    "blurred": "Blurred or enlarged, unlike the others.",
    "odd size": "Another size or shape than the others.",
    "outliers": "Unlike all others to a pretrained network: rare, or it does not belong here.",
}


def doubted(doubt: DoubtedLabel) -> str:
    """Of a label that is probably wrong."""
    return (
        f"Looks like {doubt.looks_like}, {doubt.confidence:.0%}, and like its label, {doubt.given_confidence:.0%}, to "
        "a classifier that never saw it."
    )


def leaking_parts(shared: int, images: int, groups: bool) -> str:
    """Of official parts that share images. shared: of the test images those with a copy or near copy elsewhere."""
    said = ""
    if shared:
        said += (
            f"{shared:,} of {images:,} test images ({shared / images:.1%}) have a copy or near copy in another part. "
        )
    if groups:
        said += "Images that belong together by their names lie in more than one official part. "
    said += (
        "Accepted, the official parts count no longer and convlift makes its own, which cut no copies; scores are then "
        "not those that others report."
    )
    if shared:
        said += " Leaving the copies out is the smaller change: reject those entries if you accept this."
    return said


def _alike(likeness: float, how: str) -> str:
    return f"correlation {likeness:.2f}{f', {how}' if how else ''}"


def _and(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return " and ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more:,} more"
