"""One beacon that ends in a move is one trace, from the door to the platform, as a receiver of OTLP hears it."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import falcon.testing
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from collector.app import create_app
from collector.core import Core
from contracts.actions import VOCABULARY
from contracts.codec import json_reader, to_json
from contracts.commands import Command
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.topics import BEACONS, EVENTS, SUBSCRIBERS, account_topics, fixed_topics, moves_topic, subscriber_key
from contracts.traces import Span, Stage, Tracer, is_sampled, trace_id
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, RecogniseLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.base import Fate, Trouble
from sinks.delivery.loop import Delivery
from sinks.delivery.traced import TracedSink
from tests.collector.door import BROWSER, NOW_MS, ORIGIN, Collector, beacon, talk, token
from tests.sinks.beds import now_ms
from tests.sinks.memory import MemorySink
from transport import open_log, open_tracer
from transport.config import Settings
from transport.traces import MAX_WAITING, OtlpTracer

ADDRESS = "canary-anna@example.org"
CANARIES = [ADDRESS, "canary-property", "canary-agent", "canary-list", "canary-name", "canary-event"]
LISTENERS = b"""
listener: engaged
sequence: [{action: product_added, step: added}]
then: [{move: {from: newsletter, to: "canary-list-{added.category}", at: mail}}]
---
listener: abandoned
sequence: [{action: product_added}, {not: product_bought, for: 1s}]
then: [{add: {to: abandoned, at: mail}}]
"""
WAIT_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


class Heard(NamedTuple):
    """A span as the receiver got it."""

    trace: str
    span: str
    parent: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    attributes: dict[str, str]
    fault: str


class Receiver:
    """A receiver of OTLP over HTTP on loopback."""

    def __init__(self) -> None:
        self.spans: list[Heard] = []
        self.raw = b""
        self._more = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def take(self, body: bytes) -> None:
        with self._more:
            self.raw += body
            self.spans += heard(ExportTraceServiceRequest.FromString(body))
            self._more.notify_all()

    def once(self, count: int) -> list[Heard]:
        """The spans, as soon as there are so many, each once."""
        with self._more:
            assert self._more.wait_for(lambda: len({each.span for each in self.spans}) >= count, WAIT_S), self.spans
            return sorted({each.span: each for each in self.spans}.values(), key=lambda each: ORDER.index(each.name))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT_S)


ORDER = [each.value for each in Stage]


def heard(request: Any) -> list[Heard]:
    found = []
    for resource in request.resource_spans:
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
            attributes = {each.key: each.value.string_value for each in span.attributes}
            times = span.start_time_unix_nano, span.end_time_unix_nano
            found.append(Heard(*ids, span.name, about["service.name"], *times, attributes, span.status.message))
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Installation:
    """The rooms on one log, as their processes have them, each with a tracer of its own."""

    def __init__(self, home: Path, endpoint: str, share: float) -> None:
        self.home, self.settings = home, Settings(data=home / "data", traces_endpoint=endpoint, traces_share=share)
        self._looks = itertools.count()
        self.log = open_log(self.settings)
        self.log.ensure([*fixed_topics(1), *account_topics("shop", "mail")])
        self.collector = Collector(home)
        self.sink = MemorySink({"newsletter": {ADDRESS}})

    def tracer(self, service: str) -> Tracer | None:
        found = open_tracer(self.settings, service)
        if isinstance(found, OtlpTracer):
            # The door's clock stands still; here each look at it is a microsecond later.
            found.now_ns = lambda: NOW_MS * 1_000_000 + 1_000 * next(self._looks)
        return found

    def sent(self, *bodies: dict[str, Any]) -> None:
        self._talk([("POST", "/v1/beacons", json.dumps(each).encode()) for each in bodies])

    def clicked(self) -> None:
        link = token(destination="https://shop.example/spring", subscriber="s_anna")
        self._talk([("GET", f"/r/{link}", b"")])

    def _talk(self, requests: Sequence[tuple[str, str, bytes]]) -> None:
        old = self.collector.core
        core = Core(old.sites, old.bundle, old.outside, self.collector._open, tracer=self.tracer("segma-collector"))
        self.collector.app = create_app(core)

        async def script(conductor: falcon.testing.ASGIConductor) -> None:
            for method, path, body in requests:
                headers = {"Origin": ORIGIN, "Content-Type": "text/plain", "User-Agent": "canary-agent"}
                sent = await conductor.simulate_request(method, path, body=body, headers=headers | BROWSER)
                assert sent.status_code in {204, 302}, sent.text

        talk(self.collector, script)

    def followed(self, *, later_ms: int = 0) -> list[Command]:
        """What both flows make of all that the door stored, and of the time that passed then."""
        listeners = parse_listeners([("l.yaml", LISTENERS)], known_actions=VOCABULARY)
        engine = WorkspaceEngine("shop", listeners, terms=Terms(600_000, 1_800_000, 86_400_000, 200))
        tracer = self.tracer("segma-flow")
        shared = Shared({"shop": Rules(VOCABULARY, 2_000)}, {"shop": engine}, 1, tracer=tracer)
        states = Changelog(self.home / "states", segment_bytes=10_000, slack_bytes=0)
        records = [
            Record(BEACONS, 0, number, NOW_MS, b"shop/d", each.value)
            for number, each in enumerate(self.collector.log.records)
            if each.topic == BEACONS
        ]
        events = [
            (Record(EVENTS, 0, number, NOW_MS, each.key, each.value), NOW_MS)
            for number, each in enumerate(RecogniseLogic(shared, states, None).on_batch([records])[0])
            if each.topic == EVENTS and each.key
        ]
        follow = FollowLogic(shared, states, None)
        out = [*follow.on_batch([FollowBatch(tuple(events), NOW_MS)])[0]]
        out += follow.on_batch([FollowBatch((), NOW_MS + later_ms)])[0]
        states.close()
        if tracer is not None:
            tracer.close()
        commands = [each for each in out if each.topic == moves_topic("shop", "mail")]
        self.log.publisher().publish(commands)
        return [json_reader(Command)(each.value or b"") for each in commands]

    def delivered(self) -> None:
        entry = DirectoryEntry("shop", "s_anna", ADDRESS, "canary-name")
        self.log.publisher().publish([Outgoing(SUBSCRIBERS, subscriber_key("shop", "s_anna"), to_json(entry))])
        tracer = self.tracer("segma-deliver")
        sink = (
            self.sink if tracer is None else TracedSink(self.sink, tracer, workspace="shop", account="mail", kind="m")
        )
        loop = Delivery(
            self.log,
            sink,
            workspace="shop",
            account="mail",
            now_ms=now_ms,
            pause=lambda seconds: None,
            stopping=lambda: False,
        )
        while loop.round():
            pass
        loop.close()
        if tracer is not None:
            tracer.close()


@pytest.fixture
def installed(tmp_path: Path, receiver: Receiver) -> Iterator[Installation]:
    made = Installation(tmp_path, receiver.url, 1.0)
    yield made
    made.log.close()


def added(*ids: str, **more: Any) -> dict[str, Any]:
    """A beacon of Anna's that adds products."""
    properties = {"category": "canary-property"}
    events = [
        {"event_id": each, "action": "product_added", "occurred_at_ms": NOW_MS, "properties": properties}
        for each in ids
    ]
    return beacon(events=events, token=token(), **more)


def test_a_beacon_that_ends_in_a_move_is_one_trace(installed: Installation, receiver: Receiver) -> None:
    installed.sent(added("canary-event-1"))
    (command,) = installed.followed()
    installed.delivered()
    assert installed.sink.lists[command.to_list] == {ADDRESS}
    spans = receiver.once(7)
    assert [each.name for each in spans] == [
        "collector.accept",
        "collector.publish",
        "flow.recognise",
        "flow.follow",
        "flow.match",
        "flow.command",
        "sink.request",
    ]
    assert len({each.trace for each in spans}) == 1
    by_name = {each.name: each.span for each in spans}
    above = {each.name: each.parent for each in spans}
    assert above.pop("collector.accept") == ""
    assert above == {
        "collector.publish": by_name["collector.accept"],
        "flow.recognise": by_name["collector.accept"],
        "flow.follow": by_name["flow.recognise"],
        "flow.match": by_name["flow.follow"],
        "flow.command": by_name["flow.match"],
        "sink.request": by_name["flow.command"],
    }
    starts = [each.start_ns for each in spans]
    assert starts == sorted(starts)
    assert all(each.start_ns <= each.end_ns for each in spans)
    assert [each.service for each in spans] == ["segma-collector"] * 2 + ["segma-flow"] * 4 + ["segma-deliver"]
    assert spans[-2].attributes["segma.listener"] == "engaged"
    assert spans[-1].fault == ""


def test_nothing_of_whom_it_is_about_is_in_a_span(installed: Installation, receiver: Receiver) -> None:
    sent = added(
        "canary-event-1", device="canary-device-1"
    )  # spans' ids are bytes at random: two letters stand in some
    installed.sent(sent)
    installed.clicked()
    (command,) = installed.followed()
    installed.sink.trouble = [Trouble(Reason.UNREACHABLE, Fate.PASSING, f"no {ADDRESS}")]
    installed.delivered()
    spans = receiver.once(12)
    assert [each.fault for each in spans if each.name == "sink.request"] == [str(Reason.UNREACHABLE), ""]
    secrets = [*CANARIES, sent["token"], sent["device"], command.subscriber, command.to_list]
    assert [each for each in secrets if each.encode() in receiver.raw] == []


def test_a_move_by_a_deadline_joins_the_trace_of_the_event_that_it_ran_from(
    installed: Installation, receiver: Receiver
) -> None:
    installed.sent(added("e1"))
    engaged, abandoned = installed.followed(later_ms=60_000)
    installed.delivered()
    spans = receiver.once(10)
    assert (engaged.listener, abandoned.listener) == ("engaged", "abandoned")
    assert len({each.trace for each in spans}) == 1
    (late,) = (each for each in spans if each.name == "flow.match" and not each.parent)
    assert late.attributes["segma.listener"] == "abandoned"


def test_each_event_of_a_beacon_has_a_trace_and_a_share_of_them_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    ids = [f"e{number}" for number in range(40)]
    kept = {trace_id("shop", each) for each in ids if is_sampled(trace_id("shop", each), 0.25)}
    assert 2 < len(kept) < 25
    installed = Installation(tmp_path, receiver.url, 0.25)
    installed.sent(*(added(*ids[first : first + 2]) for first in range(0, 40, 2)))
    installed.followed()
    accepted = [each for each in receiver.once(len(kept) * 4) if each.name == "collector.accept"]
    assert sorted(each.trace for each in accepted) == sorted(f"{each:032x}" for each in kept)
    assert {each.trace for each in receiver.spans} == {each.trace for each in accepted}
    installed.log.close()


def test_what_waits_on_the_collectors_disk_is_told_as_such(installed: Installation, receiver: Receiver) -> None:
    installed.collector.log.away = True
    installed.sent(added("e1"))
    assert [each.name for each in receiver.once(2)] == ["collector.accept", "collector.spool"]


def test_a_receiver_that_is_away_stops_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody_answers:
        port = nobody_answers.getsockname()[1]
        installed = Installation(tmp_path, f"http://127.0.0.1:{port}/v1/traces", 1.0)
        tracer = installed.tracer("segma-flow")
        assert tracer is not None
        for number in range(3 * MAX_WAITING):
            tracer.tell(Span(1, number + 1, 0, Stage.FOLLOW, 1, 2))
        installed.sent(added("e1"))
        (command,) = installed.followed()
        installed.delivered()
        assert installed.sink.lists[command.to_list] == {ADDRESS}
        installed.log.close()
        ended = threading.Thread(target=tracer.close, daemon=True)
        ended.start()
        ended.join(WAIT_S)
        assert not ended.is_alive()


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    program = (
        "import sys, collector.__main__, flows.__main__, sinks.__main__;"
        "from transport import open_tracer; from transport.config import Settings;"
        "assert open_tracer(Settings(), 'segma-flow') is None;"
        "print([each for each in sys.modules if each.startswith(('opentelemetry', 'google'))])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "endpoint",
    ["otel:4318", "http://otel:4318", "ftp://otel/v1/traces", "http://user:secret@otel/v1/traces", "http://o/v1?k=s"],
)
def test_an_endpoint_that_is_no_url_or_holds_a_secret_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        Settings(traces_endpoint=endpoint)
