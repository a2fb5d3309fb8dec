"""Mutated beacons, server calls, webhooks, links and pictures against every door of the collector, and what the flow
makes of what the doors let in.

::

    python -m tests.recovery.doors_fuzz --seed 7 --tries 100000 --state fuzz.json

Each try is drawn from the seed and its own number, so a run goes on where its state file says, and one try can be run
again alone. It prints what was tried, what was refused by reason, answers 5xx (0), events lost (0: each event of a 2xx
is an event or a dead letter), states that could not be written (0) and canaries found (0).

NOTE: application, spool, ``recognise`` and codecs are the real ones; the log is a list, and no other process runs.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import click
import falcon.testing

from contracts.codec import to_json, to_msgpack
from contracts.log import Record
from contracts.rows import EventRow
from contracts.topics import BEACONS
from flows.recognise import Device, recognise
from tests.collector.door import NOW_MS, ORIGIN, Collector, beacon, token
from tests.collector.hooked import FORM, HOOK, RULES, by_app, klaviyo, mailchimp, signed, subscribed, with_doors

CANARY: Final = "canary@leak.example"
CANARIES: Final = (
    *(each.encode().lower() for each in (CANARY, quote(CANARY), quote(quote(CANARY)))),
    token().partition(".")[2][:60].lower().encode(),
)
"""NOTE: whole ones; half an address that a mutation made is none."""
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308, float("nan"), float("inf"), 0.1),
    *("", "x", "\0", "\ud83d", "\ude00x", "ü" * 50, "a" * 9_000, "\u202e", "*|TOKEN|*", CANARY, f"see {CANARY}!"),
    *([], {}, [[]] * 3, {"\0": 1}, {"": {"": {}}}, ["x"] * 3_000, {"a": {"b": [1, {"c": CANARY}]}}),
)
SIGNS: Final = (
    b"\xff",
    b"\0",
    b"\xed\xa0\x80",
    b'"',
    b"{",
    b"[",
    b"]",
    b"}",
    b",",
    b"\\",
    b"9" * 400,
    b"1e999",
    b"NaN",
)
HEADERS: Final = {
    "Content-Type": ("text/plain", "application/json; charset=utf-16", "multipart/form-data", "\xe9", ""),
    "Content-Encoding": ("gzip", "br", "identity", "gzip, gzip"),
    "Content-Length": ("-1", "x", "99999999999"),
    "Origin": (ORIGIN, "null", "https://x.example", CANARY, "\xff"),
    "Authorization": ("Bearer server-secret", "Bearer \xe9", "Basic x", ""),
    "User-Agent": ("", "Mozilla/5.0", f"of {CANARY}", "\xe9" * 300),
    "X-Forwarded-For": ("1.2.3.4", "x, y", "\xe9", "," * 500),
    "Forwarded": ("for=1.2.3.4", 'for="[::', "host=\xe9;proto=x", ";" * 90),
    "webhook-timestamp": ("99999999999", "x", "-1", ""),
    "X-HubSpot-Request-Timestamp": ("9" * 15, "x"),
    "Klaviyo-Timestamp": ("9" * 15, "0001-01-01T00:00:00+23:59", "Mon, 99 Foo 0000 99:99:99 -9999"),
}


class Tries:
    """Draws requests; the same number is the same request."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def request(self, number: int) -> dict[str, Any]:
        """One request for ``simulate_request``."""
        chance = random.Random(f"{self._seed}/{number}")
        request = chance.choice((self._page, self._server, self._form, self._hook, self._mail))(chance)
        for name, values in HEADERS.items():
            if chance.random() < 0.04:
                request["headers"] = {**request.get("headers", {}), name: chance.choice(values)}
        return request

    def _event(self, chance: random.Random) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": f"e{chance.random()}",
            "action": "page_viewed",
            "occurred_at_ms": NOW_MS,
            "properties": {"path": "/"},
        }
        where = chance.choice((event, event["properties"]))
        if chance.random() < 0.5:
            where[chance.choice((*event, "path", CANARY, "order"))] = chance.choice(VALUES)
        return event

    def _page(self, chance: random.Random) -> dict[str, Any]:
        body = beacon(
            events=[self._event(chance) for _ in range(chance.randint(1, 20))],
            token=chance.choice(("", _token(chance))),
        )
        if chance.random() < 0.2:
            body[chance.choice((*body, "click", "deferred", "schema"))] = chance.choice(VALUES)
        return _posted("/v1/beacons", _damaged(chance, json.dumps(body).encode()), {"Origin": ORIGIN})

    def _server(self, chance: random.Random) -> dict[str, Any]:
        body: dict[str, Any] = {
            "site": "shop-key",
            "events": [self._event(chance) for _ in range(chance.randint(1, 20))],
            chance.choice(("address", "subscriber")): chance.choice((CANARY, "s_anna")),
        }
        if chance.random() < 0.2:
            body[chance.choice((*body, "sent_at_ms"))] = chance.choice(VALUES)
        data = _damaged(chance, json.dumps(body).encode())
        return _posted("/v1/events", data, {"Authorization": "Bearer server-secret"})

    def _form(self, chance: random.Random) -> dict[str, Any]:
        kind = chance.choice(("unsubscribe", "cleaned", "subscribe", "upemail", "x"))
        if chance.random() < 0.5:
            return _posted(
                f"/v1/hooks/shop/mailchimp/{HOOK}", _damaged(chance, mailchimp(kind, **{"data[email]": CANARY})), FORM
            )
        form = {
            "type": chance.choice(("open", "click", "sent", kind)),
            "contact[email]": CANARY,
            "link[url]": _url(chance),
        }
        return _posted(f"/v1/hooks/shop/activecampaign/{HOOK}", _damaged(chance, urlencode(form).encode()), FORM)

    def _hook(self, chance: random.Random) -> dict[str, Any]:
        value = chance.choice(VALUES)
        bodies = (
            klaviyo(("opened_email", {"email": CANARY})),
            subscribed(("hs_email_optout", "true"), ("email", CANARY)),
            json.dumps([{"action": value, "address": CANARY}, {"action": "email_opened", "address": value}]).encode(),
            json.dumps({"data": [{"topic": value, "payload": value}]}).encode(),
            json.dumps([{"objectId": value, "propertyName": value, "occurredAt": value}]).encode(),
        )
        data = _damaged(chance, chance.choice(bodies))
        account = chance.choice(("klaviyo", "hubspot", "mailchimp", "nobody"))
        if chance.random() < 0.6:
            return _posted(f"/v1/hooks/shop/{account}/{HOOK}", data, {})
        try:
            headers = chance.choice((signed, by_app))(data)
        except UnicodeDecodeError:
            headers = {}
        return _posted(f"/v1/hooks/shop/{account}", data, headers)

    def _mail(self, chance: random.Random) -> dict[str, Any]:
        said = quote(_token(chance), safe=chance.choice(("", "&?#%")))
        path = chance.choice((f"/r/{said}", f"/o/{said}.gif", f"/sdk/{said}/segma.js", f"/v1/sites/{said}/config.json"))
        query = f"u={chance.choice((quote(_url(chance), safe=''), _url(chance)))}&utm_campaign={quote(CANARY)}"
        return {
            "method": chance.choice(("GET", "HEAD", "OPTIONS", "PUT")),
            "path": path,
            "query_string": query.replace("?", "%3F"),
        }


def _posted(path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    return {"method": "POST", "path": path, "body": body, "headers": headers}


def _url(chance: random.Random) -> str:
    host = chance.choice(("shop.example", "SHOP.example:443", "müller.example", "a@b.example", "[::1", "x..y", ""))
    path, query = chance.choice(("größe", "caf%E9", "%", "", CANARY)), chance.choice(("flag", "a=b;c", "%zz", ""))
    return f"https://{host}/{path}?{query}"


def _token(chance: random.Random) -> str:
    sound = token()
    cut = chance.randint(0, len(sound))
    return chance.choice(
        (sound, sound[:cut], sound + "…", sound + "&amp;x", sound[:cut] + "é" + sound[cut:], "*|T|*", CANARY)
    )


def _damaged(chance: random.Random, body: bytes) -> bytes:
    if chance.random() < 0.7:
        return body
    place = chance.randint(0, len(body))
    return body[:place] + chance.choice(SIGNS) + body[place + chance.randint(0, 3) :]


class Judge:
    """Looks at answers and at what was stored; counts what must not be."""

    def __init__(self, counts: collections.Counter[str]) -> None:
        self.counts = counts

    def look(self, collector: Collector, request: dict[str, Any], status: int, reason: str) -> None:
        """One request's answer, and the records that came of it."""
        self.counts["tried"] += 1
        if status >= 500:
            self.counts["5xx"] += 1
        elif status >= 400:
            self.counts[f"refused {reason}"] += 1
        made = len(collector.letters())
        for record in collector.beacons():
            device, events, refused = recognise(Device(), record, Record(BEACONS, 0, 0, NOW_MS, b"k", b""), RULES)
            made += len(events) + len(refused)
            try:
                to_msgpack(device)
                [to_json(EventRow(event)) for event in events]
            except Exception:  # any at all is what is looked for
                self.counts["states not written"] += 1
        sent = _sent_events(request)
        if status == 204 and made < sent:
            self.counts["lost"] += sent - made
        kept = b"".join(each.key + (each.value or b"") for each in collector.log.records if each.topic != "subscribers")
        self.counts["canaries"] += any(each in kept.lower() for each in CANARIES)


def _sent_events(request: dict[str, Any]) -> int:
    """How many events a request holds, where it is JSON that says so."""
    if request["path"] not in {"/v1/beacons", "/v1/events"}:
        return 0
    try:
        events = json.loads(request["body"])["events"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return len(events) if isinstance(events, list) else 0


async def run(home: Path, seed: int, first: int, tries: int, counts: collections.Counter[str]) -> None:
    """Run tries from ``first`` on; ``counts`` takes what was seen."""
    collector = with_doors(home, max_events=20)
    drawn, judge = Tries(seed), Judge(counts)
    async with falcon.testing.ASGIConductor(collector.app) as conductor:
        for number in range(first, first + tries):
            request = drawn.request(number)
            try:
                answer = await conductor.simulate_request(**request)
            except (UnicodeError, ValueError):
                counts["not sent"] += 1  # no client can send this
                continue
            reason = str(json.loads(answer.content).get("reason")) if answer.content[:1] == b"{" else ""
            judge.look(collector, request, answer.status_code, reason)
            if counts["5xx"] or counts["lost"] or counts["states not written"] or counts["canaries"]:
                click.echo(f"try {number}: {answer.status_code} {reason} {str(request)[:2000]}", err=True)
                return
            collector.log.records.clear()


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--tries", default=10_000, show_default=True)
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Where to go on from, and to write to.")
def main(seed: int, tries: int, state: Path | None) -> None:
    """Try the doors; ends with 1 where anything was seen that must not be."""
    counts: collections.Counter[str] = collections.Counter()
    if state is not None and state.exists():
        counts.update(json.loads(state.read_text())[str(seed)])
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory), seed, counts["tried"] + counts["not sent"], tries, counts))
    if state is not None:
        state.write_text(json.dumps({seed: counts}))
    for name in ("5xx", "lost", "states not written", "canaries"):
        counts[name] += 0
    for name, count in sorted(counts.items()):
        click.echo(f"{count:>9}  {name}")
    sys.exit(any(counts[name] for name in ("5xx", "lost", "states not written", "canaries")))


if __name__ == "__main__":
    main()
