"""What a back-test says of one person: standing matches, the lists that they want, runs in flight. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts.codec import Value, replaced
from contracts.commands import Command, Verb
from contracts.rows import MatchRow
from flows.backtest.replay import Arrival, Replayed, Waiting


class FoundMatch(Value, frozen=True):
    """A match that stands. ``reason``: why it made no command; empty where it did."""

    match_id: str
    version: int
    matched_at_ms: int
    reason: str
    events: tuple[str, ...]


class Stay(Value, frozen=True):
    """A list that the matches want a person in, or (``tag``) a tag, since when."""

    account: str
    name: str
    since_ms: int
    tag: bool = False


class Moment(Value, frozen=True):
    """A line of a person's timeline: an event with the steps of matches that it fills, or a match."""

    at_ms: int
    what: str
    detail: str = ""


class PersonFound(Value, frozen=True):
    """``taken_back``: matches that came and went again. ``commands``: account → how many it would have got."""

    subscriber: str
    matches: tuple[FoundMatch, ...] = ()
    taken_back: int = 0
    stays: tuple[Stay, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    commands: dict[str, int] = {}  # noqa: RUF012 (msgspec makes a new one for each)
    failed: int = 0

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.matches or self.taken_back or self.waiting or self.failed)


def found_of(subscriber: str, replayed: Replayed) -> PersonFound:
    """Sum up what came of one person's past."""
    standing: dict[str, MatchRow] = {}
    taken_back = 0
    for row in replayed.rows:
        if row.kind == "retraction":
            standing.pop(row.match_id, None)
            taken_back += 1
        else:
            standing.pop(row.replaces, None)
            standing[row.match_id] = row
    ordered = sorted(standing.values(), key=lambda row: (row.matched_at_ms, row.listener, row.version, row.match_id))
    commands: dict[str, int] = {}
    for command in replayed.commands:
        if not command.restates and command.account:
            commands[command.account] = commands.get(command.account, 0) + 1
    return PersonFound(
        subscriber,
        tuple(_found(row) for row in ordered),
        taken_back,
        wanted(replayed.commands),
        tuple(replayed.waiting),
        commands,
        replayed.failed,
    )


def standing(commands: Sequence[Command]) -> list[Command]:
    """The commands that are not taken back, by their matches' places. One that was amended stands where it is now."""
    undone = {command.undoes for command in commands if command.undoes}
    given = {command.command_id: command for command in commands if not command.undoes and not command.restates}
    for command in commands:
        if command.restates in given:
            given[command.restates] = replaced(command, command_id=command.restates, restates="")
    found = [command for name, command in given.items() if name not in undone]
    return sorted(found, key=lambda each: (each.matched_at_ms, each.listener, each.position))


def wanted(commands: Sequence[Command]) -> tuple[Stay, ...]:
    """The lists and tags that commands leave a person in. The later by its match's place stands, whenever it came."""
    stays: dict[tuple[str, str, bool], int] = {}
    for command in standing(commands):
        entered = (command.account, command.tag or command.to_list, bool(command.tag))
        if command.verb in {Verb.MOVE, Verb.ADD, Verb.TAG}:
            stays.setdefault(entered, command.matched_at_ms)
        if command.verb in {Verb.MOVE, Verb.REMOVE} and command.from_list != command.to_list:
            stays.pop((command.account, command.from_list, False), None)
        if command.verb is Verb.UNTAG:
            stays.pop((command.account, command.tag, True), None)
    return tuple(Stay(account, name, since_ms, tag) for (account, name, tag), since_ms in sorted(stays.items()))


def timeline(arrivals: Iterable[Arrival], found: PersonFound, most: int = 40) -> tuple[Moment, ...]:
    """A person's newest arrivals and matches, in order of their times."""
    moments = [
        Moment(event.occurred_at_ms, event.action, reason or ("on trial" if event.provisional else event.verdict))
        for event, _, reason in arrivals
    ]
    moments += [
        Moment(match.matched_at_ms, f"match of version {match.version}", match.reason) for match in found.matches
    ]
    return tuple(sorted(moments, key=lambda each: each.at_ms)[-most:])


def _found(row: MatchRow) -> FoundMatch:
    refs = sorted({(ref.occurred_at_ms, ref.event_id) for refs in row.evidence.values() for ref in refs})
    return FoundMatch(row.match_id, row.version, row.matched_at_ms, row.reason, tuple(event_id for _, event_id in refs))
