"""``segma topics``: the log's topics as the installation wants them, made and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.installation import Installation
from contracts.log import Log
from contracts.plurals import counted
from contracts.topics import BEACONS, DAY_MS, EVENTS, Topic, topics_of
from flows.language.phrases import lasting
from flows.versions.retention import OwnedListeners, listeners_at_work, too_long
from transport import open_log
from transport.config import load_installation, settings_at
from transport.kafka.leases import LEASES
from transport.kafka.log import KafkaLog
from transport.kafka.topic_settings import SettingFault


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """A topic as it is, and what is wrong with it."""

    topic: str
    partitions: int
    kept: str
    problems: tuple[str, ...]


@click.group()
def topics_command() -> None:
    """Make the log's topics, or hold them against what the installation wants.

    Partitions and compaction are frozen for a topic's life: choose `partitions` in segma.yaml well above the number of
    flow processes that will ever share them (32 to 64 on Kafka).
    """


@topics_command.command("create")
@home_option
@json_option
def create_command(home: Path, as_json: bool) -> None:
    """Make the topics that are absent, and mend the settings of those that are there, one by one.

    Settings that Segma does not ask for stay as they are.
    """
    installation = load_installation(home / "segma.yaml")
    log = open_log(settings_at(home))
    try:
        refused = too_long(listeners_at_work(log, installation, beside=home / "segma.yaml"), installation.retention)
        if refused:
            for text in refused:
                err.print(f"  {text}", markup=False)
            fail("`retention` in segma.yaml must be longer than any live listener looks back", Exit.USAGE)
        wanted = _wanted(log, installation)
        before = _found(log)
        mended = _mended(log, wanted)
        log.ensure(wanted)
    finally:
        log.close()
    made = [topic.name for topic in wanted if topic.name not in before]
    if as_json:
        print_json({"made": made, "mended": mended})
    else:
        out.print(f"made {counted(len(made), 'topic')} of {len(wanted)}: {', '.join(made) or 'all were there'}")
        for name, texts in mended.items():
            out.print(f"  {name}: mended, {'; '.join(texts)}", markup=False)


def _wanted(log: Log, installation: Installation) -> list[Topic]:
    """Every topic of the installation; on Kafka also the one that holds the leases."""
    return topics_of(installation) + ([LEASES] if isinstance(log, KafkaLog) else [])


def _found(log: Log) -> dict[str, Topic]:
    """Return the existing topics by name."""
    return {topic.name: topic for topic in (log.kafka_topics.all() if isinstance(log, KafkaLog) else log.topics())}


def _mended(log: Log, wanted: Sequence[Topic]) -> dict[str, list[str]]:
    """Set what will not do of the topics that are there; what was wrong of each. The shape is frozen, and left."""
    if not isinstance(log, KafkaLog):
        return {}
    found = log.kafka_topics.faults(wanted)
    shapes = {topic.name: topic for topic in log.kafka_topics.all()}
    mendable = {
        topic.name: found[topic.name]
        for topic in wanted
        if topic.name in shapes and shapes[topic.name].partitions == topic.partitions
    }
    log.kafka_topics.mend(mendable)
    mended = {name: [each.text for each in wrong if each.value] for name, wrong in mendable.items()}
    return {name: texts for name, texts in mended.items() if texts}


@topics_command.command("check")
@home_option
@json_option
def check_command(home: Path, as_json: bool) -> None:
    """Say of every topic how it is; exit 1 where one is not as it must be."""
    installation = load_installation(home / "segma.yaml")
    log = open_log(settings_at(home))
    try:
        wanted, found = _wanted(log, installation), _found(log)
        listeners = listeners_at_work(log, installation, beside=home / "segma.yaml")
        wrong = log.kafka_topics.faults(wanted) if isinstance(log, KafkaLog) else {}
    finally:
        log.close()
    states = [_checked(topic, found.get(topic.name), wrong.get(topic.name, ()), listeners) for topic in wanted]
    if as_json:
        print_json(states)
    else:
        table = Table("", "topic", "partitions", "kept", "what is wrong", box=None, pad_edge=False)
        for state in states:
            mark = Text("✗", "red") if state.problems else Text("✓", "green")
            table.add_row(mark, state.topic, str(state.partitions), state.kept, "; ".join(state.problems))
        out.print(table)
    sys.exit(Exit.PROBLEMS if any(state.problems for state in states) else Exit.OK)


def _checked(
    wanted: Topic, found: Topic | None, wrong: Sequence[SettingFault], listeners: OwnedListeners
) -> TopicCheck:
    if found is None:
        return TopicCheck(wanted.name, 0, "", ("absent: `segma topics create`",))
    kept = (
        "newest of each key"
        if found.compacted
        else f"{found.retention_ms / DAY_MS:g} d"
        if found.retention_ms
        else "all"
    )
    return TopicCheck(wanted.name, found.partitions, kept, tuple(_problems(wanted, found, wrong, listeners)))


def _problems(wanted: Topic, found: Topic, wrong: Sequence[SettingFault], listeners: OwnedListeners) -> Iterator[str]:
    if found.partitions != wanted.partitions:
        yield f"{counted(found.partitions, 'partition')}, segma.yaml says {wanted.partitions}: they are frozen"
    if found.compacted != wanted.compacted:
        yield "compacted, and must not be" if found.compacted else "not compacted, and must be"
    yield from (each.text for each in wrong if each.name != "retention.ms")
    if not wanted.compacted and found.retention_ms and found.retention_ms < wanted.retention_ms:
        yield f"kept for {lasting(found.retention_ms)}, wanted {lasting(wanted.retention_ms)}"
    if wanted.name in {BEACONS, EVENTS}:
        yield from too_long(listeners, found.retention_ms)
