"""Recovery stores: a graceful stop, a lost store, processes side by side, and stores that do not fit."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command
from contracts.errors import AlreadyRunning, ConfigError
from contracts.log import Outgoing
from contracts.topics import BEACONS, EVENTS, fixed_topics
from flows.state.at_work import claim_store
from flows.state.recovery_dir import StoreShape, check_store, directory_of, fingerprint, locked
from tests.broker import Broker
from tests.recovery.faults import await_followed, walked
from tests.recovery.judge import MOVES, judge, judge_lists
from tests.recovery.world import World
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.alone

STOP_S = 10.0
SHAPE = StoreShape(4, 16, 0, 1, {"beacons": "b1", "events": "e1"}, {"demo": fingerprint(b"secret")})
_read_command = json_reader(Command)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Two flow processes."""
    log = None
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("broker")
        log = broker.settings(tmp_path)
    with World(tmp_path / "home", log=log, flows=2) as made:
        made.start("collector", *made.flows, "delivery")
        yield made


@pytest.mark.slow
def test_a_rolling_restart_of_two_processes_loses_and_doubles_nothing(world: World) -> None:
    people = walked(world)
    for number in range(6):
        for each in people:
            each.rounds.put(number)
        if not number:
            await_followed(world, people, 1)  # a process that is still starting has nothing to drain
        name = world.flows[number % 2]
        asked = time.monotonic()
        assert world.ask_to_stop(name) == 0, world.said(name)
        assert time.monotonic() - asked < STOP_S
        world.start(name)
        await_followed(world, people, number + 1)
    figures = judge(world, people, range(6))
    assert figures["calls_repeated"] == 0
    assert figures["commands_repeated_in_the_log"] == 0, "a drained flow repeats nothing"


@pytest.mark.slow
@pytest.mark.parametrize("world", ["kafka"], indirect=True)
def test_the_other_process_goes_on_while_one_is_down(world: World) -> None:
    people = walked(world)
    world.kill("flow-1")
    for each in people:
        each.rounds.put(0)
    reader, seen = world.log.reader(MOVES), Counter[int]()
    while not seen:
        seen += Counter(1 for record in reader.poll(100, timeout_s=1) if record.value)
    reader.close()
    world.start("flow-1")
    judge(world, people, [0])


@pytest.mark.slow
def test_a_lost_recovery_store_starts_from_the_log_and_the_ledger_skips_what_was_done(world: World) -> None:
    people = walked(world)
    for number in range(3):
        for each in people:
            each.rounds.put(number)
    await_followed(world, people, 3)
    for name in world.flows:
        world.ask_to_stop(name)
    shutil.rmtree(world.home / "data" / "recovery")
    world.start(*world.flows)
    for each in people:
        each.rounds.put(3)
    figures = judge(world, people, range(4))
    assert figures["calls_repeated"] == 0
    assert figures["commands_repeated_in_the_log"] > 0, "the flow did not start from the log"
    repeated: dict[str, set[bytes]] = {}
    for record in world.records(MOVES):
        if record.value:
            command = replaced(_read_command(record.value), log_time_ms=0)
            repeated.setdefault(command.command_id, set()).add(to_json(command))
    assert all(len(texts) == 1 for texts in repeated.values()), "a command came again as another"
    judge_lists(world)


@pytest.mark.slow
def test_what_the_log_lost_unread_stops_the_flow_in_a_sentence_or_is_gone_over_by_leave(
    broker: Broker, tmp_path: Path
) -> None:
    settings = broker.settings(tmp_path)
    with World(tmp_path / "home", log=settings) as world:
        world.start("collector", "flow")
        people = walked(world)
        for each in people:
            each.rounds.put(0)
        await_followed(world, people, 1)
        assert world.ask_to_stop("flow") == 0
        for each in people:
            each.rounds.put(1)
            each.rounds.put(None)
            each.join(60)
        ends = world.log.end(BEACONS)
        admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
        places = [TopicPartition(settings.kafka_prefix + BEACONS, *place) for place in ends.items()]
        for future in admin.delete_records(places).values():
            future.result(60)
        world.start("flow")
        assert world.processes["flow"].wait(60) == 1
        assert re.search(r"flows: beacons/\d: offset \d+ is gone, the log keeps \d+ to \d+", world.said("flow"))
        world.allow("SEGMA_KAFKA_GO_ON", "true")
        world.start("flow")
        reader, until = world.log.reader(EVENTS, from_end=True), time.monotonic() + 60
        while not reader.poll(100, timeout_s=1):
            assert time.monotonic() < until, world.said("flow")
        reader.close()
        world.rest()
        assert "records_gone" in world.said("flow")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layout": 2}, "was written by an older release, in another layout"),
        ({"partitions": 8}, "was made for `partitions` 4, not 8"),
        ({"groups": 32}, "was made for `groups` 16, not 32"),
        ({"topics": {"beacons": "b2", "events": "e1"}}, "belongs to another log: beacons there is another topic"),
        ({"workspaces": {"demo": fingerprint(b"other")}}, "the secret of demo is not the one it was made with"),
        ({"workspaces": {"other": fingerprint(b"secret")}}, "holds another workspace: it was made for demo"),
    ],
)
def test_a_store_that_does_not_fit_is_refused_in_a_sentence(
    changes: dict[str, object], text: str, tmp_path: Path
) -> None:
    store = directory_of(tmp_path, 0, 1)
    with locked(store):
        check_store(store, SHAPE)
        check_store(store, SHAPE)
        before = (store / "shape.json").read_bytes()
        with pytest.raises(ConfigError, match=text) as caught:
            check_store(store, replaced(SHAPE, **changes))
    (problem,) = caught.value.problems
    assert "remove the store" in problem.wanted
    assert (store / "shape.json").read_bytes() == before


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    store = directory_of(tmp_path, 0, 1)
    store.mkdir(parents=True)
    (store / "shape.json").write_bytes(to_json(replaced(SHAPE, schema=2)))
    with pytest.raises(ConfigError, match="written by a newer release"):
        check_store(store, SHAPE)
    (store / "shape.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"shape\.json cannot be read"):
        check_store(store, SHAPE)


def test_a_workspace_may_join(tmp_path: Path) -> None:
    store = directory_of(tmp_path, 0, 1)
    store.mkdir(parents=True)
    check_store(store, SHAPE)
    both = replaced(SHAPE, workspaces={**SHAPE.workspaces, "second": fingerprint(b"2")})
    check_store(store, both)
    with pytest.raises(ConfigError, match="the secret of second"):
        check_store(store, replaced(SHAPE, workspaces={**SHAPE.workspaces, "second": fingerprint(b"3")}))


def test_another_number_of_processes_is_told_before_it_starts_from_nothing(tmp_path: Path) -> None:
    one = directory_of(tmp_path, 0, 1)
    one.mkdir(parents=True)
    check_store(one, SHAPE)
    two = directory_of(tmp_path, 1, 2)
    two.mkdir(parents=True)
    with pytest.raises(ConfigError, match="the state lies in 0-of-1: it was made for another number of processes"):
        check_store(two, replaced(SHAPE, index=1, of=2))


@pytest.mark.parametrize("kind", ["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def test_a_new_store_on_a_new_disk_is_refused_where_another_number_has_been_at_work(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = Settings(data=tmp_path) if kind == "embedded" else request.getfixturevalue("broker").settings(tmp_path)
    with closing(open_log(settings)) as log:
        log.ensure(fixed_topics(4))
        shapes = [replaced(SHAPE, index=index, of=of) for index, of in ((0, 2), (0, 5), (4, 5))]
        shapes.append(replaced(SHAPE, topics={"beacons": "made anew", "events": "e2"}))
        stores = [directory_of(tmp_path / f"{number}", each.index, each.of) for number, each in enumerate(shapes)]
        for store in stores:
            store.mkdir(parents=True)
        two, anew, five, elsewhere = stores
        claim_store(log, two, shapes[0])
        for _ in range(2):  # a supervisor starts it again
            with pytest.raises(ConfigError, match=r"is new .* 5 flow processes, while 2 share") as caught:
                claim_store(log, five, shapes[2])
        assert "`segma flow rescale --from 2 --to 5`" in str(caught.value)
        claim_store(log, two, shapes[0])
        check_store(anew, shapes[1])  # as a rescale leaves it
        claim_store(log, anew, shapes[1])
        claim_store(log, five, shapes[2])
        claim_store(log, elsewhere, shapes[3])


@pytest.mark.parametrize("kind", ["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def test_a_new_store_of_several_is_refused_where_a_release_was_at_work_that_did_not_tell_how_many_it_was(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = Settings(data=tmp_path) if kind == "embedded" else request.getfixturevalue("broker").settings(tmp_path)
    with closing(open_log(settings)) as log:
        log.ensure(fixed_topics(4))
        with closing(log.publisher()) as publisher:
            publisher.publish([Outgoing(EVENTS, b"somebody", b"{}")])
        two, five, alone = (replaced(SHAPE, index=index, of=of) for index, of in ((0, 2), (4, 5), (0, 1)))
        there, new, lost = (directory_of(tmp_path / f"{each.of}", each.index, each.of) for each in (two, five, alone))
        for store in (there, new, lost):
            store.mkdir(parents=True)
        check_store(there, two)  # as the earlier release left it
        with pytest.raises(ConfigError, match=r"is new .* 5 flow processes, and an earlier release has worked") as said:
            claim_store(log, new, five)
        assert "start as many as there were" in str(said.value)
        assert not list(new.iterdir())
        claim_store(log, there, two)
        with pytest.raises(ConfigError, match="while 2 share this log"):
            claim_store(log, new, five)


@pytest.mark.parametrize("of", [1, 2])
def test_a_lost_store_starts_anew_behind_an_earlier_release_alone_or_once_another_has_told(
    of: int, tmp_path: Path
) -> None:
    with closing(open_log(Settings(data=tmp_path))) as log:
        log.ensure(fixed_topics(4))
        with closing(log.publisher()) as publisher:
            publisher.publish([Outgoing(EVENTS, b"somebody", b"{}")])
        stores = [directory_of(tmp_path / f"{index}", index, of) for index in range(of)]
        for store in stores:
            store.mkdir(parents=True)
        for index in range(1, of):
            check_store(stores[index], replaced(SHAPE, index=index, of=of))
        for index in reversed(range(of)):
            claim_store(log, stores[index], replaced(SHAPE, index=index, of=of))


def test_a_store_has_one_owner(tmp_path: Path) -> None:
    store = directory_of(tmp_path, 0, 1)
    with locked(store), pytest.raises(AlreadyRunning, match="another flow uses"), locked(store):
        raise AssertionError("two flows on one store")
    with locked(store):
        pass
