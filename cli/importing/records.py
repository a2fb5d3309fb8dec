"""The records of an import: vetoes first, then the directory's entries with their memberships."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from cli.importing.consent import ListStatus
from cli.importing.plan import FileLeaving, ImportPlan
from contracts.accounts import Veto
from contracts.codec import replaced, to_json
from contracts.log import Outgoing, Record
from contracts.rows import DirectoryEntry, MembershipRow
from contracts.tokens import normalised_address
from contracts.topics import ROWS, SUBSCRIBERS, VETOES, subscriber_key, veto_key
from sinks.base import Member

ACTIONS: Final = {ListStatus.COMPLAINED: "email_complained"}
"""The action that a veto names; ``email_unsubscribed`` where none is given."""


class ListAt(NamedTuple):
    """The list that people are imported from, of an account of a workspace.

    ``seen_at_ms``: when the platform itself showed them there; 0: it did not, for a file is no sighting.
    """

    workspace: str
    account: str
    list_name: str
    seen_at_ms: int = 0


class Lifted(NamedTuple):
    """The vetoes that the log knows: those that stand, and when each of the others was lifted last."""

    standing: frozenset[bytes]
    lifted_ms: Mapping[bytes, int]


def vetoes_known(records: Iterable[Record]) -> Lifted:
    """Return the vetoes that the records of their topic amount to."""
    newest = {record.key: record for record in records}
    return Lifted(
        frozenset(key for key, record in newest.items() if record.value is not None),
        {key: record.log_time_ms for key, record in newest.items() if record.value is None},
    )


def veto_records(
    plan: ImportPlan, at: ListAt, subscriber_of: Callable[[str], str], known: Lifted, now_ms: int
) -> Iterator[Outgoing]:
    """A veto for everybody who left. One that stands stays as it is; one that the person lifted after the leaving that
    the file dates stays lifted.
    """
    for leaving in plan.leavings:
        subscriber = subscriber_of(leaving.address)
        list_name = at.list_name if leaving.per_list else ""
        key = veto_key(at.workspace, at.account, subscriber, list_name)
        if key in known.standing or _is_older(leaving, known.lifted_ms.get(key)):
            continue
        at_ms = now_ms if leaving.at_ms is None else min(leaving.at_ms, now_ms)
        action = ACTIONS.get(leaving.status, "email_unsubscribed")
        yield Outgoing(VETOES, key, to_json(Veto(at.workspace, at.account, subscriber, list_name, at_ms, action)))


def _is_older(leaving: FileLeaving, lifted_ms: int | None) -> bool:
    return leaving.at_ms is not None and lifted_ms is not None and leaving.at_ms < lifted_ms


def _sighted(entry: DirectoryEntry, at: ListAt) -> DirectoryEntry:
    """The entry, with the list that the platform itself shows the person in; when it first did stays."""
    lists = entry.seen_in.get(at.account, {})
    if not at.seen_at_ms or at.list_name in lists:
        return entry
    return replaced(entry, seen_in={**entry.seen_in, at.account: {**lists, at.list_name: at.seen_at_ms}})


def entry_of(member: Member, known: DirectoryEntry | None, at: ListAt, subscriber: str, now_ms: int) -> DirectoryEntry:
    """A member's entry of the directory: the known one with what is new, else a new one."""
    entry = known or DirectoryEntry(
        at.workspace, subscriber, normalised_address(member.address), imported_at_s=now_ms // 1_000
    )
    ids = {**entry.platform_ids, at.account: member.person} if member.person else entry.platform_ids
    return _sighted(replaced(entry, name=member.name or entry.name, platform_ids=ids), at)


def member_records(entry: DirectoryEntry, known: DirectoryEntry | None, at: ListAt, now_ms: int) -> Iterator[Outgoing]:
    """The entry, where it says anything new, and the membership."""
    key = subscriber_key(at.workspace, entry.subscriber)
    if entry != known:
        yield Outgoing(SUBSCRIBERS, key, to_json(entry))
    row = MembershipRow(at.workspace, at.account, at.list_name, entry.subscriber, member=True, at_ms=now_ms)
    yield Outgoing(ROWS, key, to_json(row))
