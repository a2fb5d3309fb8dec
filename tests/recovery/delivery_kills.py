"""``kill -9`` of the delivery loop: ``python -m tests.recovery.delivery_kills [KILLS] [MOVES] [PLATFORM]``.

At random moments, on a simulated platform with a quota (HubSpot, or the one that is named); people who are moved
about, moves that are taken back, people who had left. Judged after the faults stop: the lists are exactly those of the
commands carried out one by one, the outcomes too; nobody who left was added; per person the outcomes come in the order
of the commands; no call was over the quota; no more than one writing call a kill changed nothing (it was in doubt).
Prints its progress and its figures, and writes those to
``bench/results/delivery_kills.json`` (of another platform with its name); exit status 1 where a judgement fails.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome
from contracts.log import Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import OUTCOMES, SUBSCRIBERS, account_topics, fixed_topics, moves_topic, subscriber_key
from tests.recovery.sympa_door import SympaDoor
from tests.sinks.beds import BUCKETS
from tests.sinks.courier import command
from tests.sinks.simulator.imitation import imitations
from tests.sinks.simulator.server import KEY, Simulator
from transport import open_log
from transport.config import Settings

LISTS = ("newsletter", "warm", "hot", "lost", "back")
QUOTA = (100, 1.0)
LATENCY_S = 0.012
PATIENCE_S = 120.0
"""Without any new outcome."""
TELL_EVERY = 20
"""Kills between two lines of progress."""
RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
_outcome = json_reader(Outcome)


class Model:
    """The commands one by one (SEMANTICS 8): of each list the newest that was not taken back counts, else the start."""

    def __init__(self, people: Sequence[str], left: set[str]) -> None:
        self.inside = {person: {LISTS[0]} for person in people}
        self.changed: dict[str, dict[str, bool]] = {}
        self._left = left
        self._standing: dict[str, list[Command]] = {}

    def carry_out(self, wanted: Command) -> None:
        person = wanted.subscriber
        if person in self._left:
            return  # every command here, and every taking back, would add them somewhere
        standing, before = self._standing.setdefault(person, []), self.inside[person]
        if wanted.undoes:
            standing[:] = [each for each in standing if each.command_id != wanted.undoes]
        else:
            standing.append(wanted)
        now = {LISTS[0]: True}
        for each in standing:
            now |= {each.from_list: False, each.to_list: True}
        self.inside[person] = {name for name, into in now.items() if into}
        self.changed[wanted.command_id] = {name: name not in before for name in before ^ self.inside[person]}


class Run:
    """One run with kills."""

    def __init__(
        self,
        home: Path,
        kills: int,
        moves: int,
        seed: int,
        say: Callable[[str], object] = lambda line: None,
        platform: str = "hubspot",
    ) -> None:
        self.kills, self.chance, self.home, self._say = kills, random.Random(seed), home, say
        self._platform = platform
        self.simulator: Any = self._simulated()
        self.people = [f"s_p{number}" for number in range(max(moves // 25, 8))]
        self.left = set(self.people[::20])
        self._arrange()
        self._earlier: Command | None = None
        self.commands = [self._command(number) for number in range(moves)]
        self.in_flight = 0

    def _simulated(self) -> Any:
        simulator = Simulator(imitations()[self._platform].dialect(), latency_s=LATENCY_S, window=0.85)
        dialect: Any = simulator.dialect
        dialect.quotas = {"all": [QUOTA]}
        return simulator

    def _gather(self) -> None:
        world = self.simulator.world
        for each in self.people:
            world.put(f"{each}@example.org", LISTS[0])
            if each in self.left:
                self.simulator.leave(f"{each}@example.org", LISTS[0])
        for name in LISTS:
            world.made_list(name)

    def _options(self) -> dict[str, Any]:
        given = {
            name: {"file": "key"} if value == {"env": "KEY"} else value
            for name, value in imitations()[self._platform].options.items()
        }
        quotas: dict[str, Any] = {name: [] for name in BUCKETS} | {"all": [[QUOTA[0], f"{QUOTA[1]:g}s"]]}
        return {"url": self.simulator.url, "timeout": "20s", "quotas": quotas, **given}

    def _arrange(self) -> None:
        self._gather()
        (self.home / "secret").write_text("s" * 64)
        (self.home / "keys").write_text(f"k1 {bytes(range(64)).hex()}\n")
        (self.home / "key").write_text(KEY)
        (self.home / "segma.yaml").write_text(
            "token_keys: {file: keys}\nworkspaces:\n  w:\n    secret: {file: secret}\n    accounts:\n      mail:\n"
            f"        sink: {self._platform}\n        options: {json.dumps(self._options())}\n"
        )
        self.log = open_log(Settings(data=self.home / "data"))
        self.log.ensure([*fixed_topics(), *account_topics("w", "mail")])
        entries = [DirectoryEntry("w", each, f"{each}@example.org") for each in self.people]
        self._publish(*(Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries))

    def _publish(self, *records: Outgoing) -> None:
        self.log.publisher().publish(records)

    def _command(self, number: int) -> Command:
        person = self.chance.choice(self.people)
        before, after = self.chance.sample(LISTS, 2)
        found = command(after, before, person=person.removeprefix("s_"), command_id=f"c{number:05}")
        earlier = self._earlier
        if earlier is not None and self.chance.random() < 0.1:
            back = {"to_list": earlier.to_list, "from_list": earlier.from_list, "undoes": earlier.command_id}
            return command(**back, person=earlier.subscriber.removeprefix("s_"), command_id=f"c{number:05}")
        self._earlier = found
        return found

    def run(self) -> dict[str, Any]:
        """Moves in portions, a life after each, the last one until all is done."""
        environment = {
            **os.environ,
            "SEGMA_CONFIG": str(self.home / "segma.yaml"),
            "SEGMA_DATA": str(self.home / "data"),
        }
        started = time.monotonic()
        with (self.home / "said").open("wb") as said:
            zygote = subprocess.Popen(
                [sys.executable, "-m", "tests.recovery.zygote", "w/mail"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=environment,
            )
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        portion, sent = max(len(self.commands) // (self.kills + 1), 1), 0
        for number in range(self.kills + 1):
            last = number == self.kills
            some = self.commands[sent:] if last else self.commands[sent : sent + portion]
            sent += len(some)
            self._publish(*(Outgoing(moves_topic("w", "mail"), b"k", to_json(each)) for each in some))
            zygote.stdin.write("go\n")
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            if last:
                self._await_all()
            else:
                self._await_work()
            os.kill(child, signal.SIGKILL)
            self.in_flight += self.simulator._at_once > 0 and not last
            assert zygote.stdout.readline() == "gone\n"
            if not (number + 1) % TELL_EVERY or last:
                self._tell(number + (not last), sent, time.monotonic() - started)
        zygote.stdin.close()
        zygote.wait()
        zygote.stdout.close()
        return self._judged() | {"took_s": round(time.monotonic() - started, 1)}

    def _tell(self, killed: int, sent: int, took_s: float) -> None:
        calls = len(self.simulator.calls)
        self._say(
            f"{killed} of {self.kills} kills, {self.in_flight} with a call in flight; {sent} of {len(self.commands)} "
            f"moves given out, {calls} calls; {took_s:.0f} s\n"
        )

    def _await_work(self) -> None:
        """A random moment: mostly within some call from now on, sometimes just any."""
        if self.chance.random() < 0.15:
            threading.Event().wait(self.chance.random() * 0.1)
            return
        later = len(self.simulator.calls) + self.chance.randrange(1, 14)
        until = time.monotonic() + 5
        while len(self.simulator.calls) < later and time.monotonic() < until:
            threading.Event().wait(0.001)
        while not self.simulator._at_once and time.monotonic() < until:
            threading.Event().wait(0.0005)

    def _outcomes(self) -> list[Outcome]:
        reader = self.log.reader(OUTCOMES)
        found = []
        while records := reader.poll(20_000):
            found += [_outcome(record.value) for record in records if record.value]
        reader.close()
        return found

    def _await_all(self) -> None:
        wanted = {each.command_id for each in self.commands}
        until, before = time.monotonic() + PATIENCE_S, len(wanted)
        while missing := len(wanted - {each.command_id for each in self._outcomes()}):
            if missing < before:
                until, before = time.monotonic() + PATIENCE_S, missing
            assert time.monotonic() < until, f"{missing} are missing; {(self.home / 'said').read_text()[-3_000:]}"
            threading.Event().wait(0.5)

    def _judged(self) -> dict[str, Any]:
        model, world = Model(self.people, self.left), self.simulator.world
        for each in self.commands:
            model.carry_out(each)
        outcomes = self._outcomes()
        first = dict.fromkeys(each.command_id for each in outcomes)
        told = {each.command_id: {mark[1:]: mark[0] == "+" for mark in each.changed} for each in outcomes}
        place = {command_id: number for number, command_id in enumerate(first)}
        order: dict[str, list[int]] = {}
        for wanted in self.commands:
            order.setdefault(wanted.subscriber, []).append(place[wanted.command_id])
        numbers = {each: world.enrol(f"{each}@example.org").id for each in self.people}
        lists = {each.name: set(each.members) for each in world.lists.values()}
        dialect: Any = self.simulator.dialect
        idle = sum(call.idle and call.status < 300 for call in self.simulator.writes())
        idle += getattr(dialect, "idle_jobs", 0)
        wrong = {
            "lists": [p for p in self.people for n in LISTS if (numbers[p] in lists[n]) != (n in model.inside[p])],
            # NOTE: of who left, two moves that come together and cancel out ask the platform nothing: no veto is met.
            "marks": [
                each.command_id
                for each in outcomes
                if each.subscriber not in self.left and told[each.command_id] != model.changed.get(each.command_id, {})
            ],
            "order": [person for person, found in order.items() if found != sorted(found)],
            "doubled outcomes": [name for name, count in Counter(e.command_id for e in outcomes).items() if count > 1],
            "over quota": ["call"] * self.simulator.refused_for_quota,
            "consent": world.wrongs,
            "requests": self.simulator.violations,
            "kills in flight": [] if self.in_flight * 2 >= self.kills else [f"{self.in_flight} of {self.kills}"],
            "calls in doubt": [] if idle <= self.kills else [f"{idle}"],
        }
        figures: dict[str, Any] = {"kills": self.kills, "in_flight": self.in_flight, "moves": len(self.commands)}
        figures |= {"calls": len(self.simulator.calls), "writes": len(self.simulator.writes())}
        figures |= {"writes_repeated": idle, "most_in_a_window": self.simulator.most_in_a_window}
        return figures | {"wrong": {name: found[:5] for name, found in wrong.items() if found}}

    def close(self) -> None:
        self.simulator.close()
        self.log.close()


class SympaRun(Run):
    """Over Sympa's command line and database, imitated; it has no quota."""

    def _simulated(self) -> Any:
        return SympaDoor(self.home, LATENCY_S)

    def _gather(self) -> None:
        for name in LISTS:
            self.simulator.world.made_list(name)
        for each in self.people:
            self.simulator.sympa.put(f"{each}@example.org", LISTS[0])
            if each in self.left:
                self.simulator.sympa.leave(f"{each}@example.org", LISTS[0])

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.simulator.options()
        return options


def _say(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


def main(kills: int, moves: int, platform: str) -> int:
    """Run, print the figures, say whether all is well."""
    with tempfile.TemporaryDirectory(prefix="segma-kills-") as directory:
        kind = SympaRun if platform == "sympa" else Run
        run = kind(Path(directory), kills, moves, seed=5, say=_say, platform=platform)
        figures = run.run()
        run.close()
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = "delivery_kills" if platform == "hubspot" else f"delivery_kills_{platform}"
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for name, value in figures.items():
        sys.stdout.write(f"{name:>18}  {value}\n")
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    given = [*sys.argv[1:], *("1000", "10000", "hubspot")[len(sys.argv) - 1 :]]
    sys.exit(main(int(given[0]), int(given[1]), given[2]))
