"""The page of sites: the tag to paste, what has come, what was refused and why, and who said no by their browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client import generate_latest, start_http_server

from analytics.clickhouse import HistoryUnavailable
from collector.core import Meters
from console.history import AWAY
from console.picture import Picture
from console.site_loads import LoadCounts, Loads, NoLoads, counted, each_behind, text_at
from contracts.events import Event
from contracts.rows import EventRow
from tests.console.test_workspace_pages import EVIL, answer
from tests.console.visitor import Stage, signed_in
from transport.config import wall_clock_ms

PAGE = "/w/demo/sites"


def now() -> datetime:
    return datetime.fromtimestamp(wall_clock_ms() / 1_000, UTC)


def seen(stage: Stage, *rows: tuple[object, ...]) -> None:
    answer(stage, "five_minutes", "site_events", *rows)


def loads(**counts: tuple[int, int]) -> str:
    """The metrics of a collector's worker that counted so many loads: (declined, others), by site."""
    meters = Meters()
    for site, (declined, others) in counts.items():
        meters.loads.labels(f"demo/{site}", "yes").inc(declined)
        meters.loads.labels(f"demo/{site}", "no").inc(others)
    meters.loads.labels("other/shop", "yes").inc(1_000)
    return generate_latest(meters.registry).decode()


def test_each_site_has_its_tag_and_its_origins(stage: Stage) -> None:
    text = signed_in(stage.app(), "vera").get(PAGE).text
    tag = "&lt;script async src=&#34;http://c.test/sdk/segma.js&#34; data-site=&#34;demo-key&#34;&gt;&lt;/script&gt;"
    assert tag in text
    assert "https://shop.example" in text
    assert text.count("No origin is allowed") == 1  # that of the site without any
    assert "other-key" not in text


def test_what_has_come_and_what_has_not(stage: Stage) -> None:
    seen(stage, ("shop", now() - timedelta(days=9), now(), "page_viewed", "/shoes", 3, 40, 2))
    visitor = signed_in(stage.app(), "vera")
    text = visitor.get(f"{PAGE}?part=seen").text
    assert "/shoes" in text
    assert "silent: nothing has come. Is the tag" in text
    assert "nothing has come for a day" not in text
    seen(stage, ("shop", now() - timedelta(days=9), now() - timedelta(days=2), "page_viewed", "/", 0, 0, 0))
    assert "shop: nothing has come for a day" in visitor.get(f"{PAGE}?part=seen").text


def test_a_page_of_an_origin_that_is_not_allowed_is_named_with_the_origin_to_add(stage: Stage) -> None:
    answer(
        stage, "FROM dead_letters", "refusals",
        ("shop", "wrong_origin", "https://www.shop.example", 7, now()), ("shop", "not_json", "", 1, now()),
    )  # fmt: skip
    text = signed_in(stage.app(), "vera").get(f"{PAGE}?part=refused").text
    assert "<code>https://www.shop.example</code>" in text
    assert text.count("add their origin to `origins`") == 1


def test_tokens_that_were_not_believed_are_told_by_campaign(stage: Stage) -> None:
    answer(stage, "token_problem", "tokens", ("token_malformed", "spring", "shop", 9, 4, now()))
    assert "token_malformed" in signed_in(stage.app(), "vera").get(f"{PAGE}?part=tokens").text


def test_the_share_that_said_no_is_that_of_all_workers_and_of_ones_own_sites(stage: Stage) -> None:
    workers = {"http://a/metrics": loads(shop=(1, 6)), "http://b/metrics": loads(shop=(2, 16), gone=(5, 5))}
    app = stage.app(loads=LoadCounts(list(workers), workers.__getitem__))
    text = signed_in(app, "vera").get(f"{PAGE}?part=declined").text
    assert "shop: 12.0 % of 25 loads" in text
    assert "gone" not in text
    nobody = LoadCounts(["http://a/metrics"], lambda _: loads())
    assert "No page has loaded the script" in signed_in(stage.app(loads=nobody)).get(f"{PAGE}?part=declined").text


def test_a_share_that_is_not_known_is_none(stage: Stage) -> None:
    def away(_: str) -> str:
        raise NoLoads("ConnectionError")

    for counts in (LoadCounts(()), LoadCounts(["http://a"], away), LoadCounts(["http://a"], lambda _: "<html>{")):
        text = signed_in(stage.app(loads=counts), "vera").get(f"{PAGE}?part=declined").text
        assert "The share is not known" in text
        assert " % of" not in text


def test_metrics_are_read_where_a_worker_serves_them() -> None:
    meters = Meters()
    meters.loads.labels("demo/shop", "yes").inc()
    server, thread = start_http_server(0, "127.0.0.1", registry=meters.registry)
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        assert LoadCounts([url]).of("demo") == {"shop": Loads(1, 0)}
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    with pytest.raises(NoLoads):
        text_at(url)


def test_every_address_behind_a_name_is_asked_once() -> None:
    asked: list[str] = []
    names = {"collectors": ["10.0.0.1", "10.0.0.2"], "other": ["10.0.0.2"], "six": ["fd00::1"]}

    def text_of(url: str) -> str:
        asked.append(url)
        return loads(shop=(1, 2))

    urls = [f"http://{name}:9100/metrics" for name in names]
    counts = LoadCounts(urls, text_of, lambda url: each_behind(url, names.__getitem__))
    assert counts.of("demo") == {"shop": Loads(3, 6)}
    assert asked == [f"http://{each}:9100/metrics" for each in ("10.0.0.1", "10.0.0.2", "[fd00::1]")]


def test_a_name_is_looked_up_and_one_with_a_certificate_stays() -> None:
    assert each_behind("http://localhost:9100/metrics") == ["http://127.0.0.1:9100/metrics"]
    assert each_behind("http://127.0.0.1/metrics") == ["http://127.0.0.1/metrics"]
    assert each_behind("http://[::1]:9100/metrics") == ["http://[::1]:9100/metrics"]
    assert each_behind("https://collector.example/metrics") == ["https://collector.example/metrics"]
    for nowhere in (f"http://{'a' * 70}:9100/metrics", "http://a..b:9100/metrics"):
        with pytest.raises(NoLoads):
            each_behind(nowhere)


class Elsewhere(BaseHTTPRequestHandler):
    """Answers with a way to another place, or a fault."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 500)
        self.send_header("location", "/metrics")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_another_answer_than_metrics_says_nothing(elsewhere: str) -> None:
    with pytest.raises(NoLoads):
        text_at(f"{elsewhere}/fault")
    assert counted([text_at(f"{elsewhere}/away")], "demo") == {}  # no way elsewhere is taken


def test_the_history_away_is_a_sentence_and_the_tags_stay(stage: Stage) -> None:
    stage.answers.error = HistoryUnavailable("away")
    visitor = signed_in(stage.app(), "vera")
    for part in ("seen", "refused", "tokens"):
        text = visitor.get(f"{PAGE}?part={part}").text
        assert AWAY in text
        assert "nothing has come" not in text
    assert "demo-key" in visitor.get(PAGE).text


def test_nothing_of_a_stranger_is_markup_on_the_page_of_sites(stage: Stage) -> None:
    seen(stage, ("shop", now(), now(), EVIL, EVIL, 3, 40, 2))
    answer(stage, "FROM dead_letters", "refusals", ("shop", EVIL, EVIL, 7, now()))
    answer(stage, "token_problem", "tokens", (EVIL, EVIL, EVIL, 9, 4, now()))
    evil = LoadCounts(["http://a"], lambda _: loads(shop=(1, 1)))
    visitor = signed_in(stage.app(loads=evil), "vera")
    for path in (PAGE, *(f"{PAGE}?part={part}" for part in ("seen", "refused", "tokens", "declined"))):
        assert "<script>" not in visitor.get(path).text
        assert "alert(1)</script>" not in visitor.get(path).text


def test_what_comes_shows_up_at_once_and_names_nobody() -> None:
    picture = Picture()
    for number, (workspace, site) in enumerate((("demo", "shop"), ("demo", "shop"), ("other", "shop"), ("demo", ""))):
        properties = {"path": f"/{number}"}
        event = Event(workspace, "s1", f"e{number}", "page_viewed", 5, properties=properties, site=site)
        picture.apply(EventRow(event))
    assert picture.sites({"demo"}) == [
        {"workspace": "demo", "site": "shop", "at_ms": 0, "action": "page_viewed", "path": "/1"}
    ]
