"""The state store: whatever was torn, lost or never committed, a position gives the states as they were there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from contracts.codec import json_reader, to_json
from flows.state.changelog import EPOCHS_KEPT, SCHEMA, Changelog, GroupPosition, StateDamaged
from flows.state.rows import Input
from flows.state.store import StateStore

States = dict[str, list[int]]
read_position: Callable[[bytes], GroupPosition] = json_reader(GroupPosition)
_read: Callable[[bytes], list[int]] = json_reader(list[int])


def unsynced(file: int) -> None:
    """The tests cut the files themselves: they need not wait for the disk."""


class Numbers:
    """Lists of numbers; the last is when something is due. An input is a number; its terms: how many are kept."""

    def new(self, key: str) -> list[int]:
        return []

    def encode(self, key: str, state: list[int]) -> bytes:
        return to_json(state)

    def decode(self, key: str, data: bytes) -> list[int]:
        return _read(data)

    def due_ms(self, key: str, state: list[int]) -> int | None:
        return state[-1] if state else None

    def replay(self, key: str, snapshot: bytes | None, inputs: Sequence[Input]) -> list[int]:
        state = [] if snapshot is None else _read(snapshot)
        for each in inputs:
            state = [*state, int(each.data)][-int(each.under) :]
        return state

    def lost(self, key: str, state: list[int], error: Exception) -> None:
        raise error


def store_of(changelog: Changelog, resumed: GroupPosition | None = None) -> StateStore[list[int]]:
    return StateStore(changelog, resumed, Numbers())


def all_of(found: StateStore[list[int]], keys: int = 12) -> States:
    return {key: state for number in range(keys) if (state := found.get(key := f"k{number}"))}


class Process:
    """Three groups in one store, changed at random, and what a model says of each at every position."""

    def __init__(
        self, directory: Path, resumed: list[tuple[GroupPosition, States]] | None = None, *, segment_bytes: int = 700
    ) -> None:
        self.changelog = Changelog(directory, segment_bytes=segment_bytes, slack_bytes=0, sync=unsynced)
        self.stores = [store_of(self.changelog, None if resumed is None else resumed[n][0]) for n in range(3)]
        self.models: list[States] = [{} if resumed is None else dict(resumed[n][1]) for n in range(3)]

    def epoch(self, chance: Random) -> list[tuple[GroupPosition, States]]:
        """Change some states, let some go, and take every group's snapshot."""
        for _ in range(chance.randrange(12)):
            number, key = chance.randrange(3), f"k{chance.randrange(12)}"
            found, model = self.stores[number], self.models[number]
            if key in model and chance.random() < 0.2:
                found.let_go(key)
                del model[key]
            else:
                state = [*found.get(key), chance.randrange(100)][-5:]
                found.put(key, state)
                model[key] = state
        return [(each.snapshot(), dict(model)) for each, model in zip(self.stores, self.models, strict=True)]


def test_every_start_finds_what_was_committed_whatever_was_written_after_it(tmp_path: Path) -> None:
    chance = Random(3)
    committed: list[tuple[GroupPosition, States]] | None = None
    for _ in range(60):
        process = Process(tmp_path, committed)
        for each, model in zip(process.stores, process.models, strict=True):
            assert all_of(each) == model
        for _ in range(chance.randrange(25)):
            committed = process.epoch(chance)
        if chance.random() < 0.5:
            process.epoch(chance)  # written, never committed
        process.changelog.close()
    assert committed is not None
    assert len(list(tmp_path.glob("*.log"))) < 60, "files that nobody needs are removed"


def history(directory: Path) -> tuple[list[tuple[GroupPosition, States]], dict[str, bytes]]:
    """A store of two starts: what it held at a committed epoch, and the files as a crash a little later left them."""
    chance = Random(5)
    process = Process(directory, segment_bytes=2_000)
    for _ in range(4):
        committed = process.epoch(chance)
    process.changelog.close()
    process = Process(directory, committed, segment_bytes=2_000)
    for _ in range(3):
        committed = process.epoch(chance)
    for _ in range(2):
        process.epoch(chance)
    process.changelog.close()
    return committed, {path.name: path.read_bytes() for path in directory.glob("*.log")}


def resumes(directory: Path, committed: list[tuple[GroupPosition, States]]) -> bool:
    """Whether the store resumes as it must; False where it says that it is damaged. A wrong state fails the test."""
    there = set(directory.iterdir())
    try:
        process = Process(directory, committed)
    except StateDamaged:
        return False
    for each, (_, model) in zip(process.stores, committed, strict=True):
        assert all_of(each) == model
    process.epoch(Random(1))
    process.changelog.close()
    for path in set(directory.iterdir()) - there:
        path.unlink()
    return True


def test_a_crash_at_every_byte_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    committed, files = history(tmp_path)
    last = max(files)
    needed = max(position.end for position, _ in committed if int(last[:10]) == position.segment)
    assert needed < len(files[last]), "something was written after the commit"
    for length in range(len(files[last]) + 1):
        (tmp_path / last).write_bytes(files[last][:length])
        assert resumes(tmp_path, committed) is (length >= needed), length


@pytest.mark.slow
def test_a_changed_byte_is_found_wherever_it_matters(tmp_path: Path) -> None:
    committed, files = history(tmp_path)
    refused = 0
    for name, data in files.items():
        for index in range(len(data)):
            changed = data[index] ^ (0xFF if index % 2 else 0x01)
            (tmp_path / name).write_bytes(data[:index] + bytes([changed]) + data[index + 1 :])
            refused += not resumes(tmp_path, committed)
        (tmp_path / name).write_bytes(data)
    assert refused > 100


def test_a_tail_of_zeros_is_a_torn_tail(tmp_path: Path) -> None:
    committed, files = history(tmp_path)
    last = max(files)
    needed = max(position.end for position, _ in committed if int(last[:10]) == position.segment)
    (tmp_path / last).write_bytes(files[last][:needed] + b"\0" * 5_000)
    assert resumes(tmp_path, committed)


def test_an_epoch_writes_only_who_was_touched(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, sync=unsynced)
    found = store_of(changelog)
    for number in range(5_000):
        found.put(f"k{number}", [number])
    found.snapshot()
    before = changelog.total_bytes
    found.put("k7", [8])
    found.snapshot()
    assert changelog.total_bytes - before < 100
    before = changelog.total_bytes
    found.snapshot()
    assert changelog.total_bytes == before


def test_files_stay_below_a_multiple_of_what_lives(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, segment_bytes=10_000, slack_bytes=5_000, sync=unsynced)
    groups = [store_of(changelog) for _ in range(4)]
    worst = 0.0
    for epoch in range(400):
        for each in groups:
            for number in range(10):
                each.put(f"k{number}", [epoch] * 20)
            position = each.snapshot()
        worst = max(worst, (changelog.total_bytes - 5_000) / changelog.live_bytes if epoch > 50 else 0)
    # Twice what lives, a round of bases, and what comes until the removed files may go.
    assert worst < 2 + 2 * (EPOCHS_KEPT + len(groups)), worst
    changelog.close()
    assert all_of(store_of(Changelog(tmp_path, sync=unsynced), position)) == {
        f"k{number}": [399] * 20 for number in range(10)
    }


def test_newer_state_refuses_to_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.state.changelog.SCHEMA", SCHEMA + 1)
    found = store_of(Changelog(tmp_path, sync=unsynced))
    found.put("k", [1])
    found.snapshot()
    monkeypatch.undo()
    with pytest.raises(StateDamaged, match="newer release"):
        Changelog(tmp_path, sync=unsynced)


def test_what_is_due_is_known_again_after_a_start(tmp_path: Path) -> None:
    found = store_of(Changelog(tmp_path, sync=unsynced))
    for key, due in (("a", 30), ("b", 10), ("c", 20)):
        found.put(key, [due])
    found.put("a", [5])
    position = found.snapshot()
    replay = store_of(Changelog(tmp_path, sync=unsynced), position)
    assert list(replay.due(10)) == ["a", "b"]
    assert list(replay.due(100)) == ["c"]


def test_the_bytes_of_the_first_release_decode(tmp_path: Path) -> None:
    # Written by release 0.1.0: k1 was put, k2 put and let go, k3 put in a second epoch.
    golden = Path(__file__).parent / "golden" / "states-0.1.0"
    (tmp_path / "0000000001.log").write_bytes((golden / "0000000001.log").read_bytes())
    position = read_position((golden / "position.json").read_bytes())
    assert all_of(store_of(Changelog(tmp_path, sync=unsynced), position)) == {"k1": [1, 2], "k3": [3]}


def test_a_snapshot_is_synced_before_it_is_returned_and_all_groups_in_one_sync(tmp_path: Path) -> None:
    synced: list[int] = []
    changelog = Changelog(tmp_path, sync=lambda file: synced.append(os.fstat(file).st_size))
    groups = [store_of(changelog) for _ in range(3)]
    for each in groups:
        each.put("k", [1])
    ends = [each.snapshot().end for each in groups]
    directory, *files = synced
    assert files == [max(ends)], "one sync of everything, before the first position is returned"
    assert directory == tmp_path.stat().st_size
