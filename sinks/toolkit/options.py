"""The options that all accounts have, and the parts that a sink is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.installation import DurationMs, SecretAt
from contracts.log import Log
from sinks.base import Sink
from sinks.toolkit.http import Http, Judge, Limits, usual
from sinks.toolkit.rate_limit import Quota, RateLimit


def _safe_url(url: str) -> str:
    """Only where a key cannot be read on the way: https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}):
        raise ValueError("an https address (http only on this machine)")
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("an address of host and path alone: keys stand in options of their own")
    return url


SafeUrl = Annotated[str, AfterValidator(_safe_url)]


class Options(BaseModel):
    """The options of every account reached over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quotas: dict[str, list[tuple[Annotated[int, Field(gt=0)], DurationMs]]] = {}
    """Instead of the platform's published quotas: bucket → so many calls in such a time, such as ``[100, 10s]``."""
    timeout: DurationMs = 20_000
    """How long the platform may be silent within a call; a whole call may take three times as long."""


class Around(NamedTuple):
    """A sink's parts beside its options. ``name``: workspace/account; ``secret`` reads one, for a field.

    ``strangers``, ``known``: the account's settings of that name (:class:`contracts.installation.Account`).
    """

    name: str
    data: Path
    pause: Callable[[float], None]
    now_ms: Callable[[], int]
    secret: Callable[[SecretAt, str], str]
    log: Log | None = None
    strangers: str | None = None
    known: str = "confirmed"
    paces: list[RateLimit] | None = None
    """Takes in the limits on the calls of the sink that is made."""

    def http(
        self,
        options: Options,
        url: str,
        headers: Mapping[str, str],
        *,
        quotas: Mapping[str, Sequence[Quota]],
        connections: int = 1,
        judge: Judge = usual,
    ) -> Http:
        """The account's connections, with its pace kept under the data."""
        path = self.data / f"pace.{self.name.replace('/', '.')}.db"
        rate_limit = RateLimit({**quotas, **options.quotas}, path=path, now_ms=self.now_ms, pause=self.pause)
        if self.paces is not None:
            self.paces.append(rate_limit)
        silent_s = options.timeout / 1_000
        limits = Limits(min(5.0, silent_s), silent_s, 3 * silent_s, connections)
        return Http(url, headers, rate_limit=rate_limit, now_ms=self.now_ms, limits=limits, judge=judge)


class Kind(NamedTuple):
    """A kind of account: the model of its options, how its sink is made, whether the platform has tags, and the quotas
    that it publishes: kind of call → calls in a window of ms.
    """

    options: type[BaseModel]
    make: Callable[[Any, Around], Sink]
    tags: bool = False
    quotas: Mapping[str, Sequence[Quota]] = {}
