"""A door before the real collector that can fail in every way a network can."""

from __future__ import annotations

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import requests

FORWARDED: Final = ("Origin", "Content-Type", "User-Agent")


class Door(ThreadingHTTPServer):
    """Passes everything on to a collector, unless :attr:`fault` says otherwise.

    ``fault``: a status (``500``), ``html`` (200 with a page), ``reset``, ``hang`` (until :attr:`released` is set), or
    empty. ``config``: what is answered for a site's configuration instead of the collector's.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, collector: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.collector = collector
        self.fault: str = ""
        self.retry_after: str = ""
        self.answers_after_s = 0.0
        """How long an answer takes beside the collector's time, as by a slow network."""
        self.config: tuple[int, bytes, str] | None = None
        self.released = threading.Event()
        self.came = threading.Condition()
        self.failed: list[bytes] = []
        """Bodies that were not passed on."""
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def refuse(self, body: bytes) -> None:
        """Remember a body that was not passed on."""
        with self.came:
            self.failed.append(body)
            self.came.notify_all()

    def wait_until_refused(self, word: str, patience_s: float) -> None:
        """Return once a body with this word was not passed on."""
        with self.came:
            found = self.came.wait_for(lambda: any(word.encode() in body for body in self.failed), patience_s)
        assert found, f"nothing with {word} came"

    def open(self) -> None:
        """All is well again."""
        self.fault = self.retry_after = ""
        self.released.set()

    def stop(self) -> None:
        """End."""
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error here."""


class _Passing(BaseHTTPRequestHandler):
    server: Door
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith("/config.json") and self.server.config is not None:
            self._answer(*self.server.config)
            return
        answer = requests.get(self.server.collector + self.path, timeout=30)
        self._answer(answer.status_code, answer.content, answer.headers.get("content-type", ""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = self.server.fault
        if self.path == "/hang" or fault == "hang":
            self.server.refuse(body)
            self.server.released.wait(60)
            fault = "reset"
        elif fault:
            self.server.refuse(body)
        if fault == "reset":
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault == "html":
            self._answer(200, b"<html>Log in to the hotel's network</html>", "text/html")
        elif fault:
            self._answer(int(fault), b"", "text/plain")
        else:
            time.sleep(self.server.answers_after_s)
            headers = {name: self.headers[name] for name in FORWARDED if self.headers[name]}
            answer = requests.post(self.server.collector + self.path, data=body, headers=headers, timeout=30)
            kind, stored = answer.headers.get("content-type", ""), answer.headers.get("segma-stored", "")
            self._answer(answer.status_code, answer.content, kind, stored)

    def _answer(self, status: int, body: bytes, kind: str, stored: str = "") -> None:
        self.send_response(status)
        self.send_header("access-control-allow-origin", "*")
        self.send_header("access-control-expose-headers", "retry-after, segma-stored")
        self.send_header("content-type", kind)
        if stored:
            self.send_header("segma-stored", stored)
        if self.server.retry_after and status >= 400:
            self.send_header("retry-after", self.server.retry_after)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
