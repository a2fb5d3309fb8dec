"""Rows of the history (topic ``rows``), dead letters, and the directory's entries."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from contracts.codec import Value, written
from contracts.commands import Command, EventRef
from contracts.events import Event


class EventRow(Value, frozen=True, tag="event", tag_field="row"):
    """An event as the flow saw it. ``reason`` is ``late``, ``duplicate``, … where it was not matched; else empty.

    ``watermark_ms``: the log time up to which everything had come when the flow applied it; 0 in rows of before.
    """

    SCHEMA: ClassVar[int] = 1

    event: Event
    session: str = ""
    reason: str = ""
    watermark_ms: int = 0
    schema: int = written(1)


class SessionRow(Value, frozen=True, tag="session", tag_field="row"):
    """A session as known now; a newer row of the same ``session`` id replaces it. ``joined``: ids that it took in."""

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    session: str
    started_at_ms: int
    ended_at_ms: int
    events: int
    landing_path: str = ""
    campaign: str = ""
    joined: tuple[str, ...] = ()
    schema: int = written(1)


class MatchRow(Value, frozen=True, tag="match", tag_field="row"):
    """A match, an amendment (same wants, other evidence) or a retraction.

    ``reason`` says why a match made no command (``no_identity``, ``shadowed``, ``held_out``, ``capped``), else it is
    empty.
    """

    SCHEMA: ClassVar[int] = 1

    kind: str
    """``match``, ``amendment`` or ``retraction``."""
    workspace: str
    subscriber: str
    listener: str
    version: int
    match_id: str
    matched_at_ms: int
    evidence: dict[str, tuple[EventRef, ...]] = {}
    replaces: str = ""
    """Of an amendment: the match id whose place this one takes."""
    reason: str = ""
    log_time_ms: int = 0
    schema: int = written(1)


class CommandRow(Value, frozen=True, tag="command", tag_field="row"):
    """A command, as it was written to its account's topic."""

    SCHEMA: ClassVar[int] = 1

    command: Command
    schema: int = written(1)


class MembershipRow(Value, frozen=True, tag="membership", tag_field="row"):
    """The baseline of an import: this person was a member of this list at that time."""

    SCHEMA: ClassVar[int] = 1

    workspace: str
    account: str
    list_name: str
    subscriber: str
    member: bool
    at_ms: int
    schema: int = written(1)


class RunCount(Value, frozen=True):
    """Runs of a version that wait for one element of its sequence, which is number ``element`` of ``elements``.

    ``step``: as evidence calls it (its name, or else its number); ``name``: what is waited for, in a word.
    """

    listener: str
    version: int
    element: int
    elements: int
    step: str
    name: str
    runs: int
    subscribers: int


class RunsRow(Value, frozen=True, tag="runs", tag_field="row"):
    """How many runs wait where in one key group at a log time: what has changed since the row before it, and at the
    first minute of a day (UTC) all that is not nothing. Its id is workspace, partition, group and ``at_ms``.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    partition: int
    group: int
    at_ms: int
    counts: tuple[RunCount, ...]
    schema: int = written(1)


class Act(StrEnum):
    """What a user of the console did."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    LOOKED_UP = "looked_up"
    """Opened a person's page."""
    PROMOTED = "promoted"
    ENDED = "ended"
    """A listener."""
    DRAFTED = "drafted"
    """Saved a draft of a listener."""
    RECORDED = "recorded"
    """Began to record a listener on a site."""
    TRIED = "tried"
    """Ran a listener over the history."""
    APPLIED = "applied"
    """Brought a listener to work as a shadow."""
    ROLLED_BACK = "rolled_back"
    """Made live again what a former version did."""
    EXPORTED = "exported"
    """Took everything that is known of a person."""
    LINKED = "linked"
    """Made a person's link, which holds their token."""
    FORGOT = "forgot"
    """Erased a person."""
    PAUSED_LISTENER = "paused_listener"
    RESUMED_LISTENER = "resumed_listener"
    PAUSED = "paused"
    """An account."""
    RESUMED = "resumed"
    REPLAYED = "replayed"
    """A dead letter."""


class AuditRow(Value, frozen=True, tag="audit", tag_field="row"):
    """What a user of the console did. ``target``: the listener's version, the account or the dead letter's number;
    ``subscriber``: the person who was looked up, exported, linked to or erased. Written before it is done. Its id is
    ``audit_id``.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    user: str
    act: Act
    at_ms: int
    audit_id: str
    subscriber: str = ""
    target: str = ""
    schema: int = written(1)


Row = EventRow | SessionRow | MatchRow | CommandRow | MembershipRow | RunsRow | AuditRow


class DeadLetter(Value, frozen=True):
    """A record of ``dead_letters``: what could not be used, why, and where it came from.

    ``value`` is the record's bytes, cut at ``MAX_SAMPLE_BYTES``; ``size`` its whole length. For what never reached the
    log, ``topic`` is the door (``http``), partition and offset are -1.
    """

    SCHEMA: ClassVar[int] = 1
    MAX_SAMPLE_BYTES: ClassVar[int] = 16_384

    reason: str
    topic: str
    partition: int
    offset: int
    at_ms: int
    detail: str = ""
    workspace: str = ""
    site: str = ""
    key: bytes = b""
    value: bytes = b""
    size: int = 0
    schema: int = written(1)


class DirectoryEntry(Value, frozen=True):
    """A record of ``subscribers``: the only place where an address stands.

    ``platform_ids``: account → the platform's own id of the person.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    address: str
    name: str = ""
    platform_ids: dict[str, str] = {}
    imported_at_s: int = 0
    """When the person was first imported: the time of issue in their token, so that it stays the same for ever."""
    seen_in: dict[str, dict[str, int]] = {}
    """Account → list → when the platform itself showed the person in it, at an import of that list (ms)."""
    former: tuple[str, ...] = ()
    """The ids that would be made of the addresses which the person had between their first one and this one."""
    schema: int = written(1)

    def __repr__(self) -> str:
        return f"DirectoryEntry({self.workspace}/{self.subscriber})"
