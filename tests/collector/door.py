"""A collector in memory: the real application and spool, over a log that can be told to be away."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import falcon.testing
from prometheus_client import generate_latest

from collector.app import create_app
from collector.capture_requests import Captured
from collector.config import Bundle, Script, load_sites
from collector.core import ClockAndIds, Core
from collector.intake import Intake
from collector.proxies import Proxies
from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader
from contracts.errors import LogUnavailable
from contracts.installation import check_installation
from contracts.log import Outgoing, PublishOutcome, Stored
from contracts.rows import DeadLetter
from contracts.tokens import Claims, Keyring, TokenKey
from contracts.topics import BEACONS, DEAD_LETTERS
from tests.coroutines import run_apart
from transport.spool import Spool

NOW_MS = 1_800_000_000_000
SECRET = b"s" * 40
OTHER_SECRET = b"o" * 40
KEY = TokenKey("k1", bytes(range(64)))
ORIGIN = "https://shop.example"
DEVICE = "dvc-0123456789abcdefghij"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}

_read_beacon = msgpack_reader(BeaconRecord)
_read_letter = msgpack_reader(DeadLetter)


class MemoryLog:
    """A log of one list; ``away`` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.away = False

    def publisher(self) -> MemoryLog:
        return self

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        if self.away:
            return [LogUnavailable("away") for _ in records]
        self.records.extend(records)
        return [Stored(0, 0, NOW_MS) for _ in records]

    def submit(self, records: Sequence[Outgoing], done: Callable[[list[PublishOutcome]], None]) -> None:
        done(self.publish(records))

    def close(self) -> None:
        pass


def keyring() -> Keyring:
    """The keys that the collector has."""
    return Keyring([KEY], max_age_s=86_400)


def token(
    workspace: str = "shop",
    *,
    age_s: int = 0,
    destination: str = "",
    key: TokenKey = KEY,
    subscriber: str = "s_anna",
) -> str:
    """A token of a subscriber."""
    claims = Claims(workspace, subscriber, NOW_MS // 1_000 - age_s, destination)
    return Keyring([key], max_age_s=1).seal(claims)


def beacon(**changes: Any) -> dict[str, Any]:
    """A sound beacon, changed."""
    event = {"event_id": "e1", "action": "page_viewed", "occurred_at_ms": NOW_MS, "properties": {"path": "/"}}
    return {"site": "shop-key", "device": "d1", "sent_at_ms": NOW_MS, "events": [event], **changes}


class Collector:
    """The application with its stored records."""

    def __init__(
        self,
        home: Path,
        *,
        spool_bytes: int = 1_000_000,
        rate: int = 100_000,
        max_events: int = 3,
        origins: Sequence[str] = (ORIGIN,),
        proxies: Proxies | None = None,
    ) -> None:
        for name, data in (("secret", SECRET), ("other", OTHER_SECRET), ("server", b"server-secret")):
            (home / name).write_bytes(data)
        (home / "keys").write_text(f"k1 {KEY.secret.hex()}\n")
        site = {
            "key": "shop-key",
            "origins": list(origins),
            "redirect_hosts": ["shop.example", "shop.example:8443"],
            "server_key": {"file": "server"},
            "max_body_bytes": 2_000 if max_events == 3 else 65_536,
            "max_events": max_events,
            "capture": ["keys"],
            "rate_per_s": rate,
            "rate_burst": rate,
        }
        other = {"key": "other-key", "origins": ["https://other.example"], "redirect_hosts": ["other.example"]}
        installation = check_installation(
            {
                "token_keys": {"file": "keys"},
                "token_max_age": "1d",
                "workspaces": {
                    "shop": {"secret": {"file": "secret"}, "sites": {"shop": site}},
                    "other": {"secret": {"file": "other"}, "sites": {"site": other}},
                },
            },
            where="segma.yaml",
        )
        self.log = MemoryLog()
        self.numbers = iter(range(1_000_000))
        self.spool_path, self.spool_bytes = home / "0.spool", spool_bytes
        sites = load_sites(installation, beside=home / "segma.yaml")
        outside = ClockAndIds(lambda: NOW_MS, lambda: f"click{next(self.numbers)}")
        sets = {"clicks": Script(b"/* clicks */"), "forms+scroll": Script(b"/* two */")}
        self.captured = Captured()
        self.core = Core(sites, Bundle(Script(b"/* sdk */"), sets), outside, self._open, self.captured, proxies=proxies)
        self.app = create_app(self.core)

    def _open(self) -> Intake:
        log: Any = self.log
        return Intake(log, Spool(self.spool_path, self.spool_bytes))

    def metrics(self, sample: str) -> float:
        """The value of one sample, as it stands in the metrics."""
        lines = generate_latest(self.core.meters.registry).decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} "))

    def beacons(self) -> list[BeaconRecord]:
        return [_read_beacon(each.value) for each in self.log.records if each.topic == BEACONS and each.value]

    def letters(self) -> list[DeadLetter]:
        return [_read_letter(each.value) for each in self.log.records if each.topic == DEAD_LETTERS and each.value]


Talk = Callable[[falcon.testing.ASGIConductor], Awaitable[Any]]


def talk(collector: Collector, script: Talk) -> Any:
    """Run a conversation with the application, from its start to its end."""

    async def conversation() -> Any:
        async with falcon.testing.ASGIConductor(collector.app) as conductor:
            return await script(conductor)

    return run_apart(conversation())


def posted(
    collector: Collector, body: Any, *, path: str = "/v1/beacons", headers: dict[str, str] | None = None
) -> falcon.testing.Result:
    """Post one body (bytes as they are, anything else as JSON) from the shop's page."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Origin": ORIGIN, "Content-Type": "text/plain"} if headers is None else headers

    async def script(conductor: falcon.testing.ASGIConductor) -> falcon.testing.Result:
        return await conductor.simulate_post(path, body=data, headers=sent)

    result: falcon.testing.Result = talk(collector, script)
    return result


def got(collector: Collector, path: str, *, method: str = "GET", **options: Any) -> falcon.testing.Result:
    """Ask for one path."""

    async def script(conductor: falcon.testing.ASGIConductor) -> falcon.testing.Result:
        answer: falcon.testing.Result = await conductor.simulate_request(method, path, **options)
        return answer

    result: falcon.testing.Result = talk(collector, script)
    return result


def reason(result: falcon.testing.Result) -> str:
    """Why the door refused."""
    return str(json.loads(result.text)["reason"])
