"""``segma export`` and ``segma forget``: what is known of a person, and the end of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from analytics.clickhouse import HistoryUnavailable
from analytics.erase import erase_at_once
from analytics.tables import OF_A_PERSON
from cli.backtesting.plan import leave_out
from cli.history import Asking, workspace_option
from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.actions import PROFILE_CHANGED
from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, replaced, to_builtins, to_json, to_msgpack
from contracts.directory import ids_beside
from contracts.errors import LogError, LogUnavailable
from contracts.log import Outgoing
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.rows import DirectoryEntry
from contracts.topics import BEACONS, SUBSCRIBERS, VETOES, fact_key, subscriber_key
from sinks.base import Change, NoSuchList, Sink
from sinks.delivery.directory import Directory
from sinks.delivery.leavings import leavings_of_accounts
from sinks.registry import sink_of
from transport.config import wall_clock_ms
from transport.embedded.log import EmbeddedLog
from transport.kafka.log import KafkaLog

SCRUB_TRIES: Final = 5
ROLL_S: Final = 0.3
"""How long the brokers are given to hear of a new setting, and between two records that begin a segment each."""


@click.command("export")
@click.argument("person")
@workspace_option
@home_option
def export_command(person: str, workspace: str | None, home: Path) -> None:
    """Everything that is known of PERSON (an address, or a subscriber id), as one JSON object.

    It holds the address: give it to nobody but the person.
    """
    asking = Asking(home, workspace)
    known = _known(home, asking, person)
    directory = None if known.entry is None else to_builtins(known.entry)
    others = [to_builtins(each) for each in known.others]
    print_json({"directory": directory, "other_entries": others, **_rows(asking, known.ids)})


@click.command("forget")
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_option
@home_option
@json_option
def forget_command(person: str, yes: bool, workspace: str | None, home: Path, as_json: bool) -> None:
    """Erase PERSON (an address, or a subscriber id): their entry in the directory, and their rows in the history.

    Where the mailbox stands in the directory twice, by the two spellings of its domain, both go. What is left is a
    proof without the address, a mark that keeps a replay of the log from bringing rows back, and what they left, under
    keyed hashes of their addresses: who is imported again has left still. No byte of the address or the name stays in
    the home: it is written over in the directory's file, and taken out of lists that are files. On Kafka the brokers
    take it off their disks within a day, when they compact the topic. The log's other records hold neither, and go with
    its retention; the lists of an email platform are the platform's.
    """
    asking = Asking(home, workspace)
    known = _known(home, asking, person)
    named = " and ".join(known.ids)
    if not yes:
        click.confirm(f"Erase {named} of {asking.workspace} for good?", abort=True, err=True)
    now_ms = wall_clock_ms()
    people = [(asking.workspace, each) for each in known.ids]
    try:
        removed, left = erase_at_once(asking.clickhouse, people, now_ms, time.sleep)
    except HistoryUnavailable as error:
        fail(f"nothing was erased: {error}", Exit.UNAVAILABLE)
    for entry in known.entries:
        _leave_files(home, entry)
        _keep_leavings(home, entry, asking.secret)
    _remove_entries(home, asking.workspace, known.ids)
    leave_out(home / "data", known.ids)
    there = known.entry is not None
    proof = {
        "workspace": asking.workspace,
        "subscriber": known.subscriber,
        "other_ids": known.ids[1:],
        "erased_at_ms": now_ms,
        "directory_entry": there,
        "rows": removed,
    }
    if as_json:
        print_json(proof)
        return
    erased = counted(sum(removed.values()), "row")
    out.print(f"{named} of {asking.workspace} is erased: {erased}, directory entry: {there}.")
    err.print("The proof is in the table `erasures`; it holds no address.")
    if left:
        err.print(
            f"Of {counted(left, 'table')} ClickHouse still has former parts on its disk; it takes them away by itself."
        )


class Known(NamedTuple):
    """Who is asked for: their id and entry, and the other entries under which their mailbox stands."""

    subscriber: str
    entry: DirectoryEntry | None
    others: list[DirectoryEntry]

    @property
    def entries(self) -> list[DirectoryEntry]:
        """All of them."""
        return [*(() if self.entry is None else (self.entry,)), *self.others]

    @property
    def ids(self) -> list[str]:
        """Their own id, then those of the others."""
        return [self.subscriber, *(each.subscriber for each in self.others)]


def _known(home: Path, asking: Asking, person: str) -> Known:
    """Who it is: of an address that they changed to, their id is still the one of their first."""
    _, _, log = open_home(home)
    with closing(log), closing(Directory(log)) as directory:
        subscriber = directory.whose(asking.workspace, asking.secret)(asking.made(person))
        entry = directory.find(asking.workspace, subscriber)
        twins = (directory.find(asking.workspace, each) for each in directory.twins(asking.workspace, subscriber))
        return Known(subscriber, entry, [each for each in twins if each is not None])


def _keep_leavings(home: Path, entry: DirectoryEntry, workspace_secret: bytes) -> None:
    """Say of the ids of all their addresses what is known of their leavings and joinings, so that it outlives them."""
    _, _, log = open_home(home)
    with closing(log):
        told = [
            fact
            for (workspace, _), each in leavings_of_accounts(all_of(log, VETOES)).items()
            for fact in (each.of(entry.subscriber) if workspace == entry.workspace else ())
        ]
        others = [replaced(fact, subscriber=made) for made in ids_beside(entry, workspace_secret) for fact in told]
        with closing(log.publisher()) as publisher:
            results = publisher.publish([Outgoing(VETOES, fact_key(each), to_json(each)) for each in others])
        if faults := [each for each in results if isinstance(each, LogError)]:
            raise faults[0]


def _leave_files(home: Path, entry: DirectoryEntry) -> None:
    """Take a person out of the lists of accounts whose platform is this home."""
    config, installation, log = open_home(home)
    with closing(log):
        for name, account in installation.workspaces[entry.workspace].accounts.items():
            if account.sink == "file":
                where = f"{entry.workspace}/{name}"
                sink = sink_of(installation, where, data=home / "data", pause=time.sleep, config=config, log=log)
                with closing(sink):
                    lists = _lists_of(sink)
                    sink.apply([Change("forget", entry.subscriber, entry.address, remove=lists)] if lists else [])


def _lists_of(sink: Sink) -> tuple[str, ...]:
    try:
        next(sink.members(""), None)
    except NoSuchList as error:
        return error.known
    return ()


def _remove_entries(home: Path, workspace: str, subscribers: Sequence[str]) -> None:
    _, _, log = open_home(home)
    with closing(log):
        gone = [Outgoing(SUBSCRIBERS, subscriber_key(workspace, each), None) for each in subscribers]
        with closing(log.publisher()) as publisher:
            profiles = [no_profile(workspace, each, wall_clock_ms()) for each in subscribers]
            results = publisher.publish([*gone, *profiles])
        if faults := [each for each in results if isinstance(each, LogError)]:
            raise faults[0]
        if isinstance(log, EmbeddedLog):
            _scrub(log)
        elif isinstance(log, KafkaLog):
            _leave_to_compaction(log, gone)


def no_profile(workspace: str, subscriber: str, now_ms: int) -> Outgoing:
    """The record after which a flow knows nothing of the person's profile any more."""
    sent = {"event_id": f"forget-{now_ms}", "action": PROFILE_CHANGED, "occurred_at_ms": now_ms, "properties": {}}
    body = to_json(ServerBeacon("forget", [Raw(to_json(sent))], subscriber))
    record = BeaconRecord(workspace, "", Source.SERVER, now_ms, body, subscriber=subscriber)
    return Outgoing(BEACONS, f"{workspace}/{subscriber}".encode(), to_msgpack(record))


def _scrub(log: EmbeddedLog) -> None:
    for left in reversed(range(SCRUB_TRIES)):
        try:
            log.scrub(SUBSCRIBERS)
            return
        except LogUnavailable as error:
            # Another process holds the file for a moment.
            if not left:
                fail(f"erased, but the file still holds the old bytes ({error}): run this again", Exit.UNAVAILABLE)


def _leave_to_compaction(log: KafkaLog, gone: Sequence[Outgoing]) -> None:
    """Have the brokers close the segments of entries and their ends, for they never compact the one they write to."""
    try:
        with log.kafka_topics.rolling(SUBSCRIBERS), closing(log.publisher()) as publisher:
            for _ in range(2):
                time.sleep(ROLL_S)
                if faults := [each for each in publisher.publish(gone) if isinstance(each, LogError)]:
                    raise faults[0]
    except LogError as error:
        err.print(
            f"erased; the brokers have the old bytes on their disks until `{SUBSCRIBERS}` has been written for another "
            f"ten minutes and compacted, for they let us begin no new segment: {error}",
            markup=False,
        )


def _rows(asking: Asking, subscribers: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in OF_A_PERSON:
        sql = (
            f"SELECT * FROM {table} FINAL "  # noqa: S608 - a name of ours
            "WHERE workspace = {workspace:String} AND subscriber IN {subscribers:Array(String)}"
        )
        columns, rows = asking.table(sql, {"workspace": asking.workspace, "subscribers": list(subscribers)})
        found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found
