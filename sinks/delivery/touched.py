"""Which command touched each of a person's places last: one from behind comes too late where another did since."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.commands import Command, Outcome


class LastTouches:
    """Person and place → the command whose outcome named the place last, and when."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[str, int]] = {}
        self._forestalled = set[str]()

    def note(self, outcome: Outcome, names: Iterable[str]) -> None:
        """Note an outcome at these places. What was made good of the past counts from its match's time on."""
        at_ms = outcome.matched_at_ms if outcome.backfill else outcome.at_ms
        for name in names:
            key = outcome.subscriber, name
            if not outcome.backfill or at_ms >= self._last.get(key, ("", 0))[1]:
                self._last[key] = outcome.command_id, at_ms

    def forestall(self, command_id: str) -> None:
        """Note that a command was taken back before it came: what takes it back went before it."""
        self._forestalled.add(command_id)

    def forget(self, command_id: str) -> None:
        """What took this command back is no longer in the log."""
        self._forestalled.discard(command_id)

    def overtook(self, command: Command, names: Iterable[str], *, failed: bool) -> bool:
        """Whether a command from behind was taken back before it came, or one of these places was touched since it was
        given, or since it ``failed``.
        """
        if command.command_id in self._forestalled:
            return True
        last = [self._last[command.subscriber, name] for name in names if (command.subscriber, name) in self._last]
        if failed:
            return any(command_id != command.command_id for command_id, _ in last)
        return any(at_ms > command.matched_at_ms for _, at_ms in last)
