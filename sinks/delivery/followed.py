"""What follows from a leaving: the lists that were left with it, and who is taken out (docs/semantics.md 8.1, 1)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from contracts.accounts import Veto
from contracts.codec import replaced, to_json
from contracts.commands import Command, Verb, command_id_of
from contracts.log import Outgoing
from contracts.topics import moves_topic, subscriber_key
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.plan import Known

FOLLOWS: Final = "move"
"""The source of a leaving that follows from another, by the moves that link their lists."""


class FollowedLeavings:
    """Whoever left a list has left those that moves link to it, and is taken out of where moves from it led."""

    def __init__(self, status: AccountStatus, known: Known, send: Callable[[Sequence[Outgoing]], None]) -> None:
        self._status, self._known, self._send = status, known, send

    def follow(self) -> None:
        """Note and give out what follows from the leavings that were read since the last call."""
        while vetoes := self._status.new_leavings():
            for reached, commands in [reached_by(veto, self._known) for veto in vetoes]:
                new = [each for each in commands if not self._known.ledger.knows(each.command_id)]
                self._send([_given(each) for each in new])
                self._send(self._status.follow_from(reached))


def _given(command: Command) -> Outgoing:
    key = subscriber_key(command.workspace, command.subscriber)
    return Outgoing(moves_topic(command.workspace, command.account), key, to_json(command))


def reached_by(veto: Veto, known: Known) -> tuple[list[Veto], list[Command]]:
    """What follows from a leaving: the lists that were left with it, and the commands that take the person out.

    Taken out is who is there by Segma's moves alone. The commands' ids are made of the leaving, so that they are given
    once, however often it is read.
    """
    if not veto.list_name or veto.source == FOLLOWS:
        return [], []
    ledger, subscriber = known.ledger, veto.subscriber
    stands = any(each.leaving.list_name for each in known.leavings.standing(subscriber, {veto.list_name}))
    # NOTE: of a leaving that was lifted, what Segma did after it does not follow from it, whenever it is read again.
    until_ms = sys.maxsize if stands else veto.at_ms
    reached = ledger.links.reached(subscriber, veto.list_name, known.leavings.joined_in(subscriber), until_ms=until_ms)
    onward = sorted(name for name, forward in reached.items() if forward and ledger.inside(subscriber, name))
    return (
        [replaced(veto, list_name=name, list_id="", source=FOLLOWS) for name in sorted(reached)],
        [_taking_out(veto, name) for name in onward],
    )


def _taking_out(veto: Veto, list_name: str) -> Command:
    parts = ["left", veto.workspace, veto.account, veto.subscriber, veto.list_name, list_name, veto.at_ms]
    return Command(
        command_id=command_id_of(parts),
        workspace=veto.workspace,
        account=veto.account,
        subscriber=veto.subscriber,
        verb=Verb.REMOVE,
        listener="consent",
        version=0,
        match_id="",
        position=0,
        matched_at_ms=veto.at_ms,
        from_list=list_name,
    )
