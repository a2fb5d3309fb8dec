"""What a state store has to know of the states it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from flows.state.rows import Input

S = TypeVar("S")


class StateType(Protocol[S]):
    """The states of one kind: how they are made, written, read back, and when they are due.

    A :class:`flows.state.store.StateStore` calls it, and nothing else does. None of its methods changes a state.
    What :meth:`encode` raises ends that one key (:meth:`lost`), never the process.
    """

    def new(self, key: str) -> S:
        """The state of a key of which nothing is known."""

    def encode(self, key: str, state: S) -> bytes:
        """The state as bytes; :meth:`decode` makes an equal one of them."""

    def decode(self, key: str, data: bytes) -> S:
        """The state of what :meth:`encode` made. Raises ``BadRecord``."""

    def due_ms(self, key: str, state: S) -> int | None:
        """The log time (ms) at which the state has something to do without an input; None: never."""

    def replay(self, key: str, snapshot: bytes | None, inputs: Sequence[Input]) -> S:
        """The state of a snapshot (None: of nothing) after the inputs behind it, for what is given to ``add``."""

    def lost(self, key: str, state: S, error: Exception) -> None:
        """Note that a state cannot be written and is dropped, which is that key's trouble and nobody else's."""
