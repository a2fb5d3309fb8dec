"""An installation whose clock is ours: the flow's own sources, logics and stores over the embedded log, step by step.

What Bytewax does around them is done here by hand (poll, call, publish, and now and then a snapshot), so that a process
can be killed between any two steps, an hour passes in no time, and hundreds of runs fit into a test. A collector is its
spool; delivery is the real loop with lists that are files.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from contracts.actions import VOCABULARY
from contracts.beacons import BeaconRecord, Source
from contracts.codec import json_reader, to_json, to_msgpack
from contracts.commands import Command
from contracts.errors import LogError
from contracts.log import Log, Outgoing, Record
from contracts.rows import DirectoryEntry
from contracts.topics import (
    BEACONS,
    SUBSCRIBERS,
    account_topics,
    fixed_topics,
    moves_topic,
    subscriber_key,
)
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, RecogniseLogic, Shared
from flows.operators.source import BeaconsSource, EventsSource, Position, ProcessContext
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.delivery.loop import Delivery
from sinks.platforms.file import FileSink
from transport.config import Surroundings
from transport.embedded.log import EmbeddedLog
from transport.spool import Spool

T0_MS = 1_800_000_000_000
STEP_MS = 250
PARTITIONS, GROUPS = 2, 2
GRACE_MS = 2_000
LISTENERS = b"""
listener: abandoned
sequence: [{action: product_added}, {not: product_bought, for: 5s}]
then: [{move: {from: newsletter, to: abandoned, at: mailbox}}]
---
listener: looked
sequence: [{action: page_viewed, times: 2}]
then: [{add: {to: looked, at: mailbox}}]
"""
_read_command: Callable[[bytes], Command] = json_reader(Command)


class Saved(NamedTuple):
    """What a recovery store holds after an epoch."""

    positions: dict[tuple[str, str], Position]
    states: dict[tuple[str, str], bytes]


class Flow:
    """One flow process."""

    def __init__(self, world: VirtualWorld, share: tuple[int, int], settle_ms: int, saved: Saved | None) -> None:
        self._shared, self._publisher = world.shared, world.log.publisher()
        store = world.home / "recovery" / f"{share[0]}-of-{share[1]}" / "states"
        self._changelog = Changelog(store)
        context = ProcessContext(
            lambda: False, lambda: datetime.fromtimestamp(world.now_ms / 1_000, UTC), world.never, share, settle_ms
        )
        self._resumed = saved.states if saved is not None else {}
        positions = saved.positions if saved is not None else {}
        partitions = world.shared.partitions
        beacons, events = (
            BeaconsSource(world.log, partitions, context),
            EventsSource(world.log, partitions, GROUPS, context),
        )
        sources: dict[str, Any] = {"recognise": beacons, "follow": events}
        self._parts: dict[tuple[str, str], Any] = {
            (step, part): source.build_part("", part, positions.get((step, part)))
            for step, source in sources.items()
            for part in source.list_parts()
        }
        self._logics: dict[tuple[str, str], Any] = {}
        for step, key in self._resumed:
            self._logic(step, key)

    def _logic(self, step: str, key: str) -> RecogniseLogic | FollowLogic:
        if (step, key) not in self._logics:
            kind = RecogniseLogic if step == "recognise" else FollowLogic
            self._logics[step, key] = kind(self._shared, self._changelog, self._resumed.get((step, key)))
        found: RecogniseLogic | FollowLogic = self._logics[step, key]
        return found

    def step(self) -> None:
        """Poll every partition once, and publish what comes of it."""
        for (step, _), part in self._parts.items():
            values: list[tuple[str, list[Record] | FollowBatch]] = part.next_batch()
            for key, value in values:
                out, _ = self._logic(step, key).on_batch([value])  # type: ignore[list-item]
                for outcome in self._publisher.publish(list(out)):
                    assert not isinstance(outcome, LogError)

    def snapshot(self) -> Saved:
        """An epoch's end: everything is published, now it is saved."""
        states = {place: logic.snapshot() for place, logic in self._logics.items()}
        return Saved({place: part.snapshot() for place, part in self._parts.items()}, states)

    def close(self) -> None:
        """The process is gone; what it did since its snapshot is in the log and in nobody's memory."""
        for part in self._parts.values():
            part.close()
        self._changelog.close()


class VirtualWorld:
    """The installation. Time passes by :meth:`step` alone."""

    def __init__(
        self, home: Path, *, people: int, flows: int = 1, settle_ms: int = 4_000, partitions: int = PARTITIONS
    ) -> None:
        self.home, self.now_ms = home, T0_MS
        around = Surroundings(now_ms=lambda: self.now_ms, elapsed_s=lambda: self.now_ms / 1_000)
        self.log: Log = EmbeddedLog(home / "log", around)
        self.log.ensure([*fixed_topics(partitions), *account_topics("demo", "mailbox")])
        listeners = parse_listeners([("listeners.yaml", LISTENERS)], known_actions=VOCABULARY)
        engine = WorkspaceEngine("demo", listeners, terms=Terms(600_000, 1_800_000, 86_400_000, GRACE_MS))
        self.shared = Shared({"demo": Rules(VOCABULARY, 60_000)}, {"demo": engine}, partitions)
        self.people = [f"s_{number}" for number in range(people)]
        self.flows, self._settle_ms = flows, settle_ms
        self.saved: dict[int, Saved | None] = dict.fromkeys(range(flows))
        self.running: dict[int, Flow] = {}
        self.spool = Spool(home / "spool", 10_000_000)
        self.publisher = self.log.publisher()
        self._enrol()
        sink = FileSink(home / "lists", delay_ms=0, pause=self.never)
        (home / "lists" / "newsletter.txt").write_text("".join(f"{name}@example.org\n" for name in self.people))
        self.delivery = Delivery(
            self.log,
            sink,
            workspace="demo",
            account="mailbox",
            now_ms=lambda: self.now_ms,
            pause=self.never,
            stopping=lambda: False,
        )

    def _enrol(self) -> None:
        entries = [DirectoryEntry("demo", name, f"{name}@example.org", "", imported_at_s=0) for name in self.people]
        self.publisher.publish(
            [Outgoing(SUBSCRIBERS, subscriber_key("demo", each.subscriber), to_json(each)) for each in entries]
        )

    @staticmethod
    def never(_: float) -> None:
        raise AssertionError("somebody waits")

    def start(self, index: int) -> None:
        """Start a flow process on what it saved last."""
        share = (index, self.flows)
        self.running[index] = Flow(self, share, self._settle_ms, self.saved[index])

    def kill(self, index: int) -> None:
        """What it did since its last snapshot is forgotten."""
        self.running.pop(index).close()

    def save(self, index: int) -> None:
        """An epoch ends."""
        self.saved[index] = self.running[index].snapshot()

    def step(self, ms: int = STEP_MS) -> None:
        """Time passes, and everybody does what there is to do."""
        self.now_ms += ms
        for flow in self.running.values():
            flow.step()
        while self.delivery.round():
            pass

    def beacon(self, person: str, event_id: str, action: str, occurred_at_ms: int, received_at_ms: int) -> Outgoing:
        """What a collector stores of one event."""
        event = {"event_id": event_id, "action": action, "occurred_at_ms": occurred_at_ms, "order": 0}
        body = to_json({"site": "k", "device": f"d-{person}", "sent_at_ms": received_at_ms, "events": [event]})
        record = BeaconRecord(
            "demo", "shop", Source.SDK, received_at_ms, body, device=f"d-{person}", subscriber=person, ip=""
        )
        return Outgoing(BEACONS, f"demo/d-{person}".encode(), to_msgpack(record))

    def commands(self) -> list[Command]:
        """The commands in the log, each once, in order."""
        reader = self.log.reader(moves_topic("demo", "mailbox"))
        records = reader.poll(100_000)
        reader.close()
        commands = [_read_command(record.value or b"") for record in records]
        return list({command.command_id: command for command in reversed(commands)}.values())[::-1]

    def lists(self) -> dict[str, list[str]]:
        """The platform's lists."""
        return {path.stem: path.read_text().split() for path in sorted((self.home / "lists").glob("*.txt"))}

    def close(self) -> None:
        """Everything ends."""
        for index in list(self.running):
            self.kill(index)
        self.delivery.close()
        self.spool.close()
        self.log.close()


class Deed(NamedTuple):
    """Somebody does something at a time (ms from the start), and the beacon comes so much later."""

    at_ms: int
    person: int
    action: str
    delay_ms: int = 0


def deeds(chance: random.Random, people: int, span_ms: int, *, late: float = 0.0) -> list[Deed]:
    """Random deeds; ``late``: the share that comes seconds after it was done."""
    actions = ("product_added", "product_added", "product_bought", "page_viewed")
    found = [
        Deed(
            chance.randrange(0, span_ms, 50),
            chance.randrange(people),
            chance.choice(actions),
            chance.randrange(3_000, 9_000) if chance.random() < late else 0,
        )
        for _ in range(people * 4)
    ]
    return sorted(found, key=lambda deed: deed.at_ms + deed.delay_ms)


def arriving(world: VirtualWorld, what: Sequence[Deed]) -> Iterator[tuple[int, Outgoing]]:
    """When the collector receives each deed's beacon, and the record."""
    for number, deed in enumerate(what):
        at_ms = T0_MS + deed.at_ms
        received_ms = at_ms + deed.delay_ms
        yield received_ms, world.beacon(world.people[deed.person], f"e{number}", deed.action, at_ms, received_ms)
