"""Commands (what should change at an email platform) and outcomes (what did)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from contracts.codec import Value, to_json, written


class EventRef(Value, frozen=True):
    """An event as evidence: enough to say which it was, nothing more."""

    event_id: str
    action: str
    occurred_at_ms: int


MatchPlace = tuple[int, int, str, int]
"""Completion in ms, how many moves lie behind the match (it included), listener, position in its ``then``: of two
commands at one list and person the later one stands."""


def command_id_of(parts: Sequence[object]) -> str:
    """The id of the command that these parts ask for: the same parts, the same command."""
    return hashlib.sha256(to_json(parts)).hexdigest()[:32]


class Verb(StrEnum):
    """The change that a command asks for."""

    MOVE = "move"
    ADD = "add"
    REMOVE = "remove"
    TAG = "tag"
    UNTAG = "untag"
    WEBHOOK = "webhook"
    TOKEN = "token"  # noqa: S105
    """Write the person's link token into the platform's field."""


class Command(Value, frozen=True):
    """A record of ``moves.<workspace>.<account>``.

    ``command_id``: 32 hexadecimal digits of the SHA-256 of the JSON array ``[match_id, position]`` (an undo's:
    ``[match_id, position, "undo"]``), so a repetition after a crash has the same id. Where late events took the match
    back and brought it again, how often that happened stands behind the position: that is another command.
    ``to_list``/``from_list`` are list names, resolved; ``tag`` and ``url`` belong to their verbs. ``undoes`` names the
    command that this one takes back: the sink reverts only what its ledger says that command changed. ``restates``: no
    command of its own; the one that it names was amended by a match that is complete at another instant, and stands at
    this place from now on. ``evidence``: step name (or number) → its events.
    """

    SCHEMA: ClassVar[int] = 1

    command_id: str
    workspace: str
    account: str
    subscriber: str
    verb: Verb
    listener: str
    version: int
    match_id: str
    position: int
    matched_at_ms: int
    to_list: str = ""
    from_list: str = ""
    tag: str = ""
    url: str = ""
    undoes: str = ""
    restates: str = ""
    depth: int = 1
    """How many moves lie behind the match, itself included."""
    max_lists: int = 0
    """Where the event made the list's name: how many different lists this listener may name. 0: the name is fixed."""
    evidence: dict[str, tuple[EventRef, ...]] = {}
    log_time_ms: int = 0
    received_at_ms: int = 0
    """When the collector received the event that completed the match; 0 where a deadline did."""
    beside: dict[str, str] = {}
    """Of a ``webhook``: the match's commands that move or mark the person → their accounts. It tells their outcomes."""
    backfill: bool = False
    """Whether it makes good what the past says, behind the live ones: ``max_moves`` counts it apart."""
    schema: int = written(1)

    @property
    def place(self) -> MatchPlace | None:
        """The place of its match among a person's; None of one that no match wants: that counts when it is given."""
        return (self.matched_at_ms, self.depth, self.listener, self.position) if self.match_id else None


class Result(StrEnum):
    """How a command ended."""

    APPLIED = "applied"
    ALREADY = "already"
    """The platform was already as wanted: success."""
    SKIPPED = "skipped"
    """Not asked for any more, or vetoed: the reason says which."""
    FAILED = "failed"
    """For good; the command is a dead letter too."""


class Outcome(Value, frozen=True):
    """A record of ``outcomes``: the ledger. One per command id, whatever happens.

    ``changed`` says what the command changed, as ``+list`` and ``-list`` (tags: ``t+tag``, ``t-tag``; a field:
    ``=field``): an undo reverts exactly that. ``answer`` is the
    platform's answer in a few safe words. ``calls`` counts the attempts.
    """

    SCHEMA: ClassVar[int] = 1

    command_id: str
    workspace: str
    account: str
    subscriber: str
    result: Result
    at_ms: int
    reason: str = ""
    answer: str = ""
    changed: tuple[str, ...] = ()
    calls: int = 1
    listener: str = ""
    match_id: str = ""
    verb: str = ""
    to_list: str = ""
    from_list: str = ""
    received_at_ms: int = 0
    matched_at_ms: int = 0
    tag: str = ""
    undoes: str = ""
    position: int = 0
    depth: int = 1
    restates: str = ""
    list_ids: dict[str, str] = {}
    """The platform's own ids of the lists: a name may be another list's one day."""
    person: str = ""
    """The platform's own id of the person, where it has any but the address."""
    backfill: bool = False
    """As :attr:`Command.backfill`."""
    schema: int = written(1)

    @property
    def place(self) -> MatchPlace | None:
        """As :attr:`Command.place`."""
        return (self.matched_at_ms, self.depth, self.listener, self.position) if self.match_id else None
