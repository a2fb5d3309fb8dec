"""Addresses that an account mails nothing, of a platform that cannot be asked about one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from contracts.reasons import Reason
from sinks.toolkit.answers import linked_pages


class SuppressionPage(NamedTuple):
    """A page, the newest first. ``found``: address → why; ``after``: the next page, empty after the last."""

    found: Mapping[str, Reason]
    after: str
    total: int


class Suppressions:
    """All of them, read as far as they are not known: a look costs one page where nobody new is suppressed.

    ``read`` reads a page; the first has the empty name. What it raises is raised, and nothing is remembered of it.
    """

    def __init__(self, read: Callable[[str], SuppressionPage]) -> None:
        self._read_page = read
        self._known: dict[str, Reason] = {}

    def now(self) -> Mapping[str, Reason]:
        """Address → why. Where what is known is not all there is, somebody was let go: then all are read anew."""
        known = dict(self._known)
        if self._read(known) != len(known):
            known = {}
            self._read(known)
        self._known = known
        return known

    def _read(self, known: dict[str, Reason]) -> int:
        """How many there are; adds those of the pages up to the first without anybody new."""
        total = 0

        def read(page: str) -> tuple[Sequence[str], str]:
            nonlocal total
            found, after, total = self._read_page(page)
            new = found.keys() - known.keys()
            known.update(found)
            return [*new], after if new else ""

        for _ in linked_pages(read):
            pass
        return total
