"""The two lanes of an account: live commands, and what the past asks for, which is counted and stopped apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contracts.commands import Command
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.guard import MoveGuard, MoveLimits, Room


class LaneGuards:
    """``max_moves`` of each lane. Live moves past it stop the account; the back-fill waits until there is room."""

    def __init__(self, limits: MoveLimits, now_ms: Callable[[], int]) -> None:
        self._live = MoveGuard(limits, now_ms)
        # What is asked of the past is sudden by its nature.
        self._behind = MoveGuard(limits._replace(sudden_times=0), now_ms)
        self._full = ""

    def note(self, listener: str, at_ms: int, subscriber: str, backfill: bool) -> None:
        """Count a command that changed something, in its lane."""
        (self._behind if backfill else self._live).note(listener, at_ms, subscriber)

    def room(self, command: Command, under_way: Mapping[tuple[str, str], int], since_ms: int) -> tuple[Room, str]:
        """As :meth:`MoveGuard.room`; of a back-fill no words: nobody need look at it."""
        if not command.backfill:
            return self._live.room(command.listener, under_way, since_ms)
        room, _ = self._behind.room(command.listener, under_way, 0)
        self._full = command.listener if room is Room.FULL else ""
        return room, ""

    def waits(self) -> bool:
        """Whether the back-fill has come to its limit, and there is no room yet."""
        if self._full and self._behind.room(self._full, {}, 0)[0] is not Room.FULL:
            self._full = ""
        return bool(self._full)


def may_go_behind(status: AccountStatus, guards: LaneGuards, spare: Callable[[], bool]) -> bool:
    """Whether commands behind the live ones may be asked for now.

    ``spare``: whether live ones would find enough of the account's quota if they came the next moment.
    """
    return not status.backfill_stopped and not guards.waits() and spare()
