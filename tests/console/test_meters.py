"""What the console tells Prometheus of its answers, of who did not come in, and of its questions to the history."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from analytics.clickhouse import HistoryError, HistoryUnavailable
from console.history import TIMEOUT_EXCEEDED
from tests.console.visitor import PASSWORD, Clock, Stage, Visitor, ran, signed_in


def counted(name: str, **labels: str) -> Callable[[], float]:
    """How much a metric has grown since."""

    def now() -> float:
        return REGISTRY.get_sample_value(f"segma_console_{name}", labels) or 0.0

    before = now()
    return lambda: now() - before


def test_answers_are_counted_by_the_tables_names_and_no_others(app: ASGIApp) -> None:
    shown = counted("requests_total", page="listeners", status="200")
    refused = counted("requests_total", page="audit", status="403")
    other = counted("requests_total", page="other", status="404")
    visitor = signed_in(app, "vera")
    for path in ("/w/demo/listeners", "/w/demo/listeners", "/w/demo/audit", "/ada@example.org", "/w/nobody/knows"):
        visitor.get(path)
    assert (shown(), refused(), other()) == (2, 1, 2)
    pages = {each.labels["page"] for metric in REGISTRY.collect() for each in metric.samples if "page" in each.labels}
    assert not [each for each in pages if "/" in each or "@" in each]


def test_an_answer_takes_until_it_begins_and_one_that_fails_counts_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    visitor = Visitor(stage.app(clock=clock))
    failed, took = counted("requests_total", page="login", status="500"), counted("request_seconds_sum", page="login")

    def fails(*_: object, **__: object) -> None:
        clock.now_ms += 1_500
        raise KeyError("of ours")

    monkeypatch.setattr("console.login_page.LoginPage.shown", fails)
    with pytest.raises(KeyError):
        visitor.get("/login")
    assert (failed(), took()) == (1, 1.5)


def test_who_does_not_come_in_is_counted_by_why(app: ASGIApp, stage: Stage) -> None:
    wrong, often = (counted("sign_ins_refused_total", reason=each) for each in ("wrong_password", "too_often"))
    off = counted("sign_ins_refused_total", reason="switched_off")
    visitor = Visitor(app)
    for _ in range(6):
        visitor.post("/login", {"name": "vera", "password": "guess"})
    assert (wrong(), often(), off()) == (5, 1, 0)
    Visitor(stage.app(local=False)).post("/login", {"name": "vera", "password": PASSWORD})
    assert (wrong(), often(), off()) == (5, 1, 1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "answered"),
        (HistoryUnavailable("away"), "away"),
        (HistoryUnavailable("too long", TIMEOUT_EXCEEDED), "slow"),
        (HistoryError("what", 47), "refused"),
    ],
)
def test_questions_to_the_history_are_counted_by_what_came_of_them(
    stage: Stage, error: Exception | None, outcome: str
) -> None:
    stage.answers.error = error
    count = counted("history_seconds_count", outcome=outcome)
    ran(stage.desk.history.ask("sizes", "demo"))
    assert count() == 1
