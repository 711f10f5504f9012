"""From what a table calls an image to its file."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from convlift.data.readers.tree import Tree, entries

_WEB = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|data:")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")


class NamedFiles:
    """The images in and below one folder, by the names that tables give them.

    is_alone: whether a path may not lead out of the folder, as of a table that came with it.
    """

    def __init__(self, tree: Tree, is_alone: bool = False) -> None:
        self.tree, self.is_alone = tree, is_alone

    @property
    def root(self) -> Path:
        return self.tree.root

    def find(self, named: str) -> Path | str:
        """The file, or in words why there is none.

        A path leads from the folder, or is absolute; an absolute one of another machine, where nothing lies here, may
        end with the path of an image from the folder. What is no path of a file may be the name of the one image below
        the folder that is called so; without an ending, of the one with that stem.
        """
        if _WEB.match(named) and not _DRIVE.match(named):
            return "is a web address, and nothing is downloaded"
        for spelled in dict.fromkeys((named, named.replace("\\", "/"))):
            if (path := self._file(spelled)) is not None:
                if self.is_alone and not Path(os.path.realpath(path)).is_relative_to(self.root):
                    return f"leads out of {self.tree.shown}"
                return path
        if _is_absolute(named) and (path := self._moved(named)) is not None:
            return path
        plain = unicodedata.normalize("NFC", named.replace("\\", "/").removeprefix("./"))
        found = sorted(self._by_name.get(plain, ()))
        if not found:
            return "is not there"
        if len(found) > 1:
            shown = " and ".join(path.relative_to(self.root).as_posix() for path in found[:2])
            return f"is the name of {len(found)} images, such as {shown}"
        return found[0]

    def beginning(self, named: str, found: Path) -> str | None:
        """What stood before the path from the folder, where this is the file of an absolute path of another machine;
        None of any other path."""
        plain = unicodedata.normalize("NFC", named.replace("\\", "/"))
        if not _is_absolute(named) or not found.is_relative_to(self.root) or plain == found.as_posix():
            return None
        inside = unicodedata.normalize("NFC", found.relative_to(self.root).as_posix())
        return plain.removesuffix(inside).rstrip("/") if plain.endswith(f"/{inside}") else None

    def others(self, named: Collection[Path]) -> list[Path]:
        """The images below the folder that are none of these."""
        return sorted(set(self._below) - set(named))

    def _file(self, named: str) -> Path | None:
        try:
            path = Path(os.path.normpath(self.root / named))
            return path if path.is_file() else None
        except (OSError, ValueError):  # too long for any path, or with a zero byte
            return None

    def _moved(self, named: str) -> Path | None:
        """The image whose path from the folder is the longest end of this absolute path; None where there is none."""
        parts = unicodedata.normalize("NFC", named.replace("\\", "/")).strip("/").split("/")
        ends = ("/".join(parts[first:]) for first in range(1 if _DRIVE.match(named) else 0, len(parts)))
        return next((self._by_path[end] for end in ends if end in self._by_path), None)

    @cached_property
    def _by_path(self) -> dict[str, Path]:
        inside = {path.relative_to(self.root).as_posix(): path for path in self._below}
        return {unicodedata.normalize("NFC", name): path for name, path in inside.items()}

    @cached_property
    def _below(self) -> list[Path]:
        return list(_images_below(self.tree))

    @cached_property
    def _by_name(self) -> dict[str, set[Path]]:
        """Of every image below the folder: its path from there and its name, both with and without ending."""
        known: dict[str, set[Path]] = defaultdict(set)
        for path in self._below:
            inside = PurePosixPath(unicodedata.normalize("NFC", path.relative_to(self.root).as_posix()))
            for name in (inside.with_suffix("").as_posix(), str(inside), inside.name, inside.stem):
                known[name].add(path)
        return known


def _is_absolute(named: str) -> bool:
    return named.startswith(("/", "\\")) or bool(_DRIVE.match(named))


def _images_below(tree: Tree) -> Iterator[Path]:
    queue, seen = [tree.root], set[tuple[int, int]]()
    while queue:
        here = queue.pop()
        try:
            status, within = here.stat(), list(entries(tree, here))
        except OSError:  # a folder that is not ours to read has no image for us
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        queue += [entry.path for entry in within if entry.kind == "folder"]
        yield from (entry.path for entry in within if entry.kind == "image")
