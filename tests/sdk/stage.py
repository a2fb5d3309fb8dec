"""A plain static site with one script tag, a real collector behind it, and a real Chromium in front of it.

What a test asserts on is read from the log behind the collector: the records of ``beacons``, decoded.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import requests

from contracts.beacons import Beacon, BeaconRecord, SentEvent, Source
from contracts.captures import Captures, CaptureValue
from contracts.codec import json_reader, msgpack_reader, to_json
from contracts.log import Outgoing
from contracts.tokens import Claims, Keyring, TokenKey
from contracts.topics import BEACONS, CAPTURES
from transport import open_log
from transport.config import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
DIST: Final = ROOT / "js-sdk" / "dist"
PATIENCE_S: Final = 60.0
"""How long anything may take before a test gives up: it never sleeps so long, it waits for the event."""
KEY: Final = TokenKey("k1", bytes(range(64)))
SITE: Final = "site-key"
SECRET: Final = b"s" * 40
SERVER_KEY: Final = b"the-servers-secret"

SECRETS: Final = (
    "password-canary",
    "4111111111111111",
    "4111 1111",
    "onetime-canary",
    "typed-canary",
    "paragraph-canary",
    "pasted-canary",
    "masked-canary",
    "jo@example.org",
    "jo%40example.org",
    "parameter-canary",
    "file-canary",
)
"""What tests type, copy, paste and hide: none of it may leave a page, in no test."""

_read_record: Final = msgpack_reader(BeaconRecord)
_read_beacon: Final = json_reader(Beacon)
_read_event: Final = json_reader(SentEvent)

ASKED: Final[dict[str, tuple[CaptureValue, ...]]] = {
    "key_pressed": ("Escape", "ArrowUp ArrowUp ArrowDown"),
    "key_held": ("ArrowDown",),
    "key_released": ("Escape",),
    "letter_typed": ("x", "help"),
    "shortcut_pressed": ("ctrl+s", "Ctrl+K ctrl+l"),
    "mouse_pressed": ("img.product",),
    "mouse_moved": (),
    "mouse_over": ("img.product",),
    "content_copied": (),
    "content_pasted": (),
    "scrolled_past": (40, "#prices"),
    "hovered": ("figure.card",),
}
"""What the stage's live listeners ask for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One event as it stands in the log, with its beacon."""

    event: SentEvent
    beacon: Beacon
    record: BeaconRecord

    @property
    def action(self) -> str:
        """The event's action."""
        return self.event.action


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RealCollector:
    """``python -m collector`` over an embedded log in a directory."""

    def __init__(self, home: Path, origins: list[str], *, workspace: str = "") -> None:
        """``workspace``: more lines of the workspace in ``segma.yaml``."""
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        home.mkdir(parents=True, exist_ok=True)
        (home / "secret").write_bytes(SECRET)
        (home / "keys").write_text(f"k1 {KEY.secret.hex()}\n")
        (home / "server").write_bytes(SERVER_KEY)
        hosts = [origin.partition("://")[2] for origin in origins]
        (home / "segma.yaml").write_text(
            "token_keys: {file: keys}\npartitions: 1\nworkspaces:\n  shop:\n    secret: {file: secret}\n    sites:\n"
            f"      site: {{key: {SITE}, origins: {origins}, redirect_hosts: {hosts},"
            " capture: [keys, mouse, clipboard],"
            " server_key: {file: server}, rate_per_s: 100000, rate_burst: 100000}\n" + workspace
        )
        self.environment = {
            **os.environ,
            "SEGMA_CONFIG": str(home / "segma.yaml"),
            "SEGMA_DATA": str(home / "data"),
            "SEGMA_SDK": str(DIST / "segma.js"),
            "SEGMA_COLLECTOR_PORT": str(self.port),
        }
        self._output = (home / "collector.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "collector"], env=self.environment, stdout=self._output, stderr=self._output
        )
        self._await_ready()
        self.log = open_log(Settings(data=home / "data"))
        self._reader = self.log.reader(BEACONS)
        self.stored: list[Stored] = []
        self.times: Counter[tuple[str, str]] = Counter()
        """Device and event id → how often it stands in the log."""

    def _await_ready(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/ready", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.02)
        raise AssertionError((self.home / "collector.log").read_text())

    def ask(self, actions: Mapping[str, tuple[CaptureValue, ...]]) -> None:
        """Publish what live listeners need, as the flow does, and wait until the collector tells browsers."""
        publisher = self.log.publisher()
        publisher.publish([Outgoing(CAPTURES, b"shop", to_json(Captures("shop", dict(actions))))])
        publisher.close()
        self.await_asked(actions)

    def await_asked(self, actions: Mapping[str, tuple[CaptureValue, ...]]) -> None:
        """Return once the collector tells browsers that this is asked for."""
        wanted = {name: list(values) for name, values in actions.items()}
        until = time.monotonic() + PATIENCE_S
        while requests.get(f"{self.url}/v1/sites/{SITE}/config.json", timeout=5).json()["capture"] != wanted:
            assert time.monotonic() < until, "the collector does not hear of it"
            time.sleep(0.02)

    def look(self, timeout_s: float = 0.0) -> None:
        """Take in what the log has now. An event that came twice counts once, as it does in the flow."""
        for record in self._reader.poll(1_000, timeout_s):
            if record.value is None:
                continue
            beacon_record = _read_record(record.value)
            if beacon_record.source is not Source.SDK:
                continue
            beacon = _read_beacon(beacon_record.body)
            for raw in beacon.events:
                event = _read_event(bytes(raw))
                self.times[beacon.device, event.event_id] += 1
                if self.times[beacon.device, event.event_id] == 1:
                    self.stored.append(Stored(event, beacon, beacon_record))

    def wait_for(self, fits: Callable[[list[Stored]], bool]) -> list[Stored]:
        """Everything stored, once it fits."""
        until = time.monotonic() + PATIENCE_S
        while True:
            self.look(0.2)
            if fits(self.stored):
                return list(self.stored)
            assert time.monotonic() < until, [each.action for each in self.stored]

    def wait_for_action(self, action: str, count: int = 1) -> list[Stored]:
        """The events of an action, once there are so many."""
        found = self.wait_for(lambda stored: sum(each.action == action for each in stored) >= count)
        return [each for each in found if each.action == action]

    def forget(self) -> None:
        """Begin anew: what is in the log now belongs to nobody."""
        self.look()
        self.stored.clear()

    def stop(self) -> None:
        """End the process."""
        self._reader.close()
        self.log.close()
        self._process.terminate()
        self._process.wait(30)
        self._output.close()


def token(subscriber: str = "s_anna") -> str:
    """The token of a person, as it stands in a mail's link."""
    return Keyring([KEY], max_age_s=10**9).seal(Claims("shop", subscriber, int(time.time())))


class StaticSite(ThreadingHTTPServer):
    """Files from memory, nothing else: no login, no back end. Remembers every request's path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.files: dict[str, tuple[bytes, str]] = {}
        self.headers: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        """Path → the ``Location`` that it is answered with."""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def put(self, path: str, content: str | bytes, kind: str = "text/html; charset=utf-8") -> str:
        """Serve this under a path; its address."""
        self.files[path] = (content.encode() if isinstance(content, str) else content, kind)
        return self.url + path

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error here."""

    def stop(self) -> None:
        """End."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Files(BaseHTTPRequestHandler):
    server: StaticSite
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        if location := self.server.redirects.get(self.path):
            self.send_response(302)
            self.send_header("location", location)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        content, kind = self.server.files.get(self.path.partition("?")[0], (b"", ""))
        first, last, status = 0, len(content) - 1, 200 if kind else 404
        if wanted := self.headers.get("range"):
            # NOTE: media elements seek by ranges.
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last, status = int(start), min(int(end or last), last), 206
        self.send_response(status)
        self.send_header("content-type", kind or "text/plain")
        self.send_header("content-length", str(last - first + 1))
        self.send_header("accept-ranges", "bytes")
        if status == 206:
            self.send_header("content-range", f"bytes {first}-{last}/{len(content)}")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


BUILDS: Final = ("minified", "source", "module")


def tag(build: str, collector: str, attributes: str = "") -> str:
    """The one tag that a page needs, for a build of the SDK."""
    if build == "module":
        options = "{" + f'site: "{SITE}", collector: "{collector}"' + "}"
        return (
            '<script type="module">import * as sdk from "/index.mjs"; const { start, ...features } = sdk;'
            f"window.segma = start({options}, Object.values(features));</script>"
        )
    name = {"minified": "/segma.js", "source": "/segma.source.js"}[build]
    return f'<script src="{name}" data-site="{SITE}" data-collector="{collector}" {attributes}></script>'


def serve_builds(site: StaticSite) -> None:
    """The builds as files of the site."""
    for name in ("segma.js", "segma.source.js", "index.mjs"):
        site.put(f"/{name}", (DIST / name).read_bytes(), "text/javascript")
