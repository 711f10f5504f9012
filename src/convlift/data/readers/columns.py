"""Which column of a table holds the images' paths, labels, parts and groups."""

import difflib
import re
from typing import Literal, get_args

from convlift.data.readers.source import printable
from convlift.data.readers.table import Table
from convlift.errors import ConvliftError

Role = Literal["path", "label", "split", "group"]
ROLES: tuple[Role, ...] = get_args(Role)

# names are compared without case, spaces, hyphens and underscores; of several that are there the first one counts
USUAL: dict[Role, tuple[str, ...]] = {
    "path": (
        *("path", "file", "filename", "filepath", "image", "img", "imagepath", "imgpath", "imagefile", "imagename"),
        *("imageid", "imgid", "id"),
    ),
    "label": ("label", "class", "target", "category", "classname", "labelname"),
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "groupid", "patient", "patientid", "subject", "subjectid"),
}
_SHOWN = 12


def choose_columns(table: Table, columns: str | None) -> dict[Role, str]:
    """The column of each role that the table has: those that `columns` names, else by the usual names.

    columns: such as "path=file,label=diagnosis"; a role with nothing behind "=" (only split and group) has no column.
    Raises ConvliftError where path or label has none, a column is not there, or one is named for two roles.
    """
    given = parse_columns(columns)
    for role, name in given.items():
        if name and name not in table.header:
            near = difflib.get_close_matches(name, table.header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {_listed(table.header)}."
            raise ConvliftError(
                f"{table.name} has no column '{printable(name)}', which --columns names for {role}; {hint}"
            )
    taken = set(given.values())
    chosen: dict[Role, str] = {}
    for role in ROLES:
        name = given[role] if role in given else _usual(role, [each for each in table.header if each not in taken])
        if name:
            chosen[role] = name
    missing = [role for role in ROLES[:2] if role not in chosen]
    if missing:
        raise _no_column(table, missing)
    return chosen


def parse_columns(columns: str | None) -> dict[Role, str]:
    """ "path=file,label=diagnosis" -> {"path": "file", "label": "diagnosis"}. Raises ConvliftError."""
    given: dict[Role, str] = {}
    for part in (columns or "").split(",") if columns else ():
        word, equals, name = (each.strip() for each in part.partition("="))
        role = next((each for each in ROLES if each == word.lower()), None)
        if role is None or not equals:
            raise ConvliftError(
                f"--columns '{printable(columns or '')}' is not of the form path=COLUMN,label=COLUMN,split=COLUMN,"
                f"group=COLUMN; '{printable(part)}' is none of these."
            )
        if role in given or (name and name in given.values()):
            raise ConvliftError(f"--columns '{printable(columns or '')}' names one thing twice; name each once.")
        if not name and role in ("path", "label"):
            raise ConvliftError(f"--columns names no column for {role}; every table needs one, such as {role}=COLUMN.")
        given[role] = name
    return given


def has_columns(table: Table, columns: str | None) -> bool:
    """Whether a table names images and their labels."""
    try:
        return bool(choose_columns(table, columns))
    except ConvliftError:
        return False


def _usual(role: Role, header: list[str]) -> str:
    plain = {re.sub(r"[\W_]+", "", name.lower()): name for name in reversed(header)}
    return next((plain[name] for name in USUAL[role] if name in plain), "")


def _no_column(table: Table, missing: list[Role]) -> ConvliftError:
    wanted = {"path": "image paths", "label": "labels"}
    example = ",".join(f"{role}={'FILE' if role == 'path' else 'CLASS'}" for role in missing)
    names = " or ".join(", ".join(USUAL[role][:4]) for role in missing)
    return ConvliftError(
        f"{table.name} has no column of {' and of '.join(wanted[role] for role in missing)} by a usual name ({names}); "
        f"its first row has {_listed(table.header)}. Name the columns, such as --columns {example}."
    )


def _listed(header: tuple[str, ...]) -> str:
    if not any(header):
        return "nothing"
    shown = ", ".join(repr(printable(name[:60])) for name in header[:_SHOWN])
    return f"{shown} and {len(header) - _SHOWN} more" if len(header) > _SHOWN else shown
