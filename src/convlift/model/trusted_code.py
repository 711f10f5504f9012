"""Which code of somebody's own may run here: what this user has named with `--model` before, or allows now.

A model folder or a recipe may come from anybody, and opening it must not run what it brings. Code is known by its
digest, so that what has changed is asked about again.
"""

from pathlib import Path

from convlift.console.disk import writing_into
from convlift.errors import ConvliftError
from convlift.model.source_files import Code
from convlift.model.source_loader import allow

FOLDER = "trusted-code"  # in the cache folder: one empty file for each digest


def trust(cache: Path, code: Code) -> None:
    """Let this code run from now on, in this process and in later ones. Raises DiskError."""
    allow(code)
    with writing_into(cache):
        folder = cache / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / code.digest).touch()


def check_trust(cache: Path, code: Code, remedy: str) -> None:
    """Let code run in this process that was named before. Raises ConvliftError for other code. remedy: what to do, once
    one has read it."""
    if not (cache / FOLDER / code.digest).is_file():
        raise ConvliftError(
            f"network {code.text!r} is Python code that has not run here yet, and may do anything once it does; read "
            f"it, then {remedy}."
        )
    allow(code)
