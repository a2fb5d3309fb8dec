"""Records about an account beside its commands: its state, the people who left, the calls under way."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from contracts.codec import Value, written
from contracts.reasons import Reason


class AccountState(Value, frozen=True):
    """A record of ``accounts``: whether the account delivers. Absent: it does.

    ``reason`` says who stopped it: ``paused`` (a person), ``bad_credentials``, ``too_many_moves``; of one that is away
    (not stopped, in vain for a while): ``throttled``, ``unreachable``, ``wrong_answer``. ``detail`` is for a person.
    ``resumed_at_ms``: from when on the guard on moves counts anew.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    account: str
    stopped: bool
    at_ms: int
    reason: str = ""
    detail: str = ""
    resumed_at_ms: int = 0
    schema: int = written(1)


def told_by_a_person(
    former: AccountState | None, workspace: str, account: str, *, stopped: bool, detail: str, at_ms: int
) -> AccountState:
    """The state of an account that a person stops, or lets go on, whatever stopped it."""
    resumed_at_ms = (former.resumed_at_ms if former is not None else 0) if stopped else at_ms
    reason = str(Reason.PAUSED) if stopped else ""
    return AccountState(workspace, account, stopped, at_ms, reason, detail, resumed_at_ms)


class Fact(StrEnum):
    """What a record of ``vetoes`` says of a person and a list (docs/semantics.md 8.1)."""

    LEFT = "left"
    JOINED = "joined"
    """By themselves, as the platform or the customer's own server says: lifts what is older."""
    UNCLEAR = "unclear"
    """Gone with many others at once: adding waits until the customer says ``left`` or ``removed``."""
    REMOVED = "removed"
    """The customer's answer: taken out by others, so that their being gone is no leaving."""


class Veto(Value, frozen=True):
    """A record of ``vetoes``: this person left or joined by themselves. ``list_name`` empty: everything.

    ``at_ms``: when, by the platform's clock where it tells (``timed``), else when it was heard of. The record with the
    newest time counts, whatever the order in which they came; at the same instant a leaving wins.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    account: str
    subscriber: str
    list_name: str
    at_ms: int
    reason: str = ""
    """The action that told: ``email_unsubscribed``, ``email_complained``; of what a sink saw, the reason of it:
    ``unsubscribed``, ``complained``, ``blocked``, ``gone``."""
    source: str = "webhook"
    """Who told: ``webhook``, ``import``, ``server`` (an event of the customer's), ``look`` (a sink saw it at the
    platform before a call), ``customer`` (an answer to a question)."""
    fact: Fact = Fact.LEFT
    list_id: str = ""
    """The platform's number of the list that was left or joined, where it tells no name: of a leaving ``list_name`` is
    empty then, and no joining of another list lifts it."""
    timed: bool = True
    """Whether ``at_ms`` is the platform's; a joining that is not lifts only once a look shows the person there."""
    schema: int = written(1)


class Intent(Value, frozen=True):
    """A record of ``intents``: what one call is about to change, written before it.

    After a crash it says what a person's memberships were before a call whose outcome nobody wrote down; so an undo
    takes back exactly what was done. ``people``: subscriber → marks; ``command_ids``: subscriber → of their commands.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    account: str
    at_ms: int
    command_ids: dict[str, tuple[str, ...]]
    people: dict[str, tuple[str, ...]]
    schema: int = written(1)
