"""Which convlift this is."""

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def software_version() -> str:
    """Of the installed package; of the source tree where it runs from there without being installed."""
    try:
        return version("convlift")
    except PackageNotFoundError:
        project = Path(__file__).parents[3] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"]) if project.is_file() else "unknown"
