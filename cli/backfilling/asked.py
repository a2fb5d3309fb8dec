"""What stands against the commands of a back-fill, and their way into the log: each once, whatever is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from contracts.codec import json_reader, to_json
from contracts.commands import Command, Verb
from contracts.errors import BadRecord, LogError
from contracts.log import Log, Outgoing
from contracts.reading import all_of
from contracts.rows import CommandRow
from contracts.topics import ROWS, VETOES, account_topics, backfill_topic, subscriber_key
from flows.backtest.members import MemberFound
from sinks.delivery.directory import Directory
from sinks.delivery.leavings import Leavings, leavings_of_accounts
from sinks.delivery.ledger import Ledger
from sinks.delivery.places import place

BATCH: Final = 500
MOVED, LEFT, SINCE, ASKED, UNKNOWN = "moved", "left", "since", "asked", "unknown"
"""What becomes of a command: it is given; given and vetoed, for the person has left; not given, for Segma has changed
the list since; given before; not given, for the person is not in the directory."""
STANDINGS: Final = (MOVED, LEFT, SINCE, ASKED, UNKNOWN)

_read_command = json_reader(Command)


class AccountDesk:
    """What is known at one account of commands that are asked of it."""

    def __init__(self, log: Log, workspace: str, account: str, directory: Directory, leavings: Leavings) -> None:
        log.ensure(account_topics(workspace, account))
        self._directory, self._leavings = directory, leavings
        self._ledger = Ledger(log, workspace, account)
        self._asked = {command.command_id for command in _commands_in(log, backfill_topic(workspace, account))}

    def standing(self, command: Command) -> str:
        """One of :data:`STANDINGS`."""
        if self._directory.find(command.workspace, command.subscriber) is None:
            return UNKNOWN
        if command.command_id in self._asked or self._ledger.knows(command.command_id):
            return ASKED
        lists = [name for name in (command.from_list, command.to_list) if name]
        names = [*(place("", name) for name in lists), *([place("t", command.tag)] if command.tag else [])]
        if self._ledger.overtaken(command, names):
            return SINCE
        adds = command.verb in {Verb.MOVE, Verb.ADD, Verb.TAG}
        return LEFT if adds and any(self._leavings.standing(command.subscriber, lists)) else MOVED

    def close(self) -> None:
        """Stop following."""
        self._ledger.close()


class Desks:
    """The accounts that commands are asked of."""

    def __init__(self, log: Log, workspace: str) -> None:
        self._log, self._workspace = log, workspace
        self._directory = Directory(log)
        self._leavings = leavings_of_accounts(all_of(log, VETOES))
        self._desks: dict[str, AccountDesk] = {}

    def standing(self, command: Command) -> str:
        """What becomes of a command: one of :data:`STANDINGS`."""
        account = command.account
        if account not in self._desks:
            leavings = self._leavings.get((self._workspace, account), Leavings())
            self._desks[account] = AccountDesk(self._log, self._workspace, account, self._directory, leavings)
        return self._desks[account].standing(command)

    def close(self) -> None:
        """Stop following."""
        for each in self._desks.values():
            each.close()
        self._directory.close()


class Tally:
    """How many commands each account gets, by what becomes of them, and for how many people.

    ``theirs``: commands that are not given, for the person has joined or left a list since. ``held_out`` and
    ``paused``: people.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.people: Counter[str] = Counter()
        self.theirs = self.held_out = self.paused = 0

    def add(self, found: MemberFound, standings: Sequence[str]) -> None:
        """Count one person. ``standings``: of each of their commands."""
        self.theirs += found.theirs
        self.held_out += found.held_out
        self.paused += found.paused
        moved = set[str]()
        for command, standing in zip(found.commands, standings, strict=True):
            self.counts.setdefault(command.account, Counter())[standing] += 1
            moved |= {command.account} if standing == MOVED else set()
        self.people.update(moved)


def give(log: Log, commands: Iterable[Command]) -> int:
    """Write commands behind the live ones, with a row each. How many; raises :class:`LogError`."""
    given = 0
    publisher = log.publisher()
    try:
        for batch in _batches(commands):
            records = [record for command in batch for record in _records(command)]
            for fault in publisher.publish(records):
                if isinstance(fault, LogError):
                    raise fault
            given += len(batch)
    finally:
        publisher.close()
    return given


def _records(command: Command) -> tuple[Outgoing, Outgoing]:
    key = subscriber_key(command.workspace, command.subscriber)
    row = Outgoing(ROWS, key, to_json(CommandRow(command)))
    return row, Outgoing(backfill_topic(command.workspace, command.account), key, to_json(command))


def _batches(commands: Iterable[Command]) -> Iterator[Sequence[Command]]:
    batch: list[Command] = []
    for command in commands:
        batch.append(command)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _commands_in(log: Log, topic: str) -> Iterator[Command]:
    for record in all_of(log, topic):
        if record.value is not None:
            try:
                yield _read_command(record.value)
            except BadRecord:
                continue
