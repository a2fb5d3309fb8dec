"""The content of the console's pages as one value, into which records of the log are folded. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

from console.newest_events import KEPT, EventFilter, NewestEvents
from console.recordings import Recordings
from contracts.commands import Command, EventRef, Outcome, Result
from contracts.events import Event
from contracts.rows import CommandRow, DirectoryEntry, EventRow, MembershipRow, Row
from contracts.tokens import shown_device

MAX_COMMANDS: Final = 10_000
"""Commands kept until their outcome comes; the oldest go first."""
MAX_EVIDENCE: Final = 100_000
"""Events that these commands rest on, together."""

PictureRecord = Row | Outcome | DirectoryEntry


class Picture:
    """The newest moves with their reasons, the newest events; of the demo its people and its lists with members too."""

    def __init__(self, *, demo: bool = False) -> None:
        """``demo``: there are a handful of people. Elsewhere no name and no list is held: they are the history's."""
        self._demo = demo
        self.recordings = Recordings()
        self.people: dict[tuple[str, str], DirectoryEntry] = {}
        self._lists: dict[tuple[str, str, str], dict[str, int]] = {}
        self._moved: set[tuple[str, str, str, str]] = set()
        self._commands: dict[str, Command] = {}
        self._moves: deque[Outcome] = deque(maxlen=KEPT)
        self._events = NewestEvents(EventFilter())
        self._followed: list[NewestEvents] = []
        self._evidence = 0
        self._seen: dict[tuple[str, str], tuple[int, str, str]] = {}
        """Of each site what came last, and when; of nobody in particular."""

    def apply(self, item: PictureRecord) -> bool:
        """Take one record in; whether anything shown has changed."""
        match item:
            case EventRow():
                self.recordings.take(item, self._events)
                self._seen[item.event.workspace, item.event.site] = _came(item.event)
                for newest in (self._events, *self._followed):
                    newest.take(item)
            case CommandRow(command=command):
                self._remember(command)
            case MembershipRow(member=True) if self._demo:
                key = (item.workspace, item.account, item.list_name)
                members = self._lists.setdefault(key, {})
                # NOTE: the topics are read side by side: what a move decided, a baseline read later leaves alone.
                if (*key, item.subscriber) not in self._moved:
                    members.setdefault(item.subscriber, item.at_ms)
            case Outcome():
                self._change(item)
            case DirectoryEntry() if self._demo:
                self.people[item.workspace, item.subscriber] = item
            case _:
                return False
        return True

    def forget(self, workspace: str, subscriber: str) -> None:
        """A person was erased: nothing shown names them any more."""
        self.people.pop((workspace, subscriber), None)
        for newest in (self._events, *self._followed):
            newest.forget(subscriber)
        self._moves = deque((each for each in self._moves if each.subscriber != subscriber), maxlen=KEPT)
        for members in self._lists.values():
            members.pop(subscriber, None)

    def follow(self, wanted: EventFilter) -> NewestEvents:
        """Keep what a filter lets through, from the newest events on, until :meth:`unfollow`."""
        newest = NewestEvents(wanted)
        for row in reversed(list(self._events)):
            newest.take(row)
        self._followed.append(newest)
        return newest

    def unfollow(self, newest: NewestEvents) -> None:
        """Keep it no more."""
        self._followed = [each for each in self._followed if each is not newest]

    def _remember(self, command: Command) -> None:
        self._evidence += _rests_on(command) - _rests_on(self._commands.get(command.command_id))
        self._commands[command.command_id] = command
        while len(self._commands) > MAX_COMMANDS or (self._evidence > MAX_EVIDENCE and len(self._commands) > 1):
            self._evidence -= _rests_on(self._commands.pop(next(iter(self._commands))))

    def _change(self, outcome: Outcome) -> None:
        if any(known.command_id == outcome.command_id for known in self._moves):
            return
        for change in outcome.changed if self._demo and outcome.result is Result.APPLIED else ():
            key = (outcome.workspace, outcome.account, change[1:])
            members = self._lists.setdefault(key, {})
            self._moved.add((*key, outcome.subscriber))
            if change.startswith("+"):
                members.setdefault(outcome.subscriber, outcome.at_ms)
            else:
                members.pop(outcome.subscriber, None)
        # NOTE: a command's row may come after its outcome: it is looked up when the page is shown.
        self._moves.appendleft(outcome)

    def name(self, workspace: str, subscriber: str) -> str:
        """Return a person's label on a page: the name, else the start of the opaque id."""
        entry = self.people.get((workspace, subscriber))
        return entry.name if entry and entry.name else f"{subscriber[:10]}…"

    def lists(self, workspaces: Container[str]) -> list[dict[str, Any]]:
        """Every list of some workspaces with its members, in order of name."""
        return [
            {
                "workspace": workspace,
                "account": account,
                "list": name,
                "members": [self.name(workspace, subscriber) for subscriber in members],
            }
            for (workspace, account, name), members in sorted(self._lists.items())
            if workspace in workspaces
        ]

    def moves(self, workspaces: Container[str]) -> list[dict[str, Any]]:
        """The newest moves of some workspaces first, each with its reason: listener, steps' events, milliseconds."""
        return [self._move(outcome) for outcome in self._moves if outcome.workspace in workspaces]

    def _move(self, outcome: Outcome) -> dict[str, Any]:
        command = self._commands.get(outcome.command_id)
        since = outcome.received_at_ms
        return {
            "at_ms": outcome.at_ms,
            "person": self.name(outcome.workspace, outcome.subscriber),
            "verb": outcome.verb,
            "result": outcome.result.value,
            "reason": outcome.reason,
            "changed": list(outcome.changed),
            "listener": outcome.listener,
            "after_ms": outcome.at_ms - since if since else None,
            "steps": [] if command is None else _steps(command),
        }

    def events(self, workspaces: Container[str]) -> list[dict[str, Any]]:
        """The newest events of some workspaces first."""
        return self.told(self._events, workspaces)

    def told(self, rows: Iterable[EventRow], workspaces: Container[str]) -> list[dict[str, Any]]:
        """Those of the events that are of some workspaces, in their order, as a page shows them."""
        return [
            {
                "at_ms": row.event.occurred_at_ms,
                "person": self.name(row.event.workspace, row.event.subscriber),
                "action": row.event.action,
                "properties": row.event.properties,
                "trust": row.event.trust.value,
                "reason": row.reason,
                "device": shown_device(row.event.device),
            }
            for row in rows
            if row.event.workspace in workspaces
        ]

    def sites(self, workspaces: Container[str]) -> list[dict[str, Any]]:
        """What came last of each site of some workspaces; what a server or a mail sent by itself has no site."""
        return [
            {"workspace": workspace, "site": site, "at_ms": at_ms, "action": action, "path": path}
            for (workspace, site), (at_ms, action, path) in sorted(self._seen.items())
            if site and workspace in workspaces
        ]


def _came(event: Event) -> tuple[int, str, str]:
    return event.received_at_ms, event.action, str(event.properties.get("path", ""))


def _rests_on(command: Command | None) -> int:
    return 0 if command is None else sum(len(refs) for refs in command.evidence.values())


def _steps(command: Command) -> list[dict[str, Any]]:
    return [
        {"step": step, "events": [{"action": ref.action, "at_ms": ref.occurred_at_ms} for ref in refs]}
        for step, refs in sorted(command.evidence.items(), key=lambda each: _began(each[1]))
    ]


def _began(refs: Sequence[EventRef]) -> int:
    return min((ref.occurred_at_ms for ref in refs), default=0)
