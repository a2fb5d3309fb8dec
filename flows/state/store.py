"""The states of a key group: decoded while they are at work, bytes while they are not, in the changelog for ever.

A state is written whole when it was :meth:`StateStore.put`, at the end of the epoch; or its inputs are written
(:meth:`StateStore.add`) and the state itself now and then. Timers are kept beside the bytes: after a resume no state is
decoded until an event or a timer asks for it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Generic

from flows.state.arena import LARGEST, Arena
from flows.state.changelog import Changelog, GroupPosition
from flows.state.compression import packed, plain, unpacked
from flows.state.entry import FRESH, StateEntry
from flows.state.rows import ChangelogRow, SnapshotAndTail, disassembled
from flows.state.state_type import S, StateType
from flows.state.timers import DAY_MS, NO_TIMER, Timers

MAX_PENDING: Final = 4_096
"""States of all groups of a kind that may wait for the epoch's end to be encoded: past its share a group writes half
of its own, those touched longest ago, so that the pause has a bound. Devices wait, people hardly ever."""
MAX_PENDING_BYTES: Final = 128 << 20
"""What they took when they were written last, likewise."""
MAX_INPUTS: Final = 32_768
"""Inputs of all groups that may wait for the epoch's end: past its share a group writes its own."""
MAX_INPUT_BYTES: Final = 64 << 20
"""Their bytes, likewise."""
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


class StateStore(Generic[S]):
    """The states of one group, by key."""

    def __init__(
        self, changelog: Changelog, resumed: GroupPosition | None, states: StateType[S], *, kind: str = ""
    ) -> None:
        """``resumed``: where the group stood; None: a new group. ``kind``: for whoever reads the files."""
        self._states = states
        self._changelog = changelog
        self._kind = kind
        self._group, chains = changelog.group(resumed, kind)
        self._group.pending = self._pending
        self._group.everything = self._everything
        self._group.live = lambda: (self._count, self._bytes)
        self._live: dict[str, StateEntry] = {}
        """Those that are decoded, longest first."""
        self._resting: dict[str, StateEntry] = {}
        """All others."""
        self._arena = Arena(self._resting)
        self._touched: dict[str, None] = {}
        """Who is to be written whole, or was let go."""
        self._touched_bytes = self._input_bytes = 0
        """What those took when they were written last, and the bytes of what came."""
        self._inputs: list[ChangelogRow] = []
        """What came and is not written yet; what it was applied under before it."""
        self._under: dict[bytes, int] = {}
        self._timers = Timers(self._scheduled, zlib.crc32(self._group.position.group.encode()) % DAY_MS)
        self._count = self._bytes = 0
        """Keys with something written or to be written as inputs, and the bytes of that."""
        self._resume(chains)
        self._share()
        self._now_ms = self._look_ms = self._unseen = 0
        """Log time; when those at work are looked at next; and how many of them this time are still to be."""

    def _resume(self, chains: dict[str, SnapshotAndTail]) -> None:
        for key, chain in chains.items():
            entry = StateEntry(key)
            if chain.due_ms is not None:
                self._schedule(entry, chain.due_ms)
            entry.whole = len(key) + len(chain.whole or b"")
            if chain.inputs:
                entry.chain, entry.grown = chain, chain.size - len(chain.whole or b"")
            self._resting[key] = entry
            if not chain.inputs and chain.whole is not None:
                self._put_down(entry, chain.whole)
            self._bytes += len(key) + chain.size
            self._count += 1

    def _share(self) -> None:
        """Find this group's share of what all may hold."""
        share, of_kind, self._shared_by = self._changelog.share, self.share_of_kind, self._changelog.opened
        self._most_inputs, self._most_input_bytes = share(MAX_INPUTS), share(MAX_INPUT_BYTES)
        self._most_decoded = share(MAX_DECODED)
        self._most_touched, self._most_touched_bytes = of_kind(MAX_PENDING), of_kind(MAX_PENDING_BYTES)

    def share_of_kind(self, of_all: int) -> int:
        """This group's share of a bound on all groups of its kind together; 16 at least."""
        return self._changelog.share_of_kind(of_all, self._kind)

    def size(self, key: str) -> int:
        """Bytes of what is written of a key, and of what came since; 0 where nothing is."""
        entry = self._live.get(key) or self._resting.get(key)
        return 0 if entry is None else entry.whole + max(entry.grown, 0)

    def known(self) -> list[str]:
        """The keys of which something is written or to be written as inputs."""
        return [entry.key for entry in (*self._live.values(), *self._resting.values()) if entry.whole]

    def all_terms(self) -> set[bytes]:
        """What the inputs were applied under that a resume found."""
        chains = [entry.chain for entry in self._resting.values() if entry.chain is not None]
        return {each.under for chain in chains for each in chain.inputs}

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` or :meth:`add` after changing it."""
        entry = self._live.get(key)
        if entry is None:
            found = self._found(key)
            entry = self._woken(key)
            entry.state = found
        state: S = entry.state
        return state

    def peek(self, key: str) -> S:
        """The state of a key, to be looked at and not changed; nothing is kept decoded for it."""
        entry = self._live.get(key)
        if entry is None:
            return self._found(key)
        state: S = entry.state
        return state

    def next_due_ms(self) -> int | None:
        """A log time before which :meth:`due` finds nothing."""
        return self._timers.next_ms()

    def _found(self, key: str) -> S:
        """The state of a key that is not decoded."""
        entry = self._resting.get(key)
        if entry is None or key in self._touched:
            return self._states.new(key)
        if entry.chain is not None:
            whole = entry.chain.whole
            return self._states.replay(key, None if whole is None else unpacked(whole), entry.chain.inputs)
        saved = self._saved(entry)
        return self._states.new(key) if saved is None else self._states.decode(key, unpacked(saved))

    def _saved(self, entry: StateEntry) -> bytes | None:
        """The bytes of an entry's state, where they are current and in memory."""
        return self._arena.get(entry) if entry.saved is None else entry.saved

    def _put_down(self, entry: StateEntry, data: bytes) -> None:
        """Store the bytes of an idle entry."""
        if len(data) > LARGEST:
            entry.saved = data
        else:
            entry.saved = None
            self._arena.put(entry, data)

    def _woken(self, key: str) -> StateEntry:
        """The record of a key, among those that are decoded from here on."""
        entry = self._live.get(key)
        if entry is None:
            entry = self._resting.pop(key, None) or StateEntry(key)
            entry.saved, entry.chain = self._saved(entry), None
            self._arena.drop(entry)
            self._live[entry.key] = entry
        return entry

    def put(self, key: str, state: S) -> None:
        """The state of a key is this now."""
        self.put_due(key, state, self._states.due_ms(key, state))

    def put_due(self, key: str, state: S, due_ms: int | None) -> None:
        """The state of a key is this now, and this is when it is due."""
        entry = self._woken(key)
        entry.state = state
        entry.used_ms = self._now_ms
        self._touch(key)
        self._schedule(entry, due_ms)
        if len(self._live) > self._most_decoded:
            self._cool()

    def add(  # noqa: PLR0917
        self, key: str, state: S, due_ms: int | None, data: bytes, at_ms: int, under: bytes
    ) -> None:
        """As :meth:`put_due`, where this input alone made the state of what it was. See :class:`Input`."""
        entry = self._woken(key)
        entry.state = state
        entry.used_ms = at_ms
        self._schedule(entry, due_ms)
        if self._touched and key in self._touched:
            return  # it will be written whole
        number = self._under.get(under)
        if number is None:
            number = self._under[under] = len(self._under)
            self._inputs.append(ChangelogRow("", under, None, None, number))
        self._inputs.append(ChangelogRow(key, data, due_ms, at_ms, number))
        size = len(data)
        self._bytes += size
        self._input_bytes += size
        if entry.grown == FRESH:
            entry.saved, entry.grown = None, 0
            if not entry.whole:
                entry.whole = len(entry.key)
                self._bytes += entry.whole
                self._count += 1
        entry.grown += size
        if entry.grown > WHOLE_AFTER and (entry.grown > 2 * entry.whole or entry.grown > WHOLE_AT_LAST):
            self._touch(key)
        if len(self._inputs) > self._most_inputs or self._input_bytes > self._most_input_bytes:
            self._write([])
        if len(self._live) > self._most_decoded:
            self._cool()

    def _touch(self, key: str) -> None:
        # PERF: whoever is touched again moves to the end, so that the busiest wait and are written once an epoch.
        if key in self._touched:
            del self._touched[key]
        else:
            self._touched_bytes += self.size(key)
        self._touched[key] = None
        if self._shared_by != self._changelog.opened:
            self._share()
        waiting = len(self._touched)
        if waiting > self._most_touched or (waiting > 1 and self._touched_bytes > self._most_touched_bytes):
            self._write(list(islice(self._touched, waiting // 2)))

    def _schedule(self, entry: StateEntry, due_ms: int | None) -> None:
        # PERF: what is due later than it was is asked again when its time comes, so that a key has one entry, however
        # often its due time moves on.
        if due_ms is not None and due_ms < entry.due_ms:
            entry.due_ms = due_ms
            self._timers.put(due_ms, entry.key)
            if len(self._timers) > 2 * (len(self._live) + len(self._resting)) + MOST_VOID:
                entries = *self._live.values(), *self._resting.values()
                self._timers.renew([(each.due_ms, each.key) for each in entries if each.due_ms != NO_TIMER])

    def _scheduled(self, key: str) -> int:
        entry = self._live.get(key) or self._resting.get(key)
        return NO_TIMER if entry is None else entry.due_ms

    def let_go(self, key: str) -> None:
        """Delete the state of a key."""
        entry = self._live.pop(key, None)
        if entry is None:
            entry = self._resting.get(key)
        else:
            self._resting[entry.key] = entry  # until that is written
        if entry is not None:
            entry.state, entry.due_ms = None, NO_TIMER
        self._touch(key)

    def is_quiet(self, log_time_ms: int) -> bool:
        """Let time pass; whether nothing is due by then. PERF: for whoever asks with every record."""
        self._now_ms = log_time_ms
        next_ms = self._timers.next_ms()
        return log_time_ms < self._look_ms and (next_ms is None or log_time_ms < next_ms)

    def due(self, log_time_ms: int, wanted: Callable[[str], bool] = lambda key: True) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again or let go.

        ``wanted``: keys of which this is not true are passed over.
        """
        self._now_ms = log_time_ms
        if log_time_ms >= self._look_ms:
            self._rest()
        while True:
            ready: list[tuple[int, str]] = []
            while (key := self._timers.pop(log_time_ms)) is not None:
                entry = self._live.get(key) or self._resting[key]
                entry.due_ms = NO_TIMER
                if not wanted(key):
                    continue
                due_ms = self._states.due_ms(key, self.get(key))
                if due_ms is not None and due_ms <= log_time_ms:
                    ready.append((due_ms, key))
                else:
                    self._schedule(entry, due_ms)
            if not ready:
                return
            ready.sort()
            yield from [key for _, key in ready]

    def snapshot(self) -> GroupPosition:
        """The position at which :class:`StateStore` finds all states again: it is on the disk."""
        self._share()
        return self._group.snapshot()

    def _pending(self) -> list[ChangelogRow]:
        """The rows to be written: inputs, then the states of all touched keys; they count as written."""
        return self._rows(list(self._touched))

    def _write(self, keys: list[str]) -> None:
        self._group.write(self._rows(keys))

    def _rows(self, keys: list[str]) -> list[ChangelogRow]:
        """NOTE: what came stands before whole states, which hold it already."""
        rows, self._inputs, self._input_bytes = self._inputs, [], 0
        for key in keys:
            del self._touched[key]
            self._touched_bytes -= min(self.size(key), self._touched_bytes)
            entry = self._live.get(key)
            if entry is not None and (data := self._whole(entry)) is not None:
                rows.append(ChangelogRow(key, data, self._states.due_ms(key, entry.state)))
                continue
            if entry is not None:
                self._resting[entry.key] = self._live.pop(key)
            gone = self._resting.pop(key, None)
            if gone is not None:
                self._forget(gone)
            rows.append(ChangelogRow(key, None, None))
        if not self._touched:
            self._touched_bytes = 0  # sizes have changed since they were counted
        return rows

    def _forget(self, entry: StateEntry) -> None:
        """Discount what is written of a key."""
        if entry.whole:
            self._bytes -= entry.whole + max(entry.grown, 0)
            self._count -= 1
            entry.whole, entry.grown = 0, FRESH
        entry.saved = entry.chain = None
        self._arena.drop(entry)

    def _whole(self, entry: StateEntry) -> bytes | None:
        """Encode the state of an entry at work; None where it cannot be written, and then it is dropped.

        They are not kept beside the state that they are of.
        """
        self._forget(entry)
        try:
            encoded = self._states.encode(entry.key, entry.state)
        except Exception as error:
            # A state that nothing can write would end every epoch from here on, for everybody.
            self._states.lost(entry.key, entry.state, error)
            entry.state, entry.due_ms = None, NO_TIMER
            return None
        data = plain(encoded)
        entry.whole = len(entry.key) + len(data)
        self._bytes += entry.whole
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
            entry = self._live.pop(key)
            if key in self._touched or self._now_ms - entry.used_ms < IDLE_MS:
                self._live[key] = entry
            else:
                self._pack(entry)
        if self._unseen <= 0 or not self._live:
            self._unseen, self._look_ms = 0, self._now_ms + IDLE_MS // 2

    def _pack(self, entry: StateEntry) -> None:
        """Encode an entry that goes idle, if anything of it is written or to be written."""
        if entry.whole:
            data = self._whole(entry) if entry.saved is None else entry.saved
            self._resting[entry.key] = entry
            if data is None:
                self._touch(entry.key)
            else:
                less = packed(data)
                entry.whole += len(less) - len(data)
                self._bytes += len(less) - len(data)
                self._put_down(entry, less)
        entry.state = None

    def _everything(self) -> list[ChangelogRow]:
        """All rows, for a compaction; call :meth:`_pending` before. A key not asked for since the start is as read."""
        self._under = {}
        rows: list[ChangelogRow] = []
        for entry in list(self._live.values()):
            if entry.whole:
                data = self._whole(entry) if entry.saved is None else entry.saved
                if data is None:
                    self.let_go(entry.key)
                else:
                    rows.append(ChangelogRow(entry.key, data, entry.waits_ms))
        chains: list[tuple[str, SnapshotAndTail]] = []
        for key, entry in self._resting.items():
            if entry.chain is not None:
                chains.append((key, entry.chain))
            elif (saved := self._saved(entry)) is not None:
                rows.append(ChangelogRow(key, saved, entry.waits_ms))
        rows.extend(disassembled(chains, self._under))
        return rows
