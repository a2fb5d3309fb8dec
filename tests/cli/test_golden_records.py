"""Every record in the logs of golden homes is read by this build, and one of a newer release is refused by name.

A log's records are the same bytes on Kafka: what stands in the files of the embedded log is what a topic holds.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from cli.__main__ import cli
from contracts import topics
from contracts.accounts import AccountState, Intent, Veto
from contracts.at_work import FlowsAtWork
from contracts.beacons import BeaconRecord
from contracts.captures import Captures
from contracts.codec import json_reader, msgpack_reader
from contracts.commands import Command, Outcome
from contracts.errors import BadRecord
from contracts.events import Event, LogTime
from contracts.reasons import Reason
from contracts.rows import DeadLetter, DirectoryEntry, Row
from contracts.versions import ListenerVersion
from transport import open_log
from transport.config import load_installation, settings_at

HOMES = sorted((Path(__file__).parent / "golden_homes").glob("*.backup"))
PACKED: Final = {topics.BEACONS: msgpack_reader(BeaconRecord), topics.DEAD_LETTERS: msgpack_reader(DeadLetter)}
TEXTS: Final[dict[str, Callable[[bytes], Any]]] = {
    topics.ROWS: json_reader(Row),
    topics.OUTCOMES: json_reader(Outcome),
    topics.SUBSCRIBERS: json_reader(DirectoryEntry),
    topics.LISTENERS: json_reader(ListenerVersion),
    topics.CAPTURES: json_reader(Captures),
    topics.ACCOUNTS: json_reader(AccountState),
    topics.VETOES: json_reader(Veto),
    topics.INTENTS: json_reader(Intent),
    topics.FLOWS: json_reader(FlowsAtWork),
}
USED: Final = {topics.BEACONS, topics.EVENTS, topics.ROWS, topics.OUTCOMES, topics.SUBSCRIBERS, topics.LISTENERS}
_read_event, _read_log_time, _read_command = json_reader(Event), json_reader(LogTime), json_reader(Command)


def reader_of(topic: str, key: bytes) -> Callable[[bytes], Any]:
    if topic == topics.EVENTS:
        return _read_event if key else _read_log_time
    if topic.startswith(("moves.", "backfill.")):
        return _read_command
    return PACKED.get(topic) or TEXTS[topic]


@pytest.mark.parametrize("backup", HOMES, ids=lambda path: path.stem)
def test_every_record_of_an_earlier_build_is_read(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = CliRunner().invoke(cli, ["restore", str(backup), "--home", str(home)])
    assert done.exit_code == 0, done.output
    # Builds of before let others read the data.
    for path in [home / "data", *(home / "data").rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
    counts, newer = Counter[str](), Counter[str]()
    with closing(open_log(settings_at(home))) as log:
        known = topics.topics_of(load_installation(home / "segma.yaml"))
        log.ensure(known)  # as every process of this build does at its start: a home of before has fewer
        for topic in known:
            with closing(log.reader(topic.name)) as reader:
                for record in reader.poll(10_000):
                    if record.value is None:
                        continue
                    read = reader_of(topic.name, record.key)
                    assert read(record.value) is not None
                    counts[topic.name] += 1
                    newer[topic.name] += refused(read, record.value)
    assert set(counts) >= USED, "a topic that a home uses is empty"
    assert any(name.startswith("moves.") for name in counts)
    assert {name for name in counts if name not in PACKED} <= set(newer)


def refused(read: Callable[[bytes], Any], value: bytes) -> bool:
    """Whether the record is JSON, and is refused as a newer release's where it says so."""
    if not value.startswith(b"{"):
        return False
    with pytest.raises(BadRecord, match=re.escape("this release reads up to")) as caught:
        read(json.dumps({**json.loads(value), "schema": 99}).encode())
    return caught.value.reason is Reason.NEWER_SCHEMA
