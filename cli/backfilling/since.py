"""A version that goes live takes its past over: asked for, made of the history, told to the flow (SEMANTICS 9)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final, NamedTuple

from contracts.codec import replaced, to_json
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.topics import EVENTS, subscriber_key
from contracts.versions import NOTICE_MS, ListenerVersion
from flows.backtest.past import PastFound
from flows.language.model import Listener, Not, Repeat
from flows.machine.compiled import minds_membership

SETTLED_MS: Final = 5_000
"""After the instant up to which the past comes from the history: whoever had late events waiting has them by then."""
BEGUN_ANEW_MS: Final = 86_400_000
"""A past that was asked for longer ago than this is asked for anew: what the flow holds meanwhile is bounded."""
MAX_STATE_BYTES: Final = 600_000
"""Larger ones are not told: a record of the log holds no more. So busy is a machine."""
BATCH: Final = 500


class PastTally(NamedTuple):
    """People whose past is told, its runs in flight, people who have matched by then, people with too much of it."""

    people: int = 0
    runs: int = 0
    matched: int = 0
    too_large: int = 0

    def with_one(self, found: PastFound) -> PastTally:
        """The same, and a person more."""
        if is_too_large(found):
            return self._replace(too_large=self.too_large + 1)
        return self._replace(people=self.people + 1, runs=self.runs + found.runs, matched=self.matched + found.matched)


def is_too_large(found: PastFound) -> bool:
    """Whether a state is more than a record of the log holds."""
    return len(found.past.state) > MAX_STATE_BYTES


def why_not(listener: Listener) -> str:
    """Why a listener cannot take a past over, in words; empty: it can."""
    if minds_membership(listener):
        return "asks for lists, tags or the end of a visit, which the flow makes itself"
    if isinstance(listener.sequence[0], Not):
        return "begins with a `not`, which would have to know what came before the past that is asked for"
    return ""


def asked(version: ListenerVersion, reach_ms: int, now_ms: int) -> ListenerVersion:
    """The version, a shadow still, as it asks for its past; the very same where it has asked within a day."""
    if version.past_until_ms is not None and now_ms - version.past_until_ms < BEGUN_ANEW_MS:
        return version
    until_ms = max(now_ms + NOTICE_MS, version.shadow_from_ms)
    return replaced(version, live_from_ms=None, past_from_ms=max(until_ms - reach_ms, 0), past_until_ms=until_ms)


def tallied(pasts: Iterable[PastFound]) -> PastTally:
    """What there is to be told."""
    tally = PastTally()
    for each in pasts:
        tally = tally.with_one(each)
    return tally


def tell(log: Log, pasts: Iterable[PastFound]) -> PastTally:
    """Tell the flow each person's past, in the order of their events; what was told. Raises :class:`LogError`."""
    tally, left = PastTally(), iter(pasts)
    publisher = log.publisher()
    try:
        while batch := list(itertools.islice(left, BATCH)):
            for each in batch:
                tally = tally.with_one(each)
            for fault in publisher.publish([_record(each) for each in batch if not is_too_large(each)]):
                if isinstance(fault, LogError):
                    raise fault
    finally:
        publisher.close()
    return tally


def _record(found: PastFound) -> Outgoing:
    past = found.past
    return Outgoing(EVENTS, subscriber_key(past.workspace, past.subscriber), to_json(past))


def repeats_once(listener: Listener) -> bool:
    """Whether who matched before is never moved by it."""
    return listener.repeat is Repeat.ONCE
