"""The ``webhook`` sink: signed, to allowed hosts alone, the same id at every repetition, no address in the body."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from contracts.accounts import Veto
from contracts.codec import to_json
from contracts.commands import Command, Outcome, Result, Verb
from contracts.log import Outgoing
from contracts.topics import OUTCOMES, VETOES, fact_key
from sinks.platforms.webhook import WebhookOptions, WebhookSink, make
from sinks.toolkit.options import Around
from tests.conformance.test_sinks_faults import NAMES
from tests.sinks.beds import brief, now_ms
from tests.sinks.courier import Courier, command
from tests.sinks.simulator.server import Answer, Asked, Fault, Quotas, Simulator
from tests.sinks.simulator.world import World

SECRET = "a-signing-secret-of-some-length"


class Receiver:
    """Whoever takes the calls, and looks at the signature as its own library does."""

    name = "receiver"
    described = leaves_everything = False
    sends_tags = True
    quotas: Quotas = MappingProxyType({})

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.ids: list[str] = []

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        return None

    def bad_key(self) -> Answer:
        return Answer(401)

    def throttled(self, wait_s: float) -> Answer:
        return Answer(429, {}, {"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None: ...

    def handle(self, asked: Asked, world: World) -> Answer:
        try:
            self.taken.append(Webhook(SECRET.encode()).verify(asked.raw, dict(asked.headers)))
        except WebhookVerificationError:
            return Answer(401)
        self.ids.append(asked.headers["webhook-id"])
        return Answer(204)


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, Simulator]]:
    taker = Receiver()
    with Simulator(taker) as server:
        yield taker, server


def sink(server: Simulator, data: Path, **options: Any) -> WebhookSink:
    around = Around("w/mail", data, brief, now_ms, lambda at, field: SECRET)
    given = {"secret": {"env": "S"}, "hosts": [f"127.0.0.1:{server.port}"], "timeout": "2s", **options}
    return make(WebhookOptions.model_validate(given), around)


def test_moves_are_told_in_order_signed_and_without_an_address(
    receiver: tuple[Receiver, Simulator], tmp_path: Path
) -> None:
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    sent = [command("new", "old"), command("newer", "new"), command(verb=Verb.WEBHOOK, url=f"{server.url}/hook")]
    server.faults = [Fault("done_drop"), Fault("throttle")]
    courier.send(*sent)
    courier.deliver(sink(server, tmp_path / "p", url=f"{server.url}/moves"))
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 3
    assert list(dict.fromkeys(taker.ids)) == [each.command_id for each in sent]
    assert taker.ids[0] == taker.ids[1], "the call in doubt came again under its id"
    assert [each["to_list"] for each in taker.taken[1:3]] == ["new", "newer"]
    assert "@" not in repr(taker.taken)
    assert [call.path for call in server.calls][-1] == "/hook"
    courier.close()


def test_a_host_that_is_not_allowed_is_not_called(receiver: tuple[Receiver, Simulator], tmp_path: Path) -> None:
    _, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    courier.send(command(verb=Verb.WEBHOOK, url=f"http://localhost:{server.port}/hook"))
    courier.deliver(sink(server, tmp_path / "p"))
    assert [(each.result, each.reason) for each in courier.outcomes()] == [(Result.FAILED, "bad_destination")]
    assert server.calls == []
    courier.close()


def test_a_move_that_is_taken_back_is_told_and_one_that_was_never_told_is_not(
    receiver: tuple[Receiver, Simulator], tmp_path: Path
) -> None:
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    first, strange = command("new", "old"), command("new", person="nobody")
    courier.send(first, strange, *(command("new", undoes=each.command_id) for each in (first, strange)))
    courier.deliver(sink(server, tmp_path / "p", url=f"{server.url}/moves"))
    assert [each["retracted"] for each in taker.taken] == [False, True]
    assert taker.taken[1]["undoes"] == first.command_id
    courier.close()


@pytest.mark.parametrize("name", NAMES)
def test_lists_of_any_name_are_told_as_they_are(
    receiver: tuple[Receiver, Simulator], tmp_path: Path, name: str
) -> None:
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    courier.send(command(name))
    courier.deliver(sink(server, tmp_path / "p", url=f"{server.url}/moves"))
    assert [each["to_list"] for each in taker.taken] == [name]
    courier.close()


def test_an_undo_says_that_it_is_one(receiver: tuple[Receiver, Simulator], tmp_path: Path) -> None:
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    first = command(verb=Verb.WEBHOOK, url=f"{server.url}/hook")
    courier.send(first, command(verb=Verb.WEBHOOK, url=f"{server.url}/hook", undoes=first.command_id))
    courier.deliver(sink(server, tmp_path / "p"))
    assert [each["retracted"] for each in taker.taken] == [False, True]
    courier.close()


def test_a_short_secret_or_no_destination_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give url, hosts, or both"):
        WebhookOptions.model_validate({"secret": {"env": "S"}})
    around = Around("w/mail", tmp_path, brief, now_ms, lambda at, field: "short")
    with pytest.raises(ValueError, match="24 characters"):
        make(WebhookOptions.model_validate({"secret": {"env": "S"}, "hosts": ["crm.example"]}), around)


def beside(server: Simulator, *, log_time_ms: int, **more: Any) -> Command:
    """A ``webhook`` of a match that also made two moves, at another account."""
    others = {"m0": "mailbox", "m1": "mailbox"}
    return command(verb=Verb.WEBHOOK, url=f"{server.url}/hook", beside=others, log_time_ms=log_time_ms, **more)


def ended(courier: Courier, command_id: str, result: Result, reason: str = "") -> None:
    outcome = Outcome(command_id, "w", "mailbox", "s_anna", result, now_ms(), reason)
    courier.publish(Outgoing(OUTCOMES, b"w/mailbox", to_json(outcome)))


def test_a_webhook_is_called_in_any_case_and_carries_each_commands_outcome(
    receiver: tuple[Receiver, Simulator], tmp_path: Path
) -> None:
    """SEMANTICS 8.1, 16; of outcomes that come while it waits as of those that are there."""
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    left = Veto("w", "mail", "s_anna", "", 10, "email_unsubscribed")
    courier.publish(Outgoing(VETOES, fact_key(left), to_json(left)))
    ended(courier, "m0", Result.SKIPPED, "unsubscribed")
    asked = list[int]()

    def stopping() -> bool:
        asked.append(1)
        if len(asked) == 3:
            ended(courier, "m1", Result.APPLIED)
        return False

    courier.send(beside(server, log_time_ms=now_ms() + 600_000))
    courier.deliver(sink(server, tmp_path / "p"), stopping=stopping)
    assert [each.result for each in courier.outcomes() if each.account == "mail"] == [Result.APPLIED]
    assert [each["outcomes"] for each in taker.taken] == [
        [
            {"command_id": "m0", "account": "mailbox", "result": "skipped", "reason": "unsubscribed"},
            {"command_id": "m1", "account": "mailbox", "result": "applied", "reason": ""},
        ]
    ]
    assert "beside" not in taker.taken[0]
    courier.close()


def test_a_webhook_waits_for_no_outcome_for_ever(receiver: tuple[Receiver, Simulator], tmp_path: Path) -> None:
    taker, server = receiver
    courier = Courier(None, tmp_path / "data")  # type: ignore[arg-type]
    ended(courier, "m1", Result.FAILED, "bad_credentials")
    courier.publish(
        Outgoing(OUTCOMES, b"other/mailbox", to_json(Outcome("m0", "other", "mailbox", "s", Result.APPLIED, 1)))
    )
    courier.send(beside(server, log_time_ms=now_ms() - 60_000), beside(server, log_time_ms=now_ms() - 29_900))
    courier.deliver(sink(server, tmp_path / "p", wait="30s"))
    results = [[(each["result"], each["reason"]) for each in told["outcomes"]] for told in taker.taken]
    assert results == [[("waiting", ""), ("failed", "bad_credentials")]] * 2
    courier.close()
