"""The interface of a sink: three members, and the promises that each sink keeps.

A sink is one login at one email platform. It makes wanted states so, and reads no meaning into them: which listener
wanted them, what they undo and whether they were done before is the delivery loop's business
(:mod:`sinks.delivery.loop`). Most platforms are written against the smaller seam of :mod:`sinks.toolkit.list_sink`,
which keeps promises 2 to 6 for them.

*What the loop promises to a sink.* One thread; at most :attr:`Traits.batch` changes a call, each of another person. Of
one person the changes come in their order: one that was not carried out comes again before any later one of that
person. After a crash the call in doubt comes again, once: it may find its work done.

*What a sink promises to the loop.*

1. One answer per change, in the order given; never an exception for what the platform or one change met.
2. A change is a wanted state, not a step: add before remove, "already there" and "already gone" are success. Doing it
   twice is doing it once. A crash between two calls leaves a person in two lists, never in none.
3. What it answers is what it did: ``changed`` names what was different before (:data:`Marks`), in a :class:`Trouble`
   too. Before its first write it tells (:data:`Tell`) what it is about to change, so that a crash forgets nothing.
4. It adds nobody who left. Who unsubscribed at the platform, or is not in a list of ``only_if_in`` any more (while the
   list is there), is added nowhere; the answer is a :class:`Trouble` with the first reason that fits (gone, complained,
   blocked, unsubscribed, pending, asked, paused, undeliverable, unknown), before "already so", and nothing is changed.
   Taking out is always allowed. It causes no mail but the opt-in that the account asks for, told before as ``?list``.
5. It makes a list, tag or field that is missing, and never deletes one. Taking out of a list is neutral: it never
   unsubscribes a person globally, never suppresses, never deletes them, never clears an unsubscription.
6. One person's fault is one person's answer: a bad address does not fail those who were asked for with it.
7. No address and no credential in an error's text, a log line or an answer.
8. Bounded: an answer of any size, one that never ends, a redirect to elsewhere, HTML where JSON was promised: each is
   a :class:`Trouble`, within the time-outs and the memory that :mod:`sinks.toolkit.http` states.

*Who may retry.* The loop, by the :class:`Fate` of a trouble. A sink that retries by itself would hide how often. Who
waits: the sink, for its account's pace (:mod:`sinks.toolkit.rate_limit`), before a call and never after one.

*Not promised.* That two changes are seen at once; that a reader of the platform sees a change at once; that a
platform's own automation starts (docs/sinks.md says for each platform what starts one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from contracts.commands import EventRef
from contracts.errors import ConfigError, Problem, SegmaError
from contracts.reasons import Reason

Marks = tuple[str, ...]
"""What was changed: ``+list`` put in, ``-list`` taken out, ``?list`` asked to confirm, ``t+tag`` and ``t-tag`` set and
taken away, ``=field`` written; and, told before a call alone, :data:`MADE`."""

MADE: Final = "*"
"""The mark of a person who is about to be made known to the platform: they have another id of it from then on."""


class Standing(StrEnum):
    """How a platform holds a person in a list."""

    ACTIVE = "active"
    PENDING = "pending"
    """Has not confirmed yet."""
    LEFT = "left"
    """Unsubscribed by themselves, or complained: vetoes every adding."""
    UNDELIVERABLE = "undeliverable"
    """Bounced or cleaned: the platform sends nothing; no veto."""


class Member(NamedTuple):
    """A person in a list, as the platform knows them. ``person``: its own id, where webhooks name people by it."""

    address: str
    name: str = ""
    standing: Standing = Standing.ACTIVE
    person: str = ""


class Leaving(NamedTuple):
    """One leaving that a platform showed before a call: of a list, or of everything (empty name).

    ``silent``: it says nothing of it; the person is not where they were, and it may be that others took them out.
    """

    list_name: str
    reason: Reason
    silent: bool = False


class Change(NamedTuple):
    """One person's wanted state: in these lists, not in those; with these tags, without those; these fields' values.

    ``change_id``: of the newest command in it, for the platform's idempotency keys; ``commands``: of all of them, the
    oldest first, for journals; ``evidence``: of each of these the events that its match rests on, for traces.
    ``only_if_in``: lists in which Segma has put or seen the person before; whoever is not
    there any more has left, and is added nowhere. ``taken_out``: the lists out of which Segma itself took the person
    last, ``taken_out_ms`` when: where the platform cannot tell that from an unsubscription, these do. ``consent_in``:
    lists beside ``add`` whose leaving forbids the adding (those moved from, and those that moves led from and to).
    ``met_in``: lists in which Segma has put or seen the person: who then is not at the platform any more is made anew
    by nobody; ``met``: whether it ever has. ``asked``: an opt-in was asked of them. ``also_adds``: one of its commands
    adds, though the last word does not: it is judged like an adding. ``made``: a call of Segma's that is in doubt may
    have made them known to the platform: to what is asked of them they are strangers still. ``url``: of a ``webhook``
    response, where to call; ``expected_in``: lists that the look shows and in which Segma has put or seen them: who is
    not in one of these any more has left it, be they added anywhere or only taken out. ``not_last``: lists that they
    left and that were not the last they were in. ``first_add``: the list that the first of its commands adds them to,
    whatever the others do: of a stranger it decides whether they are asked.
    ``about``: what a webhook or a reader of moves is told (no platform reads it). ``unless_in``: leavings that were
    told of, each with a list that the person is said to have joined since, at no known time: it stands unless the look
    shows them there (empty: at the platform at all). ``unclear``: lists from which they are gone with many others, and
    nobody knows why. ``list_ids``: the platform's ids of lists when Segma last changed or saw them: a list of another
    id is another list, and whoever is not in it never left it. ``platform_id``: the platform's own id of the person, as
    far as it is known: under another one they were erased in between. ``known_there``: they have had any. ``erased``:
    a look before this one showed that they were erased, and nothing has lifted it.
    """

    change_id: str
    subscriber: str
    address: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    only_if_in: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    untag: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    taken_out: tuple[str, ...] = ()
    name: str = ""
    url: str = ""
    about: Mapping[str, object] = {}
    commands: tuple[str, ...] = ()
    consent_in: tuple[str, ...] = ()
    met_in: tuple[str, ...] = ()
    met: bool = False
    asked: bool = False
    also_adds: bool = False
    made: bool = False
    taken_out_ms: Mapping[str, int] = {}
    unless_in: tuple[tuple[Leaving, str], ...] = ()
    unclear: tuple[str, ...] = ()
    list_ids: Mapping[str, str] = {}
    platform_id: str = ""
    known_there: bool = False
    erased: bool = False
    expected_in: tuple[str, ...] = ()
    not_last: frozenset[str] = frozenset()
    first_add: str = ""
    evidence: tuple[Mapping[str, tuple[EventRef, ...]], ...] = ()

    @property
    def adding(self) -> bool:
        """Whether the change adds the person anywhere, which needs consent."""
        return bool(self.add or self.tag or self.also_adds)


class Done(NamedTuple):
    """A change carried out. ``changed`` empty: it was so already. ``answer``: a few safe words of the platform.

    ``leavings``: what the platform showed of the person's leaving before the call; ``joinings``: the lists of
    ``unless_in`` in which it showed them; ``list_ids``: the ids of the lists of the change that are there; ``number``:
    the platform's own id of the person.
    """

    changed: Marks = ()
    answer: str = ""
    leavings: tuple[Leaving, ...] = ()
    joinings: tuple[str, ...] = ()
    list_ids: Mapping[str, str] = {}
    number: str = ""


class Fate(StrEnum):
    """How to go on with a change that was not carried out."""

    LASTING = "lasting"
    """Asking again would not help: an outcome and a dead letter. Of this person alone."""
    PASSING = "passing"
    """Not now, of this person alone: asked again some times, then a dead letter."""
    AWAY = "away"
    """Not now, of the account: throttled, unreachable, out of order. Asked again until it is back; none is given up."""
    FATAL = "fatal"
    """The account cannot go on without a person (bad credentials): it stops and tells; nothing is given up."""


class Trouble(NamedTuple):
    """A change not carried out, or not wholly. ``wait_s``: what the platform asked for. ``changed``: what was done.

    The others: as of :class:`Done`.
    """

    reason: Reason
    fate: Fate
    answer: str = ""
    wait_s: float = 0.0
    changed: Marks = ()
    leavings: tuple[Leaving, ...] = ()
    joinings: tuple[str, ...] = ()
    list_ids: Mapping[str, str] = {}
    number: str = ""


Answer = Done | Trouble

Tell = Callable[[Mapping[str, Marks]], None]
"""Told once per call, before the first write: change id → what is about to be changed. May raise; then nothing is."""


class Traits(NamedTuple):
    """The abilities and limits of a platform: data, no behaviour.

    ``batch``: changes that one ``apply`` takes. ``tags``, ``fields``: whether there are such. ``lists`` False: nothing
    can be read back (a webhook). ``shows_all``: a look at a person shows all lists that they are in or left.
    ``lists_are_tags``: its lists and its tags are the same. ``tells_removals``: who is not in a list any more without a
    word of theirs was taken out by others: that is no leaving. ``token_link``: a link that carries the token, in the
    platform's template syntax. ``waits_ms``: how long, from when a ``webhook`` was wanted, its call may wait for the
    outcomes of the match's other commands. ``one_by_one``: of one person's commands each is judged by itself, for what
    the first asks of them decides what becomes of the next.
    """

    batch: int = 50
    tags: bool = False
    fields: bool = False
    lists: bool = True
    shows_all: bool = False
    lists_are_tags: bool = False
    tells_removals: bool = False
    token_link: str = ""
    waits_ms: int = 0
    one_by_one: bool = False


class Right(NamedTuple):
    """A right that a sink needs, tried. ``works`` None: it could not be tried, ``detail`` says why.

    ``detail`` of one that is missing: the platform's own name of it, and what does not work without it. One that is
    no right but something that a move would cause (a mail, an automation) has ``works`` None as well.
    """

    name: str
    works: bool | None
    detail: str = ""


class NoSuchList(ConfigError):
    """A list that cannot be read because it is not there. ``known``: the names of those that are."""

    def __init__(self, list_name: str, known: Sequence[str]) -> None:
        self.known = tuple(known)
        names = ", ".join(self.known[:20]) or "there is none"
        super().__init__([Problem("the account", list_name[:100], "no such list", f"one of: {names}")])


class PlatformError(SegmaError):
    """A platform could not be read. ``trouble`` says why."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(f"{trouble.reason}: {trouble.answer or trouble.reason.explanation}")


def nobody(marks: Mapping[str, Marks]) -> None:
    """A :data:`Tell` for callers that need not know."""


class Sink(Protocol):
    """One account at one platform."""

    @property
    def traits(self) -> Traits:
        """The platform's abilities and limits; the same for the sink's life."""

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """Make the wanted states so.

        Args:
            changes: At most ``traits.batch`` changes, each of another person.
            tell: Called once, before the first write, with what is about to be changed; what it raises is raised.

        Returns:
            One answer for each change, in the order given: ``Done``, or ``Trouble`` with its reason and fate. Waits
            (``wait_s``) are in seconds.

        Raises:
            Nothing for what the platform or one change met.

        Example:
            ``sink.apply([Change("c1", "s_1", "ann@example.org", add=("hot",), remove=("news",))])`` gives
            ``[Done(("+hot", "-news"), "changed")]``, and asked again ``[Done((), "already so")]``.
        """

    def members(self, list_name: str) -> Iterator[Member]:
        """The people of a list, whatever their standing: for imports, reconciliation and vetoes.

        Args:
            list_name: The list's name; the empty name is the cheapest question whether an account answers.

        Returns:
            The members one by one, each once, read page by page.

        Raises:
            NoSuchList: There is no such list; always for the empty name.
            PlatformError: The platform could not be read; nothing more comes.

        Example:
            ``[each.address for each in sink.members("hot")]`` gives ``["ann@example.org"]``.
        """

    def rights(self) -> Iterator[Right]:
        """Each right that the sink needs, tried without changing anything; and what a move would cause of itself.

        Raises:
            PlatformError: The platform could not be asked.
        """

    def close(self) -> None:
        """Release everything."""


class Halt(Exception):
    """A call met something that concerns everybody in it."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(str(trouble.reason))
