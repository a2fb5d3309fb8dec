"""``segma why PERSON --consent``: when a person came, left or was vetoed and by whom, list by list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cli.home import open_home
from cli.output import Exit, fail, out, print_json
from contracts.accounts import Fact, Veto
from contracts.codec import json_reader
from contracts.commands import Outcome
from contracts.errors import BadRecord
from contracts.log import Log
from contracts.reading import all_of
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import OUTCOMES, VETOES
from sinks.delivery.directory import Directory
from transport.config import read_secret

_read_outcome, _read_veto = json_reader(Outcome), json_reader(Veto)
WORDS = {
    Fact.LEFT: "left: {}",
    Fact.JOINED: "joined",
    Fact.UNCLEAR: "gone with others",
    Fact.REMOVED: "removed by others",
}
SIGNS = {"+": "put in", "-": "taken out", "?": "asked to confirm"}


def tell_consent(home: Path, person: str, workspace: str | None, *, as_json: bool) -> None:
    """Print the person's ledger of consent, oldest first; ends with 1 where nothing is known of them."""
    config, installation, log = open_home(home)
    with closing(log), closing(Directory(log)) as directory:
        found = list[DirectoryEntry]()
        for name, each in installation.workspaces.items():
            if workspace in {None, name}:
                found += _entries(directory, name, read_secret(each.secret, beside=config, field="secret"), person)
        if not found:
            fail("nobody of this address or id is in the directory", Exit.PROBLEMS)
        facts = sorted((fact for entry in found for fact in facts_of(entry, log)), key=lambda fact: fact["at_ms"])
    for fact in facts:
        if as_json:
            print_json(fact)
        else:
            where = f"{fact['list'] or 'everything'} at {fact['account']}"
            out.print(f"{_moment(fact['at_ms'])}  {fact['what']:16}  {where}  ({fact['source']})", markup=False)
    if not facts:
        fail("nothing is known of their consent", Exit.PROBLEMS)


def _moment(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _entries(directory: Directory, workspace: str, secret: bytes, person: str) -> list[DirectoryEntry]:
    """Every entry of whom an address or an id means."""
    made = subscriber_id(secret, person) if "@" in person else person
    subscriber = directory.whose(workspace, secret)(made)
    ids = (subscriber, *directory.twins(workspace, subscriber))
    return [entry for each in ids if (entry := directory.find(workspace, each)) is not None]


def facts_of(entry: DirectoryEntry, log: Log) -> Iterator[dict[str, Any]]:
    """Return the facts of a person's consent: sightings at imports, what moves did or were kept from, leavings."""
    for account, lists in entry.seen_in.items():
        for name, at_ms in lists.items():
            yield _fact(at_ms, account, name, "seen in it", "import")
    for record in all_of(log, OUTCOMES):
        try:
            outcome = _read_outcome(record.value) if record.value is not None else None
        except BadRecord:
            continue
        if outcome is not None and (outcome.workspace, outcome.subscriber) == (entry.workspace, entry.subscriber):
            yield from _of_outcome(outcome)
    for record in all_of(log, VETOES):
        try:
            veto = _read_veto(record.value) if record.value is not None else None
        except BadRecord:
            continue
        if veto is not None and (veto.workspace, veto.subscriber) == (entry.workspace, entry.subscriber):
            yield _fact(veto.at_ms, veto.account, veto.list_name, WORDS[veto.fact].format(veto.reason), veto.source)


def _of_outcome(outcome: Outcome) -> Iterator[dict[str, Any]]:
    source = f"segma, {outcome.listener or 'a command'}"
    for mark in outcome.changed:
        if mark[0] in SIGNS:
            yield _fact(outcome.at_ms, outcome.account, mark[1:], SIGNS[mark[0]], source)
    if outcome.reason:
        name = outcome.to_list or outcome.from_list
        yield _fact(outcome.at_ms, outcome.account, name, f"not done: {outcome.reason}", source)


def _fact(at_ms: int, account: str, list_name: str, what: str, source: str) -> dict[str, Any]:
    return {"at_ms": at_ms, "account": account, "list": list_name, "what": what, "source": source}
