"""A file of rows, whatever wrote it: its encoding, its delimiter, its header, and the rows that are none."""

from __future__ import annotations

import csv
import io
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contracts.numerals import in_ascii
from contracts.plurals import counted
from contracts.tokens import is_address

DELIMITERS: Final = (",", ";", "\t", "|")
SEPARATOR_LINE: Final = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
"""A first line by which Excel learns the delimiter."""
MAX_TITLE_LINES: Final = 10
"""Within which a header stands, below a report's title and what it says of itself."""
MAX_SNIFFED: Final = 4_096
MOSTLY: Final = 3
"""A text with more signs beyond ASCII than so many for each broken one is UTF-8 all the same: by chance no other is."""
OLDER: Final = (
    "windows-1250",
    "windows-1251",
    "koi8-r",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "mac_roman",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
)
"""Encodings from before UTF-8. Which of them a file is in only its words tell."""
MAX_WORDS_SOUGHT: Final = 65_536
"""Bytes of a file's beginning in which words are looked for."""


class NotATable(ValueError):
    """A file whose rows cannot be read. The text says why."""


class ImportRow(NamedTuple):
    """The cells of one row; those that the header has and the row has not are empty. ``line``: where it begins."""

    line: int
    cells: tuple[str, ...]


class BadRow(NamedTuple):
    """A row that is left out, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportTable:
    """A file, read. ``header``: its columns' names, or their numbers where it has none."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    has_header: bool
    rows: list[ImportRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def words_of(text: str) -> str:
    """A text in the form in which statuses are compared: lower case, no accents, words, ASCII digits, single blanks."""
    return " ".join(re.findall(r"\w+", in_ascii(unaccented(text)).replace("_", " ")))


def unaccented(text: str) -> str:
    """A text in lower case without accents, nor the marks that other scripts have for them."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return unicodedata.normalize("NFKC", bare)


def column_of(header: str) -> str:
    """A header in the form in which columns are compared: :func:`words_of` without blanks (``E-Mail`` is ``email``)."""
    return words_of(header).replace(" ", "")


def decoded(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text of a file and the encoding it was in: UTF-8, UTF-16 or Windows-1252, unless ``encoding`` names one.

    Raises :class:`NotATable`.
    """
    name = encoding or _encoding_of(data)
    try:
        return data.decode(name), name
    except (UnicodeDecodeError, LookupError):
        if encoding is None and name == "utf-8":
            text = data.decode("utf-8", errors="replace")
            beyond, broken = len(text) - len(text.encode("ascii", errors="ignore")), text.count("\ufffd")
            if beyond > MOSTLY * broken:
                return text, name
            # NOTE: five bytes mean nothing in Windows-1252; an address that holds one is refused, a name shows it.
            return data.decode("cp1252", errors="replace"), "windows-1252"
        raise NotATable(f"cannot be read as {name}") from None


def _encoding_of(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = data[0:MAX_SNIFFED:2], data[1:MAX_SNIFFED:2]
    if odd.count(0) > len(odd) // 2:
        return "utf-16-le"
    if even.count(0) > len(even) // 2:
        return "utf-16-be"
    return "utf-8"


def older_encoding(data: bytes, is_known: Callable[[str], bool]) -> str | None:
    """The encoding of a file from before UTF-8, by what can be read in it.

    Args:
        data: The file's bytes, which are no UTF-8.
        is_known: Whether a cell, or a header, is one that has a meaning.

    Returns:
        The one in which most cells beyond ASCII have a meaning; None where that is Windows-1252, or cannot be told.
    """
    sample = data[:MAX_WORDS_SOUGHT].rpartition(b"\n")[0] if len(data) > MAX_WORDS_SOUGHT else data

    def fitness(name: str) -> int:
        text = sample.decode(name, errors="replace")
        cells = {cell for cell in re.split(r"[,;\t|\"\r\n]+", text) if not cell.isascii() and "\ufffd" not in cell}
        # NOTE: of two bytes for a sign the second may have been a delimiter: what ASCII alone says tells nothing.
        return sum(is_known(cell) and not is_known(re.sub(r"[^\0-\x7f]", "", cell)) for cell in cells)

    best = max(("windows-1252", *OLDER), key=fitness)
    try:
        data.decode(best)
    except UnicodeDecodeError:
        return None
    return best if best in OLDER else None


def read_table(data: bytes, is_column: Callable[[str], bool], *, encoding: str | None = None) -> ImportTable:
    """Read a file of rows.

    Args:
        data: The file's bytes.
        is_column: Whether a header (:func:`column_of`) names a column of addresses: tells header and delimiter.
        encoding: Where the file's own is not told rightly.

    Raises:
        NotATable: an empty file, or bytes that are no text.
    """
    text, name = decoded(data, encoding)
    lines = list(io.StringIO(text, newline=""))
    first = next((number for number, line in enumerate(lines) if line.strip("\r\n \t,;")), None)
    if first is None:
        raise NotATable("holds no row")
    told = SEPARATOR_LINE.match(lines[first].strip())
    first += told is not None
    first = _header_of(lines, first, told[1] if told else "", is_column)
    delimiter = told[1] if told else _delimiter_of(lines[first:], is_column)
    header = _cells(lines[first:], delimiter)
    has_header = not any("@" in cell for cell in header) or any(is_column(column_of(cell)) for cell in header)
    if has_header:
        names = tuple(cell.strip() for cell in header)
    else:
        # A list of addresses, one a line, as mailing list managers write them; a name before one may hold a comma.
        delimiter = (
            "" if all("<" in line or delimiter not in line for line in lines[first:] if line.strip()) else delimiter
        )
        names = tuple(str(number + 1) for number in range(len(header) if delimiter else 1))
    table = ImportTable(name, delimiter, names, has_header)
    _read_rows(table, lines, first, skip=has_header)
    return table


def _header_of(lines: Sequence[str], first: int, delimiter: str, is_column: Callable[[str], bool]) -> int:
    """The line of the header: the first of the top that names an address column, below a title and what follows it.

    ``first`` where none does, or people stand above it already.
    """
    for at in range(first, min(first + MAX_TITLE_LINES, len(lines))):
        chosen = delimiter or _delimiter_of(lines[at : at + 1], is_column)
        if any(is_column(column_of(cell)) for cell in _cells(lines[at : at + 1], chosen)):
            return at
        if any(is_address(cell) for cell in _cells(lines[at : at + 1], chosen)):
            break
    return first


def _delimiter_of(lines: Sequence[str], is_column: Callable[[str], bool]) -> str:
    """The delimiter under which the first row names an address column, and has the most cells."""

    def fitness(delimiter: str) -> tuple[bool, int]:
        cells = _cells(lines, delimiter)
        return any(is_column(column_of(cell)) for cell in cells), len(cells)

    return max(DELIMITERS, key=fitness)


def _cells(lines: Sequence[str], delimiter: str) -> list[str]:
    return next(csv.reader(lines, delimiter=delimiter), [])


def _read_rows(table: ImportTable, lines: Sequence[str], first: int, *, skip: bool) -> None:
    csv.field_size_limit(sys.maxsize)
    at, width = first, len(table.header)
    while at < len(lines):
        for begin, end, cells in _records(lines, at, table.delimiter):
            at = end
            if skip:
                skip = False
            elif end == len(lines) and _is_open(lines[begin:end], table.delimiter):
                table.bad.append(BadRow(begin + 1, "a quote is opened and never closed"))
                at = begin + 1
                break
            elif any(cell.strip() for cell in cells):
                _add(table, begin, end, cells, width)
        else:
            return


def _add(table: ImportTable, begin: int, end: int, cells: list[str], width: int) -> None:
    if any(cell.strip() for cell in cells[width:]):
        lines = f" (lines {begin + 1} to {end})" if end > begin + 1 else ""
        table.bad.append(BadRow(begin + 1, f"{counted(len(cells), 'cell')}, the header has {width}{lines}"))
        return
    padded = (*cells[:width], *[""] * (width - len(cells)))
    table.rows.append(ImportRow(begin + 1, padded))


def _records(lines: Sequence[str], at: int, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Each record from a line on: the first line it has, the one after its last, its cells."""
    if not delimiter:
        yield from ((number, number + 1, [lines[number].strip()]) for number in range(at, len(lines)))
        return
    reader = csv.reader(lines[at:] if at else lines, delimiter=delimiter)
    begin = at
    for cells in reader:
        end = at + reader.line_num
        yield begin, end, cells
        begin = end


def _is_open(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether the last record of a file ends within a quoted cell."""
    if not delimiter or '"' not in "".join(lines):
        return False
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False
