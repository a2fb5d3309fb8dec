"""What a version knows of a person's past before it was at work, on its way to the flow (SEMANTICS 9, the past)."""

from __future__ import annotations

from typing import ClassVar, Final

from contracts.codec import Value, written

PAST_PREFIX: Final = b'{"type":"past",'
"""How its JSON begins, and no other record of its topic."""


class PastState(Value, frozen=True, tag="past", tag_field="type"):
    """A version's state of one person, as a shadow had it that heard the recorded log up to ``until_ms``.

    It travels among the person's events. ``state``: as the flow stores a subscriber whom this version alone hears. It
    may come more than once: the first one counts.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    listener: str
    version: int
    until_ms: int
    state: bytes
    schema: int = written(1)
