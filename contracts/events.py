"""Events: validated facts, as they travel in the topic ``events``."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from contracts.codec import Value, written


class Trust(StrEnum):
    """How surely an event's sender is known: ``browser`` < ``token`` < ``server``."""

    BROWSER = "browser"
    TOKEN = "token"  # noqa: S105
    SERVER = "server"

    @property
    def level(self) -> int:
        """0, 1, 2: comparable."""
        return _LEVELS[self]


_LEVELS = {Trust.BROWSER: 0, Trust.TOKEN: 1, Trust.SERVER: 2}


class Event(Value, frozen=True, tag="event", tag_field="type"):
    """One validated fact about one subscriber.

    ``occurred_at_ms`` is the client's time corrected by the beacon's skew, never before an event that the same device
    numbered earlier and was heard of, and never later than ``received_at_ms``.
    Events of a subscriber are ordered by (``occurred_at_ms``, ``order``, ``event_id``): :attr:`place`.
    ``partition``/``offset`` say where in ``beacons`` it came from; ``log_time_ms`` when the log took that record.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    event_id: str
    action: str
    occurred_at_ms: int
    order: int = 0
    properties: dict[str, Any] = {}
    trust: Trust = Trust.BROWSER
    stitched: bool = False
    """History of a device from before it became somebody's: advances and opens runs, never completes one."""
    provisional: bool = False
    """A click that may be a scanner's: fits no step until its verdict."""
    verdict: str = ""
    """Of a click: ``confirmed`` or ``machine``, with the reason after a colon. Empty while provisional."""
    new_device: bool = False
    """A token of another person came on a known device: its events belong to that person from here on."""
    site: str = ""
    device: str = ""
    received_at_ms: int = 0
    log_time_ms: int = 0
    partition: int = 0
    offset: int = 0
    schema: int = written(1)

    @property
    def place(self) -> tuple[int, int, str]:
        """Its place in the subscriber's order of events (SEMANTICS 2)."""
        return (self.occurred_at_ms, self.order, self.event_id)


class LogTime(Value, frozen=True, tag="log_time", tag_field="type"):
    """The log time up to which ``recognise`` has passed on one partition of ``beacons``.

    It is written into every partition of ``events``; the least over all sources is the log time of ``follow``.
    """

    SCHEMA: ClassVar[int] = 1

    source: int
    log_time_ms: int
    schema: int = written(1)


EventsRecord = Event | LogTime
