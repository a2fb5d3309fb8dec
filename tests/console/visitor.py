"""A browser without a screen: asks an application without a server between, keeps cookies, sends what browsers send."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from argon2 import PasswordHasher
from starlette.types import ASGIApp, Message

from console.access.users import Users
from console.app import PageLinks, console_app
from console.app import Site as ConsoleSite
from console.audit import Audit
from console.board import Board
from console.commands import Commands
from console.desk import Desk
from console.history import History
from console.picture import Picture
from console.site_loads import LoadCounts
from console.trials import Trials
from console.view import View
from console.watch import Watch
from console.writing.drafts import Drafts
from contracts.codec import json_reader
from contracts.installation import Account, Installation, SecretAt, Site, Workspace
from contracts.log import Log
from contracts.reading import all_of
from contracts.rows import AuditRow, DirectoryEntry, Row
from contracts.topics import ROWS, topics_of
from transport.config import Surroundings
from transport.embedded.log import EmbeddedLog

T = TypeVar("T")
PASSWORD = "a password of length"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PEOPLE = {"vera": "viewer", "mara": "marketer", "enno": "engineer"}


def ran(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: the browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass
class Clock:
    """Milliseconds that pass when a test says so."""

    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def users_in(folder: Path) -> Users:
    """Three users, one of each role, in the workspace ``demo``."""
    users = Users(folder / "segma.yaml", CHEAP)
    for name, role in PEOPLE.items():
        users.put(name, PASSWORD, {"demo": role})
    return users


def site_of(users: Users, clock: Clock | None = None, **changes: object) -> ConsoleSite:
    keys = itertools.count()
    site = {"users": users, "now_ms": clock or Clock(), "unique": lambda: f"key-{next(keys)}"}
    return ConsoleSite(**{**site, **changes})  # type: ignore[arg-type]


class Answers:
    """Stands where ClickHouse does: answers of named queries by a word of their SQL, or none at all."""

    def __init__(self) -> None:
        self.tables: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.error: Exception | None = None

    def table(self, sql: str, params: dict[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        self.asked.append((sql, params))
        if self.error is not None:
            raise self.error
        return next((found for word, found in self.tables.items() if word in sql), ([], []))


@dataclass
class Stage:
    """A console with a real log in a folder, users of each role, and what its history answers."""

    folder: Path
    log: Log
    answers: Answers
    desk: Desk
    users: Users
    watch: Watch

    def app(self, shop: str | None = "http://shop.test", loads: LoadCounts | None = None, **site: object) -> ASGIApp:
        def token_of(entry: DirectoryEntry) -> str:
            return f"tok-{entry.workspace}-{entry.subscriber}"

        desk = replace(self.desk, view=View(demo=shop is not None))
        made = site_of(self.users, **site)  # type: ignore[arg-type]
        links = PageLinks("http://c.test", shop, loads or LoadCounts(()))
        return console_app(self.watch, links, token_of, made, desk)

    def trail(self) -> list[AuditRow]:
        """What was written in this test, in order."""
        rows = [read_row(record.value) for record in all_of(self.log, ROWS) if record.value is not None]
        own = [row for row in rows if isinstance(row, AuditRow) and row.audit_id.startswith(f"{self.folder.name}/")]
        return sorted(own, key=lambda row: int(row.audit_id.rpartition("/")[2]))


read_row = json_reader(Row)
INSTALLATION = Installation(
    token_keys=SecretAt(file="keys"),
    workspaces={
        name: Workspace(
            secret=SecretAt(file="secret"),
            accounts={"mailbox": Account(sink="file")},
            sites={"shop": Site(key=f"{name}-key", origins=("https://shop.example",)), "silent": Site(key=f"{name}-2")},
        )
        for name in ("demo", "other")
    },
)


@contextmanager
def open_log_in(folder: Path) -> Iterator[Log]:
    """A log with every topic of the installation."""
    with closing(EmbeddedLog(folder / "log", Surroundings())) as log:
        log.ensure(topics_of(INSTALLATION))
        yield log


@contextmanager
def staged(folder: Path, log: Log, now_ms: Callable[[], int]) -> Iterator[Stage]:
    """The stage, open."""
    answers, ids = Answers(), itertools.count()
    desk = Desk(
        View(demo=True),
        log,
        History(lambda: answers, now_ms, timeout_s=5),  # type: ignore[arg-type, return-value]
        Board(log, {}, now_ms),
        Audit(log, now_ms, lambda: f"{folder.name}/{next(ids)}"),
        INSTALLATION.workspaces,
        {"demo": b"s" * 32, "other": b"o" * 32},
        {name: Drafts(folder / name / "listeners") for name in INSTALLATION.workspaces},
        Commands([sys.executable, "-m", "cli"], folder),
        Trials(Commands([sys.executable, "-m", "cli"], folder), now_ms),
        now_ms,
    )
    yield Stage(folder, log, answers, desk, users_in(folder), Watch(log, Picture(demo=True)))
    desk.close()


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str]
    text: str
    cookies: dict[str, str]

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        return found[1] if found else ""


@dataclass
class Visitor:
    app: ASGIApp
    host: str = "127.0.0.1:8401"
    scheme: str = "http"
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        body = urlencode(form or {}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return self.ask("POST", path, body, {**kind, **headers})

    def sign_in(self, name: str, password: str = PASSWORD, target: str = "/") -> Answer:
        return self.post("/login", {"name": name, "password": password, "next": target})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent: list[Message] = []
        asked = [body]

        async def receive() -> Message:
            if asked:
                return {"type": "http.request", "body": asked.pop(), "more_body": False}
            await asyncio.Event().wait()  # the visitor does not go away
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        given = {"host": self.host, **self.headers, **{name.replace("_", "-"): each for name, each in headers.items()}}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={each}" for name, each in self.cookies.items())
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(plain),
            "raw_path": plain.encode(),
            "headers": [(name.encode(), each.encode()) for name, each in given.items() if each],
            "query_string": query.encode(),
            "root_path": "",
            "scheme": self.scheme,
            "client": (self.address, 50_000),
            "server": ("127.0.0.1", 8401),
        }
        ran(self.app(scope, receive, send))  # type: ignore[arg-type]
        return self._answer(sent)

    def _answer(self, sent: list[Message]) -> Answer:
        set_now = {}
        headers = {}
        for raw_name, raw in sent[0]["headers"]:
            name, value = raw_name.decode(), raw.decode()
            if name == "set-cookie":
                cookie, _, rest = value.partition(";")
                key, _, held = cookie.partition("=")
                set_now[key] = value
                self.cookies[key] = held
                if "max-age=0" in rest.lower():
                    del self.cookies[key]
            headers[name] = value
        text = b"".join(part.get("body", b"") for part in sent[1:]).decode()
        return Answer(sent[0]["status"], headers, text, set_now)


def signed_in(app: ASGIApp, name: str = "mara") -> Visitor:
    visitor = Visitor(app)
    assert visitor.sign_in(name).status_code == 303
    return visitor
