"""What a match wants: its listener's ``then`` for the person's variant, with the names of lists filled in; and the
events that this makes of the person (SEMANTICS 8 and 9). Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from contracts.codec import to_json
from contracts.events import Event, Trust
from contracts.membership import LIST_JOINED, LIST_LEFT, SEGMA, TAG_ADDED, TAG_REMOVED
from contracts.reasons import Reason
from contracts.tokens import is_anonymous
from contracts.versions import Pause, is_paused
from flows.language.model import Do, Listener, Reference, Response, Template
from flows.language.shares import is_held_out, variant_of
from flows.machine.machine import Match, Version

MAX_DEPTH: Final = 8
"""Of a match: moves in a row, each the reason for the next one; what is deeper is a loop, and makes nothing."""
CHANGE_LISTS: Final = frozenset({Do.MOVE, Do.ADD, Do.REMOVE})
"""What takes a place under the cap."""
MAX_PART: Final = 60
"""Characters that one value may bring into a list's name."""
Pauses = Mapping[str, tuple[Pause, ...]]
"""Listener → when it was paused, whichever version was live."""
NEVER_PAUSED: Final[Pauses] = {}
ALL_BY_THE_PERSON: Final[Mapping[str, int]] = {}
"""Match id → its depth, where no match is deeper than 1."""


class Wanted(NamedTuple):
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


def mark_of(listener: Listener, match: Match, workspace: str, depth: int = 1, pauses: Pauses = NEVER_PAUSED) -> str:
    """The reason why a known subscriber's match makes no command; empty where it makes some."""
    if is_anonymous(match.subscriber):
        return ""
    if depth > MAX_DEPTH:
        return str(Reason.LOOP)
    # Before the hold-out: whoever is compared, moved or held out, lacks the matches of a pause alike.
    if completed_in_pause(match, pauses):
        return str(Reason.LISTENER_PAUSED)
    return str(Reason.HELD_OUT) if is_held_out(listener.holdout, workspace, listener.name, match.subscriber) else ""


def completed_in_pause(match: Match, pauses: Pauses) -> bool:
    """Whether a match completed while its listener was paused: by its own time, whenever it is heard of."""
    own = pauses.get(match.listener)
    return own is not None and is_paused(own, match.matched_at_ms)


def is_loop(match: Match, depths: Mapping[str, int]) -> bool:
    """Whether a match is past the depth, so that it makes nothing. ``depths``: of the matches deeper than 1."""
    return depths.get(match.match_id, 1) > MAX_DEPTH


def heirs_of(  # noqa: PLR0917
    listeners: Mapping[Version, Listener],
    gone: Iterable[Match],
    made: Iterable[Match],
    workspace: str,
    capped: Collection[str] = (),
    pauses: Pauses = NEVER_PAUSED,
    depths: Mapping[str, int] = ALL_BY_THE_PERSON,
) -> dict[str, Match]:
    """By the id of a new match the one that is gone for which it stands: of the same listener, and wanting the same.

    ``capped``: ids of those without a place under the cap; none of them stands for one that had it, or the other way.
    Nor does one that completed in a pause for one that did not, or one past the depth for one that was not.
    """

    def is_alike(one: Match, other: Match) -> bool:
        return (
            (one.match_id in capped) == (other.match_id in capped)
            and completed_in_pause(one, pauses) == completed_in_pause(other, pauses)
            and is_loop(one, depths) == is_loop(other, depths)
        )

    found: dict[str, Match] = {}
    candidates = list(made)
    for each in gone:
        version = each.listener, each.version
        own = [match for match in candidates if (match.listener, match.version) == version]
        if own and version in listeners:
            listener = listeners[version]
            wanted = [one.what for one in wanted_by(listener, each, workspace)[0]]
            for match in own:
                if is_alike(each, match) and [one.what for one in wanted_by(listener, match, workspace)[0]] == wanted:
                    found[match.match_id] = each
                    candidates.remove(match)
                    break
    return found


def is_made_name(wanted: Wanted) -> bool:
    """Whether events make the name of the list that is added to."""
    to_list = wanted.response.to_list
    return to_list is not None and to_list.is_made


def wanted_by(listener: Listener, match: Match, workspace: str) -> tuple[list[Wanted], list[str]]:
    """The responses for the person's variant with their lists resolved, and the templates that came to nothing."""
    found, unnamed = [], []
    variants = listener.variants
    variant = variant_of(dict(variants), workspace, listener.name, match.subscriber) if variants else ""
    for position, response in enumerate(listener.then):
        if response.only is not None and response.only != variant:
            continue
        names = [_resolved(template, match, variant) for template in (response.to_list, response.from_list)]
        if None in names:
            unnamed.append((response.to_list or response.from_list or Template("", ())).text)
        else:
            found.append(Wanted(position, response, names[0] or "", names[1] or ""))
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


class Wishes:
    """What the matches of some listeners make of a person: the events of their joinings and leavings."""

    def __init__(
        self,
        workspace: str,
        listeners: Iterable[Listener],
        shadows: Collection[Version] = (),
        pauses: Pauses = NEVER_PAUSED,
    ) -> None:
        """``shadows``: versions whose matches make nothing. ``pauses``: kept current by its owner."""
        self.workspace, self._shadows, self._pauses = workspace, shadows, pauses
        self._listeners = {(listener.name, listener.version): listener for listener in listeners}

    def keeps(self, version: Version) -> bool:
        """Whether what a version's matches made stays where they are taken back."""
        listener = self._listeners.get(version)
        return listener is None or not listener.undo

    def events_of(self, match: Match, depth: int, log_time_ms: int) -> list[Event]:
        """The events that a match makes, in their order; none where it makes no command. Their ``order`` is to come."""
        return [
            self._event(match, each, depth, log_time_ms, *change)
            for each in self._wanted(match, depth)
            for change in _changes(each)
        ]

    def list_changes(self, match: Match, depth: int) -> tuple[int, ...]:
        """The positions of a match's responses that change a list; none where it makes no command, but for the cap."""
        return tuple(each.position for each in self._wanted(match, depth) if each.response.do in CHANGE_LISTS)

    def heirs(self, gone: Iterable[Match], made: Iterable[Match], depths: Mapping[str, int]) -> dict[str, Match]:
        """As :func:`heirs_of`."""
        return heirs_of(self._listeners, gone, made, self.workspace, pauses=self._pauses, depths=depths)

    def _wanted(self, match: Match, depth: int) -> list[Wanted]:
        """The responses of a match that makes commands, but for the cap."""
        version = match.listener, match.version
        listener = self._listeners.get(version)
        if listener is None or version in self._shadows or is_anonymous(match.subscriber):
            return []
        if mark_of(listener, match, self.workspace, depth, self._pauses):
            return []
        return wanted_by(listener, match, self.workspace)[0]

    def _event(  # noqa: PLR0917
        self, match: Match, wanted: Wanted, depth: int, log_time_ms: int, action: str, kind: str, name: str
    ) -> Event:
        account = wanted.response.at or ""
        own = ["membership", account, name, match.subscriber, action, match.match_id, wanted.position]
        said = {"account": account, kind: name, "by": SEGMA, "listener": match.listener, "version": match.version}
        return Event(
            self.workspace,
            match.subscriber,
            hashlib.sha256(to_json(own)).hexdigest()[:32],
            action,
            match.matched_at_ms,
            properties={**said, "match": match.match_id, "position": wanted.position, "depth": depth},
            trust=Trust.SERVER,
            log_time_ms=log_time_ms,
        )


def _changes(wanted: Wanted) -> Iterator[tuple[str, str, str]]:
    """The actions of a response, each with ``list`` or ``tag`` and its name: joining before leaving."""
    if wanted.to_list:
        yield LIST_JOINED, "list", wanted.to_list
    if wanted.from_list:
        yield LIST_LEFT, "list", wanted.from_list
    if wanted.response.tag:
        yield TAG_ADDED if wanted.response.do is Do.TAG else TAG_REMOVED, "tag", wanted.response.tag
