"""The newest events that a filter lets through, as a live page shows them. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from contracts.codec import to_json
from contracts.rows import EventRow

KEPT: Final = 100
"""Events and moves shown; the whole history is ClickHouse's."""

KEPT_BYTES: Final = 1 << 20
"""Of the events shown, as JSON: a page that is open gets all of them at each change. The newest stays."""


class EventFilter(NamedTuple):
    """What of the events is wanted; an empty part asks for nothing.

    ``workspaces`` None: of all; ``people``: (workspace, subscriber) each; ``site``: (workspace, site).
    """

    workspaces: frozenset[str] | None = None
    people: frozenset[tuple[str, str]] = frozenset()
    action: str = ""
    site: tuple[str, str] | None = None

    def lets(self, row: EventRow) -> bool:
        """Whether this event is wanted."""
        event = row.event
        return (
            (self.workspaces is None or event.workspace in self.workspaces)
            and (not self.people or (event.workspace, event.subscriber) in self.people)
            and self.action in {"", event.action}
            and self.site in {None, (event.workspace, event.site)}
        )


class NewestEvents:
    """The newest :data:`KEPT` events of a filter, within :data:`KEPT_BYTES`."""

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self._rows: deque[EventRow] = deque(maxlen=KEPT)
        self._sizes: deque[int] = deque(maxlen=KEPT)
        """Bytes of each of the events' properties."""

    def __iter__(self) -> Iterator[EventRow]:
        """The newest first."""
        return iter(self._rows)

    def take(self, row: EventRow) -> None:
        """Keep one that came, if it is wanted."""
        if not self.wanted.lets(row):
            return
        self._rows.appendleft(row)
        self._sizes.appendleft(len(to_json(row.event.properties)))
        while sum(self._sizes) > KEPT_BYTES and len(self._sizes) > 1:
            self._rows.pop()
            self._sizes.pop()

    def forget(self, subscriber: str) -> None:
        """Let go of whatever somebody did."""
        left = [each for each in zip(self._rows, self._sizes, strict=True) if each[0].event.subscriber != subscriber]
        self._rows = deque((row for row, _ in left), maxlen=KEPT)
        self._sizes = deque((size for _, size in left), maxlen=KEPT)
