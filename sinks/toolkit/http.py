"""The one way of the sinks over HTTP: paced, bounded, judged. (Why not the vendors' clients: docs/adr/0007.)

What every call has, whatever the platform: a time-out to connect, one between bytes, one for the whole answer; at most
:data:`MAX_BYTES` of answer, read in pieces, so that neither 50 MB nor an endless answer fills the memory; no redirect
is followed, so a key reaches no other host; nothing is taken from the environment (no netrc, whose password would
replace ours); no address and no key in an error.
"""

from __future__ import annotations

import contextlib
import copy
import email.utils
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from contracts.codec import MAX_DEPTH, depth_exceeds, to_json
from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble
from sinks.toolkit.answers import MISSHAPEN, unreadable
from sinks.toolkit.rate_limit import RateLimit

MAX_BYTES: Final = 8 * 1024 * 1024
"""Largest answer read: a page of 1,000 people is under 3 MB on every platform."""
PIECE: Final = 64 * 1024
LONGEST_WAIT_S: Final = 86_400.0
MAX_WORDS: Final = 120

T = TypeVar("T")
R = TypeVar("R")


class Reply(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises :class:`Halt` where it is none: what the platform did is then unknown."""
        value = self.json_or_none()
        if value is None:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{self.status}, not JSON"))
        return value

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises as :meth:`json`."""
        value = self.json()
        if not isinstance(value, dict):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{self.status}, no JSON object"))
        return value

    def items(self, *names: str, null: bool = False) -> list[dict[str, Any]]:
        """The list of objects under these names, of a reading; :class:`Halt` where it was refused: nobody is at fault.

        Without a name: the body itself. ``null``: the platform writes null for an empty list.
        """
        value: Any = self.json() if self.ok else None
        there = self.ok
        for name in names:
            there = isinstance(value, dict) and name in value
            value = value.get(name) if isinstance(value, dict) else None
        if value is None and there and null:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{self.status}, no {'.'.join(names)}"))
        return value

    def read(self) -> dict[str, Any]:
        """The body of a reading as a JSON object; :class:`Halt` where it was refused."""
        if not self.ok:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{self.status}"))
        return self.object()

    def is_missing(self, name: str) -> bool:
        """Return whether the platform says that there is no such thing: by a 404 of its own form, with this field.

        :class:`Halt` for any other 404: a proxy's page is no word of the platform's, and nobody is gone for it.
        """
        if self.status != 404:
            return False
        said = self.json_or_none()
        if not isinstance(said, dict) or not said.get(name) or not isinstance(said[name], str | list):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"404, no {name}"))
        return True

    def json_or_none(self) -> Any:
        """The body as JSON; None where it is none."""
        if depth_exceeds(self.body, MAX_DEPTH * 2):
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


Judge = Callable[[Reply], Trouble | None]
"""What an answer means for the whole call; None: it is for the caller to read."""


def usual(reply: Reply) -> Trouble | None:
    """Return the meaning of a status where a platform documents nothing else (RFC 9110, 6585)."""
    if reply.status in {401, 403}:
        return Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, f"{reply.status}")
    if reply.status == 429:
        return Trouble(Reason.THROTTLED, Fate.AWAY, "429", wait_s=waits_s(reply))
    if reply.status == 408 or reply.status >= 500:
        return Trouble(Reason.UNREACHABLE, Fate.AWAY, f"{reply.status}", wait_s=waits_s(reply))
    if 300 <= reply.status < 400:
        return Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}, redirected")
    return None


def refused(reply: Reply, words: str = "") -> Trouble:
    """Return the trouble of one person's call: lasting; or passing, for the statuses of "not now" (409, 423, 425)."""
    fate = Fate.PASSING if reply.status in {409, 423, 425} else Fate.LASTING
    return Trouble(Reason.REFUSED_BY_PLATFORM, fate, safe_words(f"{reply.status} {words}"))


def safe_words(text: object) -> str:
    """A platform's words without what may be an address, a link or a key: safe for a log and a row."""
    words = [word for word in str(text)[:2_000].split() if len(word) <= 40 and not set(word) & set("@/%+=")]
    return " ".join(words)[:MAX_WORDS]


def waits_s(reply: Reply) -> float:
    """Return the seconds of ``Retry-After``, also where it is a date beside the answer's own ``Date``; else 0."""
    asked = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _until(asked, reply.headers.get("date", ""))
    return 0.0 if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WAIT_S)


def _until(date: str, now: str) -> float:
    with contextlib.suppress(ValueError, TypeError):
        return (email.utils.parsedate_to_datetime(date) - email.utils.parsedate_to_datetime(now)).total_seconds()
    return 0.0


class Limits(NamedTuple):
    """Time-outs in seconds, and how many connections at once."""

    connect_s: float = 5.0
    read_s: float = 20.0
    whole_s: float = 60.0
    connections: int = 1


DEFAULT_LIMITS: Final = Limits()


class Http:
    """One account's connections."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        rate_limit: RateLimit,
        now_ms: Callable[[], int],
        limits: Limits = DEFAULT_LIMITS,
        judge: Judge = usual,
    ) -> None:
        self._base, self._rate_limit, self._now_ms = base_url.rstrip("/"), rate_limit, now_ms
        self._limits, self._judge, self._headers = limits, judge, dict(headers)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": "segma", "Accept-Encoding": "identity"})
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=limits.connections, max_retries=0)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        self._pool = ThreadPoolExecutor(limits.connections, thread_name_prefix="segma-sink")

    def beside(self, base_url: str, headers: Mapping[str, str]) -> Http:
        """Another host of the account, with a login of its own; connections, pace and judge are shared."""
        other = copy.copy(self)
        other._base, other._headers = base_url.rstrip("/"), dict(headers)
        return other

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        bucket: str = "all",
        form: Mapping[str, str] | None = None,
        media: str = "application/json",
        headers: Mapping[str, str] | None = None,
        hear: frozenset[int] = frozenset(),
    ) -> Reply:
        """Make one call. Raises :class:`Halt` for trouble of the whole account; the caller reads every other answer.

        ``hear``: statuses that are the caller's in this call, whatever they mean elsewhere.
        """
        sent: dict[str, Any] = {"params": query, "headers": {**self._headers, "Accept": media, **(headers or {})}}
        if form is not None:
            sent["data"] = dict(form)
        elif body is not None:
            sent["data"] = body if isinstance(body, bytes) else to_json(body)
            sent["headers"]["Content-Type"] = media
        try:
            with self._rate_limit.call(bucket, method):
                reply = self._read(method, f"{self._base}{path}", sent)
        except (requests.RequestException, OSError, ValueError) as error:
            # NOTE: the type alone: requests' messages hold the URL, and a URL may hold an address.
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, type(error).__name__)) from None
        trouble = self._judge(reply) if reply.status not in hear else None
        if trouble is not None and trouble.fate in {Fate.AWAY, Fate.FATAL}:
            raise Halt(trouble)
        return reply

    def file(self, url: str, hosts: Sequence[str]) -> Reply:
        """A file that the platform made and named, below one of ``hosts`` or at its own address: without any key.

        Raises :class:`Halt` for an address elsewhere, one that is not encrypted, and where there is no such file.
        """
        parts, own = urlsplit(url), urlsplit(self._base)
        at, there = (own.scheme, own.netloc), (parts.scheme, parts.netloc)
        named = parts.scheme == "https" and any(f".{parts.hostname or ''}".endswith(f".{host}") for host in hosts)
        if not (named or there == at):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "a file at an unknown host"))
        try:
            reply = self._read("GET", url, {"headers": {"Accept": "*/*"}})
        except (requests.RequestException, OSError, ValueError) as error:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, type(error).__name__)) from None
        if not reply.ok:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, f"{reply.status}, a file"))
        return reply

    def together(self, ask: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Ask for each, over as many connections as the platform allows; in order. Raises the first :class:`Halt`."""
        if len(items) <= 1 or self._limits.connections == 1:
            return [ask(item) for item in items]
        return list(self._pool.map(ask, items))

    def apart(self, ask: Callable[[T], R | Trouble], items: Sequence[T]) -> list[R | Trouble]:
        """As :meth:`together`, one person each: an answer that cannot be read is the trouble of that person alone."""

        def one(item: T) -> R | Trouble:
            try:
                return ask(item)
            except MISSHAPEN as error:
                return unreadable(error)

        return self.together(one, items)

    def close(self) -> None:
        """Release the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._session.close()
        self._rate_limit.close()

    def _read(self, method: str, url: str, sent: dict[str, Any]) -> Reply:
        limits = self._limits
        started_ms = self._now_ms()
        with self._session.request(
            method, url, timeout=(limits.connect_s, limits.read_s), allow_redirects=False, stream=True, **sent
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "compressed, though it was asked not to be"))
            pieces, size = [], 0
            # NOTE: ``read1`` comes back with whatever one look at the socket brings; anything else would wait for a
            # whole piece, and an answer that trickles for ever would never let the whole time-out be looked at.
            while piece := response.raw.read1(PIECE, decode_content=False):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_BYTES:
                    raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "too large"))
                if self._now_ms() - started_ms > limits.whole_s * 1_000:
                    raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, "the answer does not end"))
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, b"".join(pieces))
