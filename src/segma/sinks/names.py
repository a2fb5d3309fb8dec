"""Names to a platform's ids: lists, tags, fields. Remembered, and asked again before anything is said to be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Names:
    """``load`` reads all of them (or, given a name, those that may be it); ``make`` makes one and gives its id."""

    def __init__(self, load: Callable[[str], Mapping[str, str]], make: Callable[[str], str]) -> None:
        self._load, self._make = load, make
        self._ids: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Its id; empty where there is none."""
        return self._ids.get(name) or self.fresh(name)

    def fresh(self, name: str) -> str:
        """Its id as the platform says now; empty where there is none."""
        self.forget(name)
        self._ids.update(self._load(name))
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

    def forget(self, name: str) -> None:
        """It vanished, or may have."""
        self._ids.pop(name, None)

    def known(self) -> list[str]:
        """Every name that there is now."""
        self._ids = dict(self._load(""))
        return sorted(self._ids)
