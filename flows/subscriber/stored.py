"""Somebody, as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from contracts.codec import Value, msgpack_reader, written
from flows.derived.purchases import Purchase
from flows.machine.matches import StoredMatches


class StoredPerson(Value, frozen=True):
    """``from_ms``: of the listeners that the timeline belongs to; ``told``: see
    :class:`flows.subscriber.person.Person`.
    """

    SCHEMA: ClassVar[int] = 1

    timeline: bytes
    origins: tuple[tuple[str, str], ...] = ()
    spent: tuple[tuple[str, int], ...] = ()
    from_ms: int = 0
    told: int = 0
    matches: tuple[StoredMatches, ...] = ()
    revoked: tuple[str, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    schema: int = written(1)


read_person: Final[Callable[[bytes], StoredPerson]] = msgpack_reader(StoredPerson)
