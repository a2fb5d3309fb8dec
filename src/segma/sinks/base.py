"""What a sink is: three members and a page of promises.

A sink is one login at one email platform. It carries out changes of membership and reads no meaning into them: which
listener wanted them, what they undo and whether they were done before is the delivery loop's business
(:mod:`segma.sinks.deliver`).

*What the loop promises to a sink.* One thread, one call at a time. Of one person the changes come in their order, and a
change that was refused for now (:class:`Trouble`, ``lasting`` False) comes again before any later one of that person.
After a crash the call in doubt comes again, once: it may find its work done.

*What a sink promises to the loop.*

1. One answer per change, in the order given; never an exception for what one change met.
2. A change is a wanted state, not a step: add before remove, "already there" and "already gone" are success. Doing it
   twice is doing it once.
3. What it answers is what it did: ``changed`` names the lists that were different before, as ``+list`` and ``-list``.
4. It adds nobody who left: where a change says ``only_if_in`` and the person is not in that list any more, nothing is
   changed and the answer is :data:`~segma.contracts.reasons.Reason.UNSUBSCRIBED`.
5. It makes a list that is missing, and never deletes one. It never unsubscribes a person globally.
6. No address in an error's text, a log line or an answer.

*Who may retry.* The loop, and only what is not ``lasting``. A sink that retries by itself would hide how often.

*Not promised.* That two sinks do their part at once; that a change is seen by readers of the platform at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from segma.contracts.reasons import Reason


class Member(NamedTuple):
    """A person in a list, as the platform knows them."""

    address: str
    name: str = ""


class Change(NamedTuple):
    """One person's wanted memberships.

    ``change_id``: of the command, for the platform's idempotency keys and journals. ``only_if_in``: the list in which
    the person must still be; empty asks nothing.
    """

    change_id: str
    subscriber: str
    address: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    only_if_in: str = ""


class Done(NamedTuple):
    """A change carried out. ``changed`` empty: it was so already. ``answer``: a few safe words of the platform."""

    changed: tuple[str, ...] = ()
    answer: str = ""


class Trouble(NamedTuple):
    """A change not carried out. ``lasting``: asking again would not help. ``wait_s``: what the platform asked for."""

    reason: Reason
    lasting: bool
    answer: str = ""
    wait_s: float = 0.0


Answer = Done | Trouble


class Sink(Protocol):
    """One account at one platform."""

    def apply(self, changes: Sequence[Change]) -> list[Answer]:
        """Carry the changes out; one answer each, in order."""

    def members(self, list_name: str) -> Iterator[Member]:
        """The people of a list, for an import. Raises ``ConfigError`` where there is no such list."""

    def close(self) -> None:
        """Release everything."""
