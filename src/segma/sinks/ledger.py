"""The ledger of one account: which commands have an outcome, and what each changed. Rebuilt from ``outcomes``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segma.contracts.codec import json_reader
from segma.contracts.commands import Outcome, Result
from segma.contracts.errors import BadRecord
from segma.contracts.log import Log
from segma.contracts.topics import OUTCOMES

_read: Final[Callable[[bytes], Outcome]] = json_reader(Outcome)


class Ledger:
    """Command id → what it changed; (person, list) → the command that touched it last."""

    def __init__(self, log: Log, workspace: str, account: str) -> None:
        self._key = f"{workspace}/{account}".encode()
        self._reader = log.reader(OUTCOMES)
        self._changed: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._last: dict[tuple[str, str], str] = {}
        self._named: dict[str, set[str]] = {}
        self.follow()

    def follow(self) -> None:
        """Take in what has been published since."""
        while records := self._reader.poll(5_000):
            for record in records:
                if record.key != self._key or record.value is None:
                    continue
                try:
                    self.add(_read(record.value))
                except BadRecord:
                    continue  # not of ours: outcomes are written by the loop alone

    def add(self, outcome: Outcome) -> None:
        """Note an outcome; a second one of the same command changes nothing."""
        if outcome.command_id in self._changed:
            return
        self._changed[outcome.command_id] = (outcome.subscriber, outcome.changed)
        if outcome.to_list and outcome.result in {Result.APPLIED, Result.ALREADY}:
            self._named.setdefault(outcome.listener, set()).add(outcome.to_list)
        for name in {mark[1:] for mark in outcome.changed} | {outcome.to_list, outcome.from_list} - {""}:
            self._last[outcome.subscriber, name] = outcome.command_id

    def may_name(self, listener: str, list_name: str, most: int) -> bool:
        """Whether a listener may bring this list about, of at most so many different ones."""
        named = self._named.get(listener, set())
        return list_name in named or len(named) < most

    def knows(self, command_id: str) -> bool:
        """Whether the command has an outcome."""
        return command_id in self._changed

    def to_undo(self, command_id: str) -> tuple[str, ...]:
        """What the command changed and no later command of that person has touched since."""
        subscriber, changed = self._changed.get(command_id, ("", ()))
        return tuple(mark for mark in changed if self._last.get((subscriber, mark[1:])) == command_id)

    def close(self) -> None:
        """Stop following."""
        self._reader.close()
