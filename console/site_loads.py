"""How many of each site's visitors said no by their browser: read from the metrics of the collector's workers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import requests
from prometheus_client.parser import text_string_to_metric_families

from contracts.errors import SegmaError

TIMEOUT_S: Final = 2
MOST_BYTES: Final = 1 << 20
SAMPLE: Final = "segma_sdk_loads_total"


class NoLoads(SegmaError):
    """A worker of the collector does not tell its metrics."""


class Loads(NamedTuple):
    """Loads of the SDK by a site's pages since the collector's start. ``declined``: by browsers that said no."""

    declined: int = 0
    others: int = 0

    @property
    def percent(self) -> float:
        """Those that declined, of a hundred; 0 where nothing was loaded."""
        return 100 * self.declined / max(self.declined + self.others, 1)


def text_at(url: str) -> str:
    """The text at an address of the installation's own, no proxy between. Raises :class:`NoLoads`."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, timeout=TIMEOUT_S, stream=True, allow_redirects=False) as answer:
                answer.raise_for_status()
                return next(answer.iter_content(MOST_BYTES), b"").decode("utf-8", "replace")
    except requests.RequestException as error:
        raise NoLoads(type(error).__name__) from None


def addresses_of(host: str) -> list[str]:
    """Every address that a name has, once each: of IPv4, or of IPv6 where it has none. Raises :class:`NoLoads`."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NoLoads("name not known") from None
    # NOTE: a name that has both leads to the same processes twice.
    family = socket.AF_INET if any(each[0] == socket.AF_INET for each in found) else socket.AF_INET6
    return list(dict.fromkeys(str(each[4][0]) for each in found if each[0] == family))


def each_behind(url: str, resolve: Callable[[str], Sequence[str]] = addresses_of) -> list[str]:
    """The URL once for each address of its host: behind a headless service's name stands every collector.

    One of https stays as it is: its certificate is the name's. Raises :class:`NoLoads`.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return [url]
    hosts = [f"[{each}]" if ":" in each else each for each in resolve(parts.hostname)]
    port = f":{parts.port}" if parts.port else ""
    return [parts._replace(netloc=f"{host}{port}").geturl() for host in hosts]


class LoadCounts:
    """Asks every worker of the collector. ``addresses``: of their metrics; none: nothing is known.

    ``behind``: the addresses that one of these leads to, such as :func:`each_behind`.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        text_of: Callable[[str], str] = text_at,
        behind: Callable[[str], Sequence[str]] = lambda url: [url],
    ) -> None:
        self._addresses, self._text_of, self._behind = tuple(addresses), text_of, behind

    def of(self, workspace: str) -> Mapping[str, Loads]:
        """The loads of a workspace's sites, by name. Raises :class:`NoLoads` where one worker's are not known."""
        if not self._addresses:
            raise NoLoads("SEGMA_COLLECTOR_METRICS_URLS")
        workers = dict.fromkeys(each for url in self._addresses for each in self._behind(url))
        return counted(map(self._text_of, workers), workspace)


def counted(texts: Iterable[str], workspace: str) -> Mapping[str, Loads]:
    """The loads that metrics tell of a workspace's sites. Raises :class:`NoLoads` where a text is none of metrics."""
    found: dict[str, Loads] = {}
    for text in texts:
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError:
            raise NoLoads("no metrics") from None
        for sample in (each for family in families for each in family.samples if each.name == SAMPLE):
            own, _, site = sample.labels.get("site", "").partition("/")
            if own == workspace:
                had, count = found.get(site, Loads()), int(sample.value)
                declined = sample.labels.get("declined") == "yes"
                found[site] = Loads(had.declined + count * declined, had.others + count * (not declined))
    return found
