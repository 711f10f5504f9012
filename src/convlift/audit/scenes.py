"""Scenes: images that show nearly the same, what is wrong with them, and which of them no split may cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.near_copies import LEAST_SIDE, near_copies
from convlift.records.finding import SAME, Finding

MOST_IMAGES = 100_000  # that are compared: pairs grow with the square, to about a minute of a core
LARGEST = 0.25  # of a class's images, as much as a test has of them
SMALL = 3  # images of a scene that is never too large
FEWEST = 10  # scenes of a class that must be left, as many as a cross-validation has folds
DECIDE = "Decide on one class for each, unless a detail, a mirror image or a turn is what tells the classes apart."
_LISTED = 100

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Ties:
    """What somebody decided of near copies, by the images' paths: sets that no split may cut, and sets that it may."""

    together: tuple[tuple[str, ...], ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()


NO_TIES = Ties()


def tied(names: NDArray[np.str_], hashes: NDArray[np.str_], keys: Sequence[str], ties: Ties) -> NDArray[np.str_]:
    """`names_of_scenes`, as somebody decided: images apart have their own hash again, those together the least hash of
    all that they are tied to, so that the others keep their places. Exact copies are never parted."""
    found, place = names.copy(), {key: row for row, key in enumerate(keys)}
    for apart in ties.apart:
        rows = [place[key] for key in apart if key in place]
        alone = np.isin(hashes, hashes[rows])  # their exact copies go with them, named or not
        found[alone] = hashes[alone]
    for together in ties.together:
        rows = [place[key] for key in together if key in place]
        joined = np.isin(found, found[rows])  # a scene that one of them is in comes with it
        if joined.any():
            found[joined] = min(found[joined].tolist())
    return found


def find_scenes(hashes: NDArray[np.str_], labels: Indices, greys: NDArray[np.uint8], sides: Indices) -> Indices:
    """(N,): a number that images share which are copies or near copies. hashes: equal for copies; sides: the shorter
    one in pixels; images under 24 pixels, and those of more than 100,000, are only compared by their hashes."""
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    is_large = (sides[first] >= LEAST_SIDE) & (len(hashes) <= MOST_IMAGES)
    scenes: Indices = near_copies(greys[first], labels[first], np.flatnonzero(is_large)).scenes[group]
    return scenes


def names_of_scenes(scenes: Indices, hashes: NDArray[np.str_], labels: Indices) -> NDArray[np.str_]:
    """(N,): equal for images that no split may cut: of an image without near copies its hash, of others the least hash
    of their scene, for each class its own.

    Near copies under several classes are not tied: a detail, a mirror image or a turn may be what tells these apart,
    and a split that cuts them flatters nobody. They are cut in one class too, as if each stood alone, where their scene
    is over a quarter of it, or where fewer than ten scenes of a class would be left.
    """
    names = hashes.copy()
    sizes = np.bincount(labels)
    rooms = np.maximum(SMALL, LARGEST * sizes)
    members = [part for rows in _members(scenes, hashes) for part in _by_class(rows, hashes, labels)]
    kept = [rows for rows in members if (np.bincount(labels[rows], minlength=len(sizes)) <= rooms).all()]
    for rows in kept:
        names[rows] = min(hashes[rows].tolist())
    for label in np.unique(labels):
        if len(np.unique(names[labels == label])) < FEWEST:
            for rows in kept:
                if (labels[rows] == label).any():
                    names[rows] = hashes[rows]
    return names


def scene_findings(
    scenes: Indices,
    names: NDArray[np.str_],
    hashes: NDArray[np.str_],
    keys: Sequence[str],
    labels: Indices,
    official: NDArray[np.str_],
) -> list[Finding]:
    """Near copies: under two classes, across official parts, or merely there; and images too many to be compared.

    names: as `names_of_scenes` gave them. Scenes of exact copies alone have findings of their own.
    """
    members, free = _members(scenes, hashes), bool((official == "").all())
    conflicts = [rows for rows in members if len(set(labels[rows])) > 1]
    leaks = [rows for rows in members if len(set(official[rows])) > 1]
    plain = [rows for rows in members if len(set(labels[rows])) == 1 == len(set(official[rows]))]
    found = []
    if conflicts:
        message = f"{_scenes(conflicts)} under more than one class."
        found.append(_warning("near-copy conflict", message, conflicts, keys, DECIDE))
    if leaks:
        message = f"{_scenes(leaks)} in more than one official part, so scores may flatter.{_leaked(scenes, official)}"
        found.append(_warning("near-copy leak", message, leaks, keys, "Remove them from the training part."))
    if kept := [rows for rows in plain if len(set(names[rows].tolist())) == 1]:
        message = f"{_scenes(kept)} in one class: resized, saved anew, mirrored, turned, cropped, or of one moment."
        message += " A split made here keeps them in one part, or the groups where there are." if free else ""
        found.append(Finding("near copies", "note", message, _lines(kept[:_LISTED], keys)))
    parts = [part for rows in [*conflicts, *plain] for part in _by_class(rows, hashes, labels)]
    if large := [rows for rows in parts if free and len(set(names[rows].tolist())) > 1]:
        message = f"{_scenes(large)} and {'is' if len(large) == 1 else 'are'} too much of a class to be kept together."
        remedy = "Scores may flatter: add images of other scenes, or keep them together with --group-from."
        found.append(_warning("large scenes", message, large, keys, remedy))
    if len(keys) > MOST_IMAGES:
        message = f"Near copies were not looked for, since there are more than {MOST_IMAGES:,} images; exact ones were."
        found.append(Finding("not compared", "note", message))
    return found


def _members(scenes: Indices, hashes: NDArray[np.str_]) -> list[Indices]:
    """The images of each scene that shows nearly the same, but not the very same, in order of first appearance."""
    order = np.argsort(scenes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(scenes[order])) + 1)
    several = [rows for rows in parts if len(rows) > 1 and len(set(hashes[rows].tolist())) > 1]
    return sorted(several, key=lambda rows: int(rows[0]))


def _by_class(rows: Indices, hashes: NDArray[np.str_], labels: Indices) -> list[Indices]:
    """The images of a scene, those of each class apart; all of them where exact copies are under several classes."""
    classes = np.unique(labels[rows])
    parts = [rows[labels[rows] == label] for label in classes]
    shared = sum(len(np.unique(hashes[part])) for part in parts) > len(np.unique(hashes[rows]))
    return [rows] if shared else parts


def _scenes(members: Sequence[Indices]) -> str:
    one = len(members) == 1
    return (
        f"{len(members)} {'set' if one else 'sets'} of images ({sum(map(len, members))} in all) "
        f"{'shows' if one else 'show'} nearly the same"
    )


def _leaked(scenes: Indices, official: NDArray[np.str_]) -> str:
    """How much of the test part has a near copy elsewhere, exact ones counted."""
    test = scenes[official == "test"]
    shared = int(np.isin(test, scenes[official != "test"]).sum())
    if not shared:
        return ""
    return f" {shared} of the {len(test)} test images have a copy elsewhere ({shared / len(test):.1%})."


def _warning(kind: str, message: str, members: Sequence[Indices], keys: Sequence[str], remedy: str) -> Finding:
    return Finding(kind, "warning", message, _lines(members, keys), remedy)


def _lines(members: Sequence[Indices], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(SAME.join(keys[row] for row in rows.tolist()) for rows in members)
