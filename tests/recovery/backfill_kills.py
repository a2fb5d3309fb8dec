"""``python -m tests.recovery.backfill_kills``: versions are promoted with their past; all that takes part is killed.

People walk on all the while. Version after version is promoted with ``--backfill since`` or ``--backfill members``.
While the command is under way it, the flow and the delivery loop are killed at random moments, and so is ClickHouse. A
command that was killed is asked again. The judge (:mod:`tests.recovery.backfill_judge`) compares with a promotion of
nothing of that kind: what the recorded log comes to by the steps that run live.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click
import requests

from analytics.config import analytics_settings_at, connect
from analytics.recorded import reach
from cli.output import Exit
from contracts.codec import to_json
from contracts.versions import NOTICE_MS, ListenerVersion
from flows.versions.deployment import Versions
from tests.broker import Broker
from tests.ports import free_port
from tests.recovery.backfill_judge import Round, judged
from tests.recovery.faults import Say
from tests.recovery.mixed_builds import awaited
from tests.recovery.world import ORIGIN, PEOPLE, SILENCE_S, World
from transport.config import Settings

LISTENERS: Final = (
    "sequence: [{action: email_clicked}, {action: page_viewed}, {action: product_added}]\n",
    "repeat: once\nsequence: [{action: page_viewed, times: 2}, {action: product_added}]\n",
    "sequence: [{step: kept, action: product_added}, {not: product_bought, for: 2s}]\n",
)
ACTIONS: Final = ("email_clicked", "page_viewed", "page_viewed", "product_added", "product_bought")
TARGETS: Final = ("command", "command", "command", "flow", "flow", "delivery", "delivery", "clickhouse")
LATE_MS: Final = (0, 0, 0, 0, 1_500, 6_000)
MOST_IN_ONE: Final = 8
"""Kills in one promotion: then it is left to its end."""


class Walker(threading.Thread):
    """Everybody's events, one after the other: what happened a while ago comes too, from another device."""

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._world, self._chance, self._stopped = world, chance, threading.Event()
        self.sent = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Walk until told to stop."""
        try:
            with requests.Session() as session:
                while not self._stopped.wait(self._chance.uniform(0.0, 0.06)):
                    self._send(session)
        except BaseException as error:
            self.failure = error
            raise

    def stop(self) -> None:
        """Stop, and raise what went wrong."""
        self._stopped.set()
        self.join(SILENCE_S)
        if self.failure is not None:
            raise self.failure

    def _send(self, session: requests.Session) -> None:
        self.sent += 1
        person, late_ms = self._chance.randrange(PEOPLE), self._chance.choice(LATE_MS)
        now_ms = time.time_ns() // 1_000_000
        event = {
            "event_id": f"e{self.sent}",
            "action": self._chance.choice(ACTIONS),
            "occurred_at_ms": now_ms - late_ms,
            "order": self.sent,
            "properties": {"category": "shoes"},
        }
        beacon = {
            "site": "shop-key",
            "device": f"d{person}-{self.sent}" if late_ms else f"d{person}",
            "sent_at_ms": now_ms,
            "token": self._world.tokens[person],
            "events": [event],
        }
        url = f"{self._world.url}/v1/beacons"
        answer = session.post(url, data=to_json(beacon), headers={"Origin": ORIGIN}, timeout=30)
        assert answer.status_code == 204, (answer.status_code, answer.text)


class Promotions:
    """Promotions in a world, each with kills while it is under way."""

    def __init__(self, world: World, chance: random.Random, say: Say) -> None:
        self._world, self._chance, self._say = world, chance, say
        self.rounds: list[Round] = []
        self.kills: Counter[str] = Counter()
        self.unavailable = 0
        """How often a command said that the history or the flow was away, and ended."""

    @property
    def killed(self) -> int:
        """Kills of the flow, the delivery loop and the command."""
        return self.kills.total() - self.kills["clickhouse"]

    def next(self) -> None:
        """Apply a version, let people walk, and promote it; kill what takes part."""
        number = len(self.rounds)
        kind, text = ("since", "members")[number % 2], LISTENERS[number // 2 % len(LISTENERS)]
        name = f"{kind}-{number}"
        self._apply(name, f"listener: {name}\n{text}then: [{{add: {{to: {name}, at: mailbox}}}}]\n")
        threading.Event().wait(NOTICE_MS / 1_000 + self._chance.uniform(0.0, 1.0))
        words = ["since", f"{self._chance.choice((4, 10, 30, 3600))}s"] if kind == "since" else [kind]
        self._promote([name, "--backfill", *words])
        self.rounds.append(Round(kind, name))
        self._say(f"{name}: {dict(self.kills)}")

    def _apply(self, name: str, text: str) -> None:
        with contextlib.closing(Versions(self._world.log)) as versions:
            from_ms = time.time_ns() // 1_000_000 + NOTICE_MS
            versions.write([ListenerVersion("demo", name, 1, text, from_ms)])

    def _promote(self, words: list[str]) -> None:
        """Promote until the command ends by itself, well."""
        targets = self._chance.choices(TARGETS, k=self._chance.randint(MOST_IN_ONE // 2, MOST_IN_ONE))
        before = self.kills.copy()
        while True:
            process = self._begun(words)
            while targets and self._runs(process, self._chance.choice((0.4, 2.0, 6.0))):
                target = targets.pop()
                self._kill(target, process)
                if target == "command":
                    break
            said = " ".join(process.communicate(timeout=SILENCE_S)[0].decode().split())
            if process.returncode == Exit.OK:
                return
            if process.returncode != -9:
                self._check_away(process.returncode, said, self.kills - before)

    def _begun(self, words: list[str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cli", "listeners", "promote", *words, "--home", str(self._world.home)]
        environment, pipe = self._world.environment, subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True)

    def _runs(self, process: subprocess.Popen[bytes], most_s: float) -> bool:
        """Whether it is under way still, at a random moment from now."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._chance.uniform(0.0, most_s))
        return process.poll() is None

    def _kill(self, target: str, process: subprocess.Popen[bytes]) -> None:
        self.kills[target] += 1
        if target == "command":
            os.killpg(process.pid, 9)
            return
        self._world.kill(target)
        self._world.start(target)
        if target == "clickhouse":
            await_clickhouse(self._world)

    def _check_away(self, code: int, said: str, kills: Counter[str]) -> None:
        """See that a command that ended by itself said why, in a sentence: who it needs was away."""
        assert code == Exit.UNAVAILABLE, (code, said)
        assert "Traceback" not in said, said
        of_history, of_flow = "the same command goes on there" in said, "the flow is not at work" in said
        assert (of_history and kills["clickhouse"] + kills["flow"]) or (of_flow and kills["flow"]), (said, kills)
        self.unavailable += 1


def await_clickhouse(world: World) -> None:
    """Return when ClickHouse answers."""
    port = world.environment["SEGMA_CLICKHOUSE_PORT"]
    awaited(lambda: requests.get(f"http://127.0.0.1:{port}/ping", timeout=1).ok)


def await_loaded(world: World) -> None:
    """Return when the history holds an event: what is empty is not asked for a past."""
    with contextlib.closing(connect(analytics_settings_at(world.home))) as clickhouse:
        awaited(lambda: bool(reach(clickhouse, "demo").events))


def backfilled(home: Path, kills: int, chance: random.Random, say: Say, log: Settings | None = None) -> dict[str, Any]:
    """Promote versions with their past until there were so many kills; the judge's figures.

    ``log``: of a broker; None: the embedded one.
    """
    with World(home, log=log, SEGMA_CLICKHOUSE_PORT=str(free_port())) as world:
        world.start("clickhouse", "collector", "flow", "delivery")
        await_clickhouse(world)
        world.start("loader")
        walker, promotions = Walker(world, chance), Promotions(world, random.Random(chance.random()), say)
        walker.start()
        await_loaded(world)
        while promotions.killed < kills or len(promotions.rounds) < 2:
            promotions.next()
        walker.stop()
        figures = judged(world, promotions.rounds, walker.sent)
        return figures | {"kills": dict(promotions.kills), "said_to_be_away": promotions.unavailable}


@click.command()
@click.option("--kills", default=200, show_default=True, help="Of flow, delivery and command, at least.")
@click.option("--seed", default=1, show_default=True)
@click.option("--kafka", is_flag=True, help="On a broker of its own, and not on the embedded log.")
def main(kills: int, seed: int, kafka: bool) -> None:
    """Promote versions with their past under kills, then compare."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as owned:
        home = Path(directory) / "home"
        log: Settings | None = None
        if kafka:
            log = owned.enter_context(Broker(Path(directory) / "broker")).settings(home / "data")
        figures = backfilled(home, kills, random.Random(seed), lambda text: click.echo(text, err=True), log)
    click.echo(f"as undisturbed promotions: {figures}; seed {seed}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    main()
