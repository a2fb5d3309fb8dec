"""The states of a key group: decoded while they are at work, bytes while they are not, in the changelog for ever.

A state is written whole when it was :meth:`Keeper.put`, at the epoch's end; or what came to it is written
(:meth:`Keeper.add`) and the state itself now and then. Deadlines are kept beside the bytes: after a resume nobody is
decoded until an event or a deadline asks for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from segma.flows.chains import Chain, Input, Row
from segma.flows.changelog import Changelog, Position
from segma.flows.packing import packed, plain, unpacked

S = TypeVar("S")
Again = Callable[[str, bytes | None, Sequence[Input]], S]

MAX_PENDING: Final = 4_096
"""States of all groups that may wait for the epoch's end to be encoded: past its share a group writes half of its own,
those touched longest ago, so that the pause at an epoch's end has a bound."""
MAX_INPUTS: Final = 32_768
"""Inputs of all groups that may wait for the epoch's end: past its share a group writes its own."""
WHOLE_AFTER: Final = 16_384
WHOLE_AT_LAST: Final = 1 << 20
"""Bytes of inputs after which somebody is written whole again, if that is more than twice the state, and in any case:
what is applied again after a resume has a bound."""
MAX_DECODED: Final = 65_536
"""States of all groups kept decoded beside those that wait to be written."""
COOLED_AT_ONCE: Final = 64
MAX_ANONYMOUS: Final = 500_000
"""Devices that are nobody's, of all groups: anybody may invent one, so their number is bounded beside their time."""


class Keeper(Generic[S]):
    """The states of one group, by key."""

    def __init__(
        self,
        changelog: Changelog,
        resumed: Position | None,
        *,
        new: Callable[[str], S],
        encode: Callable[[str, S], bytes],
        decode: Callable[[str, bytes], S],
        due_ms: Callable[[str, S], int | None],
        again: Again[S] | None = None,
        kind: str = "",
    ) -> None:
        """``again``: the state that inputs make of a whole one (None: of nothing), for :meth:`add`."""
        self._new, self._encode, self._decode, self._due_ms = new, encode, decode, due_ms
        self._again = again
        self._changelog = changelog
        self._group, chains = changelog.group(resumed, kind)
        self._group.pending = self._pending
        self._group.everything = self._everything
        self._group.live = lambda: (len(self._saved) + len(self._stale), self._bytes)
        self._saved: dict[str, bytes] = {}
        """Whole states that are current. A key stands here or in ``_stale``."""
        self._stale: dict[str, int] = {}
        """Keys whose whole state, if there is one, is older than the last input, with its bytes."""
        self._grown: dict[str, int] = {}
        """Of those the bytes of the inputs."""
        self._chains: dict[str, Chain] = {}
        """Of those the ones that nobody has asked for since the start."""
        self._live: dict[str, S] = {}
        self._touched: dict[str, None] = {}
        self._inputs: list[Row] = []
        """What came and is not written yet; what it was applied under before it."""
        self._under: dict[bytes, int] = {}
        self._dues: dict[str, int] = {}
        self._bytes = 0
        self._resume(chains)
        self._heap = [(due, key) for key, due in self._dues.items()]
        heapq.heapify(self._heap)
        self._most_inputs = self._most_decoded = 0
        self._share()

    def _resume(self, chains: dict[str, Chain]) -> None:
        for key, chain in chains.items():
            if chain.due_ms is not None:
                self._dues[key] = chain.due_ms
            self._bytes += len(key) + chain.size
            if chain.inputs:
                self._chains[key] = chain
                self._stale[key] = len(key) + len(chain.whole or b"")
                self._grown[key] = chain.size - len(chain.whole or b"")
            elif chain.whole is not None:
                self._saved[key] = chain.whole

    def _share(self) -> None:
        """Find this group's share of what all may hold."""
        self._most_inputs = self._changelog.share(MAX_INPUTS)
        self._most_decoded = self._changelog.share(MAX_DECODED)

    def known(self) -> list[str]:
        """The keys with a state at the start."""
        return [*self._saved, *self._stale]

    def unders(self) -> set[bytes]:
        """What the inputs were applied under that a resume found."""
        return {each.under for chain in self._chains.values() for each in chain.inputs}

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` or :meth:`add` after changing it."""
        state = self._live.get(key)
        if state is None:
            state = self._live[key] = self._found(key)
            self._chains.pop(key, None)
        return state

    def peek(self, key: str) -> S:
        """The state of a key, to be looked at and not changed; nothing is kept decoded for it."""
        state = self._live.get(key)
        return self._found(key) if state is None else state

    def next_due_ms(self) -> int | None:
        """A log time before which :meth:`due` finds nothing."""
        return self._heap[0][0] if self._heap else None

    def _found(self, key: str) -> S:
        if key in self._touched:
            return self._new(key)
        chain = self._chains.get(key)
        if chain is not None:
            assert self._again is not None  # noqa: S101
            return self._again(key, None if chain.whole is None else unpacked(chain.whole), chain.inputs)
        saved = self._saved.get(key)
        return self._new(key) if saved is None else self._decode(key, unpacked(saved))

    def put(self, key: str, state: S) -> None:
        """The state of a key is this now."""
        self.put_due(key, state, self._due_ms(key, state))

    def put_due(self, key: str, state: S, due_ms: int | None) -> None:
        """The state of a key is this now, and this is when it is due."""
        self._live[key] = state
        self._touch(key)
        self._schedule(key, due_ms)
        if len(self._live) > self._most_decoded:
            self._cool()

    def add(  # noqa: PLR0917
        self, key: str, state: S, due_ms: int | None, data: bytes, at_ms: int, under: bytes
    ) -> None:
        """As :meth:`put_due`, where this input alone made the state of what it was. See :class:`Input`."""
        self._live[key] = state
        scheduled = self._dues.get(key)
        if scheduled is None or (due_ms is not None and due_ms < scheduled):
            self._schedule(key, due_ms)
        if self._touched and key in self._touched:
            return  # it will be written whole
        number = self._under.get(under)
        if number is None:
            number = self._under[under] = len(self._under)
            self._inputs.append(Row("", under, None, None, number))
        self._inputs.append(Row(key, data, due_ms, at_ms, number))
        size = len(data)
        self._bytes += size
        whole = self._stale.get(key)
        if whole is None:
            saved = self._saved.pop(key, None)
            whole = self._stale[key] = len(key) + (0 if saved is None else len(saved))
            self._bytes += 0 if saved is not None else len(key)
            self._grown[key] = size
        else:
            size = self._grown[key] = self._grown[key] + size
            if size > WHOLE_AFTER and (size > 2 * whole or size > WHOLE_AT_LAST):
                self._touch(key)
        if len(self._inputs) > self._most_inputs:
            self._write([])
        if len(self._live) > self._most_decoded:
            self._cool()

    def _touch(self, key: str) -> None:
        # PERF: whoever is touched again moves to the end, so that the busiest wait and are written once an epoch.
        self._touched.pop(key, None)
        self._touched[key] = None
        most = self._changelog.share(MAX_PENDING)
        if len(self._touched) > most:
            self._write(list(islice(self._touched, most // 2)))

    def _schedule(self, key: str, due_ms: int | None) -> None:
        # PERF: what is due later than it was is asked again when its time comes, so that a key waits in the heap once,
        # however often its due time moves on.
        scheduled = self._dues.get(key)
        if due_ms is not None and (scheduled is None or due_ms < scheduled):
            self._dues[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))

    def let_go(self, key: str) -> None:
        """Nothing is known of this key any more."""
        self._live.pop(key, None)
        self._dues.pop(key, None)
        self._touch(key)

    def due(self, log_time_ms: int, wanted: Callable[[str], bool] = lambda key: True) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again or let go.

        ``wanted``: keys of which this is not true are passed over.
        """
        while self._heap and self._heap[0][0] <= log_time_ms:
            ready = []
            while self._heap and self._heap[0][0] <= log_time_ms:
                scheduled, key = heapq.heappop(self._heap)
                if self._dues.get(key) != scheduled:
                    continue
                del self._dues[key]
                due_ms = self._due_ms(key, self.get(key)) if wanted(key) else None
                if due_ms is not None and due_ms <= log_time_ms:
                    ready.append((due_ms, key))
                else:
                    self._schedule(key, due_ms)
            yield from (key for _, key in sorted(ready))

    def snapshot(self) -> Position:
        """The position at which :class:`Keeper` finds all states again: it is on the disk."""
        self._share()
        return self._group.snapshot()

    def _pending(self) -> list[Row]:
        """What came, and the rows of all who were touched; they count as written."""
        return self._rows(list(self._touched))

    def _write(self, keys: list[str]) -> None:
        self._group.write(self._rows(keys))

    def _rows(self, keys: list[str]) -> list[Row]:
        """NOTE: what came stands before whole states, which hold it already."""
        rows, self._inputs = self._inputs, []
        for key in keys:
            del self._touched[key]
            state = self._live.get(key)
            self._forget(key)
            if state is None:
                rows.append(Row(key, None, None))
            else:
                rows.append(Row(key, self._whole(key, state), self._due_ms(key, state)))
        return rows

    def _forget(self, key: str) -> None:
        """What is written of a key counts no more."""
        saved = self._saved.pop(key, None)
        if saved is not None:
            self._bytes -= len(key) + len(saved)
            return
        whole = self._stale.pop(key, None)
        if whole is not None:
            self._bytes -= whole + self._grown.pop(key)
            self._chains.pop(key, None)

    def _whole(self, key: str, state: S) -> bytes:
        """Encode a state and remember it as current."""
        data = self._saved[key] = plain(self._encode(key, state))
        self._bytes += len(key) + len(data)
        return data

    def _cool(self) -> None:
        """Keep as bytes, packed, some who have been decoded longest and do not wait to be written."""
        found = islice((key for key in self._live if key not in self._touched), COOLED_AT_ONCE)
        for key in list(found):
            state = self._live.pop(key)
            if key in self._stale:
                self._forget(key)
                self._whole(key, state)
            before = self._saved.get(key)
            if before is not None:
                after = self._saved[key] = packed(before)
                self._bytes += len(after) - len(before)

    def _everything(self) -> list[Row]:
        """All rows; call :meth:`_pending` before. Whoever was not asked for since the start stays as they came."""
        self._under = {}
        for key in [key for key in self._stale if key not in self._chains]:
            self._forget(key)
            self._whole(key, self._live[key])
        rows = [Row(key, data, self._dues.get(key)) for key, data in self._saved.items()]
        for key, chain in self._chains.items():
            if chain.whole is not None:
                rows.append(Row(key, chain.whole, chain.due_ms))
            for each in chain.inputs:
                number = self._under.get(each.under)
                if number is None:
                    number = self._under[each.under] = len(self._under)
                    rows.append(Row("", each.under, None, None, number))
                rows.append(Row(key, each.data, chain.due_ms, each.at_ms, number))
        return rows


class Fleeting:
    """Keys of which at most so many are kept, those used longest ago go first."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = dict.fromkeys(keys)

    def use(self, key: str) -> None:
        """This key is used now."""
        self._keys.pop(key, None)
        self._keys[key] = None

    def forget(self, key: str) -> None:
        """This key is kept for good, or gone."""
        self._keys.pop(key, None)

    def over(self, most: int) -> list[str]:
        """The keys that must go; they are forgotten."""
        gone = list(islice(self._keys, max(len(self._keys) - most, 0)))
        for key in gone:
            del self._keys[key]
        return gone
