"""What every section of a recipe is: a frozen record of levers that refuses unknown keys."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """Frozen, `extra="forbid"`, no NaN or infinity: a recipe means exactly what is written in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def lever(default: Any, description: str, source: str, *, later: bool = False, **bounds: Any) -> Any:
    """A field of a recipe: what it does, where it comes from, and its range (ge, gt, le, lt, multiple_of).

    later: it came when recipes had been written down, which mean its default; see `without_later_defaults`.
    """
    return Field(default, description=description, json_schema_extra={"source": source, "later": later}, **bounds)


def without_later_defaults(section: BaseModel) -> dict[str, Any]:
    """Its plain data without the levers that came later and have their default, so that a recipe that does not use them
    is told apart from others by the same data as before."""
    kept: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value, extra = getattr(section, name), field.json_schema_extra
        if isinstance(extra, dict) and extra.get("later") and value == field.default:
            continue
        kept[name] = without_later_defaults(value) if isinstance(value, BaseModel) else value
    return kept


class Lever(NamedTuple):
    """One row of `convlift recipes`."""

    name: str
    range: str
    default: str
    description: str
    source: str


def levers(section: type[BaseModel], prefix: str = "") -> Iterator[Lever]:
    """Every lever of a section and of the sections inside it, in the order of declaration."""
    for name, field in section.model_fields.items():
        inner = list(sections(field.annotation))
        for child in inner:
            yield from levers(child, f"{prefix}{name}.")
        if not inner and field.json_schema_extra:
            source = str(dict(field.json_schema_extra)["source"])  # type: ignore[arg-type]
            default = "null" if field.default is None else str(field.default).lower()
            default = "required" if field.is_required() else "none" if field.default in ("", ()) else default
            yield Lever(f"{prefix}{name}", _range(field), default, field.description or "", source)


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections named in a field's annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections(argument)


def _range(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    if choices:
        return " | ".join(choices)
    signs = {
        "Ge": ">= {0.ge}",
        "Gt": "> {0.gt}",
        "Le": "<= {0.le}",
        "Lt": "< {0.lt}",
        "MultipleOf": "multiple of {0.multiple_of}",
    }
    rules = [signs[type(rule).__name__].format(rule) for rule in field.metadata if type(rule).__name__ in signs]
    if field.annotation is bool:
        return "true | false"
    if get_origin(field.annotation) is tuple and (inner := get_args(get_args(field.annotation)[0])):
        bounds = [signs[type(rule).__name__].format(rule) for rule in inner[1].metadata]
        return f"list of numbers {', '.join(bounds)}"
    return ", ".join(rules) or "text"


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is tuple:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return []
