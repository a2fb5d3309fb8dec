"""What is known of a device, and what recognising needs beside it. Nothing here decides anything.

NOTE: of its own, because what works with it is compiled, and msgspec's classes are not (docs/adr/0006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from contracts.codec import Value, written
from contracts.events import Event
from contracts.reasons import Reason
from flows.derived.clicks import Click

HISTORY_MS: Final = 86_400_000
BINDING_MS: Final = 400 * 86_400_000
"""How long after its last beacon a device is still known as somebody's: as long as browsers keep storage at most."""
DELIVERY_KEPT_MS: Final = 60_000
"""How long a delivery is kept for the clicks that follow it: webhooks and clicks come in either order."""


class Device(Value, frozen=True):
    """The state of one device, a key of ``beacons``. ``person`` empty: anonymous; then ``history`` is kept."""

    SCHEMA: ClassVar[int] = 1

    person: str = ""
    history: tuple[Event, ...] = ()
    clicks: tuple[Click, ...] = ()
    seen_ms: int = 0
    """Log time of its last record."""
    order: int = 0
    """The highest running number that its SDK has given."""
    order_ms: int = 0
    """When the event of that number occurred."""
    delivered_ms: int = 0
    """When the last mail was delivered, by the platform's clock; kept for as long as it may speak against a click."""
    sizes: tuple[int, ...] = ()
    """Bytes of each event of ``history`` as JSON."""
    schema: int = written(1)

    @property
    def is_nobody(self) -> bool:
        """Whether nothing is known of it."""
        return not (self.person or self.history or self.clicks or self.delivered_ms)

    @property
    def expires_ms(self) -> int:
        """When nothing of it is worth keeping any more, in log time."""
        if self.delivered_ms and not (self.person or self.history):
            return self.seen_ms + DELIVERY_KEPT_MS + 1
        return self.seen_ms + (BINDING_MS if self.person else HISTORY_MS) + 1

    @property
    def due_ms(self) -> int:
        """When the next quarantine is over, or all of it expires, in log time."""
        return min([click.due_ms for click in self.clicks]) if self.clicks else self.expires_ms


@dataclass(frozen=True, slots=True)
class Rules:
    """What recognising needs to know of a workspace."""

    actions: frozenset[str]
    quarantine_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is set aside, with its bytes."""

    reason: Reason
    detail: str
    data: bytes
