"""Decides which commands a match makes (SEMANTICS 8). Pure.

A command's id is made of the match and the position in ``then``, so a repetition after a crash has the same id. Where
re-application replaced a match by one that wants the same, it is an amendment and no command is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.codec import replaced, to_json
from contracts.commands import Command, Verb, command_id_of
from contracts.reasons import Reason
from contracts.rows import MatchRow
from contracts.tokens import is_anonymous
from flows.language.model import Do, Listener
from flows.machine.machine import Match, Version
from flows.subscriber.beside import with_beside
from flows.subscriber.wishes import MAX_DEPTH, NEVER_PAUSED, Pauses, Wanted, heirs_of, is_made_name, mark_of, wanted_by

PEOPLE_AT_LEAST: Final = 5
"""Of how many people's events a listener's `max_lists` different names must come, before they are used up: one person's
make no more than that share, so that a single token cannot stop a listener for everybody."""

_SHADOWS: Final = "?"
_LOOP: Final = (
    f"each of {MAX_DEPTH} moves in a row was the reason for the next one, within an hour each: this one is not made; "
    "`segma listeners lint` names the listeners that move people round"
)


class Occasion(NamedTuple):
    """The occasion of a decision: the log time, and when the collector received the completing event."""

    workspace: str
    log_time_ms: int
    received_at_ms: int


class Past(NamedTuple):
    """The memory of earlier decisions about a subscriber.

    A match that was taken back, or gave its commands to another, may come again. What it then wants is a new command
    under a new id: the ledger knows the old one as done.
    """

    origins: Mapping[str, str] = {}
    """Match id → the *origin* of the commands that stand for it, where that is not its own id: the id of the match that
    made them, and behind ``#`` how often that had made some before. ``?`` before it: a shadow's match that only a
    back-fill may have given commands."""
    spent: Mapping[str, int] = {}
    """Match id → how often it has made commands that no longer are its own."""
    named: Mapping[str, tuple[str, ...]] = {}
    """Listener → the lists whose names the person's events have made, oldest first."""
    depths: Mapping[str, int] = {}
    """Match id → how many moves lie behind it, itself included, where that is more than one."""
    capped: Collection[str] = ()
    """Ids of matches that found no place under the cap."""
    pauses: Pauses = NEVER_PAUSED
    """When the listeners were paused: the same for everybody."""

    def with_shadows(self, matches: Iterable[Match]) -> Past:
        """The past in which these matches were a shadow's: none of them has made commands."""
        origins = {each.match_id: self.origins.get(each.match_id, each.match_id) for each in matches}
        # First: whoever bounds this lets go of the oldest, and these matter least.
        shadows = {name: f"{_SHADOWS}{origin.removeprefix(_SHADOWS)}" for name, origin in origins.items()}
        others = {name: origin for name, origin in self.origins.items() if name not in shadows}
        return self._replace(origins=shadows | others)

    def depth(self, match: Match) -> int:
        """How many moves lie behind a match, itself included."""
        return self.depths.get(match.match_id, 1)

    def mark(self, listener: Listener, match: Match, workspace: str) -> str:
        """As :func:`mark_of`, and whether the match is capped."""
        own = mark_of(listener, match, workspace, self.depth(match), self.pauses)
        return own or (str(Reason.CAPPED) if match.match_id in self.capped else "")


class Decision(NamedTuple):
    """``refused``: responses that could not be resolved, with the reason and what they wanted. ``restated``: where the
    commands of amended matches stand from now on; no commands of their own.
    """

    rows: list[MatchRow]
    commands: list[Command]
    refused: list[tuple[Reason, str, Match]]
    origins: dict[str, str]
    spent: dict[str, int]
    named: dict[str, tuple[str, ...]]
    restated: list[Command]
    before: Past

    @property
    def past(self) -> Past:
        """What this decision leaves for the next one."""
        return Past(self.origins, self.spent, self.named, self.before.depths, self.before.capped)

    def mark(self, listener: Listener, match: Match, workspace: str) -> str:
        """The reason why a known subscriber's match makes no command; empty where it makes some."""
        return self.before.mark(listener, match, workspace)

    def stands_for_shadows(self, match: Match) -> bool:
        """Whether a match stands for a shadow's, and has made no command either."""
        return self.origins.get(match.match_id, "").startswith(_SHADOWS)


def decide(
    listeners: Mapping[Version, Listener],
    retractions: Sequence[Match],
    matches: Sequence[Match],
    past: Past,
    moment: Occasion,
    *,
    shadows: Collection[Version] = (),
    backfilled: Collection[Version] = (),
) -> Decision:
    """The rows and commands of one event's retractions and matches, retractions first.

    ``shadows``: versions whose matches are rows and nothing else. ``backfilled``: those of which a back-fill gives what
    they matched as shadows.
    """
    decision = Decision([], [], [], dict(past.origins), dict(past.spent), dict(past.named), [], past)
    amended = heirs_of(listeners, retractions, matches, moment.workspace, past.capped, past.pauses, past.depths)
    stood_for = {gone.match_id for gone in amended.values()}
    for gone in retractions:
        if gone.match_id not in stood_for:
            shadow, given = _version(gone) in shadows, _version(gone) in backfilled
            _take_back(listeners[_version(gone)], gone, decision, moment, shadow=shadow, backfilled=given)
    for match in matches:
        former = amended.get(match.match_id)
        if former is not None:
            origin = decision.origins[match.match_id] = _spent(former, decision)
            mark = decision.mark(listeners[_version(match)], match, moment.workspace)
            decision.rows.append(_row("amendment", match, moment, replaces=former.match_id, reason=mark))
            moved = match.matched_at_ms != former.matched_at_ms or past.depth(match) != past.depth(former)
            if moved and not mark and _version(match) not in shadows:
                given = _version(match) in backfilled
                _restate(listeners[_version(match)], match, origin, decision, moment, backfilled=given)
        else:
            _fulfil(listeners[_version(match)], match, decision, moment, shadow=_version(match) in shadows)
    return decision


def _version(match: Match) -> Version:
    return match.listener, match.version


def _fulfil(listener: Listener, match: Match, decision: Decision, moment: Occasion, *, shadow: bool) -> None:
    if shadow:
        decision.rows.append(_row("match", match, moment, reason=str(Reason.SHADOWED)))
        return
    if is_anonymous(match.subscriber):
        decision.rows.append(_row("match", match, moment, reason=str(Reason.NO_IDENTITY)))
        return
    mark = decision.mark(listener, match, moment.workspace)
    decision.rows.append(_row("match", match, moment, reason=mark))
    if mark == Reason.LOOP:
        decision.refused.append((Reason.LOOP, _LOOP, match))
    if mark:
        return
    wanted, unnamed = wanted_by(listener, match, moment.workspace)
    decision.refused.extend((Reason.BAD_LIST_NAME, text, match) for text in unnamed)
    wanted = [each for each in wanted if _may_name(listener, each, match, decision)]
    origin = match.match_id
    if origin in decision.spent:
        origin = decision.origins[match.match_id] = f"{origin}#{decision.spent[origin]}"
    depth = decision.before.depth(match)
    commands = (_command(listener, match, each, origin, moment, depth) for each in wanted)
    decision.commands.extend(with_beside(commands))


def _restate(
    listener: Listener, match: Match, origin: str, decision: Decision, moment: Occasion, *, backfilled: bool
) -> None:
    """The commands that stand for an amended match stand at its own place from now on (SEMANTICS 9)."""
    if is_anonymous(match.subscriber):
        return
    depth = decision.before.depth(match)
    for wanted in _given(listener, match, origin, decision, moment, backfilled=backfilled):
        if wanted.response.do is not Do.WEBHOOK:
            restated = command_id(origin, wanted.position)
            own = hashlib.sha256(to_json([restated, match.match_id, moment.log_time_ms])).hexdigest()[:32]
            command = _command(listener, match, wanted, origin, moment, depth)
            decision.restated.append(replaced(command, command_id=own, restates=restated))


def _take_back(
    listener: Listener, match: Match, decision: Decision, moment: Occasion, *, shadow: bool, backfilled: bool
) -> None:
    decision.rows.append(_row("retraction", match, moment))
    origin = _spent(match, decision)
    marked = decision.mark(listener, match, moment.workspace)
    if listener.undo and not shadow and not marked and not is_anonymous(match.subscriber):
        depth = decision.before.depth(match)
        wanted = _given(listener, match, origin, decision, moment, backfilled=backfilled)
        undone = (_command(listener, match, each, origin, moment, depth, undo=True) for each in wanted)
        decision.commands.extend(with_beside(undone))


def _given(
    listener: Listener, match: Match, origin: str, decision: Decision, moment: Occasion, *, backfilled: bool
) -> list[Wanted]:
    """What a match wants and was given commands for; of a shadow's that is what a back-fill gives, if there was one."""
    found, _ = wanted_by(listener, match, moment.workspace)
    if origin.startswith(_SHADOWS):
        found = [each for each in found if backfilled and each.response.do is not Do.WEBHOOK]
    return [each for each in found if not _was_refused(listener, each, decision)]


def _spent(match: Match, decision: Decision) -> str:
    """The origin of the commands that stood for a match which is no more."""
    origin = decision.origins.pop(match.match_id, match.match_id)
    maker, _, times = origin.removeprefix(_SHADOWS).partition("#")
    # Moved to the end: whoever bounds this lets go of the oldest.
    decision.spent[maker] = max(decision.spent.pop(maker, 0), int(times or 0) + 1)
    return origin


def _may_name(listener: Listener, wanted: Wanted, match: Match, decision: Decision) -> bool:
    """Whether the person's events may name this list; it is noted that they did."""
    if _was_refused(listener, wanted, decision):
        decision.refused.append((Reason.TOO_MANY_LISTS, wanted.to_list, match))
        return False
    named = decision.named.get(listener.name, ())
    if wanted.to_list not in named and is_made_name(wanted):
        decision.named[listener.name] = (*named, wanted.to_list)
    return True


def _was_refused(listener: Listener, wanted: Wanted, decision: Decision) -> bool:
    """Whether the person's share of names is used up by others than this one."""
    named = decision.named.get(listener.name, ())
    share = max(listener.max_lists // PEOPLE_AT_LEAST, 1)
    return len(named) >= share and wanted.to_list not in named and is_made_name(wanted)


def _command(  # noqa: PLR0917
    listener: Listener, match: Match, wanted: Wanted, origin: str, moment: Occasion, depth: int, *, undo: bool = False
) -> Command:
    response = wanted.response
    return Command(
        command_id=command_id(origin, wanted.position, undo=undo),
        workspace=moment.workspace,
        account=response.at or "",
        subscriber=match.subscriber,
        verb=Verb(response.do.value),
        listener=match.listener,
        version=match.version,
        match_id=match.match_id,
        position=wanted.position,
        matched_at_ms=match.matched_at_ms,
        to_list=wanted.to_list,
        from_list=wanted.from_list,
        tag=response.tag or "",
        url=response.url or "",
        undoes=command_id(origin, wanted.position) if undo else "",
        depth=depth,
        max_lists=listener.max_lists if is_made_name(wanted) else 0,
        evidence=dict(match.steps),
        log_time_ms=moment.log_time_ms,
        received_at_ms=moment.received_at_ms if match.completed_by else 0,
    )


def command_id(origin: str, position: int, *, undo: bool = False) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of ``[match, position]``, an undo's of ``[…, "undo"]``.

    ``origin``: the match's id; where it had made commands before, ``<id>#<how often>``, and the number stands behind
    the position.
    """
    maker, _, times = origin.removeprefix(_SHADOWS).partition("#")
    parts = [maker, position, *([int(times)] if times else []), *(["undo"] if undo else [])]
    return command_id_of(parts)


def _row(kind: str, match: Match, moment: Occasion, *, replaces: str = "", reason: str = "") -> MatchRow:
    return MatchRow(
        kind=kind,
        workspace=moment.workspace,
        subscriber=match.subscriber,
        listener=match.listener,
        version=match.version,
        match_id=match.match_id,
        matched_at_ms=match.matched_at_ms,
        evidence=dict(match.steps),
        replaces=replaces,
        reason=reason,
        log_time_ms=moment.log_time_ms,
    )
