"""One account of a random history, and what happens at its platform beside Segma: people, administrators, reports."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cli.importing.plan import plan_of_members
from cli.importing.records import ListAt, entry_of, erasures, member_records
from contracts import commands as contract
from contracts.accounts import Fact, Veto
from contracts.codec import json_reader, to_json
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.topics import (
    SUBSCRIBERS,
    VETOES,
    account_topics,
    fact_key,
    fixed_topics,
    subscriber_key,
)
from sinks.base import Fate, NoSuchList, Sink, Trouble
from sinks.delivery.loop import Delivery
from tests.sinks.consent_bed import Fuse, MemoryLog, sink_over, told_sink
from tests.sinks.consent_files import FileDialect, Files, files
from tests.sinks.consent_knowledge import IN, LEFT, OUT, Person
from tests.sinks.consent_model import Model
from tests.sinks.consent_platforms import PLATFORMS
from tests.sinks.consent_steps import LISTS, PEOPLE, Step
from tests.sinks.consent_sympa import SympaDialect
from tests.sinks.simulator.world import MailingList, World

T0_MS = 1_800_000_000_000
_entry: Callable[[bytes], DirectoryEntry] = json_reader(DirectoryEntry)


class Wrong(AssertionError):
    """The delivery and the model differ."""


class Outside:
    """One account, and what people, administrators and the platform do; the model is shown what the platform shows."""

    def __init__(self, name: str, data: Path, *, strangers: str = "add", known: str = "confirmed") -> None:
        platform = PLATFORMS[name]
        self.kind, self.platform, self._data = name, platform, data
        self._strangers, self._known = strangers, known
        self.now = T0_MS
        self.fuse = Fuse()
        self.log = MemoryLog(lambda: self.now, self.fuse)
        self.log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        self.dialect: Any = platform.dialect()
        self.world: Any = getattr(platform.dialect, "world", World)()
        if isinstance(self.dialect, FileDialect):
            self._files = files(data, strangers)
            self.world = Files(self._files)
        if isinstance(self.dialect, SympaDialect):
            self.world = self.dialect.world
        self.dialect.clock = lambda: dt.datetime.fromtimestamp(self.now / 1_000, dt.UTC)
        self.model = Model(platform.shows, strangers=strangers, known=known)
        self._refuses = ("", "")
        """A list, and the command that it refuses to take somebody out for."""
        self._arrange()
        self._open()
        self._heard: list[tuple[str, str, str, int]] = []
        self._given: list[contract.Command] = []
        self._waiting: list[contract.Command] = []
        self.counts: Counter[str] = Counter()

    def _arrange(self) -> None:
        for name in LISTS:
            where = self.world.made_list(name)
            self.model.lists.add(name)
            asks = "opt_in" in {self._strangers, self._known} and self.platform.shows.asks == "list"
            if asks and name != "vip":
                where.optin = "double"
                self.model.asking.add(name)
        for each in PEOPLE:
            entry = DirectoryEntry("w", f"s_{each}", address_of(each))
            self.log.store(Outgoing(SUBSCRIBERS, subscriber_key("w", entry.subscriber), to_json(entry)))

    def _open(self) -> None:
        self.sink: Sink = self._files if isinstance(self.dialect, FileDialect) else self._served()
        seam: Any = getattr(self.sink, "_platform", None)
        if seam is not None:
            seam.remove = self._removing(seam.remove)
        log: Any = self.log
        self.delivery = Delivery(
            log,
            self.sink,
            workspace="w",
            account="mail",
            now_ms=self._clock,
            pause=lambda seconds: None,
            stopping=lambda: False,
            token_of=lambda entry: {self.platform.token_field: f"token-of-{entry.subscriber}"},
        )

    def _served(self) -> Sink:
        around = {"now_ms": self._clock, "log": self.log, "strangers": self._strangers, "known": self._known}
        if isinstance(self.dialect, SympaDialect):
            return self.dialect.sink(self.fuse.burn, around)
        if not self.platform.shows.anything:
            return told_sink(self.kind, self.dialect, self.world, self.fuse, around=around, data=self._data)
        return sink_over(self.dialect, self.world, self.fuse, self.platform.options, around=around, data=self._data)

    def _removing(self, remove: Callable[..., Any]) -> Callable[..., Any]:
        """The platform's call, which now and then refuses to take somebody out of a list."""

        def refusing(name: str, ones: Sequence[Any]) -> Any:
            own = {command for one in ones for command in one.change.commands}
            if self._refuses[0] != name or self._refuses[1] not in own:
                return remove(name, ones)
            self._refuses = ("", "")
            return [Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING)] * len(ones)

        return refusing

    def _clock(self) -> int:
        return self.now

    def _deliver(self) -> None:
        raise NotImplementedError

    def _truth(self, person: str) -> None:
        """Show the model what the platform shows of somebody now."""
        found = self.world.person(address_of(person))
        if found is None:
            self.model.truth.pop(person, None)
            return
        own = [each for each in self.world.lists.values() if found.id in each.members]
        lists = {each.name: self._state(found.id, each) for each in own}
        standing = found.standing if not self._left_tags(found) else LEFT
        because = "complained" if found.id in getattr(self.dialect, "complained", ()) else ""
        self.model.truth[person] = Person(found.id, lists, standing, because)

    def _state(self, number: str, where: MailingList) -> str:
        """How somebody is in a list; where a removal is written as an unsubscription, only their own is one."""
        state = where.members.get(number, OUT)
        own = getattr(self.dialect, "left", None)
        return OUT if state == LEFT and own is not None and (number, where.id) not in own else state

    def _left_tags(self, found: Any) -> bool:
        left: set[tuple[str, str]] = getattr(self.dialect, "left", set())
        return getattr(self.dialect, "as_tags", False) and any(person == found.id for person, _ in left)

    def _leave(self, step: Step) -> None:
        found = self.world.person(address_of(step.person))
        where = self.world.list_named(step.name)
        if found is None or where is None or where.members.get(found.id) != IN:
            return
        self.dialect.leave(self.world, address_of(step.person), step.name)
        self._truth(step.person)
        self._heard.append(("left", step.person, step.name if self._per_list else "", self.now))

    @property
    def _per_list(self) -> bool:
        return self.platform.shows.lists_are_left

    def _join(self, step: Step) -> None:
        """By themselves: by a form, or a link of a mail."""
        self.dialect_joins(step.person, step.name)
        self._truth(step.person)
        self._heard.append(("joined", step.person, step.name if self._per_list else "", self.now))

    def dialect_joins(self, person: str, name: str) -> None:
        found = self.world.enrol(address_of(person))
        where = self.world.made_list(name)
        found.standing = IN
        where.members[found.id] = IN
        getattr(self.dialect, "complained", set()).discard(found.id)
        left = getattr(self.dialect, "left", None)
        if left is not None:
            left.difference_update({(found.id, "mail"), (found.id, where.id)})
            self.dialect.since.pop((found.id, where.id), None)

    def _put(self, step: Step) -> None:
        """By an administrator."""
        found = self.world.enrol(address_of(step.person))
        where = self.world.made_list(step.name)
        if self._per_list:
            where.members[found.id] = IN
            left = getattr(self.dialect, "left", None)
            if left is not None:
                left.discard((found.id, where.id))
        else:
            where.members[found.id] = IN
        self._truth(step.person)

    def _taken(self, step: Step) -> None:
        """Out, by an administrator; the record of a leaving stays."""
        found, where = self.world.person(address_of(step.person)), self.world.list_named(step.name)
        if found is not None and where is not None and where.members.get(found.id) == IN:
            del where.members[found.id]
            self._truth(step.person)

    def _erase(self, step: Step) -> None:
        self.world.vanish_person(address_of(step.person))
        self._truth(step.person)

    def _altogether(self, step: Step) -> None:
        """They leave everything (or are put on the blocklist, where there is one)."""
        found = self.world.person(address_of(step.person))
        if found is not None and self.platform.stands_for_all and not hasattr(self.dialect, "left"):
            found.standing = LEFT
            self._truth(step.person)
            self._heard.append(("left", step.person, "", self.now))

    def _bounce(self, step: Step) -> None:
        found = self.world.person(address_of(step.person))
        if found is not None and self.platform.bounces and found.standing != LEFT:
            found.standing = IN if found.standing == "undeliverable" else "undeliverable"
            self._truth(step.person)

    def _report(self, step: Step) -> None:
        """Something that happened before is told now: with its time or without, the first time or again."""
        if not self._heard:
            return
        kind, person, name, at = self._heard[step.number % len(self._heard)]
        timed = bool(step.number % 3)
        at = at if timed else self.now
        reason = {"left": "unsubscribed", "complained": "complained"}.get(kind, "")
        fact = Fact.LEFT if reason else Fact.JOINED
        veto = Veto("w", "mail", f"s_{person}", name, at, reason and f"email_{reason}", fact=fact, timed=timed)
        self.log.store(Outgoing(VETOES, fact_key(veto), to_json(veto)))
        self.model.tell("left" if reason else "joined" if timed else "unsure", at, person, name, reason or None)
        self._deliver()

    def _complain(self, step: Step) -> None:
        """They mark a mail as spam."""
        found = self.world.person(address_of(step.person))
        if found is None:
            return
        if self.platform.stands_for_all and not hasattr(self.dialect, "left"):
            found.standing = LEFT
            getattr(self.dialect, "complained", set()).add(found.id)
            self._truth(step.person)
        self._heard.append(("complained", step.person, "", self.now))

    def _told(self, step: Step) -> None:
        """The customer's own server says that they joined a list, be it so at the platform or not."""
        veto = Veto("w", "mail", f"s_{step.person}", step.name, self.now, source="server", fact=Fact.JOINED)
        self.log.store(Outgoing(VETOES, fact_key(veto), to_json(veto)))
        self.model.tell("joined", self.now, step.person, step.name, "server")

    def _answer(self, step: Step) -> None:
        """An opt-in is confirmed, or it expires."""
        found = self.world.person(address_of(step.person))
        waiting = [each for each in self.world.lists.values() if found and each.members.get(found.id) == "pending"]
        if found is None or not (waiting or found.standing == "pending"):
            return
        if step.number % 2 or waiting:
            found.standing = IN
            for each in waiting:
                each.members[found.id] = IN
            name = waiting[0].name if waiting and self._per_list else ""
            self._heard.append(("joined", step.person, name, self.now))
        else:
            self.world.vanish_person(address_of(step.person))
        self._truth(step.person)

    def _import(self, step: Step) -> None:
        at = ListAt("w", "mail", step.name, seen_at_ms=self.now)
        try:
            plan = plan_of_members(list(self.sink.members(step.name)))
        except NoSuchList:
            return
        for member in plan.members:
            person = member.address.partition("@")[0]
            key = subscriber_key("w", f"s_{person}")
            held = [each.value for each in self.log.records[SUBSCRIBERS] if each.key == key]
            known = _entry(held[-1] or b"")
            facts = self.delivery._status.leavings
            for record in erasures(member, known, at, facts, self.now):
                self.log.store(record)
                self.model.tell("left", self.now, person, "", "gone")
            entry = entry_of(member, known, at, f"s_{person}", self.now)
            for record in member_records(entry, known, at, self.now):
                self.log.store(record)
            if not self.model._of("seen", person, step.name):
                self.model.tell("seen", self.now, person, step.name)
            if not self.model._of("number", person) and self.platform.shows.numbers:
                self.model.tell("imported", entry.seen_in["mail"][step.name], person, more=member.person)


def address_of(person: str) -> str:
    """Return a person's address."""
    return f"{person}@example.org"
