"""A table from its file: CSV, TSV, JSON Lines or Parquet, as rows of text."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from convlift.console.extras import require
from convlift.data.readers.source import is_missing, printable
from convlift.errors import ConvliftError
from convlift.records.finding import Finding

TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
MAX_BYTES = 256 * 1024 * 1024  # a table is held in memory
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """One row. number: as spreadsheets count, so that the header is row 1; extra: cells beyond those of the header."""

    number: int
    cells: dict[str, str]
    extra: int = 0


@dataclass(frozen=True)
class Table:
    """name: of the file; header: the names of the columns, in order; findings: how the file was read, where that is not
    a matter of course."""

    name: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()


def is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES


def read_table(path: Path, shown: str = "") -> Table:
    """All rows, without those that are empty; every cell as text without spaces around it, "" where nothing is there.

    CSV: UTF-8, UTF-16 with its mark, else Windows-1252, which is told; separated by commas, semicolons, tabs or bars,
    whichever the first row holds most of. shown: what the user calls the file, where that is not its path.
    Raises ConvliftError where the file cannot be read or names a column twice.
    """
    shown = shown or printable(str(path))
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise OSError(f"it takes {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
        if path.suffix.lower() == ".parquet":
            return _checked(shown, *_of_parquet(path, shown))
        text, findings = _decoded(path.read_bytes(), shown)
        if path.suffix.lower() == ".jsonl":
            return _checked(shown, *_of_json_lines(text), findings)
        separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
        return _checked(shown, *_of_text(text, separator), findings)
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else printable(str(error))
        raise ConvliftError(f"the table {shown} cannot be read ({reason}); save it anew.") from error


def _checked(shown: str, header: list[str], rows: list[Row], findings: tuple[Finding, ...] = ()) -> Table:
    named = [name for name in header if name]
    if twice := [name for name in dict.fromkeys(named) if named.count(name) > 1]:
        raise ConvliftError(f"{shown} has {named.count(twice[0])} columns named {twice[0]!r}; rename or remove one.")
    return Table(PurePath(shown).name, tuple(header), tuple(rows), findings)


def _decoded(content: bytes, shown: str) -> tuple[str, tuple[Finding, ...]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # as Excel writes "Unicode text"
        return content.decode("utf-16"), ()
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        at = error.start
    if b"\0" in content[:4096]:
        raise ValueError("it is no text")
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise ValueError(f"neither UTF-8 nor Windows-1252 at byte {at:,}") from None
    message = f"{PurePath(shown).name} is not UTF-8, so it was read as Windows-1252."
    return text, (Finding("encoding", "warning", message, (), "Save it as UTF-8 if names look wrong."),)


def _separator(text: str) -> str:
    counts = {each: len(next(csv.reader(io.StringIO(text, newline=""), delimiter=each), [])) for each in _SEPARATORS}
    return max(counts, key=lambda each: counts[each])  # the first of equals


def _of_text(text: str, separator: str) -> tuple[list[str], list[Row]]:
    header, rows = list[str](), list[Row]()
    for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), start=1):
        plain = [cell.strip() for cell in cells]
        if number == 1:
            header = plain
        elif any(plain):
            while len(plain) > len(header) and not plain[-1]:
                plain.pop()
            padded = plain + [""] * (len(header) - len(plain))
            rows.append(Row(number, dict(zip(header, padded, strict=False)), max(0, len(plain) - len(header))))
    return header, rows


def _of_json_lines(text: str) -> tuple[list[str], list[Row]]:
    header, rows = dict[str, None](), list[Row]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(f"line {number} is no JSON object")
        header |= dict.fromkeys(found)
        rows.append(Row(number, {name: _text(value) for name, value in found.items()}))
    return list(header), [Row(row.number, {name: row.cells.get(name, "") for name in header}) for row in rows]


def _of_parquet(path: Path, shown: str) -> tuple[list[str], list[Row]]:
    require("pyarrow", "parquet", f"reading {PurePath(shown).name}")
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            header = _plain_columns(file.schema_arrow, shown)
            return header, list(_parquet_rows(file, header))
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error


def _plain_columns(schema: Any, shown: str) -> list[str]:
    """Those that hold text or numbers. Raises ConvliftError where one holds the images themselves."""
    import pyarrow

    for field in schema:
        if pyarrow.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            raise ConvliftError(
                f"column {field.name!r} of {shown} holds images, not their paths; open it with "
                "datasets.load_dataset and give that to convlift.improve in Python."
            )
    nested = (pyarrow.types.is_nested, pyarrow.types.is_binary, pyarrow.types.is_large_binary)
    return [field.name for field in schema if not any(of_kind(field.type) for of_kind in nested)]


def _parquet_rows(file: Any, header: list[str]) -> Iterator[Row]:
    number = 2
    for batch in file.iter_batches(columns=header):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield Row(number, {name: _text(value) for name, value in zip(header, values, strict=True)})
            number += 1


def _text(value: Any) -> str:
    return "" if is_missing(value) else str(value).strip()
