"""How many of each site's visitors said no by their browser: read from the metrics of the collector's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

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


class LoadCounts:
    """Asks every worker of the collector. ``addresses``: of their metrics; none: nothing is known."""

    def __init__(self, addresses: Sequence[str], text_of: Callable[[str], str] = text_at) -> None:
        self._addresses, self._text_of = tuple(addresses), text_of

    def of(self, workspace: str) -> Mapping[str, Loads]:
        """The loads of a workspace's sites, by name. Raises :class:`NoLoads` where one worker's are not known."""
        if not self._addresses:
            raise NoLoads("SEGMA_COLLECTOR_METRICS_URLS")
        return counted(map(self._text_of, self._addresses), workspace)


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
