"""Generations: which versions of which listeners are at work at a log time (SEMANTICS 6; DESIGN 6).

A version is a shadow from one log time, live from another, and ends at a third. Between two such instants lies a
*generation*: the same versions for everybody. Whether a version hears an event depends on the event's place in the log
alone, so it is the same in the live flow, in catch-up and in a replay.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple

from contracts.time_zones import named_zone
from contracts.versions import Pause, merged
from flows.language.model import Listener, Repeat
from flows.machine.machine import Machine, Version
from flows.subscriber.pinned_terms import PinnedTerms, Terms
from flows.subscriber.reapply import Reapplier
from flows.subscriber.wishes import Pauses, Wishes

Make = Callable[[Machine, Terms, Wishes], Reapplier]


class Deployed(NamedTuple):
    """A version of a listener, with log times. ``live_from_ms`` None: still a shadow; ``until_ms`` None: no end yet.

    ``backfilled``: whether a back-fill gives the commands of what it matched as a shadow. ``past_from_ms``: the log
    time from which it hears the recorded past, from ``past_until_ms`` on (:mod:`flows.subscriber.past`). ``pauses``: of
    its listener while it was live; those of all its versions count for each.
    """

    listener: Listener
    shadow_from_ms: int = 0
    live_from_ms: int | None = 0
    until_ms: int | None = None
    backfilled: bool = False
    past_from_ms: int | None = None
    past_until_ms: int | None = None
    pauses: tuple[Pause, ...] = ()

    @property
    def version(self) -> Version:
        """Its name and number."""
        return self.listener.name, self.listener.version

    def at_work(self, log_time_ms: int) -> bool:
        """Whether it hears anything."""
        return self.shadow_from_ms <= log_time_ms and (self.until_ms is None or log_time_ms < self.until_ms)

    def live(self, log_time_ms: int) -> bool:
        """Whether its matches are more than rows."""
        return self.at_work(log_time_ms) and self.live_from_ms is not None and self.live_from_ms <= log_time_ms

    def has_past(self, log_time_ms: int) -> bool:
        """Whether it has asked for its past by then."""
        return self.past_until_ms is not None and self.past_until_ms <= log_time_ms

    def hears_from(self, log_time_ms: int) -> int:
        """The log time from which it hears, as of another."""
        is_past = self.past_from_ms is not None and self.has_past(log_time_ms)
        return self.past_from_ms if is_past and self.past_from_ms is not None else self.shadow_from_ms


class Generation:
    """The versions from one log time on. What they need is compiled when a subscriber first meets them."""

    def __init__(  # noqa: PLR0917
        self, workspace: str, terms: Terms, from_ms: int, deployed: Iterable[Deployed], make: Make, pauses: Pauses
    ) -> None:
        """``make``: a reapplier of a machine under terms, where matches make of people what they wish. ``pauses``: kept
        current by its owner: a match's own time says whether it lies in one, whatever is known by now.
        """
        self.from_ms = from_ms
        self._workspace, self._terms, self._pauses = workspace, terms, pauses
        self._deployed = {each.version: each for each in deployed}
        self.shadows = frozenset(version for version, each in self._deployed.items() if not each.live(from_ms))
        self.awaited = {
            version: each.past_until_ms
            for version, each in self._deployed.items()
            if version in self.shadows and each.past_until_ms is not None and each.has_past(from_ms)
        }
        """The versions that are about to take their past over."""
        self.with_past = frozenset(version for version, each in self._deployed.items() if each.has_past(from_ms))
        """The versions that have heard their past: what they matched as shadows counts for ``repeat``."""
        self._make = make
        # NOTE: mypyc computes a `cached_property` each time.
        self._reapplier: Reapplier | None = None
        self._encoded = b""

    @property
    def reapplier(self) -> Reapplier:
        """Applies events to a subscriber's timeline, under these versions."""
        found = self._reapplier
        if found is None:
            live_from = {version: each.hears_from(self.from_ms) for version, each in self._deployed.items()}
            listeners, zone = [each.listener for each in self._deployed.values()], named_zone(self._terms.time_zone)
            grace_ms, promoted_at = self._terms.grace_ms, self._promoted_at
            machine = Machine(listeners, live_from=live_from, promoted_at=promoted_at, grace_ms=grace_ms, zone=zone)
            wishes = Wishes(self._workspace, listeners, self.shadows, self._pauses)
            found = self._reapplier = self._make(machine, self._terms, wishes)
        return found

    @property
    def pin(self) -> bytes:
        """The pinned terms of the generation, as bytes that outlive the process."""
        if not self._encoded:
            shadows = tuple(sorted(self.shadows))
            promoted = tuple(sorted((*version, at_ms) for version, at_ms in self._promoted_at.items()))
            past = tuple((*version, self._deployed[version].past_until_ms or 0) for version in sorted(self.with_past))
            pinned = PinnedTerms(self._workspace, self._terms, self.from_ms, self.heard_from, shadows, promoted, past)
            self._encoded = pinned.encoded()
        return self._encoded

    @property
    def _promoted_at(self) -> dict[Version, int]:
        """The log time at which each version that is live stopped being a shadow, where it was one."""
        return {
            version: each.live_from_ms
            for version, each in self._deployed.items()
            if version not in self.shadows | self.with_past
            and each.live_from_ms is not None
            and each.live_from_ms > each.shadow_from_ms
        }

    @property
    def counting(self) -> frozenset[Version]:
        """The live versions whose matches count for ``repeat``."""
        every = {version for version, each in self._deployed.items() if each.listener.repeat is Repeat.EVERY}
        return frozenset(self._deployed) - self.shadows - every

    @property
    def versions(self) -> list[Version]:
        """In order."""
        return sorted(self._deployed)

    @property
    def heard_from(self) -> tuple[tuple[str, int, int], ...]:
        """Each version in order, with the log time from which it hears."""
        return tuple((*version, self._deployed[version].hears_from(self.from_ms)) for version in self.versions)

    @property
    def content(
        self,
    ) -> tuple[int, tuple[tuple[str, int, int], ...], frozenset[Version], frozenset[tuple[Version, int]]]:
        """All that two equal generations have in common."""
        past = frozenset((version, self._deployed[version].past_until_ms or 0) for version in self.with_past)
        return self.from_ms, self.heard_from, self.shadows, past


class Generations:
    """All generations of a workspace, and the listeners of every version ever known (retractions name old ones)."""

    def __init__(self, workspace: str, terms: Terms, make: Make) -> None:
        self._workspace, self._terms, self._make = workspace, terms, make
        self.pauses: dict[str, tuple[Pause, ...]] = {}
        """Of every listener ever known that was paused; the same object for as long as this one lives."""
        self._all = [self._generation(terms, 0, ())]
        self._from = [0]
        self.listeners: dict[Version, Listener] = {}
        """Of every version ever known; the same object for as long as this one lives."""
        self.backfilled: set[Version] = set()
        """The versions of which a back-fill gives what they matched as shadows; the same object likewise."""

    def deploy(self, deployed: Iterable[Deployed]) -> None:
        """Replace what is known of all versions. Generations that stay the same stay the same objects."""
        each_version = list(deployed)
        known = {generation.content: generation for generation in self._all}
        known_at = ((*each[1:4], each.past_until_ms) for each in each_version)
        instants = {0, *(at for each in known_at for at in each if at is not None)}
        found = []
        for at_ms in sorted(instants):
            made = self._generation(self._terms, at_ms, [each for each in each_version if each.at_work(at_ms)])
            found.append(known.get(made.content, made))
        self._all, self._from = found, [generation.from_ms for generation in found]
        self.listeners.clear()
        self.listeners.update({each.version: each.listener for each in each_version})
        self.backfilled.clear()
        self.backfilled.update(each.version for each in each_version if each.backfilled)
        paused: dict[str, list[Pause]] = {}
        for each in each_version:
            if each.pauses:
                paused.setdefault(each.listener.name, []).extend(each.pauses)
        self.pauses.clear()
        self.pauses.update({name: merged(pauses) for name, pauses in paused.items()})

    def _generation(self, terms: Terms, from_ms: int, deployed: Iterable[Deployed]) -> Generation:
        return Generation(self._workspace, terms, from_ms, deployed, self._make, self.pauses)

    def pinned(self, pinned: PinnedTerms) -> Generation:
        """The generation of pinned terms, whatever is deployed by now. Raises ``KeyError`` of an unknown version."""
        shadows = set(pinned.shadows)
        promoted = {(name, version): at_ms for name, version, at_ms in pinned.promoted}
        past = {(name, version): at_ms for name, version, at_ms in pinned.past}
        deployed = [
            Deployed(
                self.listeners[name, version],
                from_ms,
                None if (name, version) in shadows else promoted.get((name, version), 0),
                past_from_ms=from_ms if (name, version) in past else None,
                past_until_ms=past.get((name, version)),
            )
            for name, version, from_ms in pinned.versions
        ]
        now = self.at(pinned.from_ms)
        made = self._generation(pinned.terms, pinned.from_ms, deployed)
        return now if now.pin == made.pin else made

    def at(self, log_time_ms: int) -> Generation:
        """The generation of a log time."""
        newest = self._all[-1]
        return newest if newest.from_ms <= log_time_ms else self._all[bisect_right(self._from, log_time_ms) - 1]

    def changes_after(self, log_time_ms: int) -> int | None:
        """When the next generation after a log time begins."""
        index = bisect_right(self._from, log_time_ms)
        return self._from[index] if index < len(self._from) else None

    def between(self, after: Generation, log_time_ms: int) -> list[Generation]:
        """The generations that a subscriber of generation ``after`` goes through up to a log time."""
        found = [each for each in self._all if after.from_ms < each.from_ms <= log_time_ms]
        own = self.at(after.from_ms)
        # What was told too late for its instant: the versions of that instant are others than were believed.
        return found if own is after or found else [own]
