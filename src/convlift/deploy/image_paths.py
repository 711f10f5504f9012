"""From what a user names on the command line to image files: files, folders, patterns, a list on stdin."""

import glob
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from convlift.data.formats import FORMATS
from convlift.data.readers.tree import Entry, Tree, entries, with_arrays

MOST_CHARACTERS = 4096  # of a path on Linux


class Listed(NamedTuple):
    """What a user's words lead to: the path of an image, or why there is none, or a file that was passed over."""

    path: str
    fault: str = ""
    passed_over: bool = False


def list_images(named: Sequence[str], stdin: BinaryIO | None) -> Iterator[Listed]:
    """The images in the order of the arguments, one after another, so that the first is classified at once.

    named: paths of files (taken as they are), of folders (searched to the bottom, in the order of names), patterns
    that the shell did not expand, and "-" for a list on stdin, one a line, or set apart by zero bytes.
    stdin: None where it is closed.
    """
    for name in named:
        if name == "-":
            yield from _on(stdin)
        else:
            yield from _one(name)


def is_many(name: str) -> bool:
    """Whether a name is that of a folder, or a pattern and no file."""
    if "\0" in name or len(name) > MOST_CHARACTERS:  # such as a file's content, given as text
        return False
    return os.path.isdir(name) or (glob.has_magic(name) and not os.path.lexists(name) and "://" not in name)


def _on(stdin: BinaryIO | None) -> Iterator[Listed]:
    if stdin is None:
        yield Listed("-", "stdin is closed; give it a list of images, one a line")
        return
    try:
        for line in stdin:
            for part in line.removeprefix(BOM_UTF8).split(b"\0"):  # of `find -print0`, where a line is everything
                if name := part.rstrip(b"\r\n"):
                    yield from _one(os.fsdecode(name))
    except OSError as error:  # such as that of a folder
        yield Listed("-", f"the list on stdin cannot be read ({error.strerror})")


def _one(name: str) -> Iterator[Listed]:
    if os.path.isdir(name):
        yield from _in_folder(name)
    elif os.path.lexists(name) or not glob.has_magic(name):
        yield Listed(name)  # a file called a[1].jpg is that file, and a missing one is reported when it is read
    elif matches := sorted(set(glob.glob(name, recursive=True))):
        yield from _everywhere(matches) if "**" in name else _matched(matches)
    else:
        yield Listed(name, "no file has a name like this; check the pattern")


def _matched(matches: list[str]) -> Iterator[Listed]:
    for match in matches:
        yield from _in_folder(match) if os.path.isdir(match) else iter([Listed(match)])


def _everywhere(matches: list[str]) -> Iterator[Listed]:
    """Of a pattern with **, which has found what lies in its folders already, and what is no image too."""
    images: dict[str, set[str]] = {}
    for match in matches:
        if os.path.isdir(match):
            continue
        parent = os.path.dirname(match)
        if parent not in images:
            of_arrays = _holds_arrays(parent or ".")
            images[parent] = {entry.name for entry in _entries(parent or ".", of_arrays) if entry.kind == "image"}
        yield Listed(match, passed_over=os.path.basename(match) not in images[parent])


def _in_folder(folder: str) -> Iterator[Listed]:
    """Every image below a folder, as training would find them, but links are followed wherever they lead.

    Each folder is visited once, so that links in a circle end.
    """
    found, of_arrays = False, _holds_arrays(folder)
    queue, seen = [folder], set()
    while queue:
        here = queue.pop(0)
        try:
            status, within = os.stat(here), _entries(here, of_arrays)
        except OSError as error:
            found = True
            yield Listed(here, f"cannot be listed ({error.strerror}); check its permissions")
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        queue[:0] = [os.path.join(here, entry.name) for entry in within if entry.kind == "folder"]
        for entry in within:
            if entry.kind != "folder":
                found = found or entry.kind == "image"
                yield Listed(os.path.join(here, entry.name), passed_over=entry.kind != "image")
    if not found:
        yield Listed(folder, f"holds no image; {', '.join(FORMATS)} are read")


def _entries(folder: str, of_arrays: bool) -> list[Entry]:
    return list(entries(Tree(Path(os.path.realpath(folder)), follow_links=True, arrays=of_arrays), Path(folder)))


def _holds_arrays(folder: str) -> bool:
    """Whether the images below a folder are NumPy arrays, see `with_arrays`."""
    with suppress(OSError):  # which is said where the folder is listed
        return with_arrays(Tree(Path(os.path.realpath(folder)), follow_links=True)).arrays
    return False
