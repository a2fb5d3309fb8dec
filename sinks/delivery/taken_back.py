"""What the flow is told of commands that changed nothing: their matches' events are taken back (SEMANTICS 9). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, to_json, to_msgpack
from contracts.commands import Outcome, Result, Verb
from contracts.log import Outgoing
from contracts.membership import COMMAND_UNCHANGED
from contracts.reasons import Reason
from contracts.topics import BEACONS, subscriber_key

_CHANGES_LISTS: Final = {Verb.MOVE, Verb.ADD, Verb.REMOVE, Verb.TAG, Verb.UNTAG}


def unchanged(outcomes: Iterable[Outcome]) -> list[Outgoing]:
    """A record for each command of a match that is done with and changed nothing.

    Where the list is as wanted already, or a later command stands there, the match's events stay: it is, or was, so.
    """
    return [_told(each) for each in outcomes if _changed_nothing(each)]


def _changed_nothing(outcome: Outcome) -> bool:
    own = outcome.match_id and not outcome.undoes and not outcome.restates and outcome.verb in _CHANGES_LISTS
    ended = outcome.result in {Result.SKIPPED, Result.FAILED} and outcome.reason != Reason.SUPERSEDED
    return bool(own) and ended and not outcome.changed


def _told(outcome: Outcome) -> Outgoing:
    said = {"account": outcome.account, "match": outcome.match_id, "position": outcome.position}
    event = {
        "event_id": f"unchanged-{outcome.command_id}",
        "action": COMMAND_UNCHANGED,
        "occurred_at_ms": outcome.at_ms,
        "properties": {**said, "reason": outcome.reason},
    }
    body = to_json(ServerBeacon("delivery", [Raw(to_json(event))], outcome.subscriber))
    record = BeaconRecord(outcome.workspace, "", Source.SERVER, outcome.at_ms, body, subscriber=outcome.subscriber)
    return Outgoing(BEACONS, subscriber_key(outcome.workspace, outcome.subscriber), to_msgpack(record))
