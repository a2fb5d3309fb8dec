"""The states of a key group: decoded while they are at work, bytes while they are not, in the changelog for ever.

A state is written whole when it was :meth:`Keeper.put`, at the epoch's end; or what came to it is written
(:meth:`Keeper.add`) and the state itself now and then. Deadlines are kept beside the bytes: after a resume nobody is
decoded until an event or a deadline asks for them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from flows.state.arena import LARGEST, Shelf
from flows.state.changelog import Changelog, Position
from flows.state.compression import packed, plain, unpacked
from flows.state.entry import FRESH, Kept
from flows.state.rows import Chain, Input, Row
from flows.state.timers import DAY_MS, UNDUE, Dues

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
IDLE_MS: Final = 10 * 60_000
"""Log time after which somebody to whom nothing came is kept as bytes again: a tenth of the memory."""
LOOKED_AT_ONCE: Final = 16
MOST_VOID: Final = 256
"""Void dues that a group may keep beside as many as it has keys."""
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
        self._group.live = lambda: (self._count, self._bytes)
        self._live: dict[str, Kept] = {}
        """Those that are decoded, longest first."""
        self._resting: dict[str, Kept] = {}
        """All others."""
        self._shelf = Shelf(self._resting)
        self._touched: dict[str, None] = {}
        """Who is to be written whole, or was let go."""
        self._inputs: list[Row] = []
        """What came and is not written yet; what it was applied under before it."""
        self._under: dict[bytes, int] = {}
        self._dues = Dues(self._scheduled, zlib.crc32(self._group.position.group.encode()) % DAY_MS)
        self._count = self._bytes = 0
        """Keys with something written or to be written as inputs, and the bytes of that."""
        self._resume(chains)
        self._most_inputs = self._most_decoded = 0
        self._share()
        self._now_ms = self._look_ms = self._unseen = 0
        """Log time; when those at work are looked at next; and how many of them this time are still to be."""

    def _resume(self, chains: dict[str, Chain]) -> None:
        for key, chain in chains.items():
            kept = Kept(key)
            if chain.due_ms is not None:
                self._schedule(kept, chain.due_ms)
            kept.whole = len(key) + len(chain.whole or b"")
            if chain.inputs:
                kept.chain, kept.grown = chain, chain.size - len(chain.whole or b"")
            self._resting[key] = kept
            if not chain.inputs and chain.whole is not None:
                self._put_down(kept, chain.whole)
            self._bytes += len(key) + chain.size
            self._count += 1

    def _share(self) -> None:
        """Find this group's share of what all may hold."""
        self._most_inputs = self._changelog.share(MAX_INPUTS)
        self._most_decoded = self._changelog.share(MAX_DECODED)

    def known(self) -> list[str]:
        """The keys of which something is written or to be written as inputs."""
        return [kept.key for kept in self._all() if kept.whole]

    def _all(self) -> list[Kept]:
        return [*self._live.values(), *self._resting.values()]

    def unders(self) -> set[bytes]:
        """What the inputs were applied under that a resume found."""
        chains = [kept.chain for kept in self._resting.values() if kept.chain is not None]
        return {each.under for chain in chains for each in chain.inputs}

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` or :meth:`add` after changing it."""
        kept = self._live.get(key)
        if kept is None:
            found = self._found(key)
            kept = self._woken(key)
            kept.state = found
        state: S = kept.state
        return state

    def peek(self, key: str) -> S:
        """The state of a key, to be looked at and not changed; nothing is kept decoded for it."""
        kept = self._live.get(key)
        if kept is None:
            return self._found(key)
        state: S = kept.state
        return state

    def next_due_ms(self) -> int | None:
        """A log time before which :meth:`due` finds nothing."""
        return self._dues.next_ms()

    def _found(self, key: str) -> S:
        """The state of a key that is not decoded."""
        kept = self._resting.get(key)
        if kept is None or key in self._touched:
            return self._new(key)
        if kept.chain is not None:
            assert self._again is not None  # noqa: S101
            whole = kept.chain.whole
            return self._again(key, None if whole is None else unpacked(whole), kept.chain.inputs)
        saved = self._saved(kept)
        return self._new(key) if saved is None else self._decode(key, unpacked(saved))

    def _saved(self, kept: Kept) -> bytes | None:
        """Somebody whole, where that is current and at hand."""
        return self._shelf.get(kept) if kept.saved is None else kept.saved

    def _put_down(self, kept: Kept, data: bytes) -> None:
        """Keep the bytes of somebody who rests."""
        if len(data) > LARGEST:
            kept.saved = data
        else:
            kept.saved = None
            self._shelf.put(kept, data)

    def _woken(self, key: str) -> Kept:
        """The record of a key, among those that are decoded from here on."""
        kept = self._live.get(key)
        if kept is None:
            kept = self._resting.pop(key, None) or Kept(key)
            kept.saved, kept.chain = self._saved(kept), None
            self._shelf.drop(kept)
            self._live[kept.key] = kept
        return kept

    def put(self, key: str, state: S) -> None:
        """The state of a key is this now."""
        self.put_due(key, state, self._due_ms(key, state))

    def put_due(self, key: str, state: S, due_ms: int | None) -> None:
        """The state of a key is this now, and this is when it is due."""
        kept = self._woken(key)
        kept.state = state
        kept.used_ms = self._now_ms
        self._touch(key)
        self._schedule(kept, due_ms)
        if len(self._live) > self._most_decoded:
            self._cool()

    def add(  # noqa: PLR0917
        self, key: str, state: S, due_ms: int | None, data: bytes, at_ms: int, under: bytes
    ) -> None:
        """As :meth:`put_due`, where this input alone made the state of what it was. See :class:`Input`."""
        kept = self._woken(key)
        kept.state = state
        kept.used_ms = at_ms
        self._schedule(kept, due_ms)
        if self._touched and key in self._touched:
            return  # it will be written whole
        number = self._under.get(under)
        if number is None:
            number = self._under[under] = len(self._under)
            self._inputs.append(Row("", under, None, None, number))
        self._inputs.append(Row(key, data, due_ms, at_ms, number))
        size = len(data)
        self._bytes += size
        if kept.grown == FRESH:
            kept.saved, kept.grown = None, 0
            if not kept.whole:
                kept.whole = len(kept.key)
                self._bytes += kept.whole
                self._count += 1
        kept.grown += size
        if kept.grown > WHOLE_AFTER and (kept.grown > 2 * kept.whole or kept.grown > WHOLE_AT_LAST):
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

    def _schedule(self, kept: Kept, due_ms: int | None) -> None:
        # PERF: what is due later than it was is asked again when its time comes, so that a key has one entry, however
        # often its due time moves on.
        if due_ms is not None and due_ms < kept.due_ms:
            kept.due_ms = due_ms
            self._dues.put(due_ms, kept.key)
            if len(self._dues) > 2 * (len(self._live) + len(self._resting)) + MOST_VOID:
                self._dues.renew([(each.due_ms, each.key) for each in self._all() if each.due_ms != UNDUE])

    def _scheduled(self, key: str) -> int:
        kept = self._live.get(key) or self._resting.get(key)
        return UNDUE if kept is None else kept.due_ms

    def let_go(self, key: str) -> None:
        """Nothing is known of this key any more."""
        kept = self._live.pop(key, None)
        if kept is None:
            kept = self._resting.get(key)
        else:
            self._resting[kept.key] = kept  # until that is written
        if kept is not None:
            kept.state, kept.due_ms = None, UNDUE
        self._touch(key)

    def due(self, log_time_ms: int, wanted: Callable[[str], bool] = lambda key: True) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again or let go.

        ``wanted``: keys of which this is not true are passed over.
        """
        self._now_ms = log_time_ms
        if log_time_ms >= self._look_ms:
            self._rest()
        while True:
            ready: list[tuple[int, str]] = []
            while (key := self._dues.pop(log_time_ms)) is not None:
                kept = self._live.get(key) or self._resting[key]
                kept.due_ms = UNDUE
                if not wanted(key):
                    continue
                due_ms = self._due_ms(key, self.get(key))
                if due_ms is not None and due_ms <= log_time_ms:
                    ready.append((due_ms, key))
                else:
                    self._schedule(kept, due_ms)
            if not ready:
                return
            ready.sort()
            yield from [key for _, key in ready]

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
            kept = self._live.get(key)
            if kept is not None:
                rows.append(Row(key, self._whole(kept), self._due_ms(key, kept.state)))
                continue
            gone = self._resting.pop(key, None)
            if gone is not None:
                self._forget(gone)
            rows.append(Row(key, None, None))
        return rows

    def _forget(self, kept: Kept) -> None:
        """What is written of a key counts no more."""
        if kept.whole:
            self._bytes -= kept.whole + max(kept.grown, 0)
            self._count -= 1
            kept.whole, kept.grown = 0, FRESH
        kept.saved = kept.chain = None
        self._shelf.drop(kept)

    def _whole(self, kept: Kept) -> bytes:
        """Somebody at work as bytes, which count from here on. They are not kept beside the state that they are of."""
        self._forget(kept)
        data = plain(self._encode(kept.key, kept.state))
        kept.whole = len(kept.key) + len(data)
        self._bytes += kept.whole
        self._count += 1
        return data

    def _cool(self) -> None:
        """Keep as bytes some who have been decoded longest and do not wait to be written."""
        for key in list(islice((key for key in self._live if key not in self._touched), COOLED_AT_ONCE)):
            self._pack(self._live.pop(key))

    def _rest(self) -> None:
        """Look at some of those at work, each once in half of :data:`IDLE_MS`: the idle are kept as bytes."""
        if not self._unseen:
            self._unseen = len(self._live)
        for key in list(islice(self._live, min(self._unseen, LOOKED_AT_ONCE))):
            self._unseen -= 1
            kept = self._live.pop(key)
            if key in self._touched or self._now_ms - kept.used_ms < IDLE_MS:
                self._live[key] = kept
            else:
                self._pack(kept)
        if self._unseen <= 0 or not self._live:
            self._unseen, self._look_ms = 0, self._now_ms + IDLE_MS // 2

    def _pack(self, kept: Kept) -> None:
        """Keep somebody as bytes, if anything of them is written or to be written."""
        if kept.whole:
            data = self._whole(kept) if kept.saved is None else kept.saved
            less = packed(data)
            kept.whole += len(less) - len(data)
            self._bytes += len(less) - len(data)
            self._resting[kept.key] = kept
            self._put_down(kept, less)
        kept.state = None

    def _everything(self) -> list[Row]:
        """All rows; call :meth:`_pending` before. Whoever was not asked for since the start stays as they came."""
        self._under = {}
        rows: list[Row] = []
        for kept in self._live.values():
            if kept.whole:
                data = self._whole(kept) if kept.saved is None else kept.saved
                rows.append(Row(kept.key, data, kept.waits_ms))
        chains: list[tuple[str, Chain]] = []
        for key, kept in self._resting.items():
            if kept.chain is not None:
                chains.append((key, kept.chain))
            elif (saved := self._saved(kept)) is not None:
                rows.append(Row(key, saved, kept.waits_ms))
        for key, chain in chains:
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
