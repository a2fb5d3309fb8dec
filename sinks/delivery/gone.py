"""People who are gone from a list without a word: who left, and when it must be asked first (docs/semantics.md 8.1, 3).

Only where a platform shows a removal by others and by the person alike, and only in a complete reading of the list.
One who is gone has left; where many are gone at once, somebody else may have taken them out, and adding them waits
until the customer says which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from contracts.accounts import Fact
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.tokens import mailbox_key
from sinks.base import Answer, Change, Done, Fate, Leaving, NoSuchList, PlatformError, Sink
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.places import place
from sinks.delivery.plan import Known, expected_lists
from sinks.toolkit.consent import GRAVER_THAN_UNCLEAR

LEAST: Final = 20
PART: Final = 10
"""More than a tenth of a list, and at least so many people, are a question."""
FRESH_MS: Final = 60_000
"""A reading in which nothing was unclear is not repeated so soon."""
log_line = structlog.get_logger("sinks")


class GoneWithoutWord:
    """What became of those who are not where Segma had put or seen them."""

    def __init__(
        self,
        sink: Sink,
        known: Known,
        *,
        status: AccountStatus,
        people: Callable[[], Iterator[DirectoryEntry]],
        send: Callable[[Sequence[Outgoing]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._sink, self._known, self._status = sink, known, status
        self._people, self._send, self._now_ms = people, send, now_ms
        self._read_at_ms: dict[str, int] = {}

    def judged(self, change: Change, answer: Answer) -> Answer:
        """The answer, after the lists from which the person is gone have been read."""
        silent = [each for each in answer.leavings if each.silent]
        if not silent:
            return answer
        told = tuple(each for each in answer.leavings if not each.silent)
        if self._known.traits.tells_removals:
            return answer._replace(leavings=told)
        try:
            unclear = [each for each in silent if each.list_name and self._is_unclear(each.list_name, change)]
        except PlatformError as error:
            return error.trouble._replace(fate=Fate.AWAY)
        if not unclear:
            return answer
        if isinstance(answer, Done) or any(each.reason in GRAVER_THAN_UNCLEAR for each in told):
            return answer._replace(leavings=told)
        return answer._replace(leavings=told, reason=Reason.UNCLEAR)

    def _is_unclear(self, list_name: str, change: Change) -> bool:
        """Whether many are gone from a list at once; those are asked about, and few have left."""
        if self._now_ms() - self._read_at_ms.get(list_name, -FRESH_MS) < FRESH_MS:
            return False
        held = dict(self._held(list_name))
        if len(held) < LEAST:
            return False
        present = self._present(list_name)
        gone = sorted(subscriber for subscriber, address in held.items() if address not in present)
        if len(gone) >= LEAST and len(gone) * PART > len(present) + len(gone):
            log_line.error("gone_at_once", account=self._known.account, list=list_name, people=len(gone))
            self._send(self._status.note(gone, list_name, Fact.UNCLEAR))
            return change.subscriber in gone
        self._read_at_ms[list_name] = self._now_ms()
        leaving = [Leaving(list_name, Reason.UNSUBSCRIBED)]
        self._send([record for each in gone for record in self._status.leave(each, leaving)])
        return False

    def _held(self, list_name: str) -> Iterator[tuple[str, str]]:
        """Who must be in the list, as far as Segma knows, with their addresses: not those who are known to be out."""
        ledger, leavings = self._known.ledger, self._known.leavings
        for entry in self._people():
            out = {*leavings.removed(entry.subscriber), *leavings.unclear(entry.subscriber)}
            known = list_name in out or place("", list_name) in ledger.doubt(entry.subscriber)
            if known or list_name not in expected_lists(entry, self._known):
                continue
            if not any(
                each.leaving.list_name == list_name for each in leavings.standing(entry.subscriber, {list_name})
            ):
                yield entry.subscriber, mailbox_key(entry.address)

    def _present(self, list_name: str) -> set[str]:
        try:
            return {mailbox_key(each.address) for each in self._sink.members(list_name)}
        except NoSuchList:
            return set()
