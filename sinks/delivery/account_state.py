"""Whether an account may deliver, and to whom not: states and vetoes, followed live from their compacted topics."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Final

from contracts.accounts import AccountState, Fact, Veto
from contracts.codec import json_reader, replaced, to_json
from contracts.errors import BadRecord
from contracts.log import Log, Outgoing
from contracts.reading import unread
from contracts.reasons import Reason
from contracts.topics import ACCOUNTS, VETOES, account_key, away_key, fact_key, lane_key
from sinks.base import Fate, Leaving, Trouble
from sinks.delivery.leavings import Leavings, gravest

AWAY_MS: Final = 60_000
"""How long an account may be away before somebody is told: longer than most outages, shorter than most patience."""
Twins = Callable[[str, str], Collection[str]]
"""Workspace and subscriber → the other ids under which their mailbox stands in the directory."""
_read_state: Final[Callable[[bytes], AccountState]] = json_reader(AccountState)


def none(_workspace: str, _subscriber: str) -> Collection[str]:
    """Nobody has another id."""
    return ()


class AccountStatus:
    """The state and the vetoes of one account."""

    def __init__(
        self,
        log: Log,
        workspace: str,
        account: str,
        now_ms: Callable[[], int],
        twins: Twins = none,
        *,
        looks: bool = True,
    ) -> None:
        """Read the account's state and vetoes.

        Args:
            log: Where they are.
            workspace: The account's workspace.
            account: Its name.
            now_ms: The clock.
            twins: The other ids of a workspace's person (:meth:`Directory.twins`).
            looks: Whether its platform can be looked at.
        """
        self._looks = looks
        self._workspace, self._account, self._now_ms = workspace, account, now_ms
        self._states, self._vetoes_reader = log.reader(ACCOUNTS), log.reader(VETOES)
        self._state: AccountState | None = None
        self.backfill_stopped = False
        self.leavings = Leavings(functools.partial(twins, workspace))
        self._fresh: list[Veto] = []
        self._away_since_ms = 0
        self._away_announced = False
        self.follow()

    @property
    def stopped(self) -> bool:
        """Whether nothing is to be delivered."""
        return self._state is not None and self._state.stopped

    @property
    def resumed_at_ms(self) -> int:
        """When a person let the account go on; 0: never."""
        return self._state.resumed_at_ms if self._state is not None else 0

    def follow(self) -> None:
        """Take in what has been told since."""
        own = account_key(self._workspace, self._account)
        for record in unread(self._states):
            if record.key == own and record.value is not None:
                with contextlib.suppress(BadRecord):
                    self._state = _read_state(record.value)
            elif record.key == away_key(self._workspace, self._account):
                self._away_announced = record.value is not None
            elif record.key == lane_key(self._workspace, self._account) and record.value is not None:
                with contextlib.suppress(BadRecord):
                    self.backfill_stopped = _read_state(record.value).stopped
        prefix = own + b"/"
        for record in unread(self._vetoes_reader):
            if record.key.startswith(prefix):
                veto = self.leavings.take(record)
                self._fresh += [veto] if veto is not None and veto.fact is Fact.LEFT else []

    def stop(self, reason: Reason, detail: str) -> Outgoing:
        """Stop here and now; the record that says so to everybody else."""
        self._state = AccountState(
            self._workspace,
            self._account,
            stopped=True,
            at_ms=self._now_ms(),
            reason=str(reason),
            detail=detail,
            resumed_at_ms=self.resumed_at_ms,
        )
        return Outgoing(ACCOUNTS, account_key(self._workspace, self._account), to_json(self._state))

    @property
    def away(self) -> bool:
        """Whether the account has been away for so long that it was told."""
        return self._away_announced

    def seen(self, worst: Trouble | None) -> list[Outgoing]:
        """Note what came of an attempt; what is to be told: that the account is away for long, or that it is back."""
        key = away_key(self._workspace, self._account)
        if worst is None or worst.fate is not Fate.AWAY:
            self._away_since_ms = 0
            told, self._away_announced = self._away_announced, False
            return [Outgoing(ACCOUNTS, key, None)] if told else []
        now_ms = self._now_ms()
        self._away_since_ms = self._away_since_ms or now_ms
        if self._away_announced or now_ms - self._away_since_ms < AWAY_MS:
            return []
        self._away_announced = True
        state = AccountState(
            self._workspace,
            self._account,
            stopped=False,
            at_ms=self._away_since_ms,
            reason=str(worst.reason),
            detail=worst.answer,
        )
        return [Outgoing(ACCOUNTS, key, to_json(state))]

    def veto(self, subscriber: str, lists: Collection[str]) -> Reason | None:
        """Why the person may not be added to one of these lists, the gravest first; None: they may, as far as is known.

        What only a look can decide (:meth:`Leavings.standing`, ``unless_in``) is left to the look.
        """
        if not lists:
            return None
        found = self.leavings.standing(subscriber, lists)
        standing = [each for each in found if each.unless_in is None or not self._looks]
        return gravest(each.leaving.reason for each in standing) if standing else None

    def new_leavings(self) -> list[Veto]:
        """The leavings that were read since the last call."""
        found, self._fresh = self._fresh, []
        return found

    def leave(self, subscriber: str, leavings: Sequence[Leaving]) -> list[Outgoing]:
        """Note what a look showed of a person's leaving; the records that say so, of what was not known yet.

        It outlives what the platform shows: who unsubscribed and was put back by an administrator has left still.
        """
        found: list[Veto] = []
        for name, reason, _ in leavings:
            standing = {each.leaving.list_name: each for each in self.leavings.standing(subscriber, {name})}
            if reason is not Reason.ARCHIVED and (name not in standing or standing[name].unless_in is not None):
                found.append(self._fact(subscriber, name, Fact.LEFT, str(reason)))
        return self._told(found)

    def confirm(self, subscriber: str, lists: Sequence[str]) -> list[Outgoing]:
        """A look showed the person in these lists, which they were said to have joined: that is so now."""
        unsure = [each for name in lists for each in self.leavings.unsure(subscriber, name)]
        return self._told([replaced(each, timed=True) for each in unsure])

    def follow_from(self, vetoes: Sequence[Veto]) -> list[Outgoing]:
        """Note leavings that follow from others; the records of those that are new."""
        return self._told([each for each in vetoes if not self.leavings.knows(fact_key(each))])

    def note(self, people: Sequence[str], list_name: str, fact: Fact) -> list[Outgoing]:
        """Note a fact of several people at a list."""
        return self._told([self._fact(each, list_name, fact) for each in people])

    def _fact(self, subscriber: str, list_name: str, fact: Fact, reason: str = "") -> Veto:
        now_ms = self._now_ms()
        return Veto(self._workspace, self._account, subscriber, list_name, now_ms, reason, source="look", fact=fact)

    def _told(self, vetoes: Sequence[Veto]) -> list[Outgoing]:
        for each in vetoes:
            if self.leavings.note(fact_key(each), each) and each.fact is Fact.LEFT:
                self._fresh.append(each)
        return [Outgoing(VETOES, fact_key(each), to_json(each)) for each in vetoes]

    def close(self) -> None:
        """Stop following."""
        self._states.close()
        self._vetoes_reader.close()
