"""Whom a version would have in its lists by now: the commands that a back-fill gives (SEMANTICS 9, the past). Pure.

Of all that the matches of a person want, what stands at the end counts: one command for a place, that of the latest
match. A place at which the person did something themselves since is theirs: no command of the past changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from contracts.codec import Value, replaced
from contracts.commands import Command, Verb
from contracts.membership import MEMBERSHIP
from contracts.reasons import Reason
from contracts.rows import MatchRow
from flows.backtest.person import standing
from flows.backtest.replay import Arrival, Replayed
from flows.derived.membership import Standing, fact_of, sent_by_others
from flows.language.model import Listener, Repeat

_MOVES = frozenset({Verb.MOVE, Verb.ADD, Verb.REMOVE, Verb.TAG, Verb.UNTAG})


class MemberFound(Value, frozen=True):
    """What a back-fill has to say of a person.

    ``commands``: in the order of their matches' places; ``theirs``: how many are not given, for the person has joined
    or left a list since; ``held_out``: whether they are; ``paused``: whether a match of theirs completed while the
    listener was paused, which is not made good.
    """

    subscriber: str
    commands: tuple[Command, ...] = ()
    theirs: int = 0
    held_out: bool = False
    paused: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.commands or self.theirs or self.held_out or self.paused)


def member_of(
    listener: Listener, replayed: Replayed, arrivals: Sequence[Arrival], earlier: Replayed | None
) -> MemberFound:
    """Return what of a person's past is to be made good.

    ``replayed``: the version as if it had always been live. ``earlier``: the versions before it, as they were at work,
    where there are any: what they matched counts for ``repeat``.
    """
    subscriber = arrivals[0][0].subscriber
    before = [row.matched_at_ms for row in _standing_rows(earlier.rows)] if earlier is not None else []
    given = [each for each in standing(replayed.commands) if not _is_repeated(listener, each, before)]
    wanted = _latest([each for each in given if each.verb in _MOVES and each.account])
    own = {command.command_id for command in wanted if _is_theirs(command, arrivals)}
    reasons = {row.reason for row in _standing_rows(replayed.rows)}
    held_out, paused = Reason.HELD_OUT in reasons, Reason.LISTENER_PAUSED in reasons
    commands = tuple(replaced(each, backfill=True) for each in wanted if each.command_id not in own)
    return MemberFound(subscriber, commands, len(own), held_out, paused)


def places_of(command: Command) -> Iterator[Standing]:
    """Yield the lists and the tag that a command changes."""
    for name in (command.from_list, command.to_list):
        if name:
            yield command.account, "list", name
    if command.tag:
        yield command.account, "tag", command.tag


def _standing_rows(rows: Iterable[MatchRow]) -> list[MatchRow]:
    """The matches that stand, but for those of shadows."""
    found: dict[str, MatchRow] = {}
    for row in rows:
        found.pop(row.match_id if row.kind == "retraction" else row.replaces, None)
        if row.kind != "retraction" and row.reason != Reason.SHADOWED:
            found[row.match_id] = row
    return list(found.values())


def _is_repeated(listener: Listener, command: Command, before: Iterable[int]) -> bool:
    """Whether an earlier version's match leaves no room for this command's (SEMANTICS 8, ``repeat``)."""
    if listener.repeat is Repeat.EVERY:
        return False
    past = [command.matched_at_ms - at_ms for at_ms in before if at_ms <= command.matched_at_ms]
    return any(listener.repeat is Repeat.ONCE or ago < (listener.cooldown_ms or 0) for ago in past)


def _latest(commands: Sequence[Command]) -> list[Command]:
    """The commands that say the last word about one of their places at least."""
    last = {place: command.command_id for command in commands for place in places_of(command)}
    return [command for command in commands if command.command_id in last.values()]


def _is_theirs(command: Command, arrivals: Iterable[Arrival]) -> bool:
    """Whether somebody else than Segma put the person into one of its places, or took them out, since its match."""
    places = set(places_of(command))
    for event, _, _ in arrivals:
        if event.action in MEMBERSHIP and event.occurred_at_ms > command.matched_at_ms:
            fact = fact_of(sent_by_others(event))
            if fact is not None and fact.of in places:
                return True
    return False
