"""Ghost itself, made by ``infra/ghost/install.sh`` and run by ``run.sh``: nothing about it is imitated. Not for CI.

Its owner, an integration and that one's key are made as a person would, by the endpoints of Ghost's own pages. Every
mail that it sends is kept.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0
OWNER = {"email": "owner@example.org", "password": "trip-of-segma-1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def made_by(script: str) -> str:
    """What an ``install.sh`` prints: where it is."""
    environment = {**os.environ, "SEGMA_PYTHON": sys.executable}
    return subprocess.run(
        [str(ROOT / script)], check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout.strip()


class RealGhost:
    """The running server. Use as a context."""

    def __init__(self) -> None:
        made, mailman = made_by("infra/ghost/install.sh"), made_by("infra/mailman/install.sh")
        self.directory = Path(tempfile.mkdtemp(prefix="segma-ghost-"))
        self.mailbox = self.directory / "mailbox"
        self.port, smtp_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        silent, keeps = subprocess.DEVNULL, ["-c", "aiosmtpd.handlers.Mailbox", str(self.mailbox)]
        command = [f"{mailman}/bin/python", "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{smtp_port}", *keeps]
        self._smtp = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
        self.said = self.directory / "said"
        run = [str(ROOT / "infra/ghost/run.sh"), made, str(self.directory / "site"), str(self.port), str(smtp_port)]
        with self.said.open("wb") as said:
            self._process = subprocess.Popen(run, stdin=silent, stdout=said, stderr=said, start_new_session=True)
        self._session = requests.Session()
        self._session.headers.update({"Origin": self.url})
        try:
            self._await()
            self.key = self._set_up()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> RealGhost:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def asked(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """What Ghost answers its owner; None: nothing."""
        reply = self._session.request(method, f"{self.url}/ghost/api/admin{path}", json=body, params=query, timeout=60)
        assert reply.ok, (method, path, reply.status_code, reply.text[:500])
        return reply.json() if reply.content[:1] == b"{" else None

    def mails(self) -> list[str]:
        """Who every mail so far went to, and what it is about."""
        found = [each.read_text("utf-8", "replace") for each in sorted(self.mailbox.glob("new/*"))]
        kept = ("to:", "subject:")
        heads = [[line for line in each.splitlines()[:40] if line.lower().startswith(kept)] for each in found]
        return [" | ".join(head) for head in heads]

    def sql(self, statement: str) -> str:
        """What the database answers: for what only other parts of Ghost write there, such as a bounced mail."""
        made = ROOT / ".segma/ghost/root/usr"
        environment = {**os.environ, "LD_LIBRARY_PATH": str(made / "lib/x86_64-linux-gnu")}
        command = [str(made / "bin/mariadb"), "-S", str(self.directory / "site/db"), "-N", "ghost", "-e", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    def stop(self) -> None:
        self._session.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._smtp.terminate()
        self._smtp.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _await(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"Ghost did not start: {self.said.read_text('utf-8', 'replace')[-3_000:]}")
            time.sleep(0.2)  # Ghost has no event to wait for

    def _answers(self) -> bool:
        try:
            return self._session.get(f"{self.url}/ghost/api/admin/site/", timeout=5).ok
        except requests.RequestException:
            return False

    def _set_up(self) -> str:
        """The key of an integration of the owner's."""
        owner: Mapping[str, str] = {"name": "Owner", "blogTitle": "Shop", **OWNER}
        self.asked("POST", "/authentication/setup/", {"setup": [owner]})
        self.asked("POST", "/session/", {"username": OWNER["email"], "password": OWNER["password"]})
        made = self.asked("POST", "/integrations/", {"integrations": [{"name": "Segma"}]}, include="api_keys")
        (key,) = [each["secret"] for each in made["integrations"][0]["api_keys"] if each["type"] == "admin"]
        return str(key)
