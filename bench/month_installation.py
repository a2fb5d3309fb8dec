"""The installation of the simulated month of :mod:`bench.month`: the rooms' own parts in one process, on one clock."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from analytics.clickhouse import ClickHouse
from analytics.loader import Loader
from bench.month_flow import FlowProcess
from bench.month_outside import Books, Clock, OutageLog, Process
from bench.month_people import LISTENERS, Sent, address_of, beacon_of
from collector.beacons import Beacons
from collector.config import Bundle, Script, load_sites
from collector.core import ClockAndIds, Core
from collector.intake import Intake
from collector.pipeline import SDK_STEPS
from contracts.codec import to_json
from contracts.errors import LogUnavailable
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry
from contracts.tokens import Claims, subscriber_id
from contracts.topics import DAY_MS, SUBSCRIBERS, Topic, subscriber_key, topics_of
from flows.config import load_shared, with_listeners_of
from flows.rescale.switch import Plan, rescale
from sinks.delivery.guard import limits_of
from sinks.delivery.loop import Delivery
from sinks.registry import account_of, sink_of
from tests.sinks.simulator.listmonk import Listmonk
from tests.sinks.simulator.server import KEY, Simulator
from tests.sinks.simulator.world import World
from transport.config import Surroundings, load_installation
from transport.embedded.log import EmbeddedLog
from transport.spool import Spool

START_MS: Final = 1_800_000_000_000
RETENTION_D: Final = 2
SHORTENED: Final = 15
"""Every retention is so many times shorter than by default: 30 days are 2, 90 are 6."""
SECRET: Final = "simulated-secret-of-forty-bytes-or-more"
ORIGIN: Final = "https://shop.example"
SPOOL_BYTES: Final = 256 << 20
SDK: Final = Bundle(Script(b""), {})


def settings_text(url: str) -> str:
    """``segma.yaml``, for a platform at an address."""
    account = f"{{sink: listmonk, strangers: add, options: {{url: '{url}', user: segma, token: {{file: key}}}}}}"
    site = f"{{key: shop-key, origins: ['{ORIGIN}']}}"
    return (
        f"token_keys: {{file: keys}}\nretention: {RETENTION_D}d\nworkspaces:\n  w:\n    secret: {{file: secret}}\n"
        f"    sites:\n      shop: {site}\n    accounts:\n      mail: {account}\n"
    )


def shorter(topic: Topic) -> Topic:
    """A topic whose retention no setting says, kept so many times shorter."""
    fixed = topic.retention_ms != RETENTION_D * DAY_MS
    return Topic(topic.name, topic.partitions, topic.retention_ms // SHORTENED, topic.compacted) if fixed else topic


class Platform(World):
    """The platform's people; nobody asks here which calls changed nothing."""

    def memberships(self) -> dict[str, dict[str, str]]:
        """Nothing: a picture of so many people at each call would be most of the work."""
        return {}


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the simulation's, and goes on a little while it works."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def time(self) -> float:
        """Seconds."""
        return self._clock.now_ms / 1_000 + time.monotonic()


@dataclass
class Counts:
    """What has happened to the processes."""

    ended: Counter[str] = field(default_factory=Counter)
    incidents: Counter[str] = field(default_factory=Counter)
    drift: dict[str, int] = field(default_factory=dict)
    beacons: int = 0
    spooled: int = 0
    """Beacons that waited on the collector's disk."""
    troubled_calls: int = 0
    """Calls that the platform did not answer as it should."""
    refused: int = 0
    moved_people: int = 0


class Installation:
    """Everything. Time passes by :meth:`step` alone."""

    def __init__(self, home: Path, people: int, flows: int = 1) -> None:
        self.home, self.data, self.people, self.flows = home, home / "data", people, flows
        self.clock, self.books, self.counts = Clock(START_MS), Books(), Counts()
        self.platform = Simulator(Listmonk(), validate=False, world=Platform())
        self._write_home()
        self._loop = SimulatedLoop(self.clock)
        self.start_all()
        self._enrol()

    def _write_home(self) -> None:
        (self.home / "listeners").mkdir(parents=True)
        for text in LISTENERS.split("\n---\n"):
            name = text.partition("\n")[0].removeprefix("listener: ")
            (self.home / "listeners" / f"{name}.yaml").write_text(text + "\n")
        (self.home / "secret").write_text(SECRET)
        (self.home / "keys").write_text(f"k1 {bytes(range(64)).hex()}\n")
        (self.home / "key").write_text(KEY)
        self.config = self.home / "segma.yaml"
        self.config.write_text(settings_text(self.platform.url))

    def _enrol(self) -> None:
        publisher = self.log.publisher()
        self.subscribers = [subscriber_id(SECRET.encode(), address_of(each)) for each in range(self.people)]
        entries = [
            Outgoing(SUBSCRIBERS, subscriber_key("w", each), to_json(DirectoryEntry("w", each, address_of(number))))
            for number, each in enumerate(self.subscribers)
        ]
        for start in range(0, len(entries), 5_000):
            publisher.publish(entries[start : start + 5_000])
        for number in range(self.people):
            self.platform.world.put(address_of(number), "newsletter")

    def start_all(self) -> None:
        """A build is started on what lies in the home."""
        around = Surroundings(now_ms=lambda: self.clock.now_ms, elapsed_s=lambda: self.clock.now_ms / 1_000)
        self.installation = load_installation(self.config)
        self.outage = OutageLog(EmbeddedLog(self.data / "log", around))
        self.log = cast(Log, self.outage)
        self.log.ensure([shorter(each) for each in topics_of(self.installation)])
        shared = load_shared(self.installation, beside=self.config)
        self._shared = with_listeners_of(
            self.log, shared, self.installation, beside=self.config, now_ms=self.clock.now_ms - 60_000
        )
        self._sites = load_sites(self.installation, beside=self.config)
        self._spool = Spool(self.data / "0.spool", SPOOL_BYTES)
        outside = ClockAndIds(lambda: self.clock.now_ms, lambda: "0" * 16)
        self._core = Core(self._sites, SDK, outside, lambda: Intake(self.log, self._spool))
        self._door = Beacons(self._core, SDK_STEPS, "sdk", cross_origin=True)
        self._flows: dict[int, FlowProcess] = {}
        self._delivery: Process | None = None
        self._loader: Process | None = None

    def stop_all(self) -> None:
        """Every process ends as it is asked to."""
        for index in list(self._flows):
            self._flows[index].save()
            self.end_flow(index)
        self.end_delivery(kill=False)
        self.end_loader(kill=False)
        self._loop.run_until_complete(self._core.close())
        self.log.close()

    def close(self) -> None:
        """The end."""
        self.stop_all()
        self._loop.run_until_complete(asyncio.wait_for(self._loop.shutdown_default_executor(), 30))
        self._loop.close()
        self.platform.close()

    def step(self, to_ms: int, beacons: Sequence[Sent]) -> None:
        """Time passes, beacons come, and everybody does what there is to do."""
        self.clock.now_ms = to_ms
        self._loop.run_until_complete(self._collect(beacons))
        self._run_flows()
        self._delivery = self._running("delivery", self._delivery, self._deliver)
        self._loader = self._running("loader", self._loader, self._load)

    async def _collect(self, beacons: Sequence[Sent]) -> None:
        if not self.outage.away and not self._spool.is_empty:
            await asyncio.wait_for(self._core.intake.drained(), 60)
        for start in range(0, len(beacons), 200):
            await asyncio.gather(*map(self._send, beacons[start : start + 200]))

    async def _send(self, sent: Sent) -> None:
        now_ms = self.clock.now_ms
        token = self._sites.keyring.seal(Claims("w", self.subscribers[sent.person], START_MS // 1_000))
        body = beacon_of(sent, token, now_ms)

        async def read() -> bytes:
            return body

        client = f"10.{sent.person >> 16 & 255}.{sent.person >> 8 & 255}.{sent.person & 255}"
        self.counts.spooled += self.outage.away
        answer = await self._door.answer({b"origin": ORIGIN.encode()}, client, read)
        self.counts.beacons += 1
        if answer.refusal is not None:
            self.counts.refused += 1
            return
        for number in sent.numbers:
            self.books.accepted(number)

    def _run_flows(self) -> None:
        # NOTE: twice, for what one recognised is another's to follow.
        for index in (*range(self.flows), *range(self.flows if self.flows > 1 else 0)):
            if self.outage.away:
                return
            try:
                if index not in self._flows:
                    share = index, self.flows
                    self._flows[index] = FlowProcess(self.log, self._shared, self.clock, self.data, share)
                self._flows[index].catch_up()
            except LogUnavailable:
                self.counts.ended["flow"] += 1
                self.end_flow(index)

    def save(self) -> None:
        """An epoch of every flow ends."""
        for flow in self._flows.values():
            flow.save()

    def end_flow(self, index: int) -> None:
        """End a flow process where it is; what it did since it saved last is done again."""
        if index in self._flows:
            self._flows.pop(index).end()

    def _running(self, name: str, process: Process | None, work: Any) -> Process | None:
        """Give a process its turn; one that has ended is started again."""
        if process is not None and process.ended:
            self.counts.ended[name] += 1
            process = None
        process = process or Process(self.clock, work)
        process.turn()
        return process

    def _deliver(self, process: Process) -> None:
        account = account_of(self.installation, "w/mail")[2]
        now = lambda: self.clock.now_ms  # noqa: E731
        sink = sink_of(
            self.installation,
            "w/mail",
            data=self.data,
            pause=process.pause,
            config=self.config,
            log=self.log,
            now_ms=now,
        )
        delivery = Delivery(
            self.log,
            sink,
            workspace="w",
            account="mail",
            now_ms=now,
            pause=process.pause,
            stopping=process.stopping,
            limits=limits_of(account),
        )
        try:
            while not process.stopping():
                if not delivery.round():
                    process.pause(1.0)
        finally:
            delivery.close()

    def _load(self, process: Process) -> None:
        clickhouse = cast(ClickHouse, self.books)
        loader = Loader(
            self.log, clickhouse, now_ms=lambda: self.clock.now_ms, pause=process.pause, stopping=process.stopping
        )
        try:
            loader.run()
        finally:
            loader.close()

    def end_delivery(self, *, kill: bool) -> None:
        """End the delivery process."""
        if self._delivery is not None and not self._delivery.ended:
            self._delivery.end(kill=kill)
            self.counts.ended["delivery"] += kill
        self._delivery = None

    def end_loader(self, *, kill: bool) -> None:
        """End the loader."""
        if self._loader is not None and not self._loader.ended:
            self._loader.end(kill=kill)
            self.counts.ended["loader"] += kill
        self._loader = None

    def rescale(self, after: int) -> None:
        """Another number of flow processes; beacons that come meanwhile wait."""
        for index in list(self._flows):
            self.end_flow(index)
        done = rescale(self.data, Plan(self.flows, after), lambda step: None)
        self.counts.moved_people += done.keys
        self.flows = after

    def forget_calls(self) -> None:
        """Empty the imitation's book of calls: it would grow for ever. Those made in trouble are counted."""
        self.counts.troubled_calls += len(self.platform.calls) if self.platform.faults else 0
        self.platform.calls.clear()

    def disk_bytes(self) -> dict[str, int]:
        """The bytes on the disk, by what they are for."""
        found = Counter[str]()
        for path in self.data.rglob("*"):
            if path.is_file():
                found[path.relative_to(self.data).parts[0]] += path.stat().st_blocks * 512
        return dict(found)

    def remove(self) -> None:
        """Leave nothing on the disk."""
        shutil.rmtree(self.home, ignore_errors=True)
