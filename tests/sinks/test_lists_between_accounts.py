"""A list that moved from one account to another: deleted here, unknown there (docs/sinks.md, "When lists change")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Fact, Veto
from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome, Result
from contracts.log import Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import (
    OUTCOMES,
    SUBSCRIBERS,
    VETOES,
    account_topics,
    fact_key,
    fixed_topics,
    moves_topic,
    subscriber_key,
)
from sinks.delivery.loop import Delivery
from tests.sinks.beds import now_ms
from tests.sinks.consent_bed import Fuse, MemoryLog, sink_over
from tests.sinks.courier import command
from tests.sinks.served import ANNA, IMITATED
from tests.sinks.simulator.imitation import imitations
from tests.sinks.simulator.world import World

_outcome = json_reader(Outcome)


class Accounts:
    """Two accounts at one kind of platform, each with people and lists of its own, over one log."""

    def __init__(self, name: str, data: Path) -> None:
        self._imitation, self._data = imitations()[name], data
        self.log: Any = MemoryLog(now_ms, Fuse())
        self.log.ensure([*fixed_topics(1), *account_topics("w", "here"), *account_topics("w", "there")])
        entry = DirectoryEntry("w", "s_anna", ANNA)
        self.log.store(Outgoing(SUBSCRIBERS, subscriber_key("w", "s_anna"), to_json(entry)))
        self.dialects = {account: self._imitation.dialect() for account in ("here", "there")}
        self.worlds = {account: getattr(self._imitation.dialect, "world", World)() for account in self.dialects}
        for world in self.worlds.values():
            world.put(ANNA, "other")

    def asks(self, account: str, to_list: str, from_list: str = "", **more: Any) -> tuple[Outcome, Command]:
        """How a command at one of the accounts ends, with a process of its own."""
        given = command(to_list, from_list, account=account, **more)
        self.log.store(Outgoing(moves_topic("w", account), b"k", to_json(given)))
        around = {"now_ms": now_ms, "log": self.log, "strangers": "add", "known": "confirmed"}
        world, options = self.worlds[account], dict(self._imitation.options)
        sink = sink_over(self.dialects[account], world, Fuse(), options, around=around, data=self._data / account)
        options = {"now_ms": now_ms, "pause": lambda seconds: None, "stopping": lambda: False}
        delivery = Delivery(self.log, sink, workspace="w", account=account, **options)
        while delivery.round():
            pass
        delivery.close()
        found = [_outcome(each.value) for each in self.log.records[OUTCOMES]]
        return next(each for each in found if each.command_id == given.command_id), given


@pytest.fixture
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Accounts:
    return Accounts(request.param, tmp_path)


@pytest.mark.parametrize("accounts", IMITATED, indirect=True)
def test_a_list_that_moved_is_deleted_here_and_unknown_there(accounts: Accounts) -> None:
    here, there = accounts.worlds["here"], accounts.worlds["there"]
    here.put(ANNA, "news")
    moved, first = accounts.asks("here", "hot", "news")
    assert moved.result is Result.APPLIED
    here.vanish_list("hot")
    there.put(ANNA, "hot")
    assert accounts.asks("here", "", "hot")[0].result is Result.ALREADY
    assert accounts.asks("here", "hot", "news", undoes=first.command_id)[0].changed in {(), ("+news",)}
    assert there.members("hot") == {ANNA}, "what Segma did here is taken back nowhere else"
    again = accounts.asks("here", "hot")[0]
    assert (again.result, again.reason, again.changed) == (Result.APPLIED, "", ("+hot",)), "nobody has left it"
    assert accounts.asks("there", "vip", "hot")[0].changed == ("+vip", "-hot")
    assert (here.mails, there.mails, here.wrongs, there.wrongs) == ([], [], [], [])


@pytest.mark.parametrize("accounts", IMITATED, indirect=True)
def test_what_was_left_here_is_not_left_there(accounts: Accounts) -> None:
    """Consent belongs to the account: a leaving neither vetoes at another one, nor is lifted there."""
    for name in ("", "hot"):
        left = Veto("w", "here", "s_anna", name, 10, "email_unsubscribed")
        accounts.log.store(Outgoing(VETOES, fact_key(left), to_json(left)))
    joined = Veto("w", "there", "s_anna", "hot", 20, fact=Fact.JOINED)
    accounts.log.store(Outgoing(VETOES, fact_key(joined), to_json(joined)))
    assert accounts.asks("here", "hot")[0].reason == "unsubscribed"
    assert accounts.asks("there", "hot")[0].result is Result.APPLIED
