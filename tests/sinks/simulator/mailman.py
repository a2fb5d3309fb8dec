"""GNU Mailman itself, behind a door that can fail: nothing about it is imitated.

The environment is made once by ``infra/mailman/install.sh`` and kept in ``.segma/mailman``; one server runs for a test
session. Each bed has a domain of its own in it, so beds never meet.
"""

from __future__ import annotations

import base64
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests

from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import World

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 180.0
_domains = itertools.count(1)


class RealMailman:
    """The running server."""

    def __init__(self) -> None:
        environment = {**os.environ, "SEGMA_PYTHON": sys.executable}
        script = str(ROOT / "infra/mailman/install.sh")
        made = subprocess.run([script], check=True, capture_output=True, text=True, env=environment)
        self.directory = Path(tempfile.mkdtemp(prefix="segma-mailman-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/3.1"
        self.session = requests.Session()
        self.session.auth = ("segma", KEY)
        command = [str(ROOT / "infra/mailman/run.sh"), made.stdout.strip(), str(self.directory), str(self.port), KEY]
        with (self.directory / "stderr").open("wb") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"GNU Mailman did not start: {(self.directory / 'stderr').read_text()[-2_000:]}")
            time.sleep(0.2)  # Mailman has no event to wait for

    def _answers(self) -> bool:
        try:
            return self.session.get(f"{self.url}/system/versions", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        self.session.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def members(self, address: str) -> set[str]:
        reply = self.session.get(f"{self.url}/lists/{address}/roster/member", timeout=30)
        return {each["email"] for each in reply.json().get("entries", [])} if reply.ok else set()


@functools.cache
def real() -> RealMailman:
    """The session's server; ``tests/conftest.py`` stops it."""
    return RealMailman()


def stop_real() -> None:
    """Stop the session's server, if it was ever started."""
    if real.cache_info().currsize:
        real().stop()
        real.cache_clear()


class Mailman:
    """A dialect that passes everything on."""

    name = "mailman"
    described = False
    quotas: Quotas = MappingProxyType({})
    leaves_everything = False
    sends_tags = False

    def __init__(self) -> None:
        self.server = real()
        self.domain = f"d{next(_domains)}-{os.getpid()}.example.org"

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        wanted = "Basic " + base64.b64encode(f"segma:{KEY}".encode()).decode()
        return None if asked.headers.get("Authorization") == wanted else self.bad_key()

    def bad_key(self) -> Answer:
        return Answer(401, {"title": "401 Unauthorized", "description": "REST API authorization failed"})

    def throttled(self, wait_s: float) -> Answer:
        return Answer(503, b"busy", {"Retry-After": f"{wait_s:.2f}"}, media="text/plain")

    def handle(self, asked: Asked, world: World) -> Answer:
        reply = self.server.session.request(
            asked.method,
            f"http://127.0.0.1:{self.server.port}{asked.path}",
            params=asked.query,
            data=asked.raw,
            headers={"Content-Type": asked.headers["Content-Type"]} if asked.raw else {},
            timeout=60,
        )
        return Answer(reply.status_code, reply.content, media=reply.headers.get("Content-Type", "application/json"))

    def leave(self, world: World, address: str, list_name: str) -> None:
        self._ask("DELETE", f"/lists/{self._address(list_name)}/member/{address.lower()}")

    def _address(self, list_name: str) -> str:
        from sinks.platforms.mailman import address_of

        return address_of(list_name, self.domain)

    def _ask(self, method: str, path: str, **form: Any) -> requests.Response:
        return self.server.session.request(method, f"{self.server.url}{path}", data=form or None, timeout=60)

    def put(self, address: str, list_name: str) -> None:
        self._ask("POST", "/domains", mail_host=self.domain)
        self._ask("POST", "/lists", fqdn_listname=self._address(list_name))
        form = {"list_id": self._address(list_name).replace("@", "."), "subscriber": address.lower()}
        flags = dict.fromkeys(("pre_verified", "pre_confirmed", "pre_approved"), "true")
        self._ask("POST", "/members", **form, **flags, send_welcome_message="false").raise_for_status()

    def members(self, list_name: str) -> set[str]:
        return self.server.members(self._address(list_name))

    def vanish_list(self, list_name: str) -> None:
        self._ask("DELETE", f"/lists/{self._address(list_name)}").raise_for_status()

    def vanish_person(self, address: str) -> None:
        self._ask("DELETE", f"/addresses/{address.lower()}")
