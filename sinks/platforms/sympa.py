"""Sympa on this machine: its command line changes lists, its database (SQLite) says who is in which.

Kept apart here: ``add`` costs 160 ms a person, mails a welcome and forgets how people get their mail, so people are put
in by ``dump`` and ``restore``, which keep it and mail nobody. ``restore`` says the same whatever became of each person,
and the exit code 1 of ``del`` is of one line, so the database is asked after each call. Who unsubscribed stands in
``stat_table`` alone, for as long as Sympa keeps its statistics: whoever Segma put in or saw and is gone has left as
well. A closed list would take members without a word: it is as one that is not there. The command line asks no
scenario, so whoever is in no list yet enters none past its owner.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, Field

from contracts.installation import DurationMs
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, NoSuchList, Right, Traits, Trouble
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import safe_words
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind
from sinks.toolkit.platform import ListGone, ListRefused, NoOptIn, One, PersonFault
from sinks.toolkit.programs import Run, program
from transport.foreign import Ask, ForeignDatabaseAway, reading

BATCH: Final = 200
"""People of one call, which costs most of a second whatever it holds."""
NOT_SYMPAS_USER: Final = 13
LIST_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._+-]{0,49}")
PARAGRAPH: Final = re.compile(r"\n[ \t]*\n")
ORIGIN: Final = frozenset({"subscribed", "included", "inclusion", "inclusion_ext", "inclusion_label"})
"""Of a member of a dump: whether a data source has brought them, which is that list's business alone."""
NEWSLETTER: Final = "news-letter"
HIDDEN: Final = {"visibility noconceal": "visibility conceal", "web_access public": "web_access private"}
"""A newsletter that Segma makes: its name and its archive are for nobody but its owner; it has digests."""
DIGESTS: Final = frozenset({"digest", "digestplain", "summary"})
"""Of a list without a time of digests their members get nothing."""
DIGESTED: Final = "\ndigest 1,4 13:26\n"
MEMBERSHIPS: Final = (
    "SELECT list_subscriber, coalesce(reception_subscriber, 'mail') FROM subscriber_table"
    " WHERE robot_subscriber = ? AND user_subscriber = ?"
)
MEMBERS: Final = (
    "SELECT user_subscriber, coalesce(comment_subscriber, '') FROM subscriber_table"
    " WHERE robot_subscriber = ? AND list_subscriber = ? ORDER BY user_subscriber"
)
COMINGS: Final = (
    "SELECT list_stat, operation_stat FROM stat_table WHERE robot_stat = ? AND email_stat = ?"
    " AND operation_stat IN ('signoff', 'del', 'auto_del', 'add_or_subscribe') ORDER BY date_stat, rowid"
)
EXCLUDED: Final = "SELECT list_exclusion FROM exclusion_table WHERE robot_exclusion = ? AND user_exclusion = ?"


class SympaOptions(BaseModel):
    """``domain``: of the lists. ``owner``: the address of the owner of lists that are made. ``database``: the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str
    owner: str
    database: Path
    lists: Path = Path("/var/lib/sympa/list_data")
    command: tuple[str, ...] = Field(default=("sympa",), min_length=1)
    """What runs Sympa's command line; it needs to be root or Sympa's own user."""
    template: str = NEWSLETTER
    """What lists are made from: one of Sympa's, or of your own in ``create_list_templates``."""
    timeout: DurationMs = 300_000
    """How long one command may take."""


def make(options: SympaOptions, around: Around) -> ListSink:
    """The sink of an account."""
    run = program(options.command, options.timeout / 1_000)
    return ListSink(Sympa(run, options), strangers=around.strangers, known=around.known)


def list_name_of(name: str) -> str:
    """Sympa's name of a list: its own where it can be one, else a readable part and six digits of its hash."""
    if LIST_NAME.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "list"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


class Sympa(NoOptIn):
    """The calls. ``run``: of Sympa's command line."""

    traits = Traits(batch=BATCH, shows_all=True)
    most = BATCH
    overwrites = False
    numbers = False

    def __init__(self, run: Run, options: SympaOptions) -> None:
        self._run, self._options, self._domain = run, options, options.domain

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Every list that each person is in or left, from the database."""
        asked = {*lists, *(name for change in changes for name in change.expected_in)}
        names = {list_name_of(name): name for name in asked}
        with self._database() as ask:
            return [self._seen(ask, change, names) for change in changes]

    def _seen(self, ask: Ask, change: Change, names: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        if address.startswith("#") or any(sign.isspace() for sign in address):
            return Trouble(Reason.BAD_ADDRESS, Fate.LASTING, "more than one word in a line of Sympa's")
        modes = {names.get(each, each): mode for each, mode in ask(MEMBERSHIPS, self._domain, address)}
        excluded = {names.get(each, each) for (each,) in ask(EXCLUDED, self._domain, address)} - {*change.taken_out}
        last = {names.get(each, each): operation for each, operation in ask(COMINGS, self._domain, address)}
        left = {each for each, operation in last.items() if operation == "signoff"} | excluded
        known = bool(modes or left or change.met)
        entering = [name for name in change.add if name not in modes]
        guarded = not known and any(self._is_guarded(name) for name in entering)
        source = _source(change, modes)
        return Seen(
            address,
            lists=frozenset(modes),
            left=frozenset(left - {*modes}),
            paused=bool(source) and not all(self._takes(name, modes[source]) for name in entering),
            elsewhere=False,
            refusal=Reason.MODERATED if guarded else None,
            never_there=not known,
        )

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A member is an address: there is nothing to make before."""
        return [normalised_address(change.address) for change in changes]

    def exists(self, list_name: str) -> bool:
        """Whether there is such a list, and it is open."""
        return self._setting(list_name, "status") == "open"

    def id_of(self, list_name: str) -> str:
        """Its name: a list made anew has it again."""
        return list_name_of(list_name) if self.exists(list_name) else ""

    def forget(self, list_name: str) -> None:
        """Nothing is remembered."""

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people in as they are in the list that they come from."""
        if not self.exists(list_name):
            self._make(list_name)
        kept = self._dumped(people)
        texts = [kept.get(one.person) or _paragraph(one) for one in people]
        self._write(self._folder(list_name) / "member.dump", "\n\n".join(texts) + "\n")
        self._ask("restore", "--roles=member", self._address(list_name))
        there = self._inside(list_name, people)
        again = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "restored, and no member")
        return [None if one.person in there else again for one in people]

    def _dumped(self, people: Sequence[One]) -> dict[str, str]:
        """How people are in the lists that they come from, by address: one dump a list."""
        sources: dict[str, set[str]] = {}
        for one in people:
            source = _source(one.change, one.seen.lists)
            if source and self.exists(source):
                sources.setdefault(source, set()).add(one.person)
        found: dict[str, str] = {}
        for source, addresses in sources.items():
            self._ask("dump", "--roles=member", self._address(source))
            try:
                text = (self._folder(source) / "member.dump").read_text("utf-8", "surrogateescape")
            except OSError as error:
                raise _unreachable(error) from None
            found |= _paragraphs(text, addresses)
        return found

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out, quietly: no mail to them, none to the owners."""
        if not self.exists(list_name):
            raise ListGone
        lines = "".join(f"{one.person}\n" for one in people)
        self._ask("del", "--quiet", self._address(list_name), given=lines)
        there = self._inside(list_name, people)
        still = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "taken out, and a member still")
        return [still if one.person in there else None for one in people]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """There are no fields: the token goes into mails before they reach Sympa."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def members(self, list_name: str) -> Iterator[Member]:
        """Everybody in the list, those too whom it does not show."""
        if not list_name or not self.exists(list_name):
            raise NoSuchList(list_name, self._known())
        with self._database() as ask:
            found = ask(MEMBERS, self._domain, list_name_of(list_name))
        yield from (Member(address, name) for address, name in found)

    def rights(self) -> Iterator[Right]:
        """Each tried without changing anything: a dump of a list that nobody has."""
        try:
            with self._database() as ask:
                found = ask("SELECT count(*) FROM subscriber_table")
            yield Right("reading the database", bool(found))
        except Halt as halt:
            yield Right("reading the database", False, halt.trouble.answer)
        code = self._run(["dump", "--roles=member", f"segma-tries-this@{self._domain}"], "").code
        yield Right("running sympa", code in {0, 1}, "root, or Sympa's own user")
        yield Right("writing the lists' folders", os.access(self._base(), os.W_OK), "root, or Sympa's own user")
        yield Right("mails", None, "a move sends none: neither to members nor to owners")

    def close(self) -> None:
        """Nothing is held."""

    # The lists' folders

    def _base(self) -> Path:
        """Where the domain's lists are: the first domain's may be without a folder of its own."""
        own = self._options.lists / self._domain
        return own if own.is_dir() else self._options.lists

    def _folder(self, list_name: str) -> Path:
        return self._base() / list_name_of(list_name)

    def _address(self, list_name: str) -> str:
        return f"{list_name_of(list_name)}@{self._domain}"

    def _known(self) -> list[str]:
        try:
            return sorted(each.parent.name for each in self._base().glob("*/config"))
        except OSError:
            return []

    def _setting(self, list_name: str, key: str) -> str:
        """A line of the list's settings; empty where there is no such list."""
        lines = self._config(list_name).splitlines()
        return next((line.partition(" ")[2].strip() for line in lines if line.partition(" ")[0] == key), "")

    def _config(self, list_name: str) -> str:
        try:
            return (self._folder(list_name) / "config").read_text("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise _unreachable(error) from None

    def _takes(self, list_name: str, mode: str) -> bool:
        """Whether people get a list's mail in this way too; ``restore`` would put them in in another. One made does."""
        config = self._config(list_name)
        if config and mode in DIGESTS and not self._setting(list_name, "digest"):
            return False
        options = (each for each in PARAGRAPH.split(config) if each.strip().startswith("available_user_options"))
        allowed = re.search(r"(?m)^\s*reception (.+)$", next(options, ""))
        return allowed is None or mode in re.split(r"[,\s]+", allowed[1])

    def _is_guarded(self, list_name: str) -> bool:
        """Whether an owner decides who enters, or nobody does."""
        scenario = self._setting(list_name, "subscribe")
        return "owner" in scenario or scenario.startswith("closed")

    def _make(self, list_name: str) -> None:
        try:
            said = self._created(list_name)
            if not self.exists(list_name):
                raise ListRefused(safe_words(" ".join(line for line in said.splitlines() if "[" in line)))
            if self._options.template == NEWSLETTER:
                path = self._folder(list_name) / "config"
                path.write_text(_hidden(path.read_text("utf-8", "surrogateescape")), "utf-8", "surrogateescape")
        except OSError as error:
            raise _unreachable(error) from None

    def _created(self, list_name: str) -> str:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._options.lists, suffix=".xml") as file:
            file.write(_definition(list_name_of(list_name), list_name, self._options))
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # Sympa's own user reads it; there is nothing secret in it
            return self._ask("create", f"--input_file={Path(file.name).absolute()}", self._domain)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        """Replace a file at once, for Sympa's user to read and for nobody else."""
        temporary = path.with_name(".segma.dump")
        try:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
            temporary.chmod(0o640)
            owner = path.parent.stat()
            if os.geteuid() == 0:
                os.chown(temporary, owner.st_uid, owner.st_gid)
            temporary.replace(path)
        except OSError as error:
            raise _unreachable(error) from None

    # Sympa itself

    def _ask(self, *words: str, given: str = "") -> str:
        """Run a command. What came of it the database says: its exit code 1 may be of a single line."""
        ran = self._run(words, given)
        if ran.code == NOT_SYMPAS_USER:
            raise Halt(Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, "13: neither root nor Sympa's user"))
        if ran.code not in {0, 1}:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"sympa {words[0]} ended with {ran.code}"))
        return ran.said

    @contextmanager
    def _database(self) -> Iterator[Ask]:
        try:
            with reading(self._options.database) as ask:
                yield ask
        except ForeignDatabaseAway as error:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, f"the database: {error}")) from None

    def _inside(self, list_name: str, people: Sequence[One]) -> set[str]:
        """Who of these is in a list now."""
        name = list_name_of(list_name)
        with self._database() as ask:
            return {one.person for one in people if name in dict(ask(MEMBERSHIPS, self._domain, one.person))}


def _source(change: Change, inside: Collection[str]) -> str:
    """The list as whose member somebody comes; empty: they are in none."""
    wanted = (*change.remove, *change.consent_in, *sorted(inside))
    return next((name for name in wanted if name in inside), "")


def _unreachable(error: OSError) -> Halt:
    return Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, f"the lists: {error.strerror or type(error).__name__}"))


def _paragraphs(text: str, addresses: set[str]) -> dict[str, str]:
    """Of a dump's members those with these addresses: how each gets their mail, as a member of their own wish."""
    found = {}
    for paragraph in PARAGRAPH.split(text):
        lines = [line for line in paragraph.strip().splitlines() if line.partition(" ")[0] not in ORIGIN]
        address = next((line.partition(" ")[2] for line in lines if line.startswith("email ")), "")
        if address in addresses:
            found[address] = "\n".join([*lines, "subscribed 1"])
    return found


def _paragraph(one: One) -> str:
    """Somebody who comes from no list: all else is as the list has it."""
    name = " ".join(one.change.name.split())
    return "\n".join([f"email {one.person}", *([f"gecos {name}"] if name else []), "subscribed 1"])


def _definition(name: str, subject: str, options: SympaOptions) -> str:
    """A list to make, as Sympa reads one."""
    words = {"listname": name, "type": options.template, "subject": subject[:100], "description": subject[:100]}
    words |= {"status": "open", "topic": "other", "language": "en"}
    lines = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in words.items())
    return f'<list>{lines}<owner multiple="1"><email>{escape(options.owner)}</email></owner></list>\n'


def _hidden(config: str) -> str:
    """The settings of a list that nobody is shown, and that has digests."""
    for line, instead in HIDDEN.items():
        config = re.sub(rf"(?m)^(\s*){line}$", rf"\g<1>{instead}", config)
    return config + DIGESTED


KIND: Final = Kind(SympaOptions, make)
