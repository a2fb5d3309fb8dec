"""Every error that Segma raises on purpose.

::

    SegmaError
    ├── ConfigError            settings or files that cannot be used; lists every problem; the process refuses to boot
    │   └── ListenerError      listener files that cannot be used; lists every problem of every file
    ├── BadInput               one thing from outside that is refused at the door, with a closed reason
    │   ├── BadToken
    │   └── BadRecord          bytes in the log that do not decode
    ├── LogError
    │   ├── LogUnavailable     try again later: nothing was stored by this call that it does not report
    │   ├── SpoolFull          the collector's own disk space for waiting beacons is used up
    │   ├── UnknownTopic
    │   ├── RecordRefused      the log will never take this record as it is: set it aside, go on with the next
    │   ├── StaleConsumer      somebody else holds the lease now: stop, write nothing more
    │   └── PositionGone       the asked position is older than what retention has kept, or of another history
    └── AlreadyRunning         another process owns what this one needs

Foreign exceptions are mapped to these in one place per room, nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.reasons import Reason


class SegmaError(Exception):
    """Root of the tree. ``str(error)`` is a sentence for a person and holds no secret and no address."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file or in the settings.

    ``where`` is ``file:line`` or the name of a setting, ``field`` a dotted path in it, ``found`` and ``wanted`` are
    phrases: what stands there and what would be right.
    """

    where: str
    field: str
    found: str
    wanted: str

    def __str__(self) -> str:
        field = f" {self.field}:" if self.field else ""
        return f"{self.where}:{field} {self.found}; {self.wanted}"


class ConfigError(SegmaError):
    """Settings that cannot be used. All problems at once, so that one look mends them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ListenerError(ConfigError):
    """Listener files that cannot be used."""


class BadInput(SegmaError):
    """One thing from outside that is refused. ``reason`` is closed, ``detail`` is for a person and safe to log."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else str(reason))


class BadToken(BadInput):
    """A token that is not believed."""


class BadRecord(BadInput):
    """Bytes in the log that are not what their topic promises."""


class LogError(SegmaError):
    """The log could not do what was asked."""


class LogUnavailable(LogError):
    """The log cannot be reached or written now (broker away, disk full, locked). Try again later."""


class SpoolFull(LogError):
    """The collector's own disk space for waiting beacons is used up, or cannot be written."""


class UnknownTopic(LogError):
    """The topic was never created, or its frozen shape (partitions) is another than asked."""


class RecordRefused(LogError):
    """The log will never take this record as it is: it is too large, or its topic may not be written by us."""


class StaleConsumer(LogError):
    """The lease of this consumer on this partition went to another generation."""


class PositionGone(LogError):
    """The position asked for is not in the log: older than the oldest record kept, or of a history that it lost."""


class AlreadyRunning(SegmaError):
    """Another process owns the directory, port or store that this one needs; the text says which and who."""
