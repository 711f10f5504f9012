"""The command line, run in this process."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from convlift.cli import main


class Said(NamedTuple):
    """What a call left."""

    code: int
    out: str
    err: str


def convlift(*arguments):
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return Said(end.value.code or 0, out.getvalue(), err.getvalue())
