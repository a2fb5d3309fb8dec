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
        venv = made.stdout.strip()
        self.mailbox = self.directory / "mailbox"
        self.smtp, smtp_port = self._catching(venv)
        run = str(ROOT / "infra/mailman/run.sh")
        command = [run, venv, str(self.directory), str(self.port), KEY, str(smtp_port)]
        with (self.directory / "stderr").open("wb") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"GNU Mailman did not start: {(self.directory / 'stderr').read_text()[-2_000:]}")
            time.sleep(0.2)  # Mailman has no event to wait for

    def _catching(self, venv: str) -> tuple[subprocess.Popen[bytes], int]:
        """An SMTP server that keeps every mail, and its port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        keeps = ["-c", "aiosmtpd.handlers.Mailbox", str(self.mailbox)]
        command = [f"{venv}/bin/python", "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", *keeps]
        silent = subprocess.DEVNULL
        return subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent), port

    def mails(self, domain: str) -> list[str]:
        """Every mail that Mailman sent of or to a domain: who wrote to whom about what.

        A mail is in a queue before the call that causes it is answered, and leaves it when the next one has it.
        """
        queues = [self.directory / "var/queue" / name for name in ("virgin", "out")]
        deadline = time.monotonic() + PATIENCE_S
        while any(each.is_dir() and any(each.iterdir()) for each in queues):
            if time.monotonic() > deadline:
                raise AssertionError("Mailman's queues do not empty")
            time.sleep(0.05)  # Mailman has no event to wait for
        found = [each.read_text("utf-8", "replace") for each in sorted(self.mailbox.glob("new/*"))]
        kept = ("from:", "to:", "subject:")
        heads = [[line for line in each.splitlines()[:40] if line.lower().startswith(kept)] for each in found]
        return [" | ".join(head) for each, head in zip(found, heads, strict=True) if domain in each]

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
        self.smtp.terminate()
        self.smtp.wait(30)
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
        form = {"emails": address.lower()}  # as the person would, but without the goodbye mail that is theirs
        self._ask("DELETE", f"/lists/{self._address(list_name)}/roster/member", **form)

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

    def mails(self) -> list[str]:
        return self.server.mails(self.domain)

    def config(self, list_name: str, **settings: str) -> dict[str, Any]:
        """A list's settings, after these were changed; the list is made as Mailman makes it."""
        address = self._address(list_name)
        self._ask("POST", "/domains", mail_host=self.domain)
        self._ask("POST", "/lists", fqdn_listname=address)
        if settings:
            self._ask("PATCH", f"/lists/{address}/config", **settings).raise_for_status()
        found: dict[str, Any] = self._ask("GET", f"/lists/{address}/config").json()
        return found

    def ban(self, address: str, list_name: str) -> None:
        self._ask("POST", f"/lists/{self._address(list_name)}/bans", email=address).raise_for_status()

    def membership(self, address: str, list_name: str) -> dict[str, Any]:
        """How somebody is in a list: ``delivery_mode``, ``delivery_status``."""
        path = f"/lists/{self._address(list_name)}/member/{address}"
        number = self._ask("GET", path).json()["member_id"]
        found: dict[str, Any] = self._ask("GET", f"/members/{number}/all/preferences").json()
        return found

    def prefer(self, address: str, list_name: str, **preferences: str) -> None:
        number = self._ask("GET", f"/lists/{self._address(list_name)}/member/{address}").json()["member_id"]
        self._ask("PATCH", f"/members/{number}/preferences", **preferences).raise_for_status()

    def vanish_list(self, list_name: str) -> None:
        self._ask("DELETE", f"/lists/{self._address(list_name)}").raise_for_status()

    def vanish_person(self, address: str) -> None:
        self._ask("DELETE", f"/addresses/{address.lower()}")
