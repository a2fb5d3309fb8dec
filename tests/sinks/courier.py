"""A delivery loop between a real log and a platform under test, started and stopped as often as a test likes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.account_states import read_states
from contracts.accounts import AccountState
from contracts.codec import json_reader, msgpack_reader, to_json
from contracts.commands import Command, Outcome, Verb
from contracts.log import Log, Outgoing
from contracts.rows import DeadLetter, DirectoryEntry
from contracts.topics import (
    ACCOUNTS,
    DEAD_LETTERS,
    OUTCOMES,
    SUBSCRIBERS,
    account_key,
    account_topics,
    backfill_topic,
    fixed_topics,
    moves_topic,
    subscriber_key,
)
from sinks.base import Sink
from sinks.delivery.guard import MoveLimits
from sinks.delivery.loop import Delivery
from tests.sinks.beds import ServedBed, brief, now_ms
from tests.sinks.consent_bed import Fuse, MemoryLog
from tests.sinks.simulator.mailman import Mailman
from transport import open_log
from transport.config import Settings
from transport.kafka.log import KafkaLog

_outcome = json_reader(Outcome)
_letter = msgpack_reader(DeadLetter)
_numbers = itertools.count(1)


def command(to_list: str = "", from_list: str = "", *, person: str = "anna", **more: Any) -> Command:
    """A command with an id of its own."""
    number = next(_numbers)
    verb = Verb.MOVE if to_list and from_list else Verb.ADD if to_list else Verb.REMOVE
    given: dict[str, Any] = {
        "command_id": f"c{number}",
        "workspace": "w",
        "account": "mail",
        "subscriber": f"s_{person}",
        "verb": verb,
        "listener": "l",
        "version": 1,
        "match_id": f"m{number}",
        "position": 0,
        "matched_at_ms": 1_000,
        "to_list": to_list,
        "from_list": from_list,
    }
    return Command(**{**given, **more})


def log_beside(bed: ServedBed) -> Log | None:
    """A log in memory beside an imitated platform; None beside a real one: the real log.

    PERF: suites that every platform runs take half the CPU and a third of the time without its files.
    """
    made: Any = MemoryLog(now_ms, Fuse())
    log: Log = made
    return None if isinstance(bed.dialect, Mailman) else log


class Courier:
    """One account on a real log, unless another is given."""

    def __init__(self, bed: ServedBed, data: Path, *people: str, log: Log | None = None, **options: Any) -> None:
        self.bed, self._data, self._options = bed, data, options
        self.addresses = {f"s_{name}": f"{name}@example.org" for name in people or ("anna", "ben")}
        self.pauses: list[float] = []
        self.log: Log = log or open_log(Settings(data=data))
        self.log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        self.publish(
            *(
                Outgoing(SUBSCRIBERS, subscriber_key("w", each), to_json(DirectoryEntry("w", each, address)))
                for each, address in self.addresses.items()
            )
        )

    def publish(self, *records: Outgoing) -> None:
        self.log.publisher().publish(records)

    def send(self, *commands: Command | bytes, backfill: bool = False) -> None:
        topic = backfill_topic("w", "mail") if backfill else moves_topic("w", "mail")
        self.publish(*(Outgoing(topic, b"k", each if isinstance(each, bytes) else to_json(each)) for each in commands))

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        brief(seconds)

    def deliver(
        self,
        sink: Sink | None = None,
        *,
        stopping: Callable[[], bool] = lambda: False,
        limits: MoveLimits | None = None,
        max_moves: int = 0,
    ) -> None:
        """A process that works until nothing is left or the account stops."""
        own = sink or self.bed.sink(pause=self.pause, **self._options)
        loop = Delivery(
            self.log,
            own,
            workspace="w",
            account="mail",
            now_ms=now_ms,
            pause=self.pause,
            stopping=stopping,
            limits=limits or MoveLimits(hour=max_moves),
            token_of=lambda entry: {getattr(self.bed, "token_field", "segma_token"): f"token-of-{entry.subscriber}"},
        )
        try:
            while loop.round() or self._behind(loop):
                pass
        finally:
            for each in (loop._live, loop._backfill):
                each.close()

    def _behind(self, loop: Delivery) -> bool:
        """Kafka's answer may be on its way still; the embedded log's never is."""
        if not isinstance(self.log, KafkaLog):
            return False
        return any(
            consumer.positions() != self.log.end(topic)
            for consumer, topic in (
                (loop._live, moves_topic("w", "mail")),
                (loop._backfill, backfill_topic("w", "mail")),
            )
        )

    def outcomes(self) -> list[Outcome]:
        return [_outcome(each) for each in self._values(OUTCOMES)]

    def letters(self) -> list[DeadLetter]:
        return [_letter(each) for each in self._values(DEAD_LETTERS)]

    def state(self) -> AccountState | None:
        return read_states(self.log).get(("w", "mail"))

    def resume(self) -> None:
        state = AccountState("w", "mail", stopped=False, at_ms=now_ms(), resumed_at_ms=now_ms())
        self.publish(Outgoing(ACCOUNTS, account_key("w", "mail"), to_json(state)))

    def _values(self, topic: str) -> list[bytes]:
        reader = self.log.reader(topic)
        found = [record.value for record in reader.poll(100_000) if record.value]
        reader.close()
        return found

    def close(self) -> None:
        self.log.close()
