"""The platforms under test: each a running server with a sink for it, and hands to arrange what is on the platform."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sinks.base import Sink
from sinks.platforms.file import FileSink
from sinks.platforms.sympa import Sympa
from sinks.registry import SINKS
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around
from tests.sinks.memory import MemorySink
from tests.sinks.simulator.imitation import Imitation, imitations
from tests.sinks.simulator.mailman import Mailman
from tests.sinks.simulator.server import KEY, Call, Dialect, Simulator
from tests.sinks.simulator.sympa import ImitatedSympa

BUCKETS = ("all", *sorted({name for kind in SINKS.values() for name in kind.quotas} - {"all"}))
WIDE: dict[str, Any] = {name: [[100_000, "1s"]] for name in BUCKETS}
"""Quotas that no test meets: those that are about quotas say so."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def brief(seconds: float) -> None:
    """A pause that is one for the code and hardly one for the test."""
    time.sleep(min(seconds, 0.01))


class Bed:
    """A platform and what a test does to it. ``simulator`` None: a sink without HTTP."""

    name = ""
    simulator: Simulator | None = None
    tags = False
    leaves_everything = False
    """Whether people leave the platform as a whole, and not one list of it."""
    remembers_leaving = True
    """Whether the platform itself knows who left; else it is only seen that they are gone."""

    def sink(self, **options: Any) -> Sink:
        raise NotImplementedError

    def put(self, address: str, list_name: str) -> None: ...

    def members(self, list_name: str) -> set[str]:
        raise NotImplementedError

    def leave(self, address: str, list_name: str) -> None: ...

    def close(self) -> None: ...


class ServedBed(Bed):
    """Behind HTTP: the real one, or imitated and judged by the vendor's description."""

    def __init__(
        self, name: str, dialect: Dialect, options: dict[str, Any], directory: Path, token_field: str = "segma_token"
    ) -> None:
        self.name, self._options, self._directory = name, options, directory
        self.simulator = Simulator(dialect, window=0.9)
        self.dialect: Any = dialect
        real = isinstance(self.dialect, Mailman)
        self.world: Any = self.dialect if real else self.simulator.world
        self.tags = bool(self.dialect.sends_tags)
        self.leaves_everything = bool(self.dialect.leaves_everything)
        self.remembers_leaving = not real
        self.token_field = token_field
        self.strangers: str | None = "add"
        self.known = "confirmed"
        self.expected_mails: list[str] = []
        """Opt-in mails that the test asked for; any other fails it."""
        self._sinks: list[Sink] = []
        self._numbers = itertools.count()

    @property
    def server(self) -> Simulator:
        assert self.simulator is not None
        return self.simulator

    def sink(self, *, pause: Callable[[float], None] = brief, fresh: bool = True, **options: Any) -> Sink:
        """A new sink, as a new process has one; ``fresh`` False: with the pace of the one before."""
        kind = SINKS[self.dialect.name]
        url = self.server.url + ("/3.1" if self.dialect.name == "mailman" else "")
        given = {"url": url, "timeout": "2s", "quotas": WIDE, **self._options, **options}
        data = self._directory / (str(next(self._numbers)) if fresh else "same")
        around = Around("w/mail", data, pause, now_ms, lambda at, field: KEY, None, self.strangers, self.known)
        sink = kind.make(kind.options.model_validate(given), around)
        self._sinks.append(sink)
        return sink

    def put(self, address: str, list_name: str) -> None:
        self.world.put(address, list_name)

    def members(self, list_name: str) -> set[str]:
        found: set[str] = self.world.members(list_name)
        return found

    def leave(self, address: str, list_name: str) -> None:
        self.server.leave(address, list_name)

    def writes(self, *paths: str) -> Sequence[Call]:
        """The changing calls so far whose path holds one of these."""
        return [call for call in self.server.writes() if not paths or any(each in call.path for each in paths)]

    def close(self) -> None:
        """Close everything, and judge what was sent."""
        for sink in self._sinks:
            sink.close()
        self.server.close()
        assert self.server.violations == []
        assert self.server.world.wrongs == []
        mails = self.dialect.mails() if isinstance(self.dialect, Mailman) else self.server.world.mails
        assert mails == self.expected_mails


class FileBed(Bed):
    """Lists as files."""

    name = "file"
    remembers_leaving = False

    def __init__(self, directory: Path) -> None:
        self._lists = FileSink(directory, delay_ms=0, pause=brief)

    def sink(self, **options: Any) -> Sink:
        return self._lists

    def put(self, address: str, list_name: str) -> None:
        self._lists._put(list_name, address, member=True)

    def members(self, list_name: str) -> set[str]:
        path = self._lists._path(list_name)
        return set(self._lists._read(path)) if path is not None and path.exists() else set()

    def leave(self, address: str, list_name: str) -> None:
        self._lists._put(list_name, address, member=False)


class MemoryBed(Bed):
    """Lists as sets."""

    name = "memory"
    remembers_leaving = False

    def __init__(self) -> None:
        self._sink = MemorySink()

    def sink(self, **options: Any) -> Sink:
        return self._sink

    def put(self, address: str, list_name: str) -> None:
        self._sink.lists.setdefault(list_name, set()).add(address)

    def members(self, list_name: str) -> set[str]:
        return self._sink.lists.get(list_name, set())

    def leave(self, address: str, list_name: str) -> None:
        self._sink.lists[list_name].discard(address)


class SympaBed(Bed):
    """Sympa's command line and database, imitated."""

    name = "sympa"

    def __init__(self, directory: Path) -> None:
        self.sympa = ImitatedSympa(directory)

    def sink(self, **options: Any) -> Sink:
        return ListSink(Sympa(self.sympa.run, self.sympa.options), strangers="add")

    def put(self, address: str, list_name: str) -> None:
        self.sympa.put(address, list_name)

    def members(self, list_name: str) -> set[str]:
        return set(self.sympa.inside(list_name))

    def leave(self, address: str, list_name: str) -> None:
        self.sympa.leave(address, list_name)

    def close(self) -> None:
        self.sympa.close()


def _served(name: str, directory: Path) -> ServedBed:
    if name == "mailman":
        door = Mailman()
        options = {"user": "segma", "password": {"env": "KEY"}, "domain": door.domain}
        return ServedBed(name, door, options, directory)
    imitation = imitations()[name]
    bed = ServedBed(name, imitation.dialect(), dict(imitation.options), directory, imitation.token_field)
    bed.dialect.quotas = {}
    return bed


SERVED = ("mailman", *imitations())
ALL = ("file", "memory", "sympa", *SERVED)


def bed_of(name: str, directory: Path) -> Bed:
    if name == "file":
        return FileBed(directory / "lists")
    if name == "sympa":
        return SympaBed(directory / "sympa")
    return MemoryBed() if name == "memory" else _served(name, directory)


def served_bed(name: str, directory: Path) -> ServedBed:
    return _served(name, directory)


def imitated(having: Callable[[Imitation], bool] = lambda each: True) -> tuple[str, ...]:
    """The names of the imitations, or of those that have something."""
    return tuple(name for name, each in imitations().items() if having(each))
