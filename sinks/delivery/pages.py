"""The commands of the outcomes read, by stretches of the log: what a process that starts now would not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

PAGE: Final = 1_000
"""Outcomes of one page: so many are kept at most beyond what the log holds."""
AT_ONCE: Final = 100
"""Commands that are forgotten at a look at the log, beside two for each that it brings: no look takes long, and none
brings more than is forgotten."""


class _Page:
    """Commands whose outcomes lie up to an offset."""

    def __init__(self, number: int) -> None:
        self.number, self.last_offset = number, 0
        self.command_ids: list[str] = []


class Pages:
    """Numbered from 0. ``turned``: whether a page was filled since somebody looked where the log begins."""

    def __init__(self) -> None:
        self._pages: deque[_Page] = deque()
        self._numbers = 0
        self.turned = False

    def note(self, offset: int, command_id: str) -> int:
        """Whose outcome was read at this offset. Returns its page."""
        if not self._pages or len(self._pages[-1].command_ids) >= PAGE:
            self.turned = self.turned or bool(self._pages)
            self._pages.append(_Page(self._numbers))
            self._numbers += 1
        self._pages[-1].last_offset = offset
        self._pages[-1].command_ids.append(command_id)
        return self._pages[-1].number

    def gone(self, oldest: int, read: int) -> Iterator[tuple[str, int]]:
        """Commands whose pages lie before the log's oldest record, and their pages; each of them once.

        ``read``: how many outcomes the look has brought.
        """
        for _ in range(AT_ONCE + 2 * read):
            while self._pages and not self._pages[0].command_ids:
                self._pages.popleft()
            if not self._pages or self._pages[0].last_offset >= oldest:
                return
            yield self._pages[0].command_ids.pop(), self._pages[0].number
