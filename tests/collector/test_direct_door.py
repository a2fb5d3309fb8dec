"""A beacon is answered ahead of Falcon, and nobody can tell: the same path with a slash behind it is Falcon's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from collector.beacons import PATH
from tests.collector.door import ORIGIN, Collector, beacon, posted, talk
from tests.coroutines import run_apart

FALCONS = PATH + "/"
TEXT = json.dumps(beacon()).encode()


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def sent(collector: Collector, path: str, body: bytes, headers: list[tuple[str, str]]) -> falcon.testing.Result:
    async def script(conductor: falcon.testing.ASGIConductor) -> falcon.testing.Result:
        return await conductor.simulate_post(path, body=body, headers=headers)

    result: falcon.testing.Result = talk(collector, script)
    return result


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (TEXT, []),
        (TEXT, [("X-Forwarded-For", "203.0.113.9")]),
        (json.dumps(beacon(asked=["e1", "e2"])).encode(), []),
        (gzip.compress(TEXT), [("Content-Encoding", "gzip")]),
        (gzip.compress(TEXT), [("Content-Encoding", "br")]),
        (b"\xef\xbb\xbf" + TEXT, [("Content-Type", "image/png")]),
        (b"no JSON", [("Content-Type", "image/png")]),
        (b"", []),
        (b"[" * 40 + b"]" * 40, []),
        (json.dumps(beacon(site="nobody")).encode(), []),
        (json.dumps(beacon(events=[{"x": 10**30}, {"event_id": "\ud800"}])).encode(), []),
        (b"x" * (1_048_576 + 1), []),
        (TEXT, [("Origin", "https://müller.example".encode().decode("latin-1"))]),
        (TEXT, [("User-Agent", "äöü")]),
    ],
)
def test_what_is_answered_and_kept_is_the_same(tmp_path: Path, body: bytes, headers: list[tuple[str, str]]) -> None:
    own = [] if any(name == "Origin" for name, _ in headers) else [("Origin", ORIGIN)]
    answers, kept = [], []
    for number, path in enumerate((PATH, FALCONS)):
        (home := tmp_path / str(number)).mkdir()
        collector = Collector(home)
        answer = sent(collector, path, body, [*own, *headers])
        answers.append((answer.status_code, sorted(answer.headers.items()), answer.content))
        kept.append([(each.topic, each.key, each.value) for each in collector.log.records])
    assert answers[0] == answers[1]
    assert kept[0] == kept[1]


def test_a_header_that_stands_there_twice_is_read_as_ever(collector: Collector) -> None:
    twice = [("Origin", ORIGIN), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    assert sent(collector, PATH, gzip.compress(TEXT), twice).status_code == 204
    assert len(collector.beacons()) == 1


def asgi(collector: Collector, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What the application says to one beacon whose body comes as these messages."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"origin", ORIGIN.encode())],
    }
    said: list[dict[str, Any]] = []
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    run_apart(collector.app(scope, receive, send))
    return said


def test_a_body_in_pieces_is_one_body(collector: Collector) -> None:
    pieces = [TEXT[:10], TEXT[10:50], TEXT[50:], b""]
    parts = [{"type": "http.request", "body": each, "more_body": bool(each)} for each in pieces]
    assert asgi(collector, *parts)[0]["status"] == 204
    assert len(collector.beacons()) == 1


def test_who_hangs_up_is_not_answered_and_nothing_of_it_is_kept(collector: Collector) -> None:
    part = {"type": "http.request", "body": TEXT[:10], "more_body": True}
    assert asgi(collector, part, {"type": "http.disconnect"}) == []
    assert collector.log.records == []


def test_a_body_without_an_end_is_refused_where_it_is_too_large(collector: Collector) -> None:
    part = {"type": "http.request", "body": b" " * 600_000, "more_body": True}
    head, body = asgi(collector, part, part)
    assert head["status"] == 413
    assert json.loads(body["body"])["reason"] == "too_large"


def test_a_defect_of_ours_is_answered_500_without_a_word_of_the_request(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError(TEXT.decode())

    monkeypatch.setattr(collector.core, "_shares", {"shop-key": type("Broken", (), {"take": broken})()})
    answer = posted(collector, TEXT)
    assert (answer.status_code, answer.content) == (500, b"")
    assert "event_id" not in "".join(capsys.readouterr())
