"""Reading some partitions of a topic: positions, leases, ticks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from contracts.errors import PositionGone, StaleConsumer
from contracts.log import Bookmark, Record
from transport.config import Surroundings
from transport.embedded.bell import LOOK_MS, Bell, ring
from transport.embedded.store import Store

TICK_AFTER_MS: Final = 250
"""DESIGN 6: a partition quiet for that long gets a tick from whoever reads it."""


class EmbeddedConsumer:
    """The :class:`~contracts.log.Consumer` of the embedded log. ``name`` empty: a reader without lease."""

    def __init__(
        self,
        store: Store,
        name: str,
        partitions: Iterable[int],
        *,
        bells: Path,
        around: Surroundings,
        start: Mapping[int, int],
        from_end: bool = False,
        ticks: bool = False,
    ) -> None:
        self._store, self._name, self._bells, self._ticks = store, name, bells, ticks
        self._now, self._elapsed = around.now_ms, around.elapsed_s
        self._positions: dict[int, int] = {}
        self._generations: dict[int, int] = {}
        heads = store.heads()
        for partition in partitions:
            following, first, _ = heads[partition]
            committed: int | None = None
            if name:
                self._generations[partition], committed = store.take(name, partition)
            default = following if from_end else first
            position = start.get(partition, committed)
            self._positions[partition] = default if position is None else position
        self._bell = Bell(bells)
        self._topic = store.topic.name
        self._caught_up = False
        self._looked = 0.0
        self._ticked_ms = 0

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """See :meth:`contracts.log.Consumer.poll`."""
        until = self._elapsed() + timeout_s
        while True:
            rang = self._bell.wait(0)
            # PERF: a quiet topic costs one `select` a poll; the file is looked at when the bell rang, or now and then.
            due = self._elapsed() - self._looked >= LOOK_MS / 1_000
            if rang or due or not self._caught_up:
                found = self._read(max_records)
                if found:
                    return found
                if self._ticks:
                    self._tick()
            left = until - self._elapsed()
            if left <= 0:
                return []
            if self._bell.wait(min(left, LOOK_MS / 1_000)):
                self._caught_up = False

    def _read(self, max_records: int) -> list[Record]:
        self._looked = self._elapsed()
        found: list[Record] = []
        read_to: dict[int, int] = {}
        # In turn from the partition that is furthest behind in time would need a look at each; a fair share does.
        share = max(max_records // max(len(self._positions), 1), 1)
        for partition, position in self._positions.items():
            rows = self._store.read(partition, position, min(share, max_records - len(found)))
            if rows and rows[0][0] > position:
                self._check_gap(partition, position)
            found += [Record(self._topic, partition, offset, at_ms, key, value) for offset, at_ms, key, value in rows]
            if rows:
                read_to[partition] = rows[-1][0] + 1
            if len(found) >= max_records:
                break
        # NOTE: none moves before all were read; what a failed read had found is found again.
        self._positions |= read_to
        self._caught_up = not found
        return found

    def _check_gap(self, partition: int, position: int) -> None:
        first = self._store.heads()[partition][1]
        if position < first and not self._store.topic.compacted:
            raise PositionGone(f"{self._topic}/{partition}: offset {position} is gone, the oldest is {first}")

    def _tick(self) -> None:
        """Write a tick into each quiet partition of ours, all in one transaction."""
        now_ms = self._now()
        if now_ms - self._ticked_ms < TICK_AFTER_MS:
            return
        self._ticked_ms = now_ms
        heads = self._store.heads()
        quiet = [partition for partition in self._positions if now_ms - heads[partition][2] >= TICK_AFTER_MS]
        if not quiet:
            return
        if self._name and not self._store.holds(self._name, self._generations):
            raise StaleConsumer(f"{self._name} on {self._topic}: somebody else holds the lease")
        self._store.append([(b"", None, partition) for partition in quiet], self._now)
        ring(self._bells)
        self._caught_up = False

    def commit(self, positions: Mapping[int, int]) -> None:
        """See :meth:`contracts.log.Consumer.commit`."""
        self._store.commit(self._name, dict(positions), self._generations)

    def positions(self) -> dict[int, int]:
        """See :meth:`contracts.log.Consumer.positions`."""
        return dict(self._positions)

    def bookmark(self, partition: int) -> Bookmark:
        """See :meth:`contracts.log.Consumer.bookmark`. A file has one history."""
        return Bookmark(self._positions[partition])

    def seek(self, partition: int, offset: int, epoch: int = -1) -> None:
        """See :meth:`contracts.log.Consumer.seek`."""
        self._positions[partition] = offset
        self._caught_up = False

    def close(self) -> None:
        """Release everything. Leases need no giving back: a consumer that takes one over gets a higher generation."""
        self._bell.close()
        self._store.close()
