"""Records about an account beside its commands: its state, the people who left, the calls under way."""

from __future__ import annotations

from typing import ClassVar

from contracts.codec import Value, written


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


class Veto(Value, frozen=True):
    """A record of ``vetoes``: a person left, as the platform reported or showed. ``list_name`` empty: every list.

    A record without value lifts it: the person subscribed again, by themselves, at the platform.
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
    """Who told: ``webhook``, or ``look`` (a sink saw it at the platform before a call)."""
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
