"""The delivery loop: one outcome per command whatever happens, undo by the ledger, dead letters with their place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import json_reader, msgpack_reader, replaced, to_json
from contracts.commands import Command, Outcome, Result, Verb
from contracts.errors import ConfigError
from contracts.installation import check_installation
from contracts.log import Log, Outgoing
from contracts.reasons import Reason
from contracts.rows import DeadLetter, DirectoryEntry
from contracts.topics import (
    DEAD_LETTERS,
    OUTCOMES,
    SUBSCRIBERS,
    account_topics,
    fixed_topics,
    moves_topic,
    subscriber_key,
)
from sinks.base import Change, Fate, Trouble
from sinks.delivery.loop import ATTEMPTS, Delivery
from sinks.platforms.file import FileSink
from sinks.registry import sink_of
from tests.conformance.test_sinks_faults import NAMES
from tests.sinks.memory import Crash, MemorySink
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.slow

_read_outcome = json_reader(Outcome)
_read_letter = msgpack_reader(DeadLetter)
ADDRESSES = {f"s_{name}": f"{name}@example.org" for name in ("anna", "ben")}


class Account:
    """One account on a real log; the sink outlives every process."""

    def __init__(self, data: Path) -> None:
        self.data, self.sink = data, MemorySink({"newsletter": set(ADDRESSES.values())})
        self.pauses: list[float] = []
        log = self.open()
        entries = [DirectoryEntry("w", subscriber, address) for subscriber, address in ADDRESSES.items()]
        log.publisher().publish(
            [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        )
        log.close()

    def open(self) -> Log:
        log = open_log(Settings(data=self.data))
        log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        return log

    def send(self, *values: Command | bytes) -> None:
        log = self.open()
        topic = moves_topic("w", "mail")
        log.publisher().publish(
            [Outgoing(topic, b"k", each if isinstance(each, bytes) else to_json(each)) for each in values]
        )
        log.close()

    def deliver(self, log: Log | None = None) -> None:
        """A process that works until nothing is left; it dies where the sink (or the log) says so."""
        log = log or self.open()
        loop = Delivery(
            log,
            self.sink,
            workspace="w",
            account="mail",
            now_ms=lambda: 5_000,
            pause=self.pauses.append,
            stopping=lambda: False,
        )
        try:
            while loop.round():
                pass
        finally:
            log.close()

    def outcomes(self) -> list[Outcome]:
        return [_read_outcome(each) for each in self._values(OUTCOMES)]

    def letters(self) -> list[DeadLetter]:
        return [_read_letter(each) for each in self._values(DEAD_LETTERS)]

    def _values(self, topic: str) -> list[bytes]:
        log = self.open()
        found = [record.value for record in log.reader(topic).poll(1_000) if record.value]
        log.close()
        return found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def command(number: int, **more: Any) -> Command:
    given: dict[str, Any] = {
        "command_id": f"c{number}",
        "workspace": "w",
        "account": "mail",
        "subscriber": "s_anna",
        "verb": Verb.MOVE,
        "listener": "l",
        "version": 1,
        "match_id": f"m{number}",
        "position": 0,
        "matched_at_ms": 1_000,
        "to_list": "vip",
        "from_list": "newsletter",
    }
    return Command(**{**given, **more})


def undo(number: int, of: int, **more: Any) -> Command:
    return command(number, undoes=f"c{of}", **more)


def test_a_move_is_carried_out_and_told(account: Account) -> None:
    account.send(command(1))
    account.deliver()
    (outcome,) = account.outcomes()
    assert (outcome.result, outcome.changed, outcome.at_ms) == (Result.APPLIED, ("+vip", "-newsletter"), 5_000)
    assert account.sink.lists == {"newsletter": {"ben@example.org"}, "vip": {"anna@example.org"}}


def test_a_command_that_comes_again_is_passed_over(account: Account) -> None:
    account.send(command(1), command(1))
    account.deliver()
    account.send(command(1))
    account.deliver()
    assert len(account.outcomes()) == 1
    assert len(account.sink.calls) == 1


def test_a_command_that_comes_twice_in_one_round_is_carried_out_once(account: Account) -> None:
    between = command(2, subscriber="s_ben")
    account.send(command(1), between, command(1), between)
    account.deliver()
    assert [outcome.command_id for outcome in account.outcomes()] == ["c1", "c2"]
    assert len(account.sink.calls) == 2


STORY = (
    command(1),
    command(2, subscriber="s_ben", to_list="new", from_list=""),
    command(3, to_list="third", from_list="vip"),
    command(4, subscriber="s_ben", verb=Verb.REMOVE, to_list="", from_list="newsletter"),
)


@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_around_every_call_changes_nothing(tmp_path: Path, crash_at: int) -> None:
    undisturbed, account = Account(tmp_path / "a"), Account(tmp_path / "b")
    undisturbed.send(*STORY)
    undisturbed.deliver()
    account.send(*STORY)
    account.sink.crash_at = crash_at
    with pytest.raises(Crash):
        account.deliver()
    account.sink.crash_at = -1
    account.deliver()
    assert account.sink.lists == undisturbed.sink.lists
    assert Counter(each.command_id for each in account.outcomes()) == {"c1": 1, "c2": 1, "c3": 1, "c4": 1}
    assert {each.result for each in account.outcomes()} <= {Result.APPLIED, Result.ALREADY}


@pytest.mark.parametrize("where", ["publish", "commit"])
def test_a_crash_around_outcomes_and_positions_doubles_nothing(
    account: Account, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.send(*STORY)
    log = account.open()
    consumer_of = log.consumer

    def dying(*arguments: Any, **more: Any) -> Any:
        consumer = consumer_of(*arguments, **more)

        def die(*_: object) -> None:
            raise Crash

        monkeypatch.setattr(consumer, "commit", die)
        return consumer

    if where == "commit":
        monkeypatch.setattr(log, "consumer", dying)
    else:

        def lost(*_: object) -> None:
            raise Crash

        monkeypatch.setattr(Delivery, "_publish", lost)
    with pytest.raises(Crash):
        account.deliver(log)
    monkeypatch.undo()
    account.deliver()
    assert Counter(each.command_id for each in account.outcomes()) == {"c1": 1, "c2": 1, "c3": 1, "c4": 1}


def test_an_undo_reverts_what_the_ledger_says_was_changed(account: Account) -> None:
    account.sink.lists["vip"] = {"anna@example.org"}
    account.send(command(1), undo(2, 1))
    account.deliver()
    first, second = account.outcomes()
    assert (first.changed, second.changed) == (("-newsletter",), ("+newsletter",))
    assert account.sink.lists["vip"] == {"anna@example.org"}, "she was there before the move"


def test_an_undo_leaves_what_a_later_command_touched(account: Account) -> None:
    account.send(command(1), command(2, to_list="newsletter", from_list="third"), undo(3, 1))
    account.deliver()
    assert [each.changed for each in account.outcomes()] == [("+vip", "-newsletter"), ("+newsletter",), ("-vip",)]


def test_an_undo_of_what_was_never_done_is_skipped(account: Account) -> None:
    account.send(undo(2, 1))
    account.deliver()
    (outcome,) = account.outcomes()
    assert (outcome.result, outcome.reason) == (Result.SKIPPED, "superseded")
    assert account.sink.calls == []


def test_an_undo_adds_nobody_who_left(account: Account) -> None:
    account.send(command(1))
    account.deliver()
    account.sink.lists["vip"].clear()  # she unsubscribed
    account.send(undo(2, 1))
    account.deliver()
    assert (account.outcomes()[1].result, account.outcomes()[1].reason) == (Result.SKIPPED, "unsubscribed")
    assert "anna@example.org" not in account.sink.lists["newsletter"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (command(1, subscriber="s_nobody"), "unknown_subscriber"),
        (command(1, verb=Verb.TAG, tag="warm"), "unsupported"),
        (command(1, verb=Verb.WEBHOOK, url="https://crm.example/"), "unsupported"),
    ],
)
def test_what_cannot_be_done_is_an_outcome_and_a_dead_letter(account: Account, sent: Command, reason: str) -> None:
    account.send(sent, command(2))
    account.deliver()
    failed, done = account.outcomes()
    assert (failed.result, failed.reason, done.result) == (Result.FAILED, reason, Result.APPLIED)
    (letter,) = account.letters()
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == (reason, "moves.w.mail", 0, 0)


def test_a_poison_record_is_set_aside_and_the_loop_goes_on(account: Account) -> None:
    account.send(b"\xff{", command(1))
    account.deliver()
    assert [each.result for each in account.outcomes()] == [Result.APPLIED]
    assert [(each.reason, each.offset) for each in account.letters()] == [("undecodable", 0)]


def test_trouble_that_passes_is_asked_again_and_the_platforms_wait_is_kept(account: Account) -> None:
    account.sink.trouble = [Trouble(Reason.RETRIES_EXHAUSTED, Fate.PASSING, wait_s=7.0)] * 2
    account.send(command(1))
    account.deliver()
    (outcome,) = account.outcomes()
    assert (outcome.result, outcome.calls) == (Result.APPLIED, 3)
    assert sum(account.pauses) >= 14.0


def test_trouble_that_stays_fails_in_the_end(account: Account) -> None:
    account.sink.trouble = [Trouble(Reason.RETRIES_EXHAUSTED, Fate.PASSING)] * 100
    account.send(command(1))
    account.deliver()
    (outcome,) = account.outcomes()
    assert (outcome.result, outcome.calls) == (Result.FAILED, ATTEMPTS)


def test_a_listener_names_so_many_lists_and_no_more(account: Account) -> None:
    sent = [command(number, to_list=f"viewed-{number % 3}", from_list="", max_lists=2) for number in range(6)]
    account.send(*sent[:2])
    account.deliver()
    account.send(*sent[2:], command(9, to_list="fixed", from_list=""))
    account.deliver()
    results = {each.command_id: (each.result, each.reason) for each in account.outcomes()}
    assert results["c2"] == results["c5"] == (Result.FAILED, "too_many_lists")
    assert [results[name][0] for name in ("c0", "c1", "c3", "c4", "c9")] == [
        Result.APPLIED,
        Result.APPLIED,
        Result.ALREADY,
        Result.ALREADY,
        Result.APPLIED,
    ]


def test_an_address_that_is_told_later_is_found(account: Account) -> None:
    log = account.open()
    entry = DirectoryEntry("w", "s_cleo", "cleo@example.org")
    log.publisher().publish([Outgoing(SUBSCRIBERS, subscriber_key("w", "s_cleo"), to_json(entry))])
    log.close()
    account.send(replaced(command(1), subscriber="s_cleo"))
    account.deliver()
    assert account.sink.lists["vip"] == {"cleo@example.org"}


def test_a_file_account_is_made_from_its_settings(tmp_path: Path) -> None:
    def installation(**accounts: Any) -> Any:
        workspace = {"secret": {"file": "s"}, "accounts": accounts}
        return check_installation({"token_keys": {"file": "k"}, "workspaces": {"w": workspace}}, where="segma.yaml")

    made = sink_of(installation(mail={"sink": "file"}), "w/mail", data=tmp_path, pause=lambda seconds: None)
    assert isinstance(made, FileSink)
    for wrong in ({"sink": "pigeon"}, {"sink": "file", "options": {"delay_ms": "long", "colour": "red"}}):
        with pytest.raises(ConfigError):
            sink_of(installation(mail=wrong), "w/mail", data=tmp_path, pause=lambda seconds: None)
    with pytest.raises(ConfigError, match="no such account"):
        sink_of(installation(mail={"sink": "file"}), "w/other", data=tmp_path, pause=lambda seconds: None)


@pytest.mark.parametrize("name", ["../escape", "a/b", ".hidden", "", "x" * 200, "nul\0"])
def test_a_list_name_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    sink = FileSink(tmp_path / "lists", delay_ms=0, pause=lambda seconds: None)
    (answer,) = sink.apply([Change("c", "s", "a@example.org", (name,))])
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.BAD_LIST_NAME, Fate.LASTING)
    assert list((tmp_path / "lists").iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_takes_a_list_of_any_name_or_says_that_it_does_not(tmp_path: Path, name: str) -> None:
    sink = FileSink(tmp_path / "lists", delay_ms=0, pause=lambda seconds: None)
    (answer,) = sink.apply([Change("c", "s", "a@example.org", (name,))])
    if isinstance(answer, Trouble):
        assert (answer.reason, answer.fate) == (Reason.BAD_LIST_NAME, Fate.LASTING)
        assert list((tmp_path / "lists").iterdir()) == []
    else:
        assert [each.address for each in sink.members(name)] == ["a@example.org"]
