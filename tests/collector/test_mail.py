"""Links and pictures in mails: machines are noted, privacy is heeded, and a broken campaign is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from collector.core import MAIL_SHARE
from collector.scanners import SIGNS, MailMachine, is_machine_open, machine_of, scanner_sign
from contracts.beacons import BeaconRecord, Source
from contracts.codec import to_json
from contracts.events import Event
from contracts.log import Record
from contracts.topics import BEACONS
from flows.derived.clicks import DELIVERY_MS, MAX_CLICKS
from flows.derived.verdicts import is_news, with_verdict
from flows.recognise import Device, recognise, released
from tests.collector.door import NOW_MS, Collector, beacon, got, posted, talk, token
from tests.collector.hooked import RULES

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
CUBOT = "Mozilla/5.0 (Linux; Android 14; CUBOT NOTE 50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; Microsoft Outlook 16.0.5134)"


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0", MailMachine.PROXY),
        (" Mozilla/5.0 ", MailMachine.PROXY),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            MailMachine.PROXY,
        ),
        (f"{CHROME.replace('Chrome/130.0.0.0', 'Chrome/42.0.2311.135')} Edge/12.246 Mozilla/5.0", MailMachine.PROXY),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", MailMachine.PROXY),
        ("Microsoft Office Existence Discovery", MailMachine.SCANNER),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", MailMachine.SCANNER),
        ("Barracuda Sentinel (EE)", MailMachine.SCANNER),
        ("python-requests/2.32", MailMachine.SCANNER),
        ("Go-http-client/2.0", MailMachine.SCANNER),
        (f"{CHROME.replace('Chrome', 'HeadlessChrome')}", MailMachine.SCANNER),
        ("Mozilla/5.0 (compatible; SeznamEmailProxy/2.0.211)", MailMachine.PROXY),
        ("Mail.RuImageProxy/1.0", MailMachine.PROXY),
        ("GuzzleHttp/7", MailMachine.SCANNER),
        ("undici", MailMachine.SCANNER),
        ("PostmanRuntime/7.43.0", MailMachine.SCANNER),
        (
            "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
            MailMachine.SCANNER,
        ),
        ("ia_archiver (+http://www.alexa.com/site/help/webmasters)", MailMachine.SCANNER),
        (f"{CHROME} Avira/130.0.27475.80", None),
        (f"{CHROME.replace('Chrome', 'Mailspring/1.13.3 Chrome')} Electron/22.0.0", None),
        (CHROME, None),
        (IPHONE, None),
        (CUBOT, None),
        (OUTLOOK, None),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", None),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.1.0", None),
        *(
            (CUBOT.replace("CUBOT NOTE 50", model), None)
            for model in ("Spider X", "BOT-L21", "Preview Phone", "Curl 7", "CUBOT", "Sophos Tab Build/TP1A; wv")
        ),
        (f"{CUBOT} Telegram-Android/10.2.4 (Xiaomi M2102J20SG; Android 13; SDK 33; HIGH)", None),
        (f"{CUBOT} WhatsApp/2.23", None),
        ("Mozilla/5.0(Linux; Android 14; Spider X)", None),
        ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/7.0; ms-office; MSOffice 16)", None),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", MailMachine.SCANNER),
        (f"{CUBOT.replace('CUBOT NOTE 50', 'Nexus 5X')} (compatible; Googlebot/2.1)", MailMachine.SCANNER),
        ("Mozilla/5.0 (Linux; Android 10; K; compatible; FooBot/1.0) Chrome/120 Mobile", MailMachine.SCANNER),
        *(
            (agent, MailMachine.SCANNER)
            for agent in (
                *("WhatsApp/2.23.20.0", "TelegramBot (like TwitterBot)", "kakaotalk-scrap/1.0", "Iframely/1.3"),
                *(
                    "Google-Safety",
                    "Google-Read-Aloud",
                    "FeedFetcher-Google; (+http://www.google.com/feedfetcher.html)",
                ),
                *("Mozilla/5.0 zgrab/0.x", "NetcraftSurveyAgent/1.0", "virustotal", "ppcheck", "Hornetsecurity ATP"),
                *(
                    "got (https://github.com/sindresorhus/got)",
                    "node",
                    "Deno/1.40.0",
                    "Bun/1.0",
                    "k6/0.47",
                    "RestSharp/106",
                ),
                *("Jakarta Commons-HttpClient/3.1", "W3C_Validator/1.3", "Mastodon/4.2 (http.rb/5.1)"),
            )
        ),
    ],
)
def test_an_agent_is_a_machines_or_may_be_a_persons(agent: str, machine: MailMachine | None) -> None:
    assert machine_of(agent) is machine
    assert is_machine_open(agent, {}) is (machine is not None)
    assert scanner_sign("GET", agent, {}) == ("known_agent" if machine else "")


def test_every_sign_says_where_it_is_from() -> None:
    assert [sign for sign in SIGNS if not sign.source] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ],
)
def test_what_was_asked_for_in_advance_is_no_persons(collector: Collector, name: str, value: str) -> None:
    headers = {"User-Agent": CHROME, name: value}
    got(collector, f"/r/{token()}", params={"u": "https://shop.example/"}, headers=headers)
    got(collector, f"/o/{token()}.gif", headers=headers)
    click, picture = collector.beacons()
    assert click.properties["scanner"] == "prefetch"
    assert picture.properties["machine"] == "true"


def followed(device: Device, records: list[BeaconRecord], at_ms: int = NOW_MS) -> tuple[Device, list[Event]]:
    """What the flow makes of records of one key, in their order."""
    events = []
    for offset, record in enumerate(records):
        stored = Record(BEACONS, 0, offset, at_ms, b"shop/s_anna", b"")
        device, found, refused = recognise(device, record, stored, RULES)
        assert refused == []
        events += found
    return device, events


def verdicts(records: list[BeaconRecord]) -> list[str]:
    device, _ = followed(Device(), records)
    return [event.verdict for event in released(device, NOW_MS + RULES.quarantine_ms)[1]]


def clicked(collector: Collector, *paths: str, method: str = "GET", agent: str = CHROME) -> list[BeaconRecord]:
    before = len(collector.beacons())
    for path in paths:
        url = f"https://shop.example{path}"
        got(collector, f"/r/{token()}", method=method, params={"u": url}, headers={"User-Agent": agent})
    return collector.beacons()[before:]


def test_eight_links_of_one_mail_within_a_second_were_followed_by_a_machine(collector: Collector) -> None:
    assert verdicts(clicked(collector, *(f"/{number}" for number in range(8)))) == ["machine:burst"] * 8
    assert verdicts(clicked(collector, *(f"/?p={number}" for number in range(8)))) == ["machine:burst"] * 8


def test_one_link_followed_often_and_two_links_at_once_are_a_persons(collector: Collector) -> None:
    assert verdicts(clicked(collector, "/a", "/a", "/a", "/b")) == ["confirmed:quarantine"] * 4


def test_links_that_are_followed_slowly_are_a_persons(collector: Collector) -> None:
    records = clicked(collector, *(f"/{number}" for number in range(8)))
    slow = [_at(record, NOW_MS - 10_000 * number) for number, record in enumerate(records)]
    assert verdicts(slow) == ["confirmed:quarantine"] * 8


@pytest.mark.parametrize(("after_ms", "verdict"), [(1_500, "machine:burst"), (1_501, "confirmed:quarantine")])
def test_a_burst_is_of_three_seconds_for_every_click_of_it(collector: Collector, after_ms: int, verdict: str) -> None:
    records = clicked(collector, "/0", "/1", "/2")
    times = (NOW_MS, NOW_MS + 1_500, NOW_MS + 1_500 + after_ms)
    assert verdicts([_at(record, at) for record, at in zip(records, times, strict=True)]) == [verdict] * 3


def _at(record: BeaconRecord, at_ms: int) -> BeaconRecord:
    return BeaconRecord(
        **{**{name: getattr(record, name) for name in record.__struct_fields__}, "received_at_ms": at_ms}
    )


def test_head_before_get_is_a_machines(collector: Collector) -> None:
    records = [*clicked(collector, "/a", method="HEAD"), *clicked(collector, "/a")]
    assert verdicts(records) == ["machine:head_request", "machine:head_before_get"]
    assert verdicts([*records[:1], *clicked(collector, "/b")]) == ["machine:head_request", "confirmed:quarantine"]


@pytest.mark.parametrize("delivered_first", [True, False])
@pytest.mark.parametrize(
    ("after_ms", "verdict"),
    [
        (2_000, "machine:soon_after_delivery"),
        (DELIVERY_MS + 1, "confirmed:quarantine"),
        (-5_000, "confirmed:quarantine"),
    ],
)
def test_a_click_seconds_after_delivery_is_a_machines(
    collector: Collector, delivered_first: bool, after_ms: int, verdict: str
) -> None:
    event = {"event_id": "w1", "action": "email_delivered", "occurred_at_ms": NOW_MS - after_ms}
    body = to_json({"site": "webhook", "subscriber": "s_anna", "events": [event]})
    delivered = BeaconRecord("shop", "", Source.SERVER, NOW_MS + 9_000, body, subscriber="s_anna")
    records = [delivered, *clicked(collector, "/a")]
    assert verdicts(records if delivered_first else records[::-1]) == [verdict]


def test_so_many_clicks_on_trial_and_no_more(collector: Collector) -> None:
    (record,) = clicked(collector, "/a")
    records = [_of_click(record, f"c{number}") for number in range(MAX_CLICKS + 5)]
    device, events = followed(Device(), records)
    assert len(device.clicks) == MAX_CLICKS
    assert [event.verdict for event in events[MAX_CLICKS:]] == ["machine:burst"] * 5


def _of_click(record: BeaconRecord, click: str) -> BeaconRecord:
    return BeaconRecord(**{**{name: getattr(record, name) for name in record.__struct_fields__}, "click": click})


def test_many_links_followed_from_one_network_were_followed_by_a_machine(collector: Collector) -> None:
    for number in range(12):
        got(
            collector,
            f"/r/{token(subscriber=f's_{number}')}",
            params={"u": f"https://shop.example/{number}"},
            headers={"User-Agent": CHROME},
            remote_addr="198.51.100.7",
        )
    people: dict[str, list[BeaconRecord]] = {}
    for record in collector.beacons():
        people.setdefault(record.subscriber, []).append(record)
    assert {whose: verdicts(records) for whose, records in people.items()} == {
        f"s_{number}": ["machine:network_burst"] for number in range(12)
    }


def test_a_landing_outranks_a_sign_at_once_and_after_the_quarantine() -> None:
    click = Event("shop", "s_anna", "c-1", "email_clicked", NOW_MS, provisional=True)
    landed = Event("shop", "s_anna", "c-1", "email_clicked", NOW_MS, verdict="confirmed:landed")
    machine = Event("shop", "s_anna", "c-1", "email_clicked", NOW_MS, verdict="machine:known_agent")
    waited = Event("shop", "s_anna", "c-1", "email_clicked", NOW_MS, verdict="confirmed:quarantine")
    reported = Event("shop", "s_anna", "c-1", "email_clicked", NOW_MS, verdict="machine:reported")
    assert is_news(click, landed)
    assert not is_news(landed, machine), "the sign comes after the landing"
    assert is_news(machine, landed), "the landing comes after the sign"
    assert with_verdict(machine, landed).verdict == "confirmed:landed"
    assert is_news(waited, machine)
    assert not is_news(machine, waited)
    assert is_news(landed, reported), "a server knows better"
    assert not is_news(reported, landed)
    assert not is_news(waited, landed), "nothing changes"


def test_a_token_that_is_not_believed_is_seen_by_campaign(collector: Collector) -> None:
    posted(collector, beacon(token="*|SEGMATOK|*"))
    query = {"u": "https://shop.example/?utm_campaign=spring"}
    got(collector, "/r/{{ person.token }}", params=query, headers={"User-Agent": CHROME})
    got(collector, "/o/None.gif", headers={"User-Agent": CHROME})
    page, link = (followed(Device(), [record])[1] for record in collector.beacons())
    assert [event.properties["token_problem"] for event in page] == ["token_malformed"]
    assert [(event.properties["token_problem"], event.properties["campaign"], event.provisional) for event in link] == [
        ("token_malformed", "spring", True)
    ]
    assert collector.metrics('segma_tokens_refused_total{door="sdk",reason="token_malformed"}') == 1
    assert collector.metrics('segma_tokens_refused_total{door="mail",reason="token_malformed"}') == 2


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_who_declines_is_led_on_and_nothing_is_kept(collector: Collector, header: str) -> None:
    query = {"u": "https://shop.example/", "utm_campaign": "spring"}
    headers = {"User-Agent": CHROME, header: "1"}
    answer = got(collector, f"/r/{token()}", params=query, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/?utm_campaign=spring")
    assert got(collector, f"/o/{token()}.gif", headers=headers).status_code == 200
    assert collector.log.records == []
    got(collector, f"/r/{token()}", params=query, headers={"User-Agent": CHROME, header: "0"})
    assert len(collector.beacons()) == 1


def test_a_flood_of_clicks_from_one_client_is_led_on_and_not_kept(collector: Collector) -> None:
    async def script(conductor: falcon.testing.ASGIConductor) -> list[Any]:
        query = {"u": "https://shop.example/"}
        return [await conductor.simulate_get(f"/r/{token()}", params=query) for _ in range(MAIL_SHARE.amount + 10)]

    answers = talk(collector, script)
    assert {answer.status_code for answer in answers} == {302}
    assert all(token() in answer.headers["location"] for answer in answers)
    clicks = {record.click for record in collector.beacons()}
    assert len(clicks) == MAIL_SHARE.amount
