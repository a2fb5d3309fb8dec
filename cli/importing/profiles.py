"""What an export tells of people besides their addresses: columns that become fields of their profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from cli.importing.consent import flag_of
from cli.importing.export_file import ExportFile
from cli.importing.tables import ImportRow, column_of
from contracts.errors import BadInput, ConfigError, Problem
from contracts.masking import masked_text
from contracts.numerals import in_ascii
from contracts.properties import check_properties
from contracts.tokens import mailbox_key

MAX_PROBLEMS: Final = 20
"""Cells that are named; a file with any is not imported."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,10})?")
_FIELD: Final = re.compile(r"[^\W\d][\w.-]{0,63}")

_EMPTY: Final = frozenset({"", "null", "n/a", "nan", "undefined"})
"""Cells that hold nothing. `no` and `na` are texts here: countries are called so."""

Profile = dict[str, Any]
"""Field → value; an empty text: nothing is known of it any more."""


class FieldKind(StrEnum):
    """What a column's cells are read as."""

    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes_no"


class FieldColumn(NamedTuple):
    """A column whose cells are a field of the profile."""

    field: str
    kind: FieldKind
    header: str


def field_column(text: str) -> FieldColumn:
    """The column of ``FIELD=HEADER`` or ``FIELD:KIND=HEADER``. Raises ``ValueError`` with what would be right."""
    name, _, header = text.partition("=")
    field, _, kind = name.partition(":")
    if not header.strip() or not _FIELD.fullmatch(field) or (kind or FieldKind.TEXT) not in {*FieldKind}:
        raise ValueError(f"write FIELD=HEADER or FIELD:KIND=HEADER; a kind is one of {', '.join(FieldKind)}")
    return FieldColumn(field, FieldKind(kind or FieldKind.TEXT), header)


def profiles_of(files: Sequence[ExportFile], columns: Sequence[FieldColumn]) -> dict[str, Profile]:
    """The profiles of the people of one export, by mailbox. Of several rows of a person the first that says so counts.

    Raises:
        ConfigError: a column is in none of the files, or a cell is not of the column's kind.
    """
    found: dict[str, Profile] = {}
    problems: list[Problem] = []
    for column in columns:
        places = [(file, _place(file, column)) for file in files]
        if all(place is None for _, place in places):
            known = ", ".join(f"`{name}`" for file in files for name in file.table.header)
            wanted = f"one of {known}"
            problems.append(
                Problem(str(files[0].path), f"--profile {column.field}", f"no column `{column.header}`", wanted)
            )
        for file, place in places:
            for mailbox, row in _rows(file) if place is not None else ():
                try:
                    value = _value(row.cells[place or 0], column)
                except ValueError as error:
                    problems.append(Problem(f"{file.path}:{row.line}", column.header, str(error), _wanted(column)))
                    continue
                own = found.setdefault(mailbox, {})
                own[column.field] = own.get(column.field, "") if own.get(column.field, "") != "" else value
    if problems:
        raise ConfigError(problems[:MAX_PROBLEMS])
    return found


def _place(file: ExportFile, column: FieldColumn) -> int | None:
    names = [column_of(name) for name in file.table.header]
    wanted = column_of(column.header)
    return names.index(wanted) if wanted in names else None


def _rows(file: ExportFile) -> Iterator[tuple[str, ImportRow]]:
    rows = {row.line: row for row in file.table.rows}
    for person in file.people:
        yield mailbox_key(person.address), rows[person.line]


def _value(cell: str, column: FieldColumn) -> Any:
    """The value of a cell, without addresses and tokens; an empty text where it holds none."""
    said = cell.strip()
    if said.lower() in _EMPTY:
        return ""
    if column.kind is FieldKind.NUMBER:
        return _number(in_ascii(said))
    value = masked_text(said) if column.kind is FieldKind.TEXT else flag_of(said)
    if value is None:
        raise ValueError("neither yes nor no")
    try:
        check_properties({column.field: value})
    except BadInput as error:
        raise ValueError(error.detail) from None
    return value


def _number(said: str) -> int | float:
    if not _NUMBER.fullmatch(said):
        raise ValueError("no number")
    return float(said) if "." in said else int(said)


def _wanted(column: FieldColumn) -> str:
    if column.kind is FieldKind.TEXT:
        return "a shorter text without control characters"
    example = "1204 or 12.50" if column.kind is FieldKind.NUMBER else "yes or no, 1 or 0"
    return f"{example}, or an empty cell; or import it as text: `--profile {column.field}={column.header}`"
