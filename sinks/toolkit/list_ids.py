"""Names to a platform's ids: lists, tags, fields. Remembered, and asked again before anything is said to be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sinks.base import NoSuchList
from sinks.toolkit.http import Http
from sinks.toolkit.platform import ListGone, ListRefused

T = TypeVar("T")


class Names:
    """``load`` reads all pairs of name and id (or, given a name, those that may be it); ``make`` makes one.

    A name that two of them bear is refused: nobody can know which is meant.
    """

    def __init__(self, load: Callable[[str], Iterable[tuple[str, str]]], make: Callable[[str], str]) -> None:
        self._load, self._make = load, make
        self._ids: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Its id; empty where there is none."""
        return self._ids.get(name) or self.fresh(name)

    def fresh(self, name: str) -> str:
        """Its id as the platform says now; empty where there is none."""
        self.forget(name)
        self._ids.update(self._read(name))
        return self._ids.get(name, "")

    def made(self, name: str) -> str:
        """Its id; made if missing."""
        found = self.find(name)
        if not found:
            found = self._ids[name] = self._make(name)
        return found

    def name_of(self, number: str) -> str:
        """The name of an id that is remembered; empty for any other."""
        return next((name for name, each in self._ids.items() if each == number), "")

    def learn(self) -> None:
        """Read and remember them all; of a name that two of them bear, neither."""
        found: dict[str, set[str]] = {}
        for name, number in self._load(""):
            found.setdefault(name, set()).add(number)
        self._ids.update({name: next(iter(numbers)) for name, numbers in found.items() if len(numbers) == 1})

    def forget(self, name: str) -> None:
        """Forget the id of a list that vanished, or may have."""
        self._ids.pop(name, None)

    def known(self) -> list[str]:
        """Every name that there is now."""
        return sorted({name for name, _ in self._load("")})

    def _read(self, name: str) -> dict[str, str]:
        found: dict[str, set[str]] = {}
        for each, number in self._load(name):
            found.setdefault(each, set()).add(number)
        if len(found.get(name, ())) > 1:
            raise ListRefused("two lists bear this name")
        return {each: next(iter(numbers)) for each, numbers in found.items() if len(numbers) == 1}


class NamedLists:
    """The shared part of platforms whose lists have a name for people and a number for calls."""

    def __init__(self, http: Http, lists: Names) -> None:
        self._http, self._lists = http, lists

    def exists(self, list_name: str) -> bool:
        """Asked, not remembered."""
        return bool(self._lists.fresh(list_name))

    def id_of(self, list_name: str) -> str:
        """Remembered, or asked."""
        return self._lists.find(list_name)

    def forget(self, list_name: str) -> None:
        """Forget a list that vanished."""
        self._lists.forget(list_name)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _there(self, list_name: str) -> str:
        """Its number; :class:`ListGone` where there is none."""
        number = self._lists.find(list_name)
        if not number:
            raise ListGone
        return number

    def _read(self, list_name: str) -> str:
        """Its number as the platform says now; :class:`NoSuchList` where there is none, as for the empty name."""
        number = self._lists.fresh(list_name) if list_name else ""
        if not number:
            raise NoSuchList(list_name, self._lists.known())
        return number


def in_parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in parts of ``size`` at most, as one call takes them."""
    return [items[start : start + size] for start in range(0, len(items), size)]
