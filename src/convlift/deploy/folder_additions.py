"""Files that come into a model folder after it was written: its list of checksums says whether they belong to it."""

import hashlib
from pathlib import Path

from convlift.console.disk import writing_into
from convlift.deploy.model_folder import SUMS, digest_of, sums_of, write_together
from convlift.errors import ConvliftError


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Put one more file into a model folder, and then its line into the checksums, without which it counts for nothing.

    Raises ConvliftError where it cannot be written.
    """
    with writing_into(folder):
        sums = {**sums_of(folder), name: hashlib.sha256(content).hexdigest()}
        lines = "".join(f"{digest}  {each}\n" for each, digest in sums.items())
        write_together(folder, {name: content, SUMS: lines.encode()})


def checked_file(folder: Path, name: str, most: int) -> Path | None:
    """The path of a file that `add_file` put there; None where the checksums know none of this name.

    most: bytes. Raises ConvliftError where it is missing, damaged or larger.
    """
    expected = sums_of(folder).get(name)
    if expected is None:
        return None
    path = folder / name
    if not path.is_file() or path.stat().st_size > most or digest_of(path) != expected:
        raise ConvliftError(f"{path} does not match its checksum in {SUMS}; copy the folder again.")
    return path
