"""Answers kept by what was asked: the newest few, shared by threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MOST: Final = 1_000
MOST_LETTERS: Final = 4_096
"""Statements longer than this are asked each time: clients repeat the short ones."""


class Recent(Generic[Key, Value]):
    """The :data:`MOST` answers that were asked for last. What raises is not kept."""

    def __init__(self) -> None:
        self._found: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the answer for ``key``; ``make`` gives it where it is not there. It may be made twice at once."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            if len(self._found) > MOST:
                self._found.popitem(last=False)
        return made
