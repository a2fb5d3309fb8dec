"""An unsubscribe that a platform's webhook tells holds from the next command on, also for those that wait already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.app import create_app
from collector.hooks import Hook
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Outcome, Result
from contracts.log import Log, Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import OUTCOMES, SUBSCRIBERS, account_topics, fixed_topics, moves_topic, subscriber_key
from sinks.base import Fate, Trouble
from sinks.delivery.loop import Delivery
from tests.collector.door import NOW_MS, SECRET, Collector, posted
from tests.collector.hooked import HOOK, by_hubspot, by_klaviyo, klaviyo, mailchimp
from tests.sinks.beds import now_ms
from tests.sinks.courier import command
from tests.sinks.memory import MemorySink
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.alone

ADDRESS = "anna@example.org"
ANNA = subscriber_id(SECRET, ADDRESS)
_read_outcome = json_reader(Outcome)


class Street:
    """A collector and an account on one log."""

    def __init__(self, home: Path) -> None:
        self.log: Log = open_log(Settings(data=home / "data"))
        self.log.ensure([*fixed_topics(1), *account_topics("shop", "mail")])
        self.collector = Collector(home)
        self.collector.log = self.log  # type: ignore[assignment]
        self.sink = MemorySink({"old": {ADDRESS}})
        entry = DirectoryEntry("shop", ANNA, ADDRESS)
        self._publish(Outgoing(SUBSCRIBERS, subscriber_key("shop", ANNA), to_json(entry)))

    def tell(self, sink: str, body: bytes, path: str, headers: dict[str, str]) -> None:
        """What the platform's server sends."""
        self.collector.app = create_app(self.collector.core, {("shop", "mail"): Hook(sink, HOOK)})
        assert posted(self.collector, body, path=path, headers=headers).status_code == 204

    def move(self, to_list: str, from_list: str = "", *, pause: Any = lambda seconds: None) -> Outcome:
        sent = replaced(command(to_list, from_list), workspace="shop", subscriber=ANNA)
        self._publish(Outgoing(moves_topic("shop", "mail"), b"k", to_json(sent)))
        loop = Delivery(
            self.log,
            self.sink,
            workspace="shop",
            account="mail",
            now_ms=now_ms,
            pause=pause,
            stopping=lambda: False,
        )
        while loop.round():
            pass
        for each in (loop._live, loop._backfill):
            each.close()
        reader = self.log.reader(OUTCOMES)
        found: list[Outcome] = [_read_outcome(record.value) for record in reader.poll(1_000) if record.value]
        reader.close()
        assert found[-1].command_id == sent.command_id
        return found[-1]

    def _publish(self, *records: Outgoing) -> None:
        self.log.publisher().publish(records)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    yield made
    made.log.close()


def unsubscribed(platform: str) -> tuple[str, bytes, str, dict[str, str]]:
    """An unsubscription as each platform tells it."""
    if platform == "klaviyo":
        body = klaviyo(("unsubscribed_from_email_marketing", {"email_address": ADDRESS}))
        return platform, body, "/v1/hooks/shop/mail", by_klaviyo(body)
    if platform == "hubspot":
        path, body = "/v1/hooks/shop/mail?action=email_unsubscribed", b'{"email": "anna@example.org"}'
        return platform, body, path, by_hubspot(body, address=f"https://falconframework.org{path}")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return platform, mailchimp("unsubscribe"), f"/v1/hooks/shop/mail/{HOOK}", form


@pytest.mark.parametrize("platform", ["klaviyo", "hubspot", "mailchimp"])
def test_who_unsubscribes_at_the_platform_is_added_nowhere_from_then_on(street: Street, platform: str) -> None:
    assert street.move("new", "old").result is Result.APPLIED
    street.tell(*unsubscribed(platform))
    skipped = street.move("newer", "new")
    assert (skipped.result, skipped.reason) == (Result.SKIPPED, str(Reason.UNSUBSCRIBED))
    assert street.sink.lists.get("newer", set()) == set()
    assert street.move("", "new").result is Result.APPLIED, "taking out is always allowed"


def of_klaviyo(topic: str, at_s: int) -> tuple[str, bytes, str, dict[str, str]]:
    """An event that Klaviyo says the time of."""
    told = json.loads(klaviyo((topic, {"email_address": ADDRESS})))
    told["data"][0]["payload"]["data"]["attributes"]["timestamp"] = at_s
    body = json.dumps(told).encode()
    return "klaviyo", body, "/v1/hooks/shop/mail?action=subscribed", by_klaviyo(body)


def test_who_subscribes_again_is_added_again(street: Street) -> None:
    left_s = NOW_MS // 1_000 - 3_600
    street.tell(*of_klaviyo("unsubscribed_from_email_marketing", left_s))
    assert street.move("new").result is Result.SKIPPED
    street.tell(*of_klaviyo("subscribed_to_email_marketing", left_s + 60))
    assert street.move("new").result is Result.APPLIED


def test_a_joining_without_a_time_lifts_nothing_that_no_look_confirms(street: Street) -> None:
    street.tell(*unsubscribed("klaviyo"))
    body = klaviyo(("subscribed_to_email_marketing", {"email_address": ADDRESS}))
    street.tell("klaviyo", body, "/v1/hooks/shop/mail?action=subscribed", by_klaviyo(body))
    assert street.move("new").result is Result.SKIPPED


def test_who_unsubscribes_while_the_platform_is_away_is_not_added_when_it_is_back(street: Street) -> None:
    street.sink.trouble = [Trouble(Reason.UNREACHABLE, Fate.AWAY)] * 2
    told: list[float] = []

    def pause(seconds: float) -> None:
        if not told:
            street.tell(*unsubscribed("klaviyo"))
        told.append(seconds)

    skipped = street.move("new", pause=pause)
    assert (skipped.result, skipped.reason) == (Result.SKIPPED, str(Reason.UNSUBSCRIBED))
    assert street.sink.lists == {"old": {ADDRESS}}
    assert len(street.sink.calls) == 1
