"""Where two recipes differ, in words and area by area."""

from collections.abc import Iterator
from typing import Any

from convlift.recipe.recipe import Recipe


def differences(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """A line for each area that differs, such as "training: epochs 15 instead of 10, adamw instead of adam"."""
    old, new = before.model_dump(), after.model_dump()
    return tuple(f"{area}: {', '.join(lines)}" for area in old if (lines := list(_changes(area, old[area], new[area]))))


def _changes(area: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if area == "architecture" and old["kind"] != new["kind"]:
        # two networks of different kinds share no levers worth a comparison
        yield f"{_network(new)} instead of {_network(old)}"
        return
    for name, value in new.items():
        known = old.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            yield from _changes(name, known, value)
        elif isinstance(value, dict):
            yield f"{_name(name)} ({', '.join(f'{_name(k)} {_shown(v)}' for k, v in value.items())})"
        elif value != known:
            if isinstance(known, dict):
                yield f"no {_name(name)}"
            elif value == 0 and not isinstance(value, bool):
                yield f"no {_name(name)} instead of {_shown(known)}"
            else:
                yield f"{_name(name)} {_shown(value)} instead of {_shown(known)}"


def _network(architecture: dict[str, Any]) -> str:
    if architecture["kind"] == "pretrained":
        return f"pretrained {architecture['backbone']}"
    if architecture["kind"] == "own":
        return str(architecture["code"])
    shape = (
        f"{architecture['stages']} stage{'s' if architecture['stages'] > 1 else ''} of width {architecture['width']}"
    )
    return f"a network from scratch ({shape})"


def _name(field: str) -> str:
    return field.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
