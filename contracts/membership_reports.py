"""Joinings and leavings that others than Segma tell of, as records of ``beacons`` (SEMANTICS 9)."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, to_json, to_msgpack
from contracts.log import Outgoing
from contracts.masking import masked
from contracts.membership import LIST_JOINED, LIST_LEFT
from contracts.topics import BEACONS, subscriber_key


class MembershipReport(NamedTuple):
    """One person joined or left one list, by its name, at ``at_ms``.

    ``by``: one of :data:`contracts.membership.BY_OTHERS`. ``told_as``: the platform's id of the report, or the import's
    run: the same report told again has the same event id.
    """

    workspace: str
    account: str
    subscriber: str
    list_name: str
    joined: bool
    by: str
    at_ms: int
    told_as: str

    @property
    def action(self) -> str:
        """``list_joined`` or ``list_left``."""
        return LIST_JOINED if self.joined else LIST_LEFT

    @property
    def event_id(self) -> str:
        """The first 32 hexadecimal digits of a SHA-256, as SEMANTICS 9 makes it for others."""
        own = ["membership", self.account, self.list_name, self.subscriber, self.action, self.told_as]
        return hashlib.sha256(to_json(own)).hexdigest()[:32]

    def record(self, door: str, source: Source, now_ms: int) -> Outgoing:
        """The report as a server's beacon. ``door``: who hands it over, such as ``import``; never later than now."""
        sent = {
            "event_id": self.event_id,
            "action": self.action,
            "occurred_at_ms": min(self.at_ms, now_ms),
            "properties": {"account": self.account, "list": self.list_name, "by": self.by},
        }
        body = masked(to_json(ServerBeacon(door, [Raw(to_json(sent))], self.subscriber)))
        beacon = BeaconRecord(self.workspace, "", source, now_ms, body, subscriber=self.subscriber)
        return Outgoing(BEACONS, subscriber_key(self.workspace, self.subscriber), to_msgpack(beacon))
