"""A changelog of inputs: whatever was torn or never committed, and whatever is known by then, a start finds it all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from contracts.codec import replaced, to_json
from contracts.log import Record
from contracts.topics import EVENTS
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog, GroupPosition, StateDamaged
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.streams import sequence
from tests.flows.test_changelog import States, all_of, read_position, store_of, unsynced
from tests.properties.case import Case, cases
from tests.properties.generate import GAP_MS

HOUR_MS = 3_600_000


class Process:
    """Two groups in one store whose states change by what comes to them, are put, or are let go, at random."""

    def __init__(
        self, directory: Path, resumed: list[tuple[GroupPosition, States]] | None = None, *, segment_bytes: int = 700
    ) -> None:
        self.changelog = Changelog(directory, segment_bytes=segment_bytes, slack_bytes=0, sync=unsynced)
        self.stores = [store_of(self.changelog, None if resumed is None else resumed[n][0]) for n in range(2)]
        self.models: list[States] = [{} if resumed is None else dict(resumed[n][1]) for n in range(2)]

    def epoch(self, chance: Random) -> list[tuple[GroupPosition, States]]:
        for _ in range(chance.randrange(12)):
            number, key = chance.randrange(2), f"k{chance.randrange(12)}"
            found, model = self.stores[number], self.models[number]
            how = chance.random()
            if key in model and how < 0.1:
                found.let_go(key)
                del model[key]
                continue
            more, entry = chance.randrange(100), chance.choice((3, 5))
            state = [*found.get(key), more][-entry:]
            if how < 0.2:
                found.put(key, state)
            else:
                found.add(key, state, more, b"%d" % more, 0, b"%d" % entry)
            model[key] = state
        return [(each.snapshot(), dict(model)) for each, model in zip(self.stores, self.models, strict=True)]


@pytest.fixture(params=[1, 1_000])
def shares(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that write, cool and write whole at every turn, or never before they must."""
    monkeypatch.setattr("flows.state.changelog.Changelog.share", lambda self, of_all: request.param)
    monkeypatch.setattr("flows.state.store.WHOLE_AFTER", 4 if request.param == 1 else 1_000)
    monkeypatch.setattr("flows.state.store.COOLED_AT_ONCE", 1)


@pytest.mark.usefixtures("shares")
def test_every_start_finds_what_was_committed_whatever_was_written_after_it(tmp_path: Path) -> None:
    chance = Random(9)
    committed: list[tuple[GroupPosition, States]] | None = None
    for _ in range(80):
        process = Process(tmp_path, committed)
        if chance.random() < 0.7:
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


@pytest.mark.slow
@pytest.mark.usefixtures("shares")
def test_a_crash_at_every_byte_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    committed, files = history(tmp_path)
    last = max(files)
    needed = max(position.end for position, _ in committed if int(last[:10]) == position.segment)
    for length in range(len(files[last]) + 1):
        (tmp_path / last).write_bytes(files[last][:length])
        assert resumes(tmp_path, committed) is (length >= needed), length


def test_an_epoch_writes_what_came_and_not_who_they_are(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, sync=unsynced)
    found = store_of(changelog)
    found.put("k", list(range(5_000)))
    found.snapshot()
    before = changelog.total_bytes
    found.add("k", [*found.get("k"), 1], 1, b"1", 0, b"9999")
    position = found.snapshot()
    assert changelog.total_bytes - before < 100
    changelog.close()
    assert store_of(Changelog(tmp_path, sync=unsynced), position).get("k") == [*range(5_000), 1]


def test_what_came_is_written_whole_once_it_is_more_than_the_state(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, sync=unsynced)
    found = store_of(changelog)
    for _ in range(3_000):
        found.add("k", [*found.get("k"), 1][-3:], 1, b"1" + b" " * 40, 0, b"3")
        position = found.snapshot()
    changelog.close()
    replay = store_of(Changelog(tmp_path, sync=unsynced), position)
    assert replay.get("k") == [1, 1, 1]
    left = [each.chain for each in store_of(Changelog(tmp_path, sync=unsynced), position)._resting.values()]
    assert all(each is None or len(each.inputs) < 500 for each in left)


def test_of_bases_an_epoch_writes_one_or_no_more_than_what_came(tmp_path: Path) -> None:
    changelog = Changelog(tmp_path, segment_bytes=4_000, slack_bytes=0, sync=unsynced)
    groups = [store_of(changelog) for _ in range(8)]
    for each in groups:
        for number in range(50):
            each.put(f"k{number}", [number] * 20)
        each.snapshot()
    base = changelog.live_bytes / len(groups)
    for epoch in range(200):
        before = sum(path.stat().st_size for path in tmp_path.glob("*.log"))
        gone = set(tmp_path.glob("*.log"))
        for each in groups:
            each.put("k1", [epoch] * 20)
        for each in groups:
            each.snapshot()
        removed = len(gone - set(tmp_path.glob("*.log")))
        grown = sum(path.stat().st_size for path in tmp_path.glob("*.log")) - before
        assert grown < 2 * base or removed, (epoch, grown)
    assert changelog.total_bytes < 8 * changelog.live_bytes


def test_the_store_of_a_release_that_wrote_states_whole_goes_on(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden" / "states-0.1.0"
    (tmp_path / "0000000001.log").write_bytes((golden / "0000000001.log").read_bytes())
    found = store_of(Changelog(tmp_path, sync=unsynced), read_position((golden / "position.json").read_bytes()))
    found.add("k3", [3, 4], 4, b"4", 0, b"5")
    position = found.snapshot()
    assert all_of(store_of(Changelog(tmp_path, sync=unsynced), position)) == {"k1": [1, 2], "k3": [3, 4]}


OTHER = sequence("action: '*'", "action: '*'")
"""A listener that would match all the time."""


def engine_of(deployed: Sequence[Deployed], lateness_ms: int = HOUR_MS) -> WorkspaceEngine:
    found = WorkspaceEngine("w", terms=Terms(lateness_ms, GAP_MS, HOUR_MS, 0))
    found.deploy(deployed)
    return found


def batches(case: Case, chance: Random) -> list[FollowBatch]:
    """The case's events in an order of arrival of their own, each in a batch, and the log time after them."""
    events = sorted(case.events, key=lambda each: each.occurred_at_ms + chance.choice((0, 0, 2_000, 9_000)))
    found, log_ms = [], 0
    for offset, each in enumerate(events):
        log_ms = min(max(log_ms, each.occurred_at_ms + chance.choice((0, 0, 3_000))), case.end_ms)
        own = replaced(each, workspace="w", subscriber="s", log_time_ms=log_ms)
        found.append(FollowBatch(((Record(EVENTS, 0, offset, log_ms, b"w/s", to_json(own)), log_ms),), log_ms))
    return [*found, FollowBatch((), case.end_ms)]


def logic(engine: WorkspaceEngine, directory: Path, resumed: bytes | None) -> FollowLogic:
    changelog = Changelog(directory, segment_bytes=1_500, slack_bytes=0, sync=unsynced)
    return FollowLogic(Shared({}, {"w": engine}, 1), changelog, resumed)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_known_after_a_restart_what_was_said_stands(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    for number, case in enumerate(cases(seed, 12)):
        items = batches(case, chance)
        cut = chance.randrange(len(items) + 1)
        own = [Deployed(case.listener)]
        first = logic(engine_of(own), tmp_path / str(number), None)
        for item in items[:cut]:
            first.on_batch([item])
            snapshot = first.snapshot() if chance.random() < 0.5 else None
        snapshot = first.snapshot()
        # Another lateness, and a listener that is live from the beginning and that nobody knew of.
        told = engine_of([*own, Deployed(OTHER)], lateness_ms=1_000)
        second = logic(told, tmp_path / str(number), snapshot)
        assert second._group._people.known() == first._group._people.known()
        for key in first._group._people.known():
            before, after = first._group._people.get(key), second._group._people.get(key)
            assert after.generation.reapplier.encode(after.timeline) == before.generation.reapplier.encode(
                before.timeline
            )
            assert (after.past, after.told, after.purchases) == (before.past, before.told, before.purchases)
            assert list(after.evidence.matches) == list(before.evidence.matches)
        for item in items[cut:]:
            second.on_batch([item])


def test_inputs_that_rest_on_a_listener_that_is_gone_are_refused(tmp_path: Path) -> None:
    case = next(cases(1, 1))
    first = logic(engine_of([Deployed(case.listener)]), tmp_path, None)
    for item in batches(case, Random(1)):
        first.on_batch([item])
    snapshot = first.snapshot()
    with pytest.raises(StateDamaged, match="does not hold any more"):
        logic(engine_of([]), tmp_path, snapshot)
