"""The people of an export file: whom each row names, and what it says of their consent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from cli.importing.addresses import NotAnAddress, mailbox_of, plain_text
from cli.importing.column_consent import forbidden_of, told_by, told_by_values
from cli.importing.consent import (
    LEFT,
    SURE_WORDS,
    ListStatus,
    Meaning,
    flag_of,
    gravest,
    is_date,
    is_nothing,
    meaning_of,
    status_of,
    time_of,
)
from cli.importing.formats import ADDRESS_LIST, ExportFormat, format_of, whole_of
from cli.importing.tables import (
    BadRow,
    ImportRow,
    ImportTable,
    NotATable,
    column_of,
    decoded,
    older_encoding,
    read_table,
    words_of,
)
from contracts.errors import ConfigError, Problem
from contracts.tokens import is_address


def _order(text: str) -> dict[str, int]:
    return {column_of(header): place for place, header in enumerate(text.split(","))}


ADDRESSES: Final = _order(
    "email,email address,e-mail-adresse,e-mail,subscriber,subscriber email,subscriber email address,contact email,"
    "primary email,email addresses,mail,mail address,mailaddress,subscribed addresses,subscribed address,"
    "email address - other,email address - home,email address - work,email 1,email1,user email,customer email,"
    "member email,email id,mailadresse,email-adresse,e-mail adresse,adresse e-mail,adresse email,adresse de messagerie,"
    "adresse électronique,courriel,adresse courriel,correo,correo electrónico,dirección de correo electrónico,"
    "dirección de correo,dirección de email,email del contacto,indirizzo email,indirizzo e-mail,posta elettronica,"
    "indirizzo di posta elettronica,endereço de email,endereço de e-mail,correio eletrônico,correio electrónico,"
    "e-mailadres,emailadres,mailadres,e-postadress,e-post,epost,e-mailadresse,e-postadresse,sähköposti,"
    "sähköpostiosoite,adres e-mail,adres email,poczta elektroniczna,e-mailová adresa,emailová adresa,email cím,"
    "e-mail cím,adresă de email,adresa de email,e-posta,e-posta adresi,электронная почта,адрес электронной почты,"
    "эл. почта,почта,имейл,емейл,електронна пошта,メールアドレス,eメール,メール,電子メール,Eメールアドレス,邮箱,"
    "电子邮件,电子邮箱,邮件地址,邮箱地址,電子郵件,電子郵件地址,电子邮件地址,이메일,이메일 주소,전자우편,"
    "البريد الإلكتروني,דואר אלקטרוני,ηλεκτρονικό ταχυδρομείο,address"
)
"""Columns of addresses; where a file has several, the first that a row fills. ``address`` is last: it is the street's,
where there is another."""
NAMES: Final = _order(
    "name,full name,fullname,display name,subscriber name,contact name,vollständiger name,nom complet,nombre completo,"
    "nome completo,nome e cognome,volledige naam,naam,имя и фамилия,氏名,名前,姓名,이름"
)
FIRST_NAMES: Final = _order(
    "first name,firstname,first_name,fname,given name,forename,vorname,prénom,nombre,nome,voornaam,förnamn,fornavn,"
    "fornamn,etunimi,imię,jméno,ad,имя,ім'я,名"
)
LAST_NAMES: Final = _order(
    "last name,lastname,last_name,lname,surname,family name,nachname,familienname,nom,nom de famille,apellido,"
    "apellidos,cognome,sobrenome,apelido,achternaam,efternamn,etternavn,efternavn,sukunimi,nazwisko,příjmení,soyad,"
    "фамилия,прізвище,姓"
)


class Role(StrEnum):
    """What ``--column ROLE=HEADER`` names."""

    ADDRESS = "address"
    NAME = "name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    STATUS = "status"
    LEFT_AT = "left_at"


_VOCABULARY: Final[Mapping[Role, Mapping[str, int]]] = {
    Role.ADDRESS: ADDRESSES,
    Role.NAME: NAMES,
    Role.FIRST_NAME: FIRST_NAMES,
    Role.LAST_NAME: LAST_NAMES,
}


class FilePerson(NamedTuple):
    """A person of a file. ``left_at_ms``: when they left, where the file tells."""

    line: int
    address: str
    name: str
    status: ListStatus
    left_at_ms: int | None = None


class _Statement(NamedTuple):
    """A column that tells of consent."""

    place: int
    meaning: Meaning
    status: ListStatus


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a file tells what. ``told_by_values``: whose cells alone give them away as a status."""

    address: tuple[int, ...]
    name: int | None = None
    first_name: int | None = None
    last_name: int | None = None
    statements: tuple[_Statement, ...] = ()
    told_by_values: tuple[int, ...] = ()
    leaving_time: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file, read and judged. ``used``: header → what is taken from it, for a preview."""

    path: Path
    format: ExportFormat
    table: ImportTable
    columns: Columns
    whole: ListStatus | None
    people: list[FilePerson] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def used(self) -> dict[str, str]:
        """Header → what is taken from that column."""
        own = self.columns
        found = dict.fromkeys(own.address, "address")
        for role in (Role.NAME, Role.FIRST_NAME, Role.LAST_NAME):
            place = getattr(own, role.value)
            if place is not None:
                found[place] = role.value
        found |= {
            each.place: f"{each.meaning} of leaving" if each.meaning is Meaning.TIME else "status"
            for each in own.statements
        }
        found |= dict.fromkeys(own.told_by_values, "status, by what stands in it")
        found |= dict.fromkeys(own.leaving_time, "time of leaving")
        return {self.table.header[place]: told for place, told in sorted(found.items())}


def read_export(
    path: Path,
    chosen: Mapping[Role, Sequence[str]] | None = None,
    *,
    everybody: ListStatus | None = None,
    encoding: str | None = None,
) -> ExportFile:
    """Read the people of one file.

    Args:
        path: The file.
        chosen: Headers for roles, instead of those that would be found; an empty header: there is no such column.
        everybody: What everybody in the file is, whatever it says.
        encoding: Where the file's own is not told rightly.

    Raises:
        ConfigError: the file is no table, or has no column of addresses.
    """
    chosen = chosen or {}
    wanted = {column_of(header) for header in chosen.get(Role.ADDRESS, ())}
    data = path.read_bytes()
    try:
        if encoding is None and decoded(data)[1] == "windows-1252":
            encoding = older_encoding(data, _has_meaning)
        table = read_table(data, lambda column: column in ADDRESSES or column in wanted, encoding=encoding)
    except NotATable as error:
        raise ConfigError([Problem(str(path), "", str(error), "a CSV file in UTF-8, UTF-16 or Windows-1252")]) from None
    kind = format_of(table.header) if table.has_header else ADDRESS_LIST
    columns = _columns_of(path, table, kind, chosen)
    whole = everybody or kind.whole
    if whole is None and all(each.meaning in {Meaning.FILLED, Meaning.TIME} for each in columns.statements):
        whole = whole_of(path.name)
    found = ExportFile(path, kind, table, columns, whole, bad=list(table.bad))
    for row in table.rows:
        try:
            found.people.append(_person(row, found))
        except NotAnAddress as error:
            found.bad.append(BadRow(row.line, str(error)))
    found.bad.sort()
    return found


def _has_meaning(cell: str) -> bool:
    """Return whether a text is a header or a status in words that are known."""
    column, said = column_of(cell), words_of(cell)
    is_header = meaning_of(cell) is not None or any(column in each for each in _VOCABULARY.values())
    return is_header or said in SURE_WORDS or status_of(cell) is not ListStatus.UNCLEAR


def _columns_of(path: Path, table: ImportTable, kind: ExportFormat, chosen: Mapping[Role, Sequence[str]]) -> Columns:
    places = {role: _places(path, table, role, chosen) for role in _VOCABULARY}
    if not places[Role.ADDRESS]:
        raise ConfigError([_no_address(path, table)])
    taken = {place for role in places for place in places[role][: None if role is Role.ADDRESS else 1]}
    statements = _statements(path, table, kind, chosen, taken)
    stated = (
        taken
        | {each.place for each in statements}
        | {place for place, header in enumerate(table.header) if column_of(header) in kind.ignored}
    )
    first, last, name = (places[role] for role in (Role.FIRST_NAME, Role.LAST_NAME, Role.NAME))
    by_values = () if _named(chosen, Role.STATUS) is not None else told_by_values(table, stated)
    return Columns(
        address=tuple(places[Role.ADDRESS]),
        name=name[0] if name else None,
        first_name=first[0] if first else None,
        last_name=last[0] if last else None,
        statements=statements,
        told_by_values=by_values,
        leaving_time=tuple(
            place for place, header in enumerate(table.header) if column_of(header) in kind.leaving_time
        ),
    )


def _named(chosen: Mapping[Role, Sequence[str]], role: Role) -> list[str] | None:
    """The headers chosen for a role, the empty one left out; None where none was chosen."""
    return [header for header in chosen[role] if header.strip()] if role in chosen else None


def _places(path: Path, table: ImportTable, role: Role, chosen: Mapping[Role, Sequence[str]]) -> list[int]:
    named = _named(chosen, role)
    if named is not None:
        return [_place_of(path, table, role, header) for header in named]
    if not table.has_header:
        return (
            [place for place, cell in enumerate(table.rows[0].cells) if "@" in cell][:1]
            if _is_address(role, table)
            else []
        )
    known = _VOCABULARY[role]
    found = [
        (known[column], place) for place, header in enumerate(table.header) if (column := column_of(header)) in known
    ]
    return [place for _, place in sorted(found)]


def _is_address(role: Role, table: ImportTable) -> bool:
    return role is Role.ADDRESS and bool(table.rows)


def _place_of(path: Path, table: ImportTable, role: Role, header: str) -> int:
    for place, name in enumerate(table.header):
        if column_of(name) == column_of(header):
            return place
    known = ", ".join(f"`{name}`" for name in table.header)
    raise ConfigError([Problem(str(path), f"--column {role}", f"no column `{header}`", f"one of {known}")])


def _statements(
    path: Path, table: ImportTable, kind: ExportFormat, chosen: Mapping[Role, Sequence[str]], taken: set[int]
) -> tuple[_Statement, ...]:
    status, left_at = _named(chosen, Role.STATUS), _named(chosen, Role.LEFT_AT)
    found: dict[int, _Statement] = {}
    for place, header in enumerate(table.header if table.has_header else ()):
        column = column_of(header)
        if place in taken or column in kind.ignored or (told := told_by(table, place, kind)) is None:
            continue
        if (left_at if told[0] is Meaning.TIME else status) is None:
            found[place] = _Statement(place, *told)
    for names, meaning, is_what in (
        (status, Meaning.STATUS, ListStatus.ACTIVE),
        (left_at, Meaning.TIME, ListStatus.UNSUBSCRIBED),
    ):
        for header in names or ():
            place = _place_of(path, table, Role.STATUS, header)
            known = meaning_of(header)
            found[place] = _Statement(place, *(known if known and known[0] is not Meaning.TIME else (meaning, is_what)))
    return tuple(found[place] for place in sorted(found))


def _no_address(path: Path, table: ImportTable) -> Problem:
    likely = [
        name for place, name in enumerate(table.header) if any("@" in row.cells[place] for row in table.rows[:100])
    ]
    wanted = f"say which: `--column address={likely[0] if likely else 'HEADER'}`"
    shown = ", ".join(f"`{name}`" for name in table.header[:30])
    return Problem(f"{path}:1", "", f"no column of addresses among {shown}", wanted)


def _person(row: ImportRow, file: ExportFile) -> FilePerson:
    columns = file.columns
    filled = [row.cells[place] for place in columns.address if not is_nothing(row.cells[place])]
    if not file.table.has_header and sum(is_address(cell) for cell in row.cells) > 1:
        raise NotAnAddress("more than one address")
    mailbox = mailbox_of(filled[0] if filled else "")
    status, left_at_ms = _status(row, file)
    return FilePerson(row.line, mailbox.address, _name(row, columns) or mailbox.name, status, left_at_ms)


def _name(row: ImportRow, columns: Columns) -> str:
    def cell(place: int | None) -> str:
        return "" if place is None else plain_text(row.cells[place])

    first = cell(columns.first_name)
    if columns.first_name is not None and columns.name is not None:
        return cell(columns.name) or " ".join(filter(None, (first, cell(columns.last_name))))
    # A name beside a last name alone is the first one.
    return " ".join(filter(None, (cell(columns.name), first, cell(columns.last_name))))


def _status(row: ImportRow, file: ExportFile) -> tuple[ListStatus, int | None]:
    statements = file.columns.statements
    times = [
        (each.status, time_of(row.cells[each.place]))
        for each in statements
        if each.meaning is Meaning.TIME and not is_nothing(row.cells[each.place])
    ]
    words = [word for each in statements if (word := _said(each, row.cells[each.place])) is not None]
    states = [each for each in statements if each.meaning is Meaning.STATUS]
    told = [status_of(row.cells[each.place], file.format.words) for each in states if row.cells[each.place].strip()]
    if states and not told:
        told = [ListStatus.UNCLEAR]
    by_values = [row.cells[place] for place in file.columns.told_by_values]
    said = [*words, *told, *(status_of(cell) for cell in by_values if words_of(cell) in SURE_WORDS)]
    if file.whole is not None:
        said.append(file.whole)
    if ListStatus.ACTIVE not in told:
        said += [status for status, _ in times]
    status = gravest(said)
    return status, _left_at(row, file, times) if status in LEFT else None


def _said(statement: _Statement, cell: str) -> ListStatus | None:
    """Return the meaning of a cell whose column is neither status nor time; None: it has none."""
    match statement.meaning:
        case Meaning.LEAVING:
            flag = True if is_date(cell) else forbidden_of(cell)
            return ListStatus.UNCLEAR if flag is None else statement.status if flag else None
        case Meaning.NEEDED:
            return statement.status if flag_of(cell) is False and cell.strip() else None
        case Meaning.JOINING:
            flag = flag_of(cell) if cell.strip() else None
            return ListStatus.UNCLEAR if flag is None else ListStatus.ACTIVE if flag else ListStatus.UNSUBSCRIBED
        case Meaning.FILLED if not is_nothing(cell):
            told = status_of(cell)
            return told if told in {*LEFT, ListStatus.UNDELIVERABLE} else statement.status
        case _:
            return None


def _left_at(row: ImportRow, file: ExportFile, times: Sequence[tuple[ListStatus, int | None]]) -> int | None:
    told = [at_ms for _, at_ms in times if at_ms is not None]
    told += [at_ms for place in file.columns.leaving_time if (at_ms := time_of(row.cells[place])) is not None]
    return told[0] if told else None


def unclear_words(file: ExportFile) -> dict[str, list[str]]:
    """Header → the words in that status column that say nothing known, the most frequent first, ten at most."""
    found: dict[str, list[str]] = {}
    for each in file.columns.statements:
        if each.meaning is Meaning.STATUS:
            cells = Counter(row.cells[each.place].strip() for row in file.table.rows)
            unclear = [
                cell for cell, _ in cells.most_common() if status_of(cell, file.format.words) is ListStatus.UNCLEAR
            ]
            if unclear:
                found[file.table.header[each.place]] = [plain_text(cell)[:40] for cell in unclear[:10]]
    return found
