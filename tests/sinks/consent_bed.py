"""An account without sockets and files: the real delivery loop and the real sink, over a log in memory and an imitated
platform that is called in this process. Hundreds of histories a minute, and each of them can die at any step.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from contracts.log import Outgoing, Record, Stored
from contracts.topics import Topic
from sinks.base import Sink
from sinks.registry import SINKS
from sinks.toolkit.options import Around
from tests.sinks.beds import BUCKETS
from tests.sinks.simulator.server import KEY, Answer, Asked
from tests.sinks.simulator.world import World


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Dies at a step from now, before what it does or after; 0: never."""

    def __init__(self) -> None:
        self.steps = 0

    def burn(self) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise Crash


class MemoryLog:
    """The log's seams over lists. One partition a topic; positions are kept by consumer."""

    def __init__(self, now_ms: Callable[[], int], fuse: Fuse) -> None:
        self._now_ms, self._fuse = now_ms, fuse
        self.records: dict[str, list[Record]] = {}
        self.committed: dict[tuple[str, str], int] = {}

    def ensure(self, topics: Sequence[Topic]) -> None:
        for each in topics:
            self.records.setdefault(each.name, [])

    def start(self, topic: str) -> dict[int, int]:
        return {0: 0}

    def end(self, topic: str) -> dict[int, int]:
        return {0: len(self.records.get(topic, []))}

    def topics(self) -> list[Topic]:
        return [Topic(name, 1, 1) for name in self.records]

    def publisher(self) -> MemoryLog:
        return self

    def publish(self, records: Sequence[Outgoing]) -> list[Any]:
        if records:
            self._fuse.burn()
        found = [self.store(each) for each in records]
        if records:
            self._fuse.burn()
        return found

    def store(self, each: Outgoing) -> Stored:
        held = self.records.setdefault(each.topic, [])
        held.append(Record(each.topic, 0, len(held), self._now_ms(), each.key, each.value))
        return Stored(0, len(held) - 1, self._now_ms())

    def reader(self, topic: str, **_: Any) -> Cursor:
        return Cursor(self, topic, "")

    def consumer(self, name: str, topic: str, **_: Any) -> Cursor:
        return Cursor(self, topic, name)

    def close(self) -> None:
        """Nothing is held."""


class Cursor:
    """A reader or a consumer."""

    def __init__(self, log: MemoryLog, topic: str, name: str) -> None:
        self._log, self._topic, self._name = log, topic, name
        self._at = log.committed.get((name, topic), 0) if name else 0

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        held = self._log.records.get(self._topic, [])
        found = held[self._at : self._at + max_records]
        self._at += len(found)
        return found

    def commit(self, positions: Mapping[int, int]) -> None:
        self._log.committed[self._name, self._topic] = positions[0]

    def seek(self, partition: int, offset: int) -> None:
        self._at = offset

    def positions(self) -> dict[int, int]:
        return {0: self._at}

    def close(self) -> None:
        """Nothing is held."""


class InProcess(BaseAdapter):
    """Requests that reach the imitated platform without a socket; a write may be the last thing a process did."""

    def __init__(self, dialect: Any, world: World, fuse: Fuse) -> None:
        super().__init__()
        self._dialect, self._world, self._fuse = dialect, world, fuse

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self._fuse.burn()
        answer = self._answered(request)
        self._fuse.burn()
        body = answer.body if isinstance(answer.body, bytes) else b""
        if answer.body is not None and not isinstance(answer.body, bytes):
            body = json.dumps(answer.body, ensure_ascii=False).encode()
        found = requests.Response()
        found.status_code = answer.status
        found.headers.update({"Content-Type": answer.media, **answer.headers})
        found.raw = HTTPResponse(io.BytesIO(b"" if answer.status == 204 else body), preload_content=False)
        return found

    def _answered(self, request: requests.PreparedRequest) -> Answer:
        parts = urlsplit(str(request.url))
        raw = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        kind = request.headers.get("Content-Type", "")
        body = dict(parse_qsl(raw.decode())) if "form" in kind else json.loads(raw) if raw else None
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(str(request.method), unquote(parts.path), query, dict(request.headers), body, raw)
        answer: Answer = self._dialect.admits(asked) or self._dialect.handle(asked, self._world)
        return answer

    def close(self) -> None:
        """Nothing is held."""


def sink_over(
    dialect: Any, world: World, fuse: Fuse, options: dict[str, Any], *, around: Mapping[str, Any], data: Path
) -> Sink:
    """The real sink of a platform, its session led to the imitation; no pace is kept."""
    kind = SINKS[dialect.name]
    given = {"url": "http://127.0.0.1:9", "quotas": {name: [] for name in BUCKETS}, **options}
    made = Around("w/mail", data, lambda seconds: None, secret=lambda at, name: KEY, **around)
    sink: Any = kind.make(kind.options.model_validate(given), made)
    sink._platform._http._session.mount("http://", InProcess(dialect, world, fuse))
    found: Sink = sink
    return found


class Elsewhere:
    """Whoever is told of moves, and where people join and leave lists beside that."""

    name = "told"

    def admits(self, asked: Asked) -> Answer | None:
        return None

    def handle(self, asked: Asked, world: World) -> Answer:
        return Answer(204)

    def leave(self, world: World, address: str, list_name: str) -> None:
        found, where = world.person(address), world.list_named(list_name)
        assert found is not None
        assert where is not None
        where.members[found.id] = "left"


def told_sink(kind: str, dialect: Any, world: World, fuse: Fuse, *, around: Mapping[str, Any], data: Path) -> Sink:
    """The real sink of an account that is told of everything, and of which nothing can be read back."""
    options: dict[str, Any] = {"topic": "told"}
    if kind == "webhook":
        options = {"secret": {"env": "S"}, "url": "http://127.0.0.1:9/moves"}
    made = Around("w/mail", data, lambda seconds: None, secret=lambda at, name: KEY, **around)
    sink: Any = SINKS[kind].make(SINKS[kind].options.model_validate(options), made)
    if kind == "webhook":
        sink._http._session.mount("http://", InProcess(dialect, world, fuse))
    found: Sink = sink
    return found
