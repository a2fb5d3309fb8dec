"""Which listeners an event may touch: by its action, and by one text that a property must be.

A listener on the category ``shoes`` costs nothing while people look at hats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from contracts.events import Event
from flows.language.compile import Test

_NOBODY: Final[tuple[int, ...]] = ()


class Index:
    """Numbers by the conditions under which an event touches them."""

    def __init__(self, tests: Mapping[int, Sequence[Test]]) -> None:
        """``tests``: an event that fits none of a number's conditions need not be shown to it."""
        self._any: frozenset[int] = frozenset()
        self._by_action: dict[str, frozenset[int]] = {}
        self._by_text: dict[str, dict[str, dict[str, frozenset[int]]]] = {}
        for number, each in tests.items():
            for test in each:
                self._add(number, test)

    def _add(self, number: int, test: Test) -> None:
        if test.actions is None:
            self._any |= {number}
            return
        for action in test.actions:
            if test.text is None:
                self._by_action[action] = self._by_action.get(action, frozenset()) | {number}
            else:
                path, text = test.text
                texts = self._by_text.setdefault(action, {}).setdefault(path, {})
                texts[text] = texts.get(text, frozenset()) | {number}

    def sets(self, event: Event) -> list[frozenset[int]]:
        """Sets whose union is all that the event may touch."""
        found = [self._any] if self._any else []
        action = event.action
        always = self._by_action.get(action)
        if always is not None:
            found.append(always)
        texts = self._by_text.get(action)
        if texts is not None:
            for path, by_text in texts.items():
                value = event.properties.get(path)
                if type(value) is str:
                    numbers = by_text.get(value)
                    if numbers is not None:
                        found.append(numbers)
        return found

    def touched(self, event: Event, hears: Index, by_listener: Mapping[int, Any]) -> Iterable[int]:
        """In order: what the event may start, and, of what has a standing, what ``hears`` it."""
        started = self.sets(event)
        if not by_listener:
            # PERF: most events touch nothing or one thing; no set is made for them.
            if not started:
                return _NOBODY
            return sorted(started[0] if len(started) == 1 else frozenset().union(*started))
        hearing = hears.sets(event)
        if not started and len(hearing) == 1:
            # PERF: most that touch somebody start nothing, and are heard by one action or one text; no set either.
            return sorted(_both(by_listener, hearing[0]))
        heard = set[int]().union(*started)
        for numbers in hearing:
            heard.update(_both(by_listener, numbers))
        return sorted(heard)


def _both(by_listener: Mapping[int, Any], numbers: frozenset[int]) -> list[int]:
    """What has a standing and is among the numbers."""
    if len(numbers) < len(by_listener):
        return [number for number in numbers if number in by_listener]
    return [number for number in by_listener if number in numbers]
