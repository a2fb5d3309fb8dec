"""An arena for the bytes of idle states: pages that hold many side by side, with at most an eighth of them dead.

Bytes of their own are some hundred thousand pieces of memory of every size, and what is free between them fits nobody:
states that grow by a few bytes a day left a tenth of the process's memory behind that nothing used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flows.state.entry import Page, StateEntry

PAGE_BYTES: Final = 1 << 16
LARGEST: Final = PAGE_BYTES // 4
"""Bytes that may stand in a page; what is larger is better off alone."""
DEAD_PART: Final = 8
"""One part in so many may be dead, and a page beside."""


class Arena:
    """The pages of one group, oldest first. A :class:`flows.state.entry.StateEntry` knows its place in them."""

    def __init__(self, resting: Mapping[str, StateEntry]) -> None:
        """``resting``: the entries that may be stored here, by key."""
        self._resting = resting
        self._pages: list[Page] = []
        self._used = self._live = 0
        """Bytes that were put into the pages there are; and of them those that count."""

    def put(self, entry: StateEntry, data: bytes) -> None:
        """Store the bytes of an entry that has none here."""
        self._append(entry, data)
        while self._used - self._live > self._used // DEAD_PART + PAGE_BYTES:
            self._clean()

    def get(self, entry: StateEntry) -> bytes | None:
        """The bytes of an entry; None where it has none here."""
        page = entry.page
        return None if page is None else bytes(memoryview(page.data)[entry.place : entry.place + entry.size])

    def drop(self, entry: StateEntry) -> None:
        """Free the bytes of an entry, if it has any here."""
        if entry.page is not None:
            entry.page = None
            self._live -= entry.size

    def _append(self, entry: StateEntry, data: bytes) -> None:
        page, size = self._pages[-1] if self._pages else None, len(data)
        if page is None or page.used + size > PAGE_BYTES:
            page = Page(PAGE_BYTES)
            self._pages.append(page)
        end = page.used + size
        page.data[page.used : end] = data
        page.keys.append(entry.key)
        entry.page, entry.place, entry.size = page, page.used, size
        page.used = end
        self._used += size
        self._live += size

    def _clean(self) -> None:
        """Put what counts of the oldest page behind all others, and let the page go."""
        page = self._pages.pop(0)
        self._used -= page.used
        for key in page.keys:
            entry = self._resting.get(key)
            if entry is not None and entry.page is page:
                data = self.get(entry)
                self._live -= entry.size
                self._append(entry, data or b"")
