"""What a column of an export tells of consent: by its name, and by its cells where the name alone does not say."""

from __future__ import annotations

import re
from typing import Final

from cli.importing.consent import (
    AMBIGUOUS,
    FLAGS,
    LEAVING,
    SURE_WORDS,
    WORDS,
    ListStatus,
    Meaning,
    flag_of,
    is_date,
    is_nothing,
    meaning_of,
    status_of,
)
from cli.importing.formats import ExportFormat
from cli.importing.tables import ImportTable, column_of, unaccented, words_of

FORBIDDEN: Final = {"do not allow": True, "allow": False}
"""Cells of a column that is named for what is forbidden (``Do not allow Bulk Emails``), in words of its own."""
HEADER_STEMS: Final = (
    (ListStatus.COMPLAINED, r"complain|complaint|\bspam (?:report|mark)|mark(?:ed)? (?:as )?spam|^(?:is )?spam$"),
    (ListStatus.BLOCKED, r"\bblock|blacklist|suppress|banned|gesperrt|liste noire|lista negra|geblokkeerd|заблок|屏蔽"),
    (
        ListStatus.UNSUBSCRIBED,
        LEAVING + r"|opt(?:ed|s)? ?out|do ?not ?(?:allow ?)?(?:bulk ?)?(?:e ?mail|mail|contact)|\bdn[ce]\b|austrag|"
        r"cancellazion|uitschrijf|afmeld|frameld|rezygnac|отпис|відпис",
    ),
    (ListStatus.UNDELIVERABLE, r"hard ?bounce|undeliver|unzustellbar|nicht zustellbar|\bbounced\b|^invalid$"),
)
"""Parts of a column's name, of which it tells who left: where nothing stands in it but yes and no, or dates."""
_HEADER_STEMS: Final = tuple((status, re.compile(unaccented(stems))) for status, stems in HEADER_STEMS)
_DENIED: Final = re.compile(r"\b(?:not|never|nicht|non|pas) (?:unsub|opt|bounc|block|complain|suppress|spam|abge)")


def told_by(table: ImportTable, place: int, kind: ExportFormat) -> tuple[Meaning, ListStatus] | None:
    """Return what a column tells of consent, by its name and, where that alone does not say, by its cells."""
    header = table.header[place]
    told, column = meaning_of(header), column_of(header)
    if told is None:
        status = leaving_named(header)
        return None if status is None else _leaving(table, place, status)
    if column in AMBIGUOUS and not _is_status(table, place, kind):
        return None
    if column in FLAGS and not _is_flag(table, place):
        return (Meaning.STATUS, ListStatus.ACTIVE) if _is_all_status(table, place, kind) else None
    return told


def _leaving(table: ImportTable, place: int, status: ListStatus) -> tuple[Meaning, ListStatus] | None:
    """Return what a column that is named for a leaving tells: dates of it, or yes and no; None: something else."""
    cells = [cell for row in table.rows if not is_nothing(cell := row.cells[place])]
    if not cells:
        return None
    if all(is_date(cell) for cell in cells):
        return Meaning.TIME, status
    is_flag = all(forbidden_of(cell) is not None or is_date(cell) for cell in cells)
    return (Meaning.LEAVING, status) if is_flag else None


def _is_all_status(table: ImportTable, place: int, kind: ExportFormat) -> bool:
    """Return whether every cell of a column that is not empty can be read as a status."""
    cells = [cell for row in table.rows if (cell := row.cells[place]).strip()]
    return bool(cells) and all(status_of(cell, kind.words) is not ListStatus.UNCLEAR for cell in cells)


def _is_status(table: ImportTable, place: int, kind: ExportFormat) -> bool:
    """Return whether a column that may be a status is one: some cell is a known word, or half of them can be read."""
    known = {**WORDS, **kind.words}
    cells = [cell for row in table.rows if words_of(cell := row.cells[place])]
    if any(words_of(cell) in known or words_of(cell) in SURE_WORDS for cell in cells):
        return True
    read = sum(status_of(cell, kind.words) is not ListStatus.UNCLEAR for cell in cells)
    return 0 < len(cells) <= 2 * read


def _is_flag(table: ImportTable, place: int) -> bool:
    """Return whether nothing but yes and no stands in a column, and something does."""
    cells = [cell for row in table.rows if (cell := row.cells[place]).strip()]
    return bool(cells) and all(flag_of(cell) is not None for cell in cells)


def told_by_values(table: ImportTable, stated: set[int]) -> tuple[int, ...]:
    """Return the columns of any name of which a cell alone tells of a leaving."""
    places = [place for place in range(len(table.header)) if place not in stated]
    return tuple(place for place in places if any(words_of(row.cells[place]) in SURE_WORDS for row in table.rows))


def leaving_named(header: str) -> ListStatus | None:
    """Return what a column of a name that nobody knows may tell of a leaving, by parts of it; None: nothing."""
    said = words_of(header)
    if _DENIED.search(said):
        return None
    return next((status for status, stem in _HEADER_STEMS if stem.search(said)), None)


def forbidden_of(cell: str) -> bool | None:
    """Return the value of a cell of a column that is named for what is forbidden, or for a leaving."""
    said = words_of(cell)
    return FORBIDDEN[said] if said in FORBIDDEN else flag_of(cell)
