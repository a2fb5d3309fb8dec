"""A Sympa as the random histories see one: who is in which list, and who unsubscribed from it as long as it says so."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sinks.base import Sink
from sinks.platforms.sympa import Sympa
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.programs import Ran
from tests.sinks.simulator.sympa import ImitatedSympa
from tests.sinks.simulator.world import ACTIVE, LEFT, MailingList, Person

LAST_COMING = "SELECT operation_stat FROM stat_table WHERE email_stat = ? AND list_stat = ? ORDER BY rowid DESC LIMIT 1"


class Members(MutableMapping[str, str]):
    """The people of one list, and those who left it; an address is a person's only number."""

    def __init__(self, sympa: ImitatedSympa, name: str) -> None:
        self._sympa, self._name = sympa, name

    def __getitem__(self, address: str) -> str:
        if address in self._sympa.inside(self._name):
            return ACTIVE
        if self._sympa.database.execute(LAST_COMING, (address, self._name)).fetchone() == ("signoff",):
            return LEFT
        raise KeyError(address)

    def __setitem__(self, address: str, standing: str) -> None:
        self._sympa.put(address, self._name)

    def __delitem__(self, address: str) -> None:
        self._sympa.take_out(address, self._name)

    def __iter__(self) -> Iterator[str]:
        query = "SELECT DISTINCT email_stat FROM stat_table WHERE list_stat = ?"
        return (each for (each,) in self._sympa.database.execute(query, (self._name,)).fetchall() if each in self)

    def __len__(self) -> int:
        return len(list(iter(self)))


class Lists:
    """The lists, with the hands of a :class:`tests.sinks.simulator.world.World`."""

    def __init__(self, sympa: ImitatedSympa) -> None:
        self._sympa = sympa
        self.wrongs: list[str] = []
        self.mails: list[str] = []

    @property
    def lists(self) -> dict[str, Any]:
        return {each.name: self._list(each.name) for each in sorted(self._sympa.lists.iterdir()) if each.is_dir()}

    def _list(self, name: str) -> Any:
        return SimpleNamespace(id=name, name=name, members=Members(self._sympa, name))

    def list_named(self, name: str) -> MailingList | None:
        return self.lists.get(name)

    def made_list(self, name: str) -> Any:
        if not (self._sympa.lists / name).exists():
            self._sympa.configure(name)
        return self._list(name)

    def person(self, address: str) -> Person | None:
        return Person(address, address) if any(address in each.members for each in self.lists.values()) else None

    def enrol(self, address: str) -> Person:
        return Person(address, address)

    def vanish_person(self, address: str) -> None:
        self._sympa.forget(address)


class SympaDialect:
    """One Sympa, what people do there, and the real sink over it."""

    name = "sympa"

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="segma-sympa-")
        self.clock: Any = None
        self.sympa = ImitatedSympa(Path(self._home.name), now_s=lambda: int(self.clock().timestamp()))
        self.world = Lists(self.sympa)

    def leave(self, world: Lists, address: str, list_name: str) -> None:
        self.sympa.leave(address, list_name)

    def sink(self, burn: Callable[[], None], around: Mapping[str, Any]) -> Sink:
        """The sink of a process that may die before a command and after it."""

        def run(words: Any, given: str) -> Ran:
            burn()
            done = self.sympa.run(words, given)
            burn()
            return done

        return ListSink(Sympa(run, self.sympa.options), strangers=around["strangers"])

    def close(self) -> None:
        self.sympa.close()
        self._home.cleanup()
