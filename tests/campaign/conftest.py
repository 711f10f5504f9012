"""What tests of whole campaigns share."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a file's tests, whose cache lies in it."""
    found = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(found / "cache"))
        yield found
