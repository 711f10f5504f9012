"""From what a user names on the command line to image files: files, folders, patterns, a list on stdin."""

import glob
import mimetypes
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from convlift.data.decode import FORMATS, sniff

_IMAGE_NAMES = mimetypes.MimeTypes()  # Python's own table: the same on every machine, whatever /etc/mime.types says


class Listed(NamedTuple):
    """What a user's words lead to: the path of an image, or why there is none, or a file that was passed over."""

    path: str
    fault: str = ""
    passed_over: bool = False


def list_images(named: Sequence[str], stdin: BinaryIO) -> Iterator[Listed]:
    """The images in the order of the arguments, one after another, so that the first is answered at once.

    named: paths of files (taken as they are), of folders (searched to the bottom, in the order of names), patterns
    that the shell did not expand, and "-" for a list on stdin, one a line, or set apart by zero bytes.
    """
    for name in named:
        if name == "-":
            for line in _lines(stdin):
                yield from _one(line)
        else:
            yield from _one(name)


def _lines(stdin: BinaryIO) -> Iterator[str]:
    for line in stdin:
        for part in line.split(b"\0"):  # of `find -print0`, where a line is everything
            if name := part.rstrip(b"\r\n"):
                yield os.fsdecode(name)


def _one(name: str) -> Iterator[Listed]:
    if os.path.isdir(name):
        yield from _in_folder(name)
    elif os.path.lexists(name) or not glob.has_magic(name):
        yield Listed(name)  # a file called a[1].jpg is that file, and what is not there is said when it is read
    else:
        matches = sorted(set(glob.glob(name, recursive=True)))
        if not matches:
            yield Listed(name, "no file has a name like this; check the pattern")
        for match in matches:
            if os.path.isdir(match):
                # ** has found what lies in it already
                yield from () if "**" in name else _in_folder(match)
            elif "**" in name and not _is_image(match):
                yield Listed(match, passed_over=True)
            else:
                yield Listed(match)


def _in_folder(folder: str) -> Iterator[Listed]:
    """Every image below a folder; each folder is visited once, so that links in a circle end."""
    found, seen = False, set()
    closed: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=closed.append, followlinks=True):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(files):
            path = os.path.join(root, name)
            image = not name.startswith(".") and _is_image(path)
            found = found or image
            yield Listed(path, passed_over=not image)
    for error in closed:
        yield Listed(os.fsdecode(error.filename), f"cannot be listed ({error.strerror}); check its permissions")
    if not found and not closed:
        yield Listed(folder, f"holds no image; {', '.join(FORMATS)} are read")


def _is_image(path: str) -> bool:
    """Whether a file is meant to be an image, by its name or by its first bytes."""
    kind, _ = _IMAGE_NAMES.guess_type(os.path.basename(path), strict=False)
    if kind is not None and kind.startswith("image/"):
        return True
    if not os.path.isfile(path):  # a pipe is never opened
        return False
    try:
        with open(path, "rb") as file:
            return sniff(file.read(64)) in FORMATS
    except OSError:
        return False
