"""Sympa's command line, imitated over a database and folders as the real one makes them; and the real one.

As strict as Sympa 6.2.70 was seen to be: ``restore`` passes over what it cannot take and says the same; ``del`` ends
with 1 where one line fails, and does the others; ``del`` without ``--quiet`` and everything that puts in without
``restore`` mails people, so it is an error here. A call of the real one costs a second of CPU: it is run by one test.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sinks.platforms.sympa import SympaOptions
from sinks.toolkit.programs import Ran

ROOT = Path(__file__).resolve().parents[3]
DOMAIN: Final = "lists.example.org"
OWNER: Final = "owner@example.org"
ADDRESS: Final = re.compile(r"[^\s@<>]+@[^\s@<>]+")
TABLES: Final = """
CREATE TABLE subscriber_table (user_subscriber text, list_subscriber text, robot_subscriber text,
  comment_subscriber text, reception_subscriber text, visibility_subscriber text, suspend_subscriber numeric,
  bounce_subscriber text, subscribed_subscriber numeric, inclusion_subscriber integer, date_epoch_subscriber integer,
  PRIMARY KEY (robot_subscriber, user_subscriber, list_subscriber));
CREATE TABLE stat_table (date_stat integer, email_stat text, operation_stat text, list_stat text, robot_stat text);
CREATE TABLE exclusion_table (user_exclusion text, list_exclusion text, robot_exclusion text);
"""
COLUMNS: Final = {
    "email": "user_subscriber",
    "gecos": "comment_subscriber",
    "reception": "reception_subscriber",
    "visibility": "visibility_subscriber",
    "suspend": "suspend_subscriber",
    "bounce": "bounce_subscriber",
    "subscribed": "subscribed_subscriber",
    "inclusion": "inclusion_subscriber",
    "date": "date_epoch_subscriber",
}
"""Key of a dump → column."""


class ImitatedSympa:
    """Lists in a directory."""

    name = "sympa"

    def __init__(self, directory: Path, *, now_s: Callable[[], int] = lambda: int(time.time())) -> None:
        self.lists = directory / "list_data"
        self.lists.mkdir(parents=True)
        self._now_s = now_s
        self.commands: list[str] = []
        """What was run, without addresses."""
        self.faults: list[Ran] = []
        """Instead of the next commands."""
        path = directory / "sympa.sqlite"
        self.options = SympaOptions(domain=DOMAIN, owner=OWNER, database=path, lists=self.lists)
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.executescript(TABLES)

    def run(self, words: Sequence[str], given: str) -> Ran:
        """A command, as the command line runs it."""
        self.commands.append(" ".join(words[:2]))
        if self.faults:
            return self.faults.pop(0)
        command, *options, where = words
        if command == "create":
            return self._create(options, where)
        name, _, domain = where.partition("@")
        if domain != DOMAIN or not (self.lists / name).is_dir():
            return Ran(1, f"Invalid argument '{where}' (list is expected)\n")
        if (command, options) == ("dump", ["--roles=member"]):
            return self._dump(name)
        if (command, options) == ("restore", ["--roles=member"]):
            return self._restore(name)
        if (command, options) == ("del", ["--quiet"]):
            return self._del(name, given)
        raise AssertionError(f"{command} {options} mails people, or is unknown")

    def _create(self, options: Sequence[str], domain: str) -> Ran:
        (option,) = options
        path = Path(option.removeprefix("--input_file="))
        assert path.is_absolute(), "the command line changes its directory first"
        assert domain == DOMAIN
        found = {each.tag: each.text or "" for each in ElementTree.parse(path).getroot()}
        name = found["listname"].lower()
        if (self.lists / name).exists():
            return Ran(1, f"create_list [user] '{name}' list already exists\nCould not create list\n")
        if not re.fullmatch(r"[a-z0-9][a-z0-9\-+._]{0,49}", name) or name.endswith(("-request", "-owner", "-editor")):
            return Ran(1, "create_list [user] incorrect_listname\nCould not create list\n")
        assert all(found[each].strip() for each in ("subject", "type", "topic"))
        (self.lists / name).mkdir()
        subscribe = "open" if found["type"] == "news-letter" else "closed"
        self.configure(name, subscribe=subscribe, status=found["status"], digest=False)
        return Ran(0, "create_list [notice] Aliases have been installed.\n")

    def configure(
        self, name: str, *, subscribe: str = "open", status: str = "open", digest: bool = True, reception: str = ""
    ) -> None:
        """The list's settings, among them who may enter and how people may get its mail."""
        lines = [f"subject {name}", "visibility noconceal", f"subscribe {subscribe}", "archive", "web_access public"]
        if digest:
            lines.append("digest 1,4 13:26")
        if reception:
            lines.append(f"available_user_options\nreception {reception}")
        (self.lists / name).mkdir(exist_ok=True)
        (self.lists / name / "config").write_text("\n\n".join((*lines, f"status {status}")) + "\n")

    def _dump(self, name: str) -> Ran:
        columns = ", ".join(COLUMNS.values())
        query = f"SELECT {columns} FROM subscriber_table WHERE list_subscriber = ? ORDER BY user_subscriber"
        texts = []
        for row in self.database.execute(query, (name,)):
            texts.append("".join(f"{k} {v}\n" for k, v in zip(COLUMNS, row, strict=True) if v not in {None, ""}))
        (self.lists / name / "member.dump").write_text("\n".join(texts))
        return Ran(0, f"{name}@{DOMAIN}: Dumped list users (member)\n")

    def _restore(self, name: str) -> Ran:
        for paragraph in (self.lists / name / "member.dump").read_text().split("\n\n"):
            found = dict(line.split(" ", 1) for line in paragraph.strip().splitlines() if " " in line)
            address = found.get("email", "").lower()
            if ADDRESS.fullmatch(address) and address not in self.inside(name):
                config = (self.lists / name / "config").read_text()
                allowed = re.search(r"available_user_options\nreception (.*)", config)
                if allowed is not None and found.get("reception") not in allowed[1].split(","):
                    found.pop("reception", None)
                self.put(address, name, **{key: value for key, value in found.items() if key != "email"})
        return Ran(0, f"{name}@{DOMAIN}: Restored list users (member)\n")

    def _del(self, name: str, given: str) -> Ran:
        said, code = [], 0
        lines = [line.split()[0].lower() for line in given.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            return Ran(1, "No email addresses found in input.\n")
        for address in lines:
            if self._out(address, name, "del"):
                said.append(f"del [notice] The user {address} has been removed from the list {name}@{DOMAIN}.\n")
            else:
                said.append(f"del [user] E-mail address {address} was not found in list .\n")
                code = 1
        return Ran(code, "".join(said))

    def _out(self, address: str, name: str, operation: str) -> bool:
        where = (DOMAIN, name, address)
        condition = "robot_subscriber = ? AND list_subscriber = ? AND user_subscriber = ?"
        row = self.database.execute(f"SELECT inclusion_subscriber FROM subscriber_table WHERE {condition}", where)
        found = row.fetchone()
        if found is None:
            return False
        if found[0] is not None:
            self.database.execute("INSERT INTO exclusion_table VALUES (?, ?, ?)", (address, name, DOMAIN))
        self.database.execute(f"DELETE FROM subscriber_table WHERE {condition}", where)
        self._note(address, name, operation)
        return True

    def _note(self, address: str, name: str, operation: str) -> None:
        row = (self._now_s(), address, operation, name, DOMAIN)
        self.database.execute("INSERT INTO stat_table VALUES (?, ?, ?, ?, ?)", row)

    # What people and administrators do

    def put(self, address: str, name: str, **state: str) -> None:
        """Somebody is in a list, with keys as in a dump."""
        if not (self.lists / name).exists():
            self.configure(name)
        row = {"reception": "mail", "visibility": "noconceal", "subscribed": "1", "date": str(self._now_s()), **state}
        row = {"email": address.lower(), **{key: value for key, value in row.items() if key in COLUMNS}}
        columns = ", ".join(COLUMNS[key] for key in row)
        marks = ", ".join("?" * (len(row) + 2))
        query = (
            f"INSERT OR REPLACE INTO subscriber_table ({columns}, list_subscriber, robot_subscriber) VALUES ({marks})"
        )
        self.database.execute(query, (*row.values(), name, DOMAIN))
        self._note(address.lower(), name, "add_or_subscribe")

    def leave(self, address: str, name: str) -> None:
        """They unsubscribe by themselves."""
        assert self._out(address.lower(), name, "signoff")

    def take_out(self, address: str, name: str) -> None:
        """By an administrator."""
        self._out(address.lower(), name, "del")

    def forget(self, address: str) -> None:
        """Every trace of somebody."""
        for table, column in (
            ("subscriber", "user_subscriber"),
            ("stat", "email_stat"),
            ("exclusion", "user_exclusion"),
        ):
            self.database.execute(f"DELETE FROM {table}_table WHERE {column} = ?", (address.lower(),))

    def inside(self, name: str) -> dict[str, str]:
        """Who is in a list: address → how they get their mail."""
        query = "SELECT user_subscriber, reception_subscriber FROM subscriber_table WHERE list_subscriber = ?"
        return dict(self.database.execute(query, (name,)))

    def close(self) -> None:
        self.database.close()


class RealSympa:
    """Sympa itself, over lists in a directory; nothing empties its outgoing spool."""

    def __init__(self, directory: Path) -> None:
        made = subprocess.run([str(ROOT / "infra/sympa/install.sh")], check=True, capture_output=True, text=True)
        self.command = (str(ROOT / "infra/sympa/run.sh"), made.stdout.strip(), str(directory))
        self.directory, self.lists = directory, directory / "list_data"
        self.database = directory / "sympa.sqlite"
        directory.mkdir(parents=True)
        self.ask("--version")

    def ask(self, *words: str, given: str = "") -> str:
        """Run a command that must work."""
        done = subprocess.run([*self.command, *words], input=given, check=True, capture_output=True, text=True)
        return done.stdout

    def make(self, name: str, *people: str) -> None:
        """A list with these people, who get digests."""
        file = self.directory / f"{name}.xml"
        file.write_text(
            f"<list><listname>{name}</listname><type>discussion_list</type><subject>{name}</subject><status>open</status>"
            f'<topic>other</topic><owner multiple="1"><email>{OWNER}</email></owner></list>'
        )
        self.ask("create", f"--input_file={file}", DOMAIN)
        texts = [f"email {each}\nreception digest\nsubscribed 1\n" for each in people]
        (self.lists / name / "member.dump").write_text("\n".join(texts))
        self.ask("restore", "--roles=member", f"{name}@{DOMAIN}")

    def members(self, name: str) -> set[str]:
        """Asked of Sympa itself."""
        return set(self.ask("review", f"{name}@{DOMAIN}").splitlines()[1:])

    def dumped(self, name: str) -> str:
        """Its members with all that it holds of them."""
        self.ask("dump", "--roles=member", f"{name}@{DOMAIN}")
        return (self.lists / name / "member.dump").read_text()

    def mails(self) -> list[Path]:
        """Every mail that it would send."""
        return [each for each in (self.directory / "spool").glob("bulk/msg/*") if each.is_file()]
