"""A browser without a screen: asks an application without a server between, keeps cookies, sends what browsers send."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from argon2 import PasswordHasher
from starlette.types import ASGIApp, Message

from console.access.users import Users
from console.app import PageLinks, Site, console_app
from console.picture import Picture
from console.watch import Watch
from contracts.log import Log

PASSWORD = "a password of length"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PEOPLE = {"vera": "viewer", "mara": "marketer", "enno": "engineer"}


class NoLog:
    """A log is only asked for by the watching threads, which these tests do not start."""


def quiet_watch() -> Watch:
    no_log: Log = NoLog()  # type: ignore[assignment]
    return Watch(no_log, Picture())


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


def site_of(users: Users, clock: Clock | None = None, **changes: object) -> Site:
    keys = itertools.count()
    site = {"users": users, "now_ms": clock or Clock(), "unique": lambda: f"key-{next(keys)}"}
    return Site(**{**site, "workspaces": frozenset({"demo"}), **changes})  # type: ignore[arg-type]


def app_of(site: Site, watch: Watch | None = None, shop: str | None = "http://shop.test") -> ASGIApp:
    def token_of(entry: object) -> str:
        return f"tok-{entry.workspace}-{entry.subscriber}"  # type: ignore[attr-defined]

    return console_app(watch or quiet_watch(), PageLinks("http://c.test", shop), token_of, site)


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
            "path": plain,
            "headers": [(name.encode(), each.encode()) for name, each in given.items() if each],
            "query_string": query.encode(),
            "root_path": "",
            "scheme": self.scheme,
            "client": (self.address, 50_000),
            "server": ("127.0.0.1", 8401),
        }
        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
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
