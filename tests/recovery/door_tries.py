"""Mutated beacons, server calls, webhooks, links and pictures, drawn from a seed.

Each try is drawn from the seed and its own number, so a run goes on where its state file says, and one try can be run
again alone.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from contracts.actions import VOCABULARY
from contracts.tokens import Claims, Keyring
from tests.collector.door import KEY, NOW_MS, ORIGIN
from tests.collector.hooked import FORM, HOOK, by_hubspot, by_klaviyo, klaviyo, mailchimp, signed, subscribed

CANARY: Final = "canary@leak.example"
DEVICE: Final = "dvc-canary-51d0c7b9f3"
"""The device that many pages send: who has its id acts for its person."""
MARK: Final = re.compile(r"q(\d{8})-(\d\d)z")
"""Stands in each event twice, in its id and in a property: number of the try, and of the event in it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where the tries are sent: signatures are of a time and an address. ``issued_at_s``: of every token."""

    now_ms: int = NOW_MS
    issued_at_s: int = NOW_MS // 1_000
    host: str = "falconframework.org"

    def token(self) -> str:
        """The link token of the one person."""
        return Keyring([KEY], max_age_s=1).seal(Claims("shop", "s_anna", self.issued_at_s))

    def canaries(self) -> tuple[bytes, ...]:
        """What may be found nowhere, in lower case. NOTE: whole ones; half an address that a mutation made is none."""
        addresses = (CANARY, quote(CANARY), quote(quote(CANARY)))
        sealed = self.token().partition(".")[2][:60]
        return tuple(each.lower().encode() for each in (*addresses, sealed, DEVICE))


ACTIONS: Final = sorted(VOCABULARY)
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
    "Connection": ("close", "upgrade", ""),
    "Expect": ("100-continue", "x"),
    "DNT": ("1",),
    "Sec-GPC": ("1", "x"),
    "Sec-Purpose": ("prefetch", "\xe9"),
    "Klaviyo-Timestamp": ("9" * 15, "0001-01-01T00:00:00+23:59", "Mon, 99 Foo 0000 99:99:99 -9999"),
}


Request = dict[str, Any]
"""``method``, ``path``, ``query_string``, ``headers``, ``body``: what ``simulate_request`` takes."""


class Tries:
    """Draws requests; the same number at the same moment is the same request."""

    def __init__(self, seed: int, moment: Moment | None = None) -> None:
        self._seed, self._moment = seed, moment or Moment()

    def request(self, number: int) -> Request:
        """One request."""
        chance = random.Random(f"{self._seed}/{number}")
        request = chance.choice((self._page, self._server, self._form, self._hook, self._mail))(chance, number)
        for name, values in HEADERS.items():
            if chance.random() < 0.03:
                request["headers"] = {**request.get("headers", {}), name: chance.choice(values)}
        if "body" in request and chance.random() < 0.02:
            request["body"] = _gzipped(request["body"])
            request["headers"] = {**request["headers"], "Content-Encoding": "gzip"}
        return request

    def _events(self, chance: random.Random, number: int) -> list[dict[str, Any]]:
        count = min(chance.randint(1, 21), chance.randint(1, 21))
        return [self._event(chance, f"q{number:08d}-{each:02d}z") for each in range(count)]

    def _event(self, chance: random.Random, mark: str) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": f"e.{mark}",
            "action": chance.choice(("page_viewed", "email_clicked", *ACTIONS)),
            "occurred_at_ms": self._moment.now_ms - chance.choice((0, 0, 1, 1_000, 900_000, 90_000_000)),
            "properties": {"path": "/", "mark": mark},
        }
        where = chance.choice((event, event["properties"]))
        if chance.random() < 0.5:
            where[chance.choice((*event, "path", CANARY, "order"))] = chance.choice(VALUES)
        return event

    def _page(self, chance: random.Random, number: int) -> Request:
        body = {
            "site": "shop-key",
            "device": chance.choice((DEVICE, f"d{chance.randint(0, 500)}", f"new-{number}")),
            "sent_at_ms": self._moment.now_ms,
            "events": self._events(chance, number),
            "token": chance.choice(("", self._token(chance))),
        }
        if chance.random() < 0.2:
            body[chance.choice((*body, "click", "deferred", "schema"))] = chance.choice(VALUES)
        return _posted("/v1/beacons", _damaged(chance, json.dumps(body).encode()), {"Origin": ORIGIN})

    def _server(self, chance: random.Random, number: int) -> Request:
        body: dict[str, Any] = {
            "site": "shop-key",
            "events": self._events(chance, number),
            chance.choice(("address", "subscriber")): chance.choice((CANARY, "s_anna", f"s_{chance.randint(0, 500)}")),
        }
        if chance.random() < 0.2:
            body[chance.choice((*body, "sent_at_ms"))] = chance.choice(VALUES)
        data = _damaged(chance, json.dumps(body).encode())
        return _posted("/v1/events", data, {"Authorization": "Bearer server-secret"})

    def _form(self, chance: random.Random, number: int) -> Request:
        kind = chance.choice(("unsubscribe", "cleaned", "subscribe", "upemail", "x"))
        if chance.random() < 0.5:
            form = mailchimp(kind, **{"data[email]": CANARY, "data[id]": f"{number}"})
            return _posted(f"/v1/hooks/shop/mailchimp/{HOOK}", _damaged(chance, form), FORM)
        fields = {
            "type": chance.choice(("open", "click", "sent", kind)),
            "contact[email]": CANARY,
            "link[url]": _url(chance),
            "campaign[id]": f"{number}",
        }
        return _posted(f"/v1/hooks/shop/activecampaign/{HOOK}", _damaged(chance, urlencode(fields).encode()), FORM)

    def _hook(self, chance: random.Random, number: int) -> Request:
        value = chance.choice(VALUES)
        bodies = (
            klaviyo(("opened_email", {"email": CANARY, "campaign": f"{number}"})),
            subscribed(("hs_email_optout", "true"), ("email", CANARY)),
            json.dumps([{"action": value, "address": CANARY}, {"action": "email_opened", "address": value}]).encode(),
            json.dumps([{"action": "email_opened", "address": CANARY, "campaign": f"{number}", "at": value}]).encode(),
            json.dumps({"data": [{"topic": value, "payload": value}]}).encode(),
            json.dumps([{"objectId": value, "propertyName": value, "occurredAt": value}]).encode(),
        )
        data = _damaged(chance, chance.choice(bodies))
        account = chance.choice(("klaviyo", "hubspot", "mailchimp", "nobody"))
        if chance.random() < 0.6:
            return _posted(f"/v1/hooks/shop/{account}/{HOOK}", data, {})
        path = f"/v1/hooks/shop/{account}"
        now_s = self._moment.now_ms // 1_000
        try:
            headers = chance.choice(
                (
                    lambda: signed(data, at_s=now_s, message=f"m{number}"),
                    lambda: by_hubspot(data, at_ms=now_s * 1_000, address=f"https://{self._moment.host}{path}"),
                    lambda: by_klaviyo(data, at_s=now_s),
                )
            )()
        except UnicodeDecodeError:
            headers = {}
        return _posted(path, data, headers)

    def _mail(self, chance: random.Random, number: int) -> Request:
        said = quote(self._token(chance), safe=chance.choice(("", "&?#%")))
        path = chance.choice((f"/r/{said}", f"/o/{said}.gif", f"/sdk/{said}/segma.js", f"/v1/sites/{said}/config.json"))
        campaign = f"q{number:08d}-00z {CANARY}"
        query = f"u={chance.choice((quote(_url(chance), safe=''), _url(chance)))}&utm_campaign={quote(campaign)}"
        return {
            "method": chance.choice(("GET", "GET", "GET", "HEAD", "OPTIONS", "PUT")),
            "path": path,
            "query_string": query.replace("?", "%3F"),
        }

    def _token(self, chance: random.Random) -> str:
        sound = self._moment.token()
        cut = chance.randint(0, len(sound))
        return chance.choice(
            (
                *(sound, sound, sound[:cut], sound + "…", sound + "&amp;x", sound[:cut] + "é" + sound[cut:]),
                *("*|T|*", "{{ person.token }}", "None", CANARY),
            )
        )


def _posted(path: str, body: bytes, headers: dict[str, str]) -> Request:
    return {"method": "POST", "path": path, "body": body, "headers": headers}


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


def _url(chance: random.Random) -> str:
    host = chance.choice(("shop.example", "SHOP.example:443", "müller.example", "a@b.example", "[::1", "x..y", ""))
    path, query = chance.choice(("größe", "caf%E9", "%", "", CANARY)), chance.choice(("flag", "a=b;c", "%zz", ""))
    return f"https://{host}/{path}?{query}"


def _damaged(chance: random.Random, body: bytes) -> bytes:
    if chance.random() < 0.7:
        return body
    place = chance.randint(0, len(body))
    return body[:place] + chance.choice(SIGNS) + body[place + chance.randint(0, 3) :]
