"""The records of an import: vetoes first, then the directory's entries with their memberships.

The flow is told of both, as events ``by: import``: they lift no veto, and fit only steps that name ``by``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from cli.importing.consent import ListStatus
from cli.importing.plan import ImportPlan
from cli.importing.profiles import Profile
from contracts.accounts import Fact, Veto
from contracts.actions import PROFILE_CHANGED
from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, replaced, to_json, to_msgpack
from contracts.log import Outgoing
from contracts.membership import IMPORT
from contracts.membership_reports import MembershipReport
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry, MembershipRow
from contracts.tokens import normalised_address
from contracts.topics import BEACONS, ROWS, SUBSCRIBERS, VETOES, fact_key, subscriber_key
from flows.recognise import OLDEST_MS
from sinks.base import Member
from sinks.delivery.leavings import Leavings

ACTIONS: Final = {ListStatus.COMPLAINED: "email_complained"}
"""The action that a veto names; ``email_unsubscribed`` where none is given."""


class ListAt(NamedTuple):
    """The list that people are imported from, of an account of a workspace.

    ``seen_at_ms``: when the platform itself showed them there; 0: it did not, for a file is no sighting.
    ``since_ms``: before its list was read; who leaves while it is being read has left after that. 0: now.
    """

    workspace: str
    account: str
    list_name: str
    seen_at_ms: int = 0
    since_ms: int = 0


def veto_records(
    plan: ImportPlan,
    at: ListAt,
    subscriber_of: Callable[[str], str],
    known: Callable[[str], Sequence[Veto]],
    now_ms: int,
) -> Iterator[Outgoing]:
    """A veto for everybody who left, at the file's time, else the import's, and the leaving for the flow; none twice.

    One that stands already, without a time of its own in the file, stays as it is.
    """
    for leaving in plan.leavings:
        subscriber = subscriber_of(leaving.address)
        list_name = at.list_name if leaving.per_list else ""
        at_ms = now_ms if leaving.at_ms is None else min(leaving.at_ms, now_ms)
        action = ACTIONS.get(leaving.status, "email_unsubscribed")
        veto = Veto(
            at.workspace, at.account, subscriber, list_name, at_ms, action, "import", timed=leaving.at_ms is not None
        )
        facts = known(subscriber)
        told = any(fact_key(each) == fact_key(veto) for each in facts)
        if not told and not (leaving.at_ms is None and _stands(list_name, facts)):
            yield Outgoing(VETOES, fact_key(veto), to_json(veto))
            if at_ms >= now_ms - OLDEST_MS:
                yield _report(at, subscriber, at_ms, now_ms, joined=False)


def _report(at: ListAt, subscriber: str, at_ms: int, now_ms: int, *, joined: bool) -> Outgoing:
    run = f"import/{now_ms}"
    report = MembershipReport(at.workspace, at.account, subscriber, at.list_name, joined, IMPORT, at_ms, run)
    return report.record("import", Source.SERVER, now_ms)


def joining_records(at: ListAt, subscriber: str, facts: Sequence[Veto], now_ms: int) -> Iterator[Outgoing]:
    """That a member is in the list, for the flow. Of who has left it a file says nothing new: it may be older."""
    if at.seen_at_ms or not any(_stands(name, facts) for name in ("", at.list_name)):
        yield _report(at, subscriber, at.since_ms or now_ms, now_ms, joined=True)


def _stands(list_name: str, facts: Sequence[Veto]) -> bool:
    """Whether a leaving of the list is the newest that is known of it."""
    own = [each for each in facts if each.list_name == list_name or not list_name]
    newest = max(own, key=lambda each: (each.at_ms, each.fact is Fact.LEFT), default=None)
    return newest is not None and newest.fact is Fact.LEFT and newest.list_name == list_name


def _sighted(entry: DirectoryEntry, at: ListAt) -> DirectoryEntry:
    """The entry, with the list that the platform itself shows the person in; when it first did stays."""
    lists = entry.seen_in.get(at.account, {})
    if not at.seen_at_ms or at.list_name in lists:
        return entry
    return replaced(entry, seen_in={**entry.seen_in, at.account: {**lists, at.list_name: at.seen_at_ms}})


def erasures(
    member: Member,
    known: DirectoryEntry | None,
    at: ListAt,
    facts: Leavings,
    now_ms: int,
    *,
    twins: Sequence[DirectoryEntry] = (),
) -> Iterator[Outgoing]:
    """The leaving of everything of somebody whose address the platform shows under another id than before.

    They were erased in between; unless they have joined anything by themselves since that id was known. ``twins``:
    their other entries, under whose id the platform may show them as well.
    """
    former = known.platform_ids.get(at.account, "") if known is not None else ""
    ids = {former, *(each.platform_ids.get(at.account, "") for each in twins)}
    if known is None or not at.seen_at_ms or not former or not member.person or member.person in ids:
        return
    since_ms = max(known.seen_in.get(at.account, {}).values(), default=known.imported_at_s * 1_000)
    if facts.joined_ms(known.subscriber) < since_ms:
        veto = Veto(at.workspace, at.account, known.subscriber, "", now_ms, str(Reason.GONE), "import", timed=False)
        yield Outgoing(VETOES, fact_key(veto), to_json(veto))


def entry_of(member: Member, known: DirectoryEntry | None, at: ListAt, subscriber: str, now_ms: int) -> DirectoryEntry:
    """A member's entry of the directory: the known one with what is new, else a new one."""
    entry = known or DirectoryEntry(
        at.workspace, subscriber, normalised_address(member.address), imported_at_s=now_ms // 1_000
    )
    ids = {**entry.platform_ids, at.account: member.person} if member.person else entry.platform_ids
    return _sighted(replaced(entry, name=member.name or entry.name, platform_ids=ids), at)


def profile_record(profile: Profile, at: ListAt, subscriber: str, now_ms: int) -> Outgoing:
    """What a file tells of a person, as an event of a server: a fact of now, for a file gives no time of it."""
    named = ["import", at.account, at.list_name, subscriber, now_ms]
    event_id = hashlib.sha256(to_json(named)).hexdigest()[:32]
    sent = {"event_id": event_id, "action": PROFILE_CHANGED, "occurred_at_ms": now_ms, "properties": profile}
    body = to_json(ServerBeacon("import", [Raw(to_json(sent))], subscriber))
    record = BeaconRecord(at.workspace, "", Source.SERVER, now_ms, body, subscriber=subscriber)
    return Outgoing(BEACONS, subscriber_key(at.workspace, subscriber), to_msgpack(record))


def member_records(entry: DirectoryEntry, known: DirectoryEntry | None, at: ListAt, now_ms: int) -> Iterator[Outgoing]:
    """The entry, where it says anything new, and the membership."""
    key = subscriber_key(at.workspace, entry.subscriber)
    if entry != known:
        yield Outgoing(SUBSCRIBERS, key, to_json(entry))
    row = MembershipRow(at.workspace, at.account, at.list_name, entry.subscriber, member=True, at_ms=now_ms)
    yield Outgoing(ROWS, key, to_json(row))
