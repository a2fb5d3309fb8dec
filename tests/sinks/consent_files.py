"""A ``file`` account as the random histories see one: who is in a file is in that list, and nothing else is known."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sinks.platforms.file import FileSink
from sinks.toolkit.consent import Strangers
from tests.sinks.simulator.world import ACTIVE, MailingList, Person


class Members(MutableMapping[str, str]):
    """The people of one file; an address is a person's only number."""

    def __init__(self, sink: FileSink, name: str) -> None:
        self._sink, self._name = sink, name

    def _there(self) -> list[str]:
        path = self._sink._path(self._name)
        return self._sink._read(path) if path is not None and path.exists() else []

    def __getitem__(self, address: str) -> str:
        if address not in self._there():
            raise KeyError(address)
        return ACTIVE

    def __setitem__(self, address: str, standing: str) -> None:
        self._sink._put(self._name, address, member=True)

    def __delitem__(self, address: str) -> None:
        self._sink._put(self._name, address, member=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._there())

    def __len__(self) -> int:
        return len(self._there())


class Files:
    """The directory, with the hands of a :class:`tests.sinks.simulator.world.World`."""

    def __init__(self, sink: FileSink) -> None:
        self._sink = sink
        self.wrongs: list[str] = []
        self.mails: list[str] = []

    @property
    def lists(self) -> dict[str, Any]:
        names = sorted(each.stem for each in self._sink._directory.glob("*.txt"))
        return {name: self._list(name) for name in names}

    def _list(self, name: str) -> Any:
        return SimpleNamespace(id=name, name=name, members=Members(self._sink, name))

    def list_named(self, name: str) -> MailingList | None:
        return self.lists.get(name)

    def made_list(self, name: str) -> Any:
        path = self._sink._path(name)
        assert path is not None
        path.touch()
        return self._list(name)

    def person(self, address: str) -> Person | None:
        there = any(address in each.members for each in self.lists.values())
        return Person(address, address) if there else None

    def enrol(self, address: str) -> Person:
        return Person(address, address)

    def vanish_person(self, address: str) -> None:
        for each in self.lists.values():
            each.members.pop(address, None)


class FileDialect:
    """What people do at a directory."""

    name = "file"

    def leave(self, world: Files, address: str, list_name: str) -> None:
        world.lists[list_name].members.pop(address, None)


def files(directory: Path, strangers: str) -> FileSink:
    """A sink of a directory without any list."""
    for each in directory.glob("*"):
        each.unlink()
    return FileSink(directory, delay_ms=0, pause=lambda seconds: None, strangers=Strangers(strangers))
