"""Who stands in the directory twice is one person at every door of the collector, by the rule that imports go by."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.app import create_app
from collector.hooks import Hook
from collector.platform_ids import Known
from contracts.codec import to_json
from contracts.log import Record
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import SUBSCRIBERS, subscriber_key
from tests.collector.door import NOW_MS, SECRET, Collector, beacon, got, posted, token
from tests.collector.hooked import FORM, HOOK, mailchimp, vetoes
from tests.collector.test_changed_contacts import Directory

PAIRS = (
    ("eva@bücher.example", "eva@xn--bcher-kva.example"),
    ("eva@shop.example.", "eva@shop.example"),
    ("eva@\uff33hop.example", "eva@shop.example"),
)
BY_SERVER = {"Authorization": "Bearer server-secret"}


class Twice:
    """A collector that knows somebody under an id of before and under the one that is made of addresses now."""

    def __init__(self, home: Path, before: str, now: str) -> None:
        self.addresses, self.own = (before, now, now.upper(), f"Eva <{before}>"), subscriber_id(SECRET, now)
        entries = [
            DirectoryEntry("shop", "s_before", before, imported_at_s=5),
            DirectoryEntry("shop", self.own, now, platform_ids={"mailchimp": "77"}, imported_at_s=3),
        ]
        self.known = Known([("shop", "mailchimp")], Directory(*entries), secrets={"shop": SECRET})
        for number, each in enumerate(entries):
            key = subscriber_key("shop", each.subscriber)
            self.known.take([Record(SUBSCRIBERS, 0, number, NOW_MS, key, to_json(each))])
        self.door = Collector(home)
        hooks = {("shop", "mailchimp"): Hook("mailchimp", HOOK)}
        self.door.app = create_app(self.door.core, hooks, self.known)

    def told(self) -> set[str]:
        """The people of all that was stored."""
        return {each.subscriber for each in self.door.beacons()}


@pytest.fixture(params=PAIRS, ids=["punycode", "dot", "full-width"])
def twice(request: pytest.FixtureRequest, tmp_path: Path) -> Twice:
    return Twice(tmp_path, *request.param)


def test_a_server_and_a_webhook_mean_them_by_any_address_and_any_id(twice: Twice) -> None:
    event = {"event_id": "e1", "action": "logged_in", "occurred_at_ms": NOW_MS}
    named = [*({"address": each} for each in twice.addresses), {"subscriber": twice.own}, {"subscriber": "s_before"}]
    for who in named:
        call = {"site": "shop-key", "events": [event], **who}
        assert posted(twice.door, call, path="/v1/events", headers=BY_SERVER).status_code == 204
    for address in twice.addresses[:3]:
        body = mailchimp("unsubscribe", **{"data[email]": address})
        path = f"/v1/hooks/shop/mailchimp/{HOOK}"
        assert posted(twice.door, body, path=path, headers=FORM).status_code == 204
    assert twice.told() == {"s_before"}
    assert {veto.subscriber for veto in vetoes(twice.door) if veto is not None} == {"s_before"}


def test_a_token_means_them_whichever_id_it_was_made_of(twice: Twice) -> None:
    for subscriber in (twice.own, "s_before"):
        sealed = token(subscriber=subscriber)
        assert posted(twice.door, beacon(token=sealed)).status_code == 204
        assert got(twice.door, f"/r/{sealed}?u=https://shop.example/").status_code == 302
        assert got(twice.door, f"/o/{sealed}").status_code == 200
    assert len(twice.door.beacons()) == 6
    assert twice.told() == {"s_before"}


def test_nobody_moves_to_an_address_that_somebody_has_under_an_id_of_before(tmp_path: Path) -> None:
    """Two known people are never merged."""
    collector = Collector(tmp_path)
    eva = DirectoryEntry("shop", "s_before", PAIRS[0][0])
    bo = DirectoryEntry("shop", subscriber_id(SECRET, "bo@example.org"), "bo@example.org")
    known = Known([("shop", "mailchimp")], Directory(eva, bo), secrets={"shop": SECRET})
    known.take(Directory(eva, bo).records)
    collector.app = create_app(collector.core, {("shop", "mailchimp"): Hook("mailchimp", HOOK)}, known)
    body = mailchimp("upemail", **{"data[old_email]": "bo@example.org", "data[new_email]": PAIRS[0][1]})
    assert posted(collector, body, path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM).status_code == 204
    assert [each for each in collector.log.records if each.topic == SUBSCRIBERS] == []
