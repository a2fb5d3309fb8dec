"""Decides which commands a match makes (SEMANTICS 8). Pure.

A command's id is made of the match and the position in ``then``, so a repetition after a crash has the same id. Where
re-application replaced a match by one that wants the same, it is an amendment and no command is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.codec import replaced, to_json
from contracts.commands import Command, Verb
from contracts.reasons import Reason
from contracts.rows import MatchRow
from contracts.tokens import is_anonymous
from flows.language.model import Do, Listener, Reference, Response, Template
from flows.language.shares import is_held_out, variant_of
from flows.machine.machine import Match, Version
from flows.subscriber.beside import with_beside

MAX_PART: Final = 60
"""Characters that one value may bring into a list's name."""
PEOPLE_AT_LEAST: Final = 5
"""Of how many people's events a listener's `max_lists` different names must come, before they are used up: one person's
make no more than that share, so that a single token cannot stop a listener for everybody."""


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
    made them, and behind ``#`` how often that had made some before."""
    spent: Mapping[str, int] = {}
    """Match id → how often it has made commands that no longer are its own."""
    named: Mapping[str, tuple[str, ...]] = {}
    """Listener → the lists whose names the person's events have made, oldest first."""


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

    @property
    def past(self) -> Past:
        """What this decision leaves for the next one."""
        return Past(self.origins, self.spent, self.named)


class _Wanted(NamedTuple):
    """One resolved response."""

    position: int
    response: Response
    to_list: str
    from_list: str

    @property
    def what(self) -> tuple[str, str, str, str, str, str]:
        """What it does, whatever it rests on."""
        at, tag, url = self.response.at or "", self.response.tag or "", self.response.url or ""
        return (self.response.do.value, at, self.to_list, self.from_list, tag, url)


def decide(
    listeners: Mapping[Version, Listener],
    retractions: Sequence[Match],
    matches: Sequence[Match],
    past: Past,
    moment: Occasion,
    *,
    shadows: Collection[Version] = (),
) -> Decision:
    """The rows and commands of one event's retractions and matches, retractions first.

    ``shadows``: versions whose matches are rows and nothing else.
    """
    decision = Decision([], [], [], dict(past.origins), dict(past.spent), dict(past.named), [])
    amended: dict[str, Match] = {}
    for gone in retractions:
        heir = _heir(listeners, gone, [match for match in matches if match.match_id not in amended], moment.workspace)
        if heir is None:
            _take_back(listeners[_version(gone)], gone, decision, moment, shadow=_version(gone) in shadows)
        else:
            amended[heir.match_id] = gone
    for match in matches:
        former = amended.get(match.match_id)
        if former is not None:
            origin = decision.origins[match.match_id] = _spent(former, decision)
            mark = mark_of(listeners[_version(match)], match, moment.workspace)
            decision.rows.append(_row("amendment", match, moment, replaces=former.match_id, reason=mark))
            if match.matched_at_ms != former.matched_at_ms and not mark and _version(match) not in shadows:
                _restate(listeners[_version(match)], match, origin, decision, moment)
        else:
            _fulfil(listeners[_version(match)], match, decision, moment, shadow=_version(match) in shadows)
    return decision


def _version(match: Match) -> Version:
    return match.listener, match.version


def _heir(
    listeners: Mapping[Version, Listener], gone: Match, candidates: Sequence[Match], workspace: str
) -> Match | None:
    """The new match of the same listener that wants the same, if there is one."""
    listener = listeners[_version(gone)]
    wanted = [each.what for each in _wanted(listener, gone, workspace)[0]]
    for match in candidates:
        own = [each.what for each in _wanted(listener, match, workspace)[0]]
        if _version(match) == _version(gone) and own == wanted:
            return match
    return None


def _fulfil(listener: Listener, match: Match, decision: Decision, moment: Occasion, *, shadow: bool) -> None:
    if shadow:
        decision.rows.append(_row("match", match, moment, reason=str(Reason.SHADOWED)))
        return
    if is_anonymous(match.subscriber):
        decision.rows.append(_row("match", match, moment, reason=str(Reason.NO_IDENTITY)))
        return
    mark = mark_of(listener, match, moment.workspace)
    decision.rows.append(_row("match", match, moment, reason=mark))
    if mark:
        return
    wanted, unnamed = _wanted(listener, match, moment.workspace)
    decision.refused.extend((Reason.BAD_LIST_NAME, text, match) for text in unnamed)
    wanted = [each for each in wanted if _may_name(listener, each, match, decision)]
    origin = match.match_id
    if origin in decision.spent:
        origin = decision.origins[match.match_id] = f"{origin}#{decision.spent[origin]}"
    decision.commands.extend(with_beside(_command(listener, match, each, origin, moment) for each in wanted))


def _restate(listener: Listener, match: Match, origin: str, decision: Decision, moment: Occasion) -> None:
    """The commands that stand for an amended match stand at its own place from now on (SEMANTICS 9)."""
    if is_anonymous(match.subscriber):
        return
    for wanted in _wanted(listener, match, moment.workspace)[0]:
        if wanted.response.do is not Do.WEBHOOK and not _was_refused(listener, wanted, decision):
            restated = command_id(origin, wanted.position)
            own = hashlib.sha256(to_json([restated, match.match_id, moment.log_time_ms])).hexdigest()[:32]
            command = _command(listener, match, wanted, origin, moment)
            decision.restated.append(replaced(command, command_id=own, restates=restated))


def _take_back(listener: Listener, match: Match, decision: Decision, moment: Occasion, *, shadow: bool) -> None:
    decision.rows.append(_row("retraction", match, moment))
    origin = _spent(match, decision)
    held_out = mark_of(listener, match, moment.workspace)
    if listener.undo and not shadow and not held_out and not is_anonymous(match.subscriber):
        found = _wanted(listener, match, moment.workspace)[0]
        wanted = [each for each in found if not _was_refused(listener, each, decision)]
        undone = (_command(listener, match, each, origin, moment, undo=True) for each in wanted)
        decision.commands.extend(with_beside(undone))


def _spent(match: Match, decision: Decision) -> str:
    """The origin of the commands that stood for a match which is no more."""
    origin = decision.origins.pop(match.match_id, match.match_id)
    maker, _, times = origin.partition("#")
    # Moved to the end: whoever bounds this lets go of the oldest.
    decision.spent[maker] = max(decision.spent.pop(maker, 0), int(times or 0) + 1)
    return origin


def mark_of(listener: Listener, match: Match, workspace: str) -> str:
    """The reason why a known subscriber's match makes no command; empty where it makes some."""
    held_out = is_held_out(listener.holdout, workspace, listener.name, match.subscriber)
    return str(Reason.HELD_OUT) if held_out and not is_anonymous(match.subscriber) else ""


def _made_name(wanted: _Wanted) -> bool:
    to_list = wanted.response.to_list
    return to_list is not None and to_list.is_made


def _may_name(listener: Listener, wanted: _Wanted, match: Match, decision: Decision) -> bool:
    """Whether the person's events may name this list; it is noted that they did."""
    if _was_refused(listener, wanted, decision):
        decision.refused.append((Reason.TOO_MANY_LISTS, wanted.to_list, match))
        return False
    named = decision.named.get(listener.name, ())
    if _made_name(wanted) and wanted.to_list not in named:
        decision.named[listener.name] = (*named, wanted.to_list)
    return True


def _was_refused(listener: Listener, wanted: _Wanted, decision: Decision) -> bool:
    """Whether the person's share of names is used up by others than this one."""
    named = decision.named.get(listener.name, ())
    share = max(listener.max_lists // PEOPLE_AT_LEAST, 1)
    return _made_name(wanted) and wanted.to_list not in named and len(named) >= share


def _wanted(listener: Listener, match: Match, workspace: str) -> tuple[list[_Wanted], list[str]]:
    """The responses for the person's variant with their lists resolved, and the templates that came to nothing."""
    found, unnamed = [], []
    variant = variant_of(dict(listener.variants), workspace, listener.name, match.subscriber)
    for position, response in enumerate(listener.then):
        if response.only is not None and response.only != variant:
            continue
        names = [_resolved(template, match, variant) for template in (response.to_list, response.from_list)]
        if None in names:
            unnamed.append((response.to_list or response.from_list or Template("", ())).text)
        else:
            found.append(_Wanted(position, response, names[0] or "", names[1] or ""))
    return found, unnamed


def _resolved(template: Template | None, match: Match, variant: str) -> str | None:
    """A list's name; None where a value that it needs is missing or leaves nothing of itself."""
    if template is None:
        return ""
    parts = []
    for part in template.parts:
        if isinstance(part, str):
            text = part
        else:
            text = _slug(match.values.get(part)) if isinstance(part, Reference) else variant
        if not text:
            return None
        parts.append(text)
    return "".join(parts)


def _slug(value: object) -> str:
    """SEMANTICS 8: lower-case letters, digits and hyphens, at most 60."""
    if value is None or isinstance(value, (list, dict)):
        return ""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")[:MAX_PART].strip("-")


def _command(
    listener: Listener, match: Match, wanted: _Wanted, origin: str, moment: Occasion, *, undo: bool = False
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
        max_lists=listener.max_lists if _made_name(wanted) else 0,
        evidence=dict(match.steps),
        log_time_ms=moment.log_time_ms,
        received_at_ms=moment.received_at_ms if match.completed_by else 0,
    )


def command_id(origin: str, position: int, *, undo: bool = False) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of ``[match, position]``, an undo's of ``[…, "undo"]``.

    ``origin``: the match's id; where it had made commands before, ``<id>#<how often>``, and the number stands behind
    the position.
    """
    maker, _, times = origin.partition("#")
    parts = [maker, position, *([int(times)] if times else []), *(["undo"] if undo else [])]
    return hashlib.sha256(to_json(parts)).hexdigest()[:32]


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
