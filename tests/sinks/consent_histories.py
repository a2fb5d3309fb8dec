"""Random histories of consent against the real delivery: ``python -m tests.sinks.consent_histories``.

People join, leave, complain, erase themselves; administrators put and take out; reports come late, twice or never;
lists are imported; commands, undos and tokens are carried out, and the process dies at any step. After each step every
outcome and every list is compared with :mod:`tests.sinks.consent_model`. A history that fails is made shorter and
printed with its seed. Exit status 1 where one failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cli.importing.plan import plan_of_members
from cli.importing.records import ListAt, entry_of, erasures, member_records
from cli.reconcile import _mending, compare
from contracts import commands as contract
from contracts.accounts import Fact, Veto
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Outcome, Verb
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.topics import (
    OUTCOMES,
    SUBSCRIBERS,
    VETOES,
    account_topics,
    backfill_topic,
    fact_key,
    fixed_topics,
    moves_topic,
    subscriber_key,
)
from sinks.base import Fate, NoSuchList, Sink, Trouble
from sinks.delivery.loop import Delivery
from tests.sinks.consent_bed import Crash, Elsewhere, Fuse, MemoryLog, sink_over, told_sink
from tests.sinks.consent_files import FileDialect, Files, files
from tests.sinks.consent_model import IN, LEFT, OUT, Command, End, Model, Person, Shows
from tests.sinks.courier import command
from tests.sinks.simulator import activecampaign, brevo, hubspot, kit, klaviyo, listmonk, mailchimp, mailerlite, mautic
from tests.sinks.simulator.world import MailingList, World

PEOPLE, LISTS = ("anna", "ben"), ("news", "hot", "vip")
T0_MS = 1_800_000_000_000
_outcome: Callable[[bytes], Outcome] = json_reader(Outcome)
_entry: Callable[[bytes], DirectoryEntry] = json_reader(DirectoryEntry)


class Platform(NamedTuple):
    """An imitation, the options of its sink, what it shows, and what people and reports do there."""

    dialect: Callable[[], Any]
    options: dict[str, Any]
    shows: Shows
    tokens: str = "segma_token"
    stands_for_all: bool = True
    """Somebody can be there and have left altogether."""


WHOLE = Shows(lists_are_left=False, leavings=True, removals=True, other_lists=False, numbers=True)
PLATFORMS: dict[str, Platform] = {
    "listmonk": Platform(
        listmonk.Listmonk,
        listmonk.OPTIONS,
        Shows(
            lists_are_left=True,
            leavings=True,
            removals=True,
            other_lists=True,
            numbers=True,
            because="blocked",
            asks="list",
        ),
    ),
    "mailchimp": Platform(
        mailchimp.Mailchimp, mailchimp.OPTIONS, WHOLE._replace(numbers=False, asks="all"), "SEGMATOK"
    ),
    "klaviyo": Platform(klaviyo.Klaviyo, klaviyo.OPTIONS, WHOLE._replace(removals=False)),
    "hubspot": Platform(hubspot.Hubspot, hubspot.OPTIONS, WHOLE),
    "brevo": Platform(brevo.Brevo, brevo.OPTIONS, WHOLE, "SEGMA_TOKEN"),
    "mautic": Platform(mautic.Mautic, mautic.OPTIONS, WHOLE._replace(numbers=False)),
    "kit": Platform(kit.Kit, kit.OPTIONS, WHOLE),
    "mailerlite": Platform(mailerlite.Mailerlite, mailerlite.OPTIONS, WHOLE),
    "activecampaign": Platform(activecampaign.Activecampaign, activecampaign.OPTIONS, WHOLE, "SEGMA_TOKEN"),
    "activecampaign-lists": Platform(
        lambda: activecampaign.Activecampaign(as_tags=False),
        {**activecampaign.OPTIONS, "lists_are": "lists"},
        Shows(lists_are_left=True, leavings=True, removals=True, other_lists=True, numbers=True),
        "SEGMA_TOKEN",
    ),
    "file": Platform(
        FileDialect,
        {},
        Shows(lists_are_left=True, leavings=False, removals=False, other_lists=True, numbers=False, people=False),
        stands_for_all=False,
    ),
    **{
        name: Platform(
            Elsewhere,
            {},
            Shows(True, leavings=False, removals=False, other_lists=False, numbers=False, anything=False),
            stands_for_all=False,
        )
        for name in ("webhook", "kafka")
    },
}
READ: Sequence[str] = tuple(name for name, each in PLATFORMS.items() if each.shows.anything)
"""Those of which anything can be read."""


class Step(NamedTuple):
    """One thing that happens. ``after``: how many steps later a report of it comes; -1: never."""

    kind: str
    person: str = ""
    name: str = ""
    other: str = ""
    number: int = 0


def random_steps(chance: random.Random, shows: Shows) -> list[Step]:
    """A history of up to thirty steps."""
    steps = [Step("put", each, chance.choice(LISTS)) for each in PEOPLE for _ in range(chance.randrange(3))]
    for _ in range(chance.randrange(4, 30)):
        kind = chance.choices(
            (
                "move",
                "add",
                "remove",
                "undo",
                "token",
                "leave",
                "join",
                "put",
                "taken",
                "erase",
                "altogether",
                "report",
                "import",
                "crash",
                "bounce",
                "complain",
                "told",
                "answer",
                "mend",
                "fail",
            ),
            (24, 10, 6, 8, 3, 18, 8, 6, 5, 2, 2, 14, 4, 8, 2, 2, 4, 4, 2, 2),
        )[0]
        name, other = chance.sample(LISTS, 2)
        steps.append(Step(kind, chance.choice(PEOPLE), name, other, chance.randrange(1, 40)))
    return steps


class Wrong(AssertionError):
    """The delivery and the model differ."""


class History:
    """One account, a step at a time."""

    def __init__(self, name: str, data: Path, *, strangers: str = "add") -> None:
        platform = PLATFORMS[name]
        self.kind, self.platform, self._data, self._strangers = name, platform, data, strangers
        self.now = T0_MS
        self.fuse = Fuse()
        self.log = MemoryLog(lambda: self.now, self.fuse)
        self.log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        self.dialect: Any = platform.dialect()
        self.world: Any = World()
        if isinstance(self.dialect, FileDialect):
            self._files = files(data, strangers)
            self.world = Files(self._files)
        self.dialect.clock = lambda: dt.datetime.fromtimestamp(self.now / 1_000, dt.UTC)
        self.model = Model(platform.shows, strangers=strangers)
        self._refuses = False
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
            if self._strangers == "opt_in" and self.platform.shows.asks == "list" and name != "vip":
                where.optin = "double"
                self.model.asking.add(name)
        for each in PEOPLE:
            entry = DirectoryEntry("w", f"s_{each}", _address(each))
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
            token_of=lambda entry: {self.platform.tokens: f"token-of-{entry.subscriber}"},
        )

    def _served(self) -> Sink:
        around = {"now_ms": self._clock, "log": self.log, "strangers": self._strangers}
        if not self.platform.shows.anything:
            return told_sink(self.kind, self.dialect, self.world, self.fuse, around=around, data=self._data)
        return sink_over(self.dialect, self.world, self.fuse, self.platform.options, around=around, data=self._data)

    def _removing(self, remove: Callable[..., Any]) -> Callable[..., Any]:
        """The platform's call, which now and then refuses."""

        def refusing(name: str, ones: Sequence[Any]) -> Any:
            if not self._refuses:
                return remove(name, ones)
            self._refuses = False
            return [Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING)] * len(ones)

        return refusing

    def _clock(self) -> int:
        return self.now

    def step(self, step: Step) -> None:
        """Carry a step out, and compare."""
        self.now += 1_000
        getattr(self, f"_{step.kind}")(step)
        self._check_lists(step)

    # What people, administrators and the platform do

    def _truth(self, person: str) -> None:
        """Show the model what the platform shows of somebody now."""
        found = self.world.person(_address(person))
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
        found = self.world.person(_address(step.person))
        where = self.world.list_named(step.name)
        if found is None or where is None or where.members.get(found.id) != IN:
            return
        self.dialect.leave(self.world, _address(step.person), step.name)
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
        found = self.world.enrol(_address(person))
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
        found = self.world.enrol(_address(step.person))
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
        found, where = self.world.person(_address(step.person)), self.world.list_named(step.name)
        if found is not None and where is not None and where.members.get(found.id) == IN:
            del where.members[found.id]
            self._truth(step.person)

    def _erase(self, step: Step) -> None:
        self.world.vanish_person(_address(step.person))
        self._truth(step.person)

    def _altogether(self, step: Step) -> None:
        """They leave everything (or are put on the blocklist, where there is one)."""
        found = self.world.person(_address(step.person))
        if found is not None and self.platform.stands_for_all and not hasattr(self.dialect, "left"):
            found.standing = LEFT
            self._truth(step.person)
            self._heard.append(("left", step.person, "", self.now))

    def _bounce(self, step: Step) -> None:
        found = self.world.person(_address(step.person))
        if (
            found is not None
            and self.dialect.name in {"listmonk", "klaviyo", "mailchimp", "brevo", "mailerlite", "kit", "mautic"}
            and found.standing != LEFT
        ):
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
        found = self.world.person(_address(step.person))
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
        found = self.world.person(_address(step.person))
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
            self.world.vanish_person(_address(step.person))
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

    # What Segma does

    def _move(self, step: Step) -> None:
        self._ask(step, command(step.other, step.name, person=step.person))

    def _add(self, step: Step) -> None:
        self._ask(step, command(step.name, person=step.person))

    def _remove(self, step: Step) -> None:
        self._ask(step, command("", step.name, person=step.person))

    def _token(self, step: Step) -> None:
        if not self.sink.traits.fields:
            return
        # One by one: a token that goes together with an adding is written to whom that makes known.
        self._deliver()
        self._ask(step, command(person=step.person, verb=Verb.TOKEN))
        self._deliver()

    def _undo(self, step: Step) -> None:
        own = [each for each in self._given if not each.undoes and each.verb is not Verb.TOKEN]
        if own:
            back = own[step.number % len(own)]
            person = back.subscriber.removeprefix("s_")
            self._ask(step, command(back.to_list, back.from_list, person=person, undoes=back.command_id))

    def _ask(self, step: Step, given: contract.Command) -> None:
        """Given out; with every third the loop waits for more."""
        self._given.append(given)
        self._waiting.append(given)
        self.log.store(Outgoing(moves_topic("w", "mail"), b"k", to_json(given)))
        if step.number % 3:
            self._deliver()

    def _mend(self, step: Step) -> None:
        """What is mended where no move has failed: nothing."""
        self._deliver()
        if self._behind(step.name):
            raise Wrong(f"{self._behind(step.name)} are taken out of {step.name} by a mend")

    def _behind(self, name: str) -> list[contract.Command]:
        """The commands of a mend of a list."""
        try:
            found = {f"s_{each.address.partition('@')[0]}": each.standing for each in self.sink.members(name)}
        except NoSuchList:
            return []
        ledger = self.delivery._ledger
        drift = compare(ledger.wanted(name), found, 0, ledger.left_behind(name))
        return [replaced(each, matched_at_ms=self.now) for each in _mending(drift, "w", "mail", name)]

    def _fail(self, step: Step) -> None:
        """A move that puts somebody in and then is refused for good; it is mended."""
        self.fuse.steps = 0
        self._deliver()
        if not hasattr(self.sink, "_platform"):
            return
        given = command(step.other, step.name, person=step.person)
        self._given.append(given)
        self.log.store(Outgoing(moves_topic("w", "mail"), b"k", to_json(given)))
        self._refuses = True
        self._until_idle()
        self._refuses = False
        end = self.model.end(_in_words(given), self.now, refused=True)
        self._compare(given, end, self._ended(given.command_id), died=False)
        self._until_idle()
        self.model.take_out(self.now)
        behind = [each.subscriber for each in self._behind(step.name)]
        if behind != ([given.subscriber] if end.result == "failed" and end.changed else []):
            raise Wrong(f"a mend takes {behind} out of {step.name} after {end}")
        self.now += 1
        for each in self._behind(step.name):
            self.log.store(Outgoing(backfill_topic("w", "mail"), b"k", to_json(each)))
            self._until_idle()
            self._compare(each, self.model.end(_in_words(each), self.now), self._ended(each.command_id), died=False)

    def _ended(self, command_id: str) -> Outcome | None:
        found = [_outcome(each.value or b"") for each in self.log.records[OUTCOMES]]
        return next((each for each in found if each.command_id == command_id), None)

    def _crash(self, step: Step) -> None:
        """The next delivery dies after so many steps; the one after it goes on."""
        self.fuse.steps = step.number
        self._deliver()

    def _deliver(self) -> None:
        before = len(self.log.records[OUTCOMES])
        died = False
        try:
            self._until_idle()
        except Crash:
            died = True
            self._open()
            self._until_idle()
        self.fuse.steps = 0
        told = [_outcome(each.value or b"") for each in self.log.records[OUTCOMES][before:]]
        by_id = {each.command_id: each for each in told}
        waiting, self._waiting = self._waiting, []
        # One person's commands run in the order in which they were given: what follows from a leaving comes last.
        for each in waiting:
            end = self.model.end(_in_words(each), self.now)
            self._compare(each, end, by_id.get(each.command_id), died=died)
        self.model.take_out(self.now)
        if self.world.wrongs:
            raise Wrong(f"consent destroyed: {self.world.wrongs}")
        if len(self.world.mails) != self.model.mails:
            raise Wrong(f"{len(self.world.mails)} mails, {self.model.mails} were asked for")

    def _until_idle(self) -> None:
        while self.delivery.round():
            pass

    def _compare(self, given: contract.Command, end: End, outcome: Outcome | None, *, died: bool) -> None:
        if outcome is None:
            raise Wrong(f"no outcome of {_in_words(given)}")
        self.counts[end.reason or end.result] += 1
        result = str(outcome.result)
        done = {"applied", "already"}
        same = (
            result == end.result
            or (end.result == "written" and result in done)
            or (died and {result, end.result} <= done)
        )
        if not same or outcome.reason != end.reason:
            said = f"{result} {outcome.reason} {outcome.answer} {outcome.changed}"
            raise Wrong(f"{_in_words(given)}: must end {end}, and ended {said}")

    def _check_lists(self, step: Step) -> None:
        if self._waiting or not self.platform.shows.anything:
            return
        for person in PEOPLE:
            found = self.world.person(_address(person))
            shown = self.model.truth.get(person)
            if (found is None) != (shown is None):
                raise Wrong(f"{person} is{'' if found else ' not'} at the platform")
            if found is None or shown is None:
                continue
            self.model.numbered(person, found.id)
            for each in self.world.lists.values():
                if self._state(found.id, each) != shown.lists.get(each.name, OUT):
                    held, must = self._state(found.id, each), shown.lists.get(each.name, OUT)
                    raise Wrong(f"after {step}: {person} is {held} in {each.name}, and must be {must}")


def _address(person: str) -> str:
    return f"{person}@example.org"


def _in_words(given: contract.Command) -> Command:
    person = given.subscriber.removeprefix("s_")
    return Command(given.command_id, str(given.verb), person, given.to_list, given.from_list, given.undoes)


def fault_of(platform: str, steps: Sequence[Step], data: Path, strangers: str) -> tuple[str, Counter[str]]:
    """What is wrong in a history; empty: nothing."""
    history = History(platform, data, strangers=strangers)
    try:
        for step in steps:
            history.step(step)
        history._deliver()
        history._check_lists(Step("end"))
    except Wrong as error:
        return str(error), history.counts
    finally:
        history.sink.close()
    return "", history.counts


def shorter(platform: str, steps: Sequence[Step], data: Path, strangers: str) -> list[Step]:
    """The same history without any step that its fault does not need."""
    found, at = list(steps), 0
    while at < len(found):
        tried = found[:at] + found[at + 1 :]
        if fault_of(platform, tried, data, strangers)[0]:
            found = tried
        else:
            at += 1
    return found


def run(name: str, count: int, seed: int, *, say: Callable[[str], object], first: int = 0) -> tuple[int, Counter[str]]:
    """So many histories of a platform, from the ``first`` on; how many were wrong, and how commands ended."""
    wrong, counts = 0, Counter[str]()
    platform = PLATFORMS[name]
    with tempfile.TemporaryDirectory(prefix="segma-consent-") as directory:
        for number in range(first, first + count):
            own = f"{seed}/{name}/{number}"
            chance = random.Random(own)
            strangers = chance.choice(("add", "add", "opt_in" if platform.shows.asks else "never", "never"))
            steps = random_steps(chance, platform.shows)
            fault, ends = fault_of(name, steps, Path(directory), strangers)
            counts += ends
            if fault:
                wrong += 1
                few = shorter(name, steps, Path(directory), strangers)
                fault = fault_of(name, few, Path(directory), strangers)[0]
                lines = "\n".join(f"    {each}" for each in few)
                say(f"{own}: strangers: {strangers}\n{lines}\n  {fault}\n")
    return wrong, counts


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--platform", choices=[*PLATFORMS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--first", type=int, default=0, help="the number of the first history: replays a printed seed")
    asked = parser.parse_args()
    failed = 0
    for name in PLATFORMS if asked.platform == "all" else [asked.platform]:
        started = time.monotonic()
        wrong, counts = run(name, asked.histories, asked.seed, say=sys.stdout.write, first=asked.first)
        failed += wrong
        took = time.monotonic() - started
        seeds = f"{asked.seed}/{name}/{asked.first}"
        sys.stdout.write(f"{name}: {asked.histories} histories, seeds {seeds} on, {wrong} wrong, {took:.0f} s\n")
        sys.stdout.write(f"    {dict(counts.most_common())}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
