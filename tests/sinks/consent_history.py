"""One account of a random history, a step at a time: what Segma does there, compared with the model after each."""

from __future__ import annotations

from collections.abc import Callable

from cli.reconcile import _mending, compare
from contracts import commands as contract
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Outcome, Verb
from contracts.log import Outgoing
from contracts.topics import (
    OUTCOMES,
    backfill_topic,
    moves_topic,
)
from sinks.base import NoSuchList
from tests.sinks.consent_bed import Crash
from tests.sinks.consent_knowledge import OUT, Command, End
from tests.sinks.consent_outside import Outside, Wrong, address_of
from tests.sinks.consent_steps import PEOPLE, Step
from tests.sinks.courier import command

_outcome: Callable[[bytes], Outcome] = json_reader(Outcome)


class History(Outside):
    """One account, a step at a time."""

    def step(self, step: Step) -> None:
        """Carry a step out, and compare."""
        self.now += 1_000
        getattr(self, f"_{step.kind}")(step)
        self._check_lists(step)

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
        self._refuses = (step.name, given.command_id)
        self._until_idle()
        self._refuses = ("", "")
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
            end = self._end(each, by_id.get(each.command_id), died=died)
            self._compare(each, end, by_id.get(each.command_id), died=died)
        self.model.take_out(self.now)
        if self.world.wrongs:
            raise Wrong(f"consent destroyed: {self.world.wrongs}")
        if len(self.world.mails) != self.model.mails:
            raise Wrong(f"{len(self.world.mails)} mails, {self.model.mails} were asked for")

    def _end(self, given: contract.Command, outcome: Outcome | None, *, died: bool) -> End:
        """How a command must end; whether a call that was in doubt had asked the person only the platform knows."""
        mails = self.model.mails
        end = self.model.end(_in_words(given), self.now)
        if died and self.model.mails > mails and outcome is not None and outcome.reason == "asked":
            end = self.model.asked_before(mailed=len(self.world.mails) >= self.model.mails)
            self._truth(given.subscriber.removeprefix("s_"))
        return end

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
            found = self.world.person(address_of(person))
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


def _in_words(given: contract.Command) -> Command:
    person = given.subscriber.removeprefix("s_")
    return Command(given.command_id, str(given.verb), person, given.to_list, given.from_list, given.undoes)
