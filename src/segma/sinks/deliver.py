"""The delivery loop of one account: commands in, changes to the sink, outcomes out.

Effectively once: the ledger (topic ``outcomes``, read at start) knows every command that has an outcome; those are
passed over. A command's outcome is published before its position is committed, so after a crash only the call in doubt
comes again, and a change is a wanted state. Of one account there is one loop, so one person's commands never overtake
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog
import tenacity

from segma.contracts.codec import json_reader, to_json, to_msgpack
from segma.contracts.commands import Command, Outcome, Result, Verb
from segma.contracts.errors import BadRecord, LogError, LogUnavailable
from segma.contracts.log import Consumer, Log, Outgoing, Publisher, Record
from segma.contracts.reasons import Reason, reason_of
from segma.contracts.rows import DeadLetter
from segma.contracts.topics import DEAD_LETTERS, OUTCOMES, moves_topic
from segma.sinks.base import Answer, Change, Done, Sink, Trouble
from segma.sinks.directory import Directory
from segma.sinks.ledger import Ledger

BATCH: Final = 50
"""Commands of one round: their position is committed together. Each outcome is published before the next call, so a
crash leaves one call in doubt and no more; commands that come again with it are known by their outcomes."""
ATTEMPTS: Final = 8
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 30.0

_read_command: Final[Callable[[bytes], Command]] = json_reader(Command)
log_line = structlog.get_logger("sinks")

T = TypeVar("T")


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
    ) -> None:
        self._sink, self._workspace, self._account = sink, workspace, account
        self._now_ms, self._pause, self._stopping = now_ms, pause, stopping
        self._publisher: Publisher = log.publisher()
        self._directory = Directory(log)
        self._ledger = Ledger(log, workspace, account)
        name = f"deliver.{workspace}.{account}"
        self._consumer: Consumer = log.consumer(name, moves_topic(workspace, account))

    def run(self) -> None:
        """Deliver until told to stop."""
        while not self._stopping():
            self.round(timeout_s=0.25)

    def round(self, timeout_s: float = 0.0) -> int:
        """One round: poll, apply, publish the outcomes, commit. How many records it took."""
        records = self._consumer.poll(BATCH, timeout_s)
        if not records:
            return 0
        self._patiently(self._ledger.follow)
        for record in records:
            letters: list[DeadLetter] = []
            outcome = self._deliver(record, letters)
            if outcome is not None:
                self._ledger.add(outcome)
            self._publish([outcome] if outcome is not None else [], letters)
        self._patiently(lambda: self._consumer.commit({records[-1].partition: records[-1].offset + 1}))
        return len(records)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the log until it answers: commands that were taken are not dropped because it is away."""
        while True:
            try:
                return ask()
            except LogUnavailable as error:
                if self._stopping():
                    raise
                log_line.warning("log_unavailable", detail=str(error))
                self._pause(FIRST_WAIT_S)

    def close(self) -> None:
        """Release everything; what was taken has its outcome."""
        self._consumer.close()
        self._directory.close()
        self._ledger.close()
        self._publisher.close()
        self._sink.close()

    def _deliver(self, record: Record, letters: list[DeadLetter]) -> Outcome | None:
        """One command; None where there is nothing to say (known already, or no command at all)."""
        if record.value is None:
            return None
        try:
            command = _read_command(record.value)
        except BadRecord as error:
            letters.append(self._letter(record, error.reason, error.detail))
            return None
        if self._ledger.knows(command.command_id):
            return None
        outcome = self._carry_out(command)
        if outcome.result is Result.FAILED:
            letters.append(self._letter(record, reason_of(outcome.reason), outcome.answer))
        return outcome

    def _carry_out(self, command: Command) -> Outcome:
        entry = self._patiently(lambda: self._directory.find(command.workspace, command.subscriber))
        if entry is None:
            return self._outcome(command, Trouble(Reason.UNKNOWN_SUBSCRIBER, lasting=True))
        change = self._change(command, entry.address)
        if isinstance(change, Trouble):
            return self._outcome(command, change)
        answer, calls = self._asked(change)
        return self._outcome(command, answer, calls)

    def _change(self, command: Command, address: str) -> Change | Trouble:
        """What the sink is to make so, or why there is nothing to do."""
        if command.undoes:
            return self._undo(command, address)
        if command.verb not in {Verb.MOVE, Verb.ADD, Verb.REMOVE}:
            return Trouble(Reason.UNSUPPORTED, lasting=True)
        if command.max_lists and not self._ledger.may_name(command.listener, command.to_list, command.max_lists):
            return Trouble(Reason.TOO_MANY_LISTS, lasting=True)
        add = (command.to_list,) if command.to_list else ()
        remove = (command.from_list,) if command.from_list else ()
        return Change(command.command_id, command.subscriber, address, add, remove)

    def _undo(self, command: Command, address: str) -> Change | Trouble:
        """SEMANTICS 8: revert only what the ledger says was changed, only where no later command touched the list."""
        changed = self._ledger.to_undo(command.undoes)
        if not changed:
            return Trouble(Reason.SUPERSEDED, lasting=True)
        add = tuple(mark[1:] for mark in changed if mark.startswith("-"))
        remove = tuple(mark[1:] for mark in changed if mark.startswith("+"))
        # Whoever is no longer in the list that they were moved to has left by themselves, or was taken out by a person.
        return Change(command.command_id, command.subscriber, address, add, remove, remove[0] if remove else "")

    def _asked(self, change: Change) -> tuple[Answer, int]:
        """Ask the sink, again while it says "not now"; the last answer and how often it was asked."""
        calls = 0

        def ask() -> Answer:
            nonlocal calls
            calls += 1
            return self._sink.apply([change])[0]

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answer: isinstance(answer, Trouble) and not answer.lasting),
            stop=lambda state: state.attempt_number >= ATTEMPTS or self._stopping(),
            wait=_longer_of_asked(tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)),
            sleep=self._pause,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return retrying(ask), calls

    def _outcome(self, command: Command, answer: Answer, calls: int = 0) -> Outcome:
        if isinstance(answer, Done):
            result, reason = (Result.APPLIED if answer.changed else Result.ALREADY), ""
        elif answer.reason in {Reason.SUPERSEDED, Reason.UNSUBSCRIBED}:
            result, reason = Result.SKIPPED, str(answer.reason)
        else:
            result, reason = Result.FAILED, str(answer.reason)
        changed = answer.changed if isinstance(answer, Done) else ()
        return Outcome(
            command_id=command.command_id,
            workspace=command.workspace,
            account=command.account,
            subscriber=command.subscriber,
            result=result,
            at_ms=self._now_ms(),
            reason=reason,
            answer=answer.answer,
            changed=changed,
            calls=calls,
            listener=command.listener,
            match_id=command.match_id,
            verb=command.verb,
            to_list=command.to_list,
            from_list=command.from_list,
            received_at_ms=command.received_at_ms,
            matched_at_ms=command.matched_at_ms,
        )

    def _letter(self, record: Record, reason: Reason, detail: str) -> DeadLetter:
        value = record.value or b""
        return DeadLetter(
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            at_ms=self._now_ms(),
            detail=detail,
            workspace=self._workspace,
            key=record.key,
            value=value[: DeadLetter.MAX_SAMPLE_BYTES],
            size=len(value),
        )

    def _publish(self, outcomes: Sequence[Outcome], letters: Sequence[DeadLetter]) -> None:
        """Publish, for as long as it takes: nothing that was done may go without a word."""
        key = f"{self._workspace}/{self._account}".encode()
        waiting = [Outgoing(OUTCOMES, key, to_json(outcome)) for outcome in outcomes]
        waiting += [Outgoing(DEAD_LETTERS, letter.topic.encode(), to_msgpack(letter)) for letter in letters]
        while waiting:
            results = self._publisher.publish(waiting)
            waiting = [record for record, result in zip(waiting, results, strict=True) if isinstance(result, LogError)]
            faults = [result for result in results if isinstance(result, LogError)]
            if waiting and not all(isinstance(fault, LogUnavailable) for fault in faults):
                raise faults[0]
            if waiting:
                log_line.warning("log_unavailable", waiting=len(waiting), detail=str(faults[0]))
                self._pause(FIRST_WAIT_S)


def _longer_of_asked(wait: tenacity.wait.wait_base) -> Callable[[tenacity.RetryCallState], float]:
    """Our own wait, or the platform's where that is longer."""

    def seconds(state: tenacity.RetryCallState) -> float:
        answer = state.outcome.result() if state.outcome is not None else None
        asked = answer.wait_s if isinstance(answer, Trouble) else 0.0
        return max(wait(state), asked)

    return seconds
