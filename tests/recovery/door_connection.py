"""A client's connection to the collector's door, which sends what no library would."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Final

from tests.recovery.door_tries import Request

ANSWER_S: Final = 60.0
"""Longer than any time-out of the door's: what is not answered by then is told as such."""


@dataclasses.dataclass
class Answer:
    """What the door said; status 0: it hung up without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return str(json.loads(self.body).get("reason")) if self.body[:1] == b"{" else ""


class Connection:
    """One client's connection, made anew where the door or the request closed it. Sends what no library would."""

    def __init__(self, port: int, client: str) -> None:
        self._port, self.client = port, client
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request, host: str) -> Answer:
        """One request and its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(written(request, host, self.client))
            answer, goes_on = await asyncio.wait_for(_answer(reader, request["method"]), ANSWER_S)
        except (OSError, EOFError, ValueError):
            answer, goes_on = Answer(0, {}, b""), False
        if not goes_on or not _is_plain(request):
            self.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def written(request: Request, host: str, client: str) -> bytes:
    """A request as bytes on the wire. Headers of the request's own stand instead of the usual ones."""
    body = request.get("body", b"")
    headers = {"Host": host, "User-Agent": "Mozilla/5.0 (X11)", "X-Forwarded-For": client}
    headers |= {"Content-Length": str(len(body))} if body else {}
    headers |= request.get("headers", {})
    query = f"?{request['query_string']}" if request.get("query_string") else ""
    lines = [f"{request['method']} {request['path']}{query} HTTP/1.1".encode()]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    return b"\r\n".join([*lines, b"", body])


def _is_plain(request: Request) -> bool:
    """Whether what follows on the connection is read as the next request."""
    return not {"Content-Length", "Connection", "Expect"} & set(request.get("headers", {}))


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[Answer, bool]:
    """An answer, and whether the connection stays open."""
    while True:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        status = int(first.split(" ")[1])
        if status >= 200:
            break
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if method == "HEAD" or status == 204 else int(headers.get("content-length", "0"))
    body = await reader.readexactly(length)
    return Answer(status, headers, body), headers.get("connection") != "close"
