"""A brute-force model of consent, written from docs/semantics.md 8 and 8.1 alone: nothing of ``sinks`` is read for it.

It keeps the whole history of an account as a list and goes through all of it for every question. What it is told is
what the platform shows (``truth``), what is reported, and which commands come; it says how each must end and who must
then be in which list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.sinks.consent_knowledge import EVERYTHING, IN, LEFT, NEW, OUT, PENDING, Command, End, Item, Knowledge, Person

ORDER = ("gone", "complained", "blocked", "unsubscribed", "pending", "asked", "unclear", "paused", "undeliverable")


class Model(Knowledge):
    """One account: what a look shows, and how commands end."""

    def look(self, person: str, names: set[str], now: int, *, must_be_in: Iterable[str] = ()) -> list[tuple[str, str]]:
        """What the platform shows of their leaving, asked about these lists: (list, reason); known from now on."""
        found = self._shown(person, names, must_be_in)
        # A joining that no look confirmed lifts nothing: what stood before this look stands beside what it shows.
        told = []
        for name in sorted({EVERYTHING, *names}):
            joined = self.may_have_joined(person, name) if self.standing(person, name) else None
            if joined is not None:
                told += [(name, each.more) for each in self.standing(person, name)]
        # All that one look shows is known at once: each of it is followed, also what follows from another of it.
        new = [
            Item("left", now, person, name, reason)
            for name, reason, noted in found
            if noted and (not self.standing(person, name) or self.may_have_joined(person, name) is not None)
        ]
        for item in new:
            if item in self.history:
                self._follow(item)
            self.tell(*item)
        self._looks += new
        return [(name, reason) for name, reason, _ in found] + told

    def _shown(self, person: str, names: set[str], must_be_in: Iterable[str]) -> list[tuple[str, str, bool]]:
        shown = self.truth.get(person)
        # Whom Segma has asked is there under a number that nobody has told: under another one they were not erased.
        known = [each for each in (self._of("number", person) or self._of("imported", person))[-1:] if each.more]
        erased = self.shows.numbers and bool(known) and shown is not None and shown.number not in {NEW, known[-1].more}
        joined = [*self._of("joined", person), *self._of("unsure", person)]
        if erased and max((each.at for each in joined), default=-1) < known[-1].at:
            return [(EVERYTHING, "gone", True)]
        if shown is None:
            held = self.held(person) & self.lists
            if self.shows.people and (held or (known and not self.been(person))):
                return [(EVERYTHING, "gone", True)]
            lists: dict[str, str] = {}
        else:
            lists = shown.lists
            if shown.standing == LEFT:
                return [(EVERYTHING, shown.because or self.shows.because, True)]
        seen = self.lists if self.shows.other_lists else names
        found = [(name, "unsubscribed", True) for name in sorted(seen) if lists.get(name) == LEFT]
        gone = set() if self.shows.removals else self.held(person) & seen
        silent = set(must_be_in) | {name for name in gone if not self.explained(person, name)}
        found += [
            (name, "unsubscribed", not self.shows.removals)
            for name in sorted(silent)
            if lists.get(name, OUT) == OUT and name in self.lists
        ]
        last = [noted for name, _, noted in found if not self._is_not_last(person, name)]
        if last and self.shows.other_lists and IN not in lists.values():
            found.append((EVERYTHING, "unsubscribed", any(last)))
        return found

    def _is_not_last(self, person: str, name: str) -> bool:
        """Whether they are known to have left this list while they were in another."""
        out = max((each.at for each in self._of("out", person)), default=-1)
        return any(each.at < out or each in self._looks for each in self._of("left", person, name))

    def take_out(self, now: int) -> None:
        """Those who left are taken out; the platform's own record of a leaving stays."""
        for person, name in self._to_take_out:
            # It is a command as any other: a look goes before it, and an undo of an earlier one takes nothing back.
            self.look(person, {name}, now)
            shown = self.truth.get(person)
            inside = shown is not None and shown.lists.get(name) == IN
            if inside:
                self._set(person, name, OUT)
                if not self.shows.people and not self.truth[person].lists:
                    del self.truth[person]
            self.history.append(Item("did", now, person, "", ({name: False}, {name} if inside else set())))
            self.tell("out", now, person, name)
        self._to_take_out = []

    # How commands end

    def end(self, command: Command, now: int, *, refused: bool = False) -> End:
        """How a command ends that is judged now; what follows from it is in the history after that.

        ``refused``: the platform refuses to take the person out.
        """
        if not self.shows.anything:
            return self._told(command, now)
        if command.undoes:
            wanted, must_be_in = self._undone(command)
            if not wanted:
                self._take_back(command, now)
                return End("skipped", "superseded")
        elif command.verb == "token":
            return self._token(command, now)
        else:
            must_be_in = set()
            wanted = {command.out_of: False} if command.out_of else {}
            wanted |= {command.to: True} if command.to else {}
            if command.to == command.out_of:
                self._done(command, {}, set(), now)
                return End("already")
        reason = self._veto(command.person, wanted, must_be_in, now)
        if reason == "ask":
            return self._ask(command, next(iter({name for name, into in wanted.items() if into})), now)
        if reason:
            if command.undoes:
                self._take_back(command, now)
            return End("skipped", reason)
        if refused and command.person in self.truth and self.truth[command.person].lists.get(command.out_of) == IN:
            return self._half_done(command, now)
        return self._carried_out(command, wanted, now)

    def _told(self, command: Command, now: int) -> End:
        """Whoever is told of moves is told of what holds no more as well, and of no adding of those who left."""
        if command.undoes:
            stands = self._of("did", command.person, command.undoes)
            undone = [each for each in self._of("undone", command.person) if each.more == command.undoes]
            self._take_back(command, now)
            return End("applied") if stands and not undone else End("skipped", "superseded")
        adds = command.to and command.to != command.out_of
        names = {EVERYTHING, command.to, command.out_of} if adds else set()
        reasons = [each.more for name in names for each in self.standing(command.person, name)]
        if reasons:
            return End("skipped", _gravest(reasons))
        self.history.append(Item("did", now, command.person, command.id, ({}, set())))
        return End("applied")

    def _half_done(self, command: Command, now: int) -> End:
        """Put in, and not taken out: the move has failed, and links no lists."""
        lists = self.truth[command.person].lists
        changed = {command.to: True} if lists.get(command.to) != IN else dict[str, bool]()
        if self.shows.numbers and self.truth[command.person].number != NEW:
            self.tell("number", now, command.person, more=self.truth[command.person].number)
        for name in changed:
            self.lists.add(name)
            self._set(command.person, name, IN)
            self.history.append(Item("put", now, command.person, name))
        self.history.append(Item("did", now, command.person, command.id, (changed, set(changed))))
        return End("failed", "refused_by_platform", tuple(changed.items()))

    def _ask(self, command: Command, name: str, now: int) -> End:
        """The stranger gets one mail and is nowhere; under which number they are there now nobody has told.

        Whoever is known gets it as well where the account says so, and is where they were.
        """
        self.tell("asked", now, command.person)
        if not self._is_stranger(command.person):
            self.mails += 1
            if self.shows.numbers and self.truth[command.person].number != NEW:
                self.tell("number", now, command.person, more=self.truth[command.person].number)
            self.truth.setdefault(command.person, Person(NEW))
            self._set(command.person, name, PENDING)
            if command.undoes:
                self._take_back(command, now)
            return End("applied")
        self.tell("number", now, command.person, more="")
        self.mails += 1
        asked = Person(NEW, {command.to: PENDING}) if self.shows.asks == "list" else Person(NEW, standing=PENDING)
        self.truth[command.person] = asked
        return End("applied")

    def asked_before(self, *, mailed: bool) -> End:
        """How a command ends whose call was in doubt when it asked: that was noted, so no second mail is sent."""
        self.mails -= not mailed
        return End("skipped", "asked")

    def _veto(self, person: str, wanted: dict[str, bool], must_be_in: set[str], now: int) -> str:
        adds = {name for name, into in wanted.items() if into}
        if not adds:
            self.look(person, set(wanted), now)
            return ""
        bound = self.bound(person, wanted)
        known = [
            each.more
            for name in (EVERYTHING, *bound)
            if self.standing(person, name) and self.may_have_joined(person, name) is None
            for each in self.standing(person, name)
        ]
        if known:
            return _gravest(known)
        names = bound | must_be_in
        unsure = {
            joined: name
            for name in (EVERYTHING, *bound)
            if self.standing(person, name) and (joined := self.may_have_joined(person, name)) is not None
        }
        for joined in unsure:
            if self._is_there(person, joined):
                self._confirm(person, joined)
        shown = self.look(person, names, now, must_be_in=must_be_in)
        self._not_confirmed(person, bound, now)
        reasons = [reason for name, reason in shown if name in {EVERYTHING, *bound, *must_be_in}]
        if reasons:
            return _gravest(reasons)
        return self._not_yet(person, adds, bound)

    def _not_confirmed(self, person: str, bound: set[str], now: int) -> None:
        """A joining at no known time that the look does not show lifts nothing from then on: they have left still."""
        for name in (EVERYTHING, *sorted(bound)):
            standing = self.standing(person, name)
            joined = self.may_have_joined(person, name) if standing else None
            if joined is not None and not self._is_there(person, joined):
                again = Item("left", now, person, name, _gravest(each.more for each in standing))
                self._looks.append(again)
                self.tell(*again)

    def _is_there(self, person: str, name: str) -> bool:
        shown = self.truth.get(person)
        if shown is None or shown.standing == LEFT:
            return False
        return shown.lists.get(name) == IN if name else shown.standing == IN

    def _confirm(self, person: str, name: str) -> None:
        for each in self._of("unsure", person, name):
            self.tell("joined", each.at, person, name)

    def _not_yet(self, person: str, adds: set[str], bound: set[str]) -> str:
        shown, asked = self.truth.get(person), bool(self._of("asked", person))
        waits_in = adds | bound if self.shows.pending else adds
        if shown is not None and (shown.standing == PENDING or any(shown.lists.get(x) == PENDING for x in waits_in)):
            return "asked" if asked else "pending"
        stranger = self._is_stranger(person)
        if asked and (stranger or self._asks_known(person, adds)):
            return "asked"
        if shown is not None and shown.standing == "undeliverable":
            return "undeliverable"
        if stranger and self.strangers == "never":
            return "unknown"
        asks = self.shows.asks == "all" or bool(adds & self.asking)
        if not stranger and self._asks_known(person, adds):
            return "ask"
        return "ask" if stranger and self.strangers == "opt_in" and asks else ""

    def _asks_known(self, person: str, adds: set[str]) -> bool:
        """Whether a known person is to confirm first: where the account says so, and a list asks they are not in."""
        shown = self.truth.get(person)
        missing = {name for name in adds & self.asking if shown is None or shown.lists.get(name) != IN}
        return self.known == "opt_in" and bool(missing) and not self._is_stranger(person)

    def _is_stranger(self, person: str) -> bool:
        """Whether the platform does not know them, or only by opt-ins without an answer."""
        shown = self.truth.get(person)
        if shown is None:
            return self.shows.people or not self.been(person)
        return bool(shown.lists) and set(shown.lists.values()) == {PENDING} and not self.been(person)

    def _carried_out(self, command: Command, wanted: dict[str, bool], now: int) -> End:
        person, changed = command.person, dict[str, bool]()
        known = person in self.truth
        if known and self.shows.numbers and self.truth[person].number != NEW:
            self.tell("number", now, person, more=self.truth[person].number)
        for name, into in sorted(wanted.items(), key=lambda each: not each[1]):
            if into:
                self.lists.add(name)
                shown = self.truth.setdefault(person, Person(NEW))
                if shown.lists.get(name) != IN:
                    self._set(person, name, IN)
                    changed[name] = True
            elif person in self.truth and self.truth[person].lists.get(name) == IN:
                self._set(person, name, OUT)
                changed[name] = False
        if not known and person in self.truth and self.shows.numbers:
            self.tell("number", now, person, more=NEW)
        if not self.shows.people and person in self.truth and not self.truth[person].lists:
            del self.truth[person]
        self._done(command, wanted, set(changed), now)
        return End("applied" if changed else "already", "", tuple(sorted(changed.items())))

    def _done(self, command: Command, wanted: dict[str, bool], changed: set[str], now: int) -> None:
        person = command.person
        if command.undoes:
            self._take_back(command, now)
        else:
            self.history.append(Item("did", now, person, command.id, (dict(wanted), changed)))
        for name, into in wanted.items():
            if not command.undoes or name in changed:
                self.history.append(Item("put" if into else "out", now, person, name))
        if command.to and command.out_of and command.to in changed and not command.undoes:
            self.history.append(Item("link", now, person, command.out_of, (command.to, command.id)))

    def _take_back(self, command: Command, now: int) -> None:
        self.history.append(Item("undone", now, command.person, "", command.undoes))
        self.tell("cut", now, command.person, more=command.undoes)

    def _token(self, command: Command, now: int) -> End:
        shown = self.look(command.person, set(), now)
        if command.person not in self.truth:
            # A leaving that the platform only told of, and that a joining may have lifted, is no sign of an erasure.
            erased = any(reason == "gone" for _, reason in shown)
            erased = erased or any(each.more == "gone" for each in self.standing(command.person, EVERYTHING))
            return End("skipped", "gone" if erased else "unknown")
        if self.shows.numbers and self.truth[command.person].number != NEW:
            self.tell("number", now, command.person, more=self.truth[command.person].number)
        if self.truth[command.person].standing == LEFT and not self.shows.fields_of_left:
            return End("skipped", "unsubscribed")
        return End("written")

    def _undone(self, command: Command) -> tuple[dict[str, bool], set[str]]:
        """What a command changed that is still so because of it, where no later one stands; the other way round."""
        back, must_be_in = {}, set()
        for name in sorted({each for item in self._of("did", command.person) for each in item.more[0]}):
            claims: list[list[Any]] = []
            for item in self.history:
                if item.person != command.person:
                    continue
                if item.kind == "did" and name in item.more[0]:
                    claims.append([item.name, item.more[0][name], name in item.more[1]])
                if item.kind == "undone":
                    at = next((n for n, each in enumerate(claims) if each[0] == item.more), None)
                    if at is not None:
                        gone = claims.pop(at)
                        if at < len(claims) and gone[2]:
                            claims[at][2] = claims[at][1] == gone[1]
            if claims and claims[-1][0] == command.undoes and claims[-1][2]:
                into = claims[-1][1]
                since = next(x.at for x in self._of("did", command.person, command.undoes))
                if into and self.joined_at(command.person, name) > since:
                    continue
                back[name] = not into
                must_be_in |= {name} if into else set()
        return back, must_be_in


def _gravest(reasons: Iterable[str]) -> str:
    return min(reasons, key=ORDER.index)
