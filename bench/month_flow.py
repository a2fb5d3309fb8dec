"""One flow process of the simulated month of :mod:`bench.month`, its store, and a rescale of them all.

What Bytewax does around the flow's sources and logics is done by hand (poll, call, publish, save), so that the clock is
the simulation's and a process can be killed. Stores lie on the disk as Bytewax has them whenever nobody runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.month_outside import Clock
from contracts.codec import to_msgpack
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.topics import BEACONS, EVENTS
from flows.operators.logic import FollowLogic, RecogniseLogic, Shared
from flows.operators.source import BeaconsSource, EventsSource, Position, Positions, ProcessContext, positions_in
from flows.rescale import bytewax_store
from flows.state.changelog import Changelog
from flows.state.recovery_dir import LAYOUT, StoreShape, check_store, directory_of

GROUPS: Final = 4
SETTLE_MS: Final = 10_000
STEPS: Final = ("recognise", "follow")
MOST_PASSES: Final = 200
Place = tuple[str, str]
"""A step, and a partition or a key group of it."""


class Saved(NamedTuple):
    """What a recovery store holds after an epoch."""

    positions: dict[Place, Position]
    states: dict[Place, bytes]


def write_store(store: Path, saved: Saved) -> None:
    """Lay down what was saved last, as Bytewax does."""
    lanes = {f"{STEPS.index(step)}.{part}": position for (step, part), position in saved.positions.items()}
    (store / bytewax_store.FILE).unlink(missing_ok=True)
    states = [(f"segma.{step}", key, state) for (step, key), state in saved.states.items()]
    bytewax_store.write(store, [("segma.log", "log", to_msgpack(Positions(lanes))), *states])


def read_store(store: Path) -> Saved:
    """What a resume finds; nothing in a new store."""
    saved = Saved({}, {})
    for step, key, state in bytewax_store.resumed(store):
        if step == "segma.log":
            for lane, position in positions_in(state).items():
                saved.positions[STEPS[int(lane[0])], lane[2:]] = position
        else:
            saved.states[step.removeprefix("segma."), key] = state
    return saved


class FlowProcess:
    """Process ``index`` of ``of``, on what its store holds."""

    def __init__(self, log: Log, shared: Shared, clock: Clock, data: Path, share: tuple[int, int]) -> None:
        self._log, self._shared, self._clock = log, shared, clock
        self._store = directory_of(data, *share)
        self._store.mkdir(parents=True, exist_ok=True)
        topics = {name: log.topic_id(name) for name in (BEACONS, EVENTS)}
        check_store(self._store, StoreShape(shared.partitions, GROUPS, *share, topics, {"w": "1"}, LAYOUT))
        (self._store / "lock").touch()
        self._saved = read_store(self._store)
        self._publisher = log.publisher()
        context = ProcessContext(lambda: False, self._now, _never, share, SETTLE_MS)
        self._changelog = Changelog(self._store / "states")
        self._parts = dict(self._opened(context))
        self._logics: dict[Place, Any] = {}
        for place in self._saved.states:
            self._logic(*place)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms / 1_000, UTC)

    def _opened(self, context: ProcessContext) -> Iterable[tuple[Place, Any]]:
        partitions = self._shared.partitions
        sources: dict[str, Any] = {
            "recognise": BeaconsSource(self._log, partitions, context),
            "follow": EventsSource(self._log, partitions, GROUPS, context),
        }
        for step, source in sources.items():
            for part in source.list_parts():
                yield (step, part), source.build_part("", part, self._saved.positions.get((step, part)))

    def _logic(self, step: str, key: str) -> Any:
        place = step, key
        if place not in self._logics:
            kind: Callable[..., Any] = RecogniseLogic if step == "recognise" else FollowLogic
            self._logics[place] = kind(self._shared, self._changelog, self._saved.states.get(place))
        return self._logics[place]

    def catch_up(self) -> None:
        """Read on until there is nothing more. Raises the log's error where something cannot be published."""
        for _ in range(MOST_PASSES):
            if not sum(self._pass(*place) for place in self._parts):
                return

    def _pass(self, step: str, part: str) -> int:
        out: list[Outgoing] = []
        values = self._parts[step, part].next_batch()
        for key, value in values:
            said, _ = self._logic(step, key).on_batch([value])
            out += said
        for outcome in self._publisher.publish(out) if out else ():
            if isinstance(outcome, LogError):
                raise outcome
        return len(values)

    def save(self) -> None:
        """End an epoch: everything is published, now it is saved."""
        states = {place: logic.snapshot() for place, logic in self._logics.items()}
        self._saved = Saved({place: part.snapshot() for place, part in self._parts.items()}, states)

    def end(self) -> None:
        """The process is gone; what was saved last lies in its store."""
        for part in self._parts.values():
            part.close()
        self._changelog.close()
        write_store(self._store, self._saved)


def _never(seconds: float) -> None:
    raise AssertionError("a flow of the simulation waits")
