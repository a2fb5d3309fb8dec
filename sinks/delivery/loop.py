"""The delivery loop of one account: commands in, changes to the sink, outcomes out.

Effectively once: the ledger (topic ``outcomes``, read at start) knows every command that has an outcome; those are
passed over. A command's outcome is published before its position is committed, so after a crash only the call in doubt
comes again, and a change is a wanted state. Of one account there is one loop, so one person's commands never overtake
each other. What the sink is about to change is published before it does (topic ``intents``).

Live commands come before back-fill, which waits where it is stopped, where its own ``max_moves`` are made, and where
half of the account's quota is used. What arrives while a call is under way goes together into the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome, Result, Verb
from contracts.dead_letters import letter_of, set_aside
from contracts.errors import BadRecord
from contracts.log import Consumer, Log, Outgoing, Record
from contracts.reasons import Reason, reason_of
from contracts.rows import DeadLetter, DirectoryEntry
from contracts.topics import (
    INTENTS,
    OUTCOMES,
    account_key,
    account_topics,
    backfill_topic,
    moves_topic,
)
from sinks.base import Answer, Change, Fate, Marks, Sink, Trouble
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.beside import OutcomesBeside
from sinks.delivery.directory import Directory
from sinks.delivery.followed import FollowedLeavings
from sinks.delivery.gate import AccountGate
from sinks.delivery.gone import GoneWithoutWord
from sinks.delivery.guard import MoveLimits, Room
from sinks.delivery.journal import Journal
from sinks.delivery.lanes import LaneGuards, may_go_behind
from sinks.delivery.ledger import Ledger
from sinks.delivery.meters import count_outcomes, watch_account
from sinks.delivery.outcomes import VETOES, outcome_of
from sinks.delivery.plan import (
    Group,
    Known,
    Wish,
    able_to,
    answers_of,
    change_of,
    forbidding_lists,
    intent_of,
    made_anew,
    waves,
    wish_of,
    with_outcomes,
)
from sinks.delivery.retry import patiently, with_earlier, worse_of
from sinks.delivery.taken_back import unchanged

ATTEMPTS: Final = 8
"""Of one person's trouble that passes; an account's outage is waited for as long as it lasts."""
NO_LIMITS: Final = MoveLimits()
POLL: Final = 50
"""Commands that are read together at least. Each wave's outcomes are published before the next wave's call, so a crash
leaves one call in doubt and no more; commands that come again with it are known by their outcomes."""

_read_command: Final[Callable[[bytes], Command]] = json_reader(Command)

T = TypeVar("T")
TokenOf = Callable[[DirectoryEntry], Mapping[str, str]]
"""The fields that a ``token`` command writes: name → value."""


class _Item(NamedTuple):
    """One record of a round; ``command`` None: none, or passed over."""

    record: Record
    command: Command | None
    again: bool


class Delivery:
    """The loop. ``now_ms`` and ``pause`` are the clock's; ``stopping`` is asked between rounds and attempts."""

    def __init__(
        self,
        log: Log,
        sink: Sink,
        *,
        workspace: str,
        account: str,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        stopping: Callable[[], bool],
        limits: MoveLimits = NO_LIMITS,
        token_of: TokenOf = lambda entry: {},
        spare: Callable[[], bool] = lambda: True,
    ) -> None:
        self._sink, self._workspace, self._account, self._token_of = sink, workspace, account, token_of
        self._now_ms, self._pause, self._stopping = now_ms, pause, stopping
        log.ensure(account_topics(workspace, account))
        self._journal = Journal(log, pause, stopping)
        self._patiently, self._send = self._journal.patiently, self._journal.send
        self._directory = Directory(log)
        self._guards, self._spare = LaneGuards(limits, now_ms), spare
        self._ledger = Ledger(log, workspace, account, self._guards.note)
        self._status = AccountStatus(log, workspace, account, now_ms, self._directory.twins, looks=sink.traits.lists)
        name = f"deliver.{workspace}.{account}"
        self._live: Consumer = log.consumer(name, moves_topic(workspace, account))
        self._backfill: Consumer = log.consumer(name, backfill_topic(workspace, account))
        watch_account(f"{workspace}/{account}", self._status)
        self._gate = AccountGate(self._status, self._journal, account, pause=pause, stopping=stopping)
        self._known = Known(self._ledger, self._status.leavings, sink.traits, account)
        self._followed = FollowedLeavings(self._status, self._known, self._send)
        self._gone = GoneWithoutWord(
            sink,
            self._known,
            status=self._status,
            people=lambda: self._directory.people(workspace),
            send=self._send,
            now_ms=now_ms,
        )
        self._beside = OutcomesBeside(log, workspace, now_ms, stopping)
        self._most = min(max(sink.traits.batch, 1), 1_000)
        self._apart = not sink.traits.lists or sink.traits.one_by_one

    def run(self) -> None:
        """Deliver until told to stop."""
        while not self._stopping():
            self.round(timeout_s=0.25)

    def round(self, timeout_s: float = 0.0) -> int:
        """One round: poll, apply, publish the outcomes, commit. How many records it is done with."""
        self._patiently(self._status.follow)
        if self._status.stopped:
            self._pause(max(timeout_s, 0.05))
            return 0
        self._followed.follow()
        for consumer, most, wait_s in self._lanes(timeout_s):
            records = self._patiently(partial(consumer.poll, most, wait_s))
            if records:
                return self._deliver(consumer, records)
        return 0

    def _lanes(self, timeout_s: float) -> Iterator[tuple[Consumer, int, float]]:
        """Where to look next, for how many commands at most, and how long to wait. Behind it is one call at a time."""
        most = max(self._most, POLL)
        yield self._live, most, 0.0
        if may_go_behind(self._status, self._guards, self._spare):
            yield self._backfill, 1 if self._apart else self._most, 0.0
        yield self._live, most, timeout_s

    def close(self) -> None:
        """Release everything; what was taken has its outcome."""
        for each in (
            self._live,
            self._backfill,
            self._directory,
            self._ledger,
            self._status,
            self._journal,
            self._beside,
            self._sink,
        ):
            each.close()

    def _deliver(self, consumer: Consumer, records: Sequence[Record]) -> int:
        """Deliver records in waves; what has no outcome when the account stops is read again."""
        self._patiently(self._ledger.follow)
        self._patiently(self._directory.follow)
        letters: dict[int, DeadLetter] = {}
        items = [self._item(index, record, letters) for index, record in enumerate(records)]
        todo = {index: item.command for index, item in enumerate(items) if item.command is not None}
        done, open_ = set(range(len(items))) - todo.keys(), True
        for wave in waves(list(todo.items()), most=self._most, apart=self._apart):
            # NOTE: asked again, because a flow that was killed says a command twice, and both may be in one round.
            known = {index for index in wave if self._passes_over(todo[index], again=items[index].again)}
            fresh = {index: todo[index] for index in wave if index not in known}
            done |= known
            outcomes = self._wave(fresh, items) if open_ and fresh else {}
            for index, outcome in outcomes.items():
                if outcome.result is Result.FAILED:
                    letters[index] = self._letter(records[index], reason_of(outcome.reason), outcome.answer)
            self._publish(list(outcomes.values()), [letters[index] for index in sorted(letters) if index in outcomes])
            done |= outcomes.keys()
            open_ = open_ and len(outcomes) == len(fresh)
        first = next((index for index in range(len(items)) if index not in done), len(items))
        self._publish([], [letters[index] for index in letters if index < first and index not in todo])
        return self._commit(consumer, records, first)

    def _commit(self, consumer: Consumer, records: Sequence[Record], first: int) -> int:
        """Everything before ``first`` is done; from there on it is read again."""
        partition = records[0].partition
        if first:
            self._patiently(lambda: consumer.commit({partition: records[first - 1].offset + 1}))
        if first < len(records):
            consumer.seek(partition, records[first].offset)
        return first

    def _item(self, index: int, record: Record, letters: dict[int, DeadLetter]) -> _Item:
        """Read a record: a command to deliver; or nothing to do (known already, or no command at all)."""
        again = record.topic == backfill_topic(self._workspace, self._account)
        if record.value is None:
            return _Item(record, None, again)
        try:
            command = _read_command(record.value)
        except BadRecord as error:
            letters[index] = self._letter(record, error.reason, error.detail)
            return _Item(record, None, again)
        return _Item(record, None if self._passes_over(command, again=again) else command, again)

    def _passes_over(self, command: Command, *, again: bool) -> bool:
        """Whether it has its outcome; one that failed is tried again where it is asked for again."""
        known = self._ledger.knows(command.command_id)
        return known and not (again and self._ledger.failed(command.command_id))

    def _wave(self, commands: Mapping[int, Command], items: Sequence[_Item]) -> dict[int, Outcome]:
        """The outcomes of these commands; those that have none yet are absent."""
        outcomes: dict[int, Outcome] = {}
        wishes: dict[str, list[tuple[int, Wish]]] = {}
        seen: set[str] = set()
        under_way: Counter[tuple[str, str]] = Counter()
        greedy = ""
        for index, command in commands.items():
            if command.command_id in seen:
                continue
            room, greedy = self._guards.room(command, under_way, self._status.resumed_at_ms)
            if room is not Room.FREE:
                break  # how many of those under way change anything is known first; the rest is read again
            seen.add(command.command_id)
            under_way[command.listener, command.subscriber] += 1
            wish = self._wish(command, again=items[index].again)
            if isinstance(wish, Trouble):
                if wish.reason in VETOES and command.subscriber in wishes:
                    break  # what the look for their earlier commands shows may be graver; the rest is read again
                outcomes[index] = self._outcome(command, wish)
            else:
                wishes.setdefault(command.subscriber, []).append((index, wish))
        groups = [self._group(each) for each in wishes.values()]
        for group, answer, calls in self._carried_out(groups):
            apart = len(group.wishes) > 1 and isinstance(answer, Trouble) and answer.reason in VETOES
            outcomes |= self._one_by_one(group) if apart else self._outcomes_of(group, answer, calls)
        for index, command in commands.items():
            twin = next((each for each in outcomes.values() if each.command_id == command.command_id), None)
            if twin is not None and index not in outcomes:
                outcomes[index] = twin
        for index in sorted(outcomes):
            self._end(outcomes[index])
        if greedy:
            self._gate.stop(Reason.TOO_MANY_MOVES, greedy)
        return outcomes

    def _one_by_one(self, group: Group) -> dict[int, Outcome]:
        """Commands of one person, of which one is vetoed: each by itself, for the others may be carried out."""
        outcomes: dict[int, Outcome] = {}
        for index, former in zip(group.indexes, group.wishes, strict=True):
            wish = self._wish(former.command, again=False)
            if isinstance(wish, Trouble):
                found = {index: self._outcome(former.command, wish)}
            else:
                carried = self._carried_out([self._group([(index, wish)])])
                found = {number: each for done in carried for number, each in self._outcomes_of(*done).items()}
            if not found:
                break
            outcomes |= found
            self._end(outcomes[index])
        return outcomes

    def _end(self, outcome: Outcome) -> None:
        """Note an outcome; what is known of leavings by then is followed first, for it may cut the links they go by."""
        self._followed.follow()
        self._ledger.add(outcome)

    def _wish(self, command: Command, *, again: bool) -> Wish | Trouble:
        """What a command wants of the sink, or why there is nothing to do."""
        if self._patiently(lambda: self._directory.find(command.workspace, command.subscriber)) is None:
            return Trouble(Reason.UNKNOWN_SUBSCRIBER, Fate.LASTING)
        if not able_to(self._sink.traits, command.verb):
            return Trouble(Reason.UNSUPPORTED, Fate.LASTING)
        if command.max_lists and command.to_list:
            if not self._ledger.may_name(command.listener, command.to_list, command.max_lists):
                return Trouble(Reason.TOO_MANY_LISTS, Fate.LASTING)
            self._ledger.name(command.listener, command.to_list)
        wish = wish_of(command, self._known)
        late = again and wish is not None and self._ledger.overtaken(command, wish.untouched)
        if wish is None or late:
            return Trouble(Reason.SUPERSEDED, Fate.LASTING)
        vetoed = self._status.veto(command.subscriber, forbidding_lists(wish, self._known))
        return Trouble(vetoed, Fate.LASTING) if vetoed is not None else wish

    def _group(self, wishes: Sequence[tuple[int, Wish]]) -> Group:
        indexes, wanted = tuple(index for index, _ in wishes), tuple(wish for _, wish in wishes)
        newest = wanted[-1].command
        entry = self._directory.find(newest.workspace, newest.subscriber)
        if entry is None:  # NOTE: found a moment ago, on this thread
            raise AssertionError(newest.subscriber)
        writes = any(wish.command.verb is Verb.TOKEN for wish in wanted)
        fields = self._token_of(entry) if writes else {}
        until_ms = newest.log_time_ms + self._sink.traits.waits_ms
        outcomes = self._patiently(lambda: self._beside.told(newest, until_ms))
        change = with_outcomes(newest, outcomes, change_of(wanted, entry, self._known, fields))
        return Group(indexes, wanted, change)

    def _carried_out(self, groups: Sequence[Group]) -> list[tuple[Group, Answer, int]]:
        """Ask the sink until every group has its last answer, or the account stops. What was done before is kept."""
        waiting = {group.change.change_id: group for group in groups}
        calls = dict.fromkeys(waiting, 0)
        passing = dict.fromkeys(waiting, 0)
        before_now: dict[str, Marks] = {}
        settled: list[tuple[Group, Answer, int]] = []
        probing = False

        def ask() -> Trouble | None:
            """One attempt at what is waiting; while the account is away, with one person alone."""
            nonlocal probing
            if any(calls[each] for each in waiting):
                self._patiently(self._status.follow)  # they have waited
            for each, reason in [(each, self._left(group)) for each, group in waiting.items()]:
                if reason is None:
                    continue
                gone = with_earlier(before_now.pop(each, ()), Trouble(reason, Fate.LASTING))
                settled.append((waiting.pop(each), gone, calls[each]))
            # NOTE: another person each time: it may be this one's data that the platform cannot answer.
            turn = max(calls.values(), default=0) % max(len(waiting), 1)
            asked = list(waiting)[turn : turn + 1] if probing else list(waiting)
            worst: Trouble | None = None
            changes = [waiting[each].change for each in asked]
            answers = (
                self._sink.apply(changes, lambda marks: self._intend(marks, waiting) if marks else None)
                if changes
                else []
            )
            for each, given in zip(asked, answers, strict=True):
                calls[each] += 1
                answer = with_earlier(before_now.pop(each, ()), self._learnt(waiting[each].change, given))
                if isinstance(answer, Trouble) and answer.fate is not Fate.LASTING:
                    before_now[each] = answer.changed
                    passing[each] += answer.fate is Fate.PASSING
                    if answer.fate is not Fate.PASSING or passing[each] < ATTEMPTS:
                        worst = worse_of(worst, answer)
                        continue
                settled.append((waiting.pop(each), answer, calls[each]))
            probing = worst is not None and worst.fate is Fate.AWAY
            self._gate.announce(worst)
            if worst is not None and worst.fate is Fate.FATAL:
                self._gate.stop(worst.reason, worst.answer)
            return worst

        while waiting and not self._gate.halted():
            patiently(ask, halted=self._gate.halted, wait=self._gate.wait)
        return settled

    def _learnt(self, change: Change, given: Answer) -> Answer:
        """The answer, after what it shows of the person's leavings and joinings has been noted."""
        answer = self._gone.judged(change, given)
        self._send(self._status.leave(change.subscriber, answer.leavings))
        self._send(self._status.confirm(change.subscriber, answer.joinings))
        return answer

    def _left(self, group: Group) -> Reason | None:
        """Why the person may not be added any more: they left while their change waited."""
        bound = {name for wish in group.wishes for name in forbidding_lists(wish, self._known)}
        return self._status.veto(group.change.subscriber, bound)

    def _intend(self, marks: Mapping[str, Marks], waiting: dict[str, Group]) -> None:
        """Publish what is about to be changed, before it is."""
        if not marks:
            return
        intent = intent_of(waiting, marks, self._now_ms())
        waiting |= {each: made_anew(waiting[each], own) for each, own in marks.items()}
        self._ledger.intend(intent)
        self._send([Outgoing(INTENTS, account_key(self._workspace, self._account), to_json(intent))])

    def _outcomes_of(self, group: Group, answer: Answer, calls: int) -> dict[int, Outcome]:
        """The outcome of each command of a group."""
        doubt = self._ledger.doubt(group.change.subscriber)
        each = answers_of(group, answer, doubt, lists=self._sink.traits.lists)
        return {
            index: self._outcome(wish.command, own, calls)
            for index, wish, own in zip(group.indexes, group.wishes, each, strict=True)
        }

    def _outcome(self, command: Command, answer: Answer, calls: int = 0) -> Outcome:
        return outcome_of(command, answer, calls=calls, at_ms=self._now_ms())

    def _letter(self, record: Record, reason: Reason, detail: str) -> DeadLetter:
        return letter_of(record, reason, detail, workspace=self._workspace, at_ms=self._now_ms())

    def _publish(self, outcomes: Sequence[Outcome], letters: Sequence[DeadLetter]) -> None:
        key = account_key(self._workspace, self._account)
        unique = {outcome.command_id: outcome for outcome in outcomes}
        count_outcomes(key.decode(), unique.values())
        waiting = [Outgoing(OUTCOMES, key, to_json(outcome)) for outcome in unique.values()]
        waiting += [*map(set_aside, letters), *unchanged(unique.values())]
        self._send(waiting)
