"""A login by OAuth 2.0 whose refresh token is another after each use: kept in a file, before anything is done by it.

A refresh token that was used and whose successor is lost cannot be had again without a person at a browser. So the
successor is on the disk before the access token that came with it is used, the processes of an account take turns, and
each looks first whether another one has refreshed. What stays open is the moment between the platform's answer and the
disk: a process that dies there has to be authorised anew, unless the platform lets the token stay the same.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from contracts.codec import Value, json_reader, to_json
from contracts.errors import SegmaError
from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble
from sinks.toolkit.answers import Unreadable, text, unreadable, whole_number, words
from sinks.toolkit.http import Http

PRIVATE: Final = 0o600
TURN_S: Final = 0.1
TURNS: Final = 900
"""How often the lock is tried: another process may wait for the platform's answer for a minute."""


class Issued(NamedTuple):
    """An answer to a refresh token. ``refresh`` empty: the one that was sent stays good."""

    access: str
    refresh: str
    lifetime_s: int


def by_refresh_token(http: Http, path: str, client: str, secret: str = "") -> Callable[[str], Issued]:
    """What asks for an access token (RFC 6749, 6): by the client's secret, or of a public client by its name alone."""
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"} if secret else {}

    def exchange(refresh: str) -> Issued:
        form = {"grant_type": "refresh_token", "refresh_token": refresh, **({} if secret else {"client_id": client})}
        reply = http.ask("POST", path, form=form, headers=headers, bucket="login")
        said = reply.object()
        if reply.status == 400 and said.get("error"):
            known = said["error"] == "invalid_grant"
            answer = "400, the refresh token is spent or too old: authorise anew" if known else "400, no login"
            raise Halt(Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, answer))
        said = reply.read()
        try:
            return Issued(text(said, "access_token"), words(said, "refresh_token"), whole_number(said, "expires_in"))
        except Unreadable as error:
            raise Halt(unreadable(error)._replace(fate=Fate.AWAY)) from None

    return exchange


class Held(Value, frozen=True):
    """What the file holds. ``seed``: the digest of the refresh token in the settings that all of it came from."""

    access: str
    refresh: str
    until_ms: int
    seed: str


_held: Callable[[bytes], Held] = json_reader(Held)


class RefreshedLogin:
    """Access tokens of one account. Safe to share between threads, and between processes of the same data folder."""

    def __init__(
        self,
        exchange: Callable[[str], Issued],
        *,
        seed: str,
        path: Path,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        self._exchange, self._seed, self._path = exchange, seed, path
        self._now_ms, self._pause, self._lock = now_ms, pause, threading.Lock()
        self._digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
        self._known: Held | None = None
        self._unkept: Held | None = None
        """Issued, and not on the disk yet: it is kept before anything else is asked for."""

    def token(self, refused: str = "") -> str:
        """An access token; another one than ``refused``. Raises :class:`Halt` where there is none to be had."""
        with self._lock:
            if self._known is None or not self._is_good(self._known, refused):
                self._known = self._renewed(refused)
            return self._known.access

    def _renewed(self, refused: str) -> Held:
        try:
            with self._turn():
                held = self._read()
                if held is not None and self._unkept is None and self._is_good(held, refused):
                    return held
                return self._kept(self._unkept or self._refreshed(held))
        except OSError as error:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, f"the login's file: {error.strerror}")) from None

    def _refreshed(self, held: Held | None) -> Held:
        refresh = held.refresh if held is not None else self._seed
        found = self._exchange(refresh)
        until_ms = self._now_ms() + found.lifetime_s * 900
        return Held(found.access, found.refresh or refresh, until_ms, self._digest)

    def _kept(self, found: Held) -> Held:
        """Replace the file at once: a crash leaves the one before or this one."""
        self._unkept = found
        temporary = self._path.with_suffix(".new")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as file:
            file.write(to_json(found))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._unkept = None
        return found

    def _read(self) -> Held | None:
        """What is kept; None where nothing is, or it came from another authorisation than the settings' one."""
        try:
            held = _held(self._path.read_bytes())
        except (FileNotFoundError, SegmaError, ValueError):
            return None
        return held if held.seed == self._digest else None

    def _is_good(self, held: Held, refused: str) -> bool:
        return held.access != refused and self._now_ms() < held.until_ms

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Alone among the processes of the account."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            self._wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> None:
        for _ in range(TURNS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._pause(TURN_S)
            else:
                return
        raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, "another process holds the login"))
