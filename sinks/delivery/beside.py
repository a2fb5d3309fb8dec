"""The outcomes of the commands beside a ``webhook``, of whatever account (docs/semantics.md 8.1, 16).

They are waited for, but not for ever: the call is made in any case, and says of each what is known by then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from contracts.codec import json_reader
from contracts.commands import Command, Outcome
from contracts.errors import BadRecord
from contracts.log import Consumer, Log, Record
from contracts.reading import unread
from contracts.topics import OUTCOMES, account_key

WAITING: Final = "waiting"
"""The result of a command that has no outcome yet."""
MAX_KEPT: Final = 100_000
"""Outcomes that are remembered, the newest."""
POLL_S: Final = 0.25
_read: Final[Callable[[bytes], Outcome]] = json_reader(Outcome)


class _End(NamedTuple):
    result: str
    reason: str


class OutcomesBeside:
    """The newest outcomes of a workspace, followed from when a command first asks for some."""

    def __init__(self, log: Log, workspace: str, now_ms: Callable[[], int], stopping: Callable[[], bool]) -> None:
        self._log, self._prefix = log, account_key(workspace, "")
        self._now_ms, self._stopping = now_ms, stopping
        self._reader: Consumer | None = None
        self._ends: OrderedDict[str, _End] = OrderedDict()

    def told(self, command: Command, until_ms: int) -> list[Mapping[str, Any]]:
        """Each command beside this one with its result and reason, once all have theirs; else what is known then.

        Raises :class:`LogUnavailable`.
        """
        if not command.beside:
            return []
        self._follow(0.0)
        while not self._are_known(command) and self._now_ms() < until_ms and not self._stopping():
            self._follow(POLL_S)
        return [
            {"command_id": each, "account": account, **self._ends.get(each, _End(WAITING, ""))._asdict()}
            for each, account in command.beside.items()
        ]

    def _are_known(self, command: Command) -> bool:
        return all(each in self._ends for each in command.beside)

    def _follow(self, timeout_s: float) -> None:
        self._reader = self._reader or self._log.reader(OUTCOMES)
        for record in unread(self._reader, timeout_s):
            self._take(record)

    def _take(self, record: Record) -> None:
        if record.value is None or not record.key.startswith(self._prefix):
            return
        try:
            outcome = _read(record.value)
        except BadRecord:
            return
        self._ends[outcome.command_id] = _End(str(outcome.result), outcome.reason)
        self._ends.move_to_end(outcome.command_id)
        if len(self._ends) > MAX_KEPT:
            self._ends.popitem(last=False)

    def close(self) -> None:
        """Stop following."""
        if self._reader is not None:
            self._reader.close()
