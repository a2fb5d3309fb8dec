"""``segma accounts``, ``deadletters``, ``reconcile`` and ``tokens push`` against a listmonk and a file account."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.reconcile import compare
from contracts.accounts import AccountState
from contracts.codec import replaced, to_json
from contracts.commands import Command
from contracts.log import Log, Outgoing
from contracts.tokens import subscriber_id
from contracts.topics import ACCOUNTS, OUTCOMES, account_topics, away_key, fixed_topics, moves_topic
from sinks.__main__ import deliver_account
from sinks.base import Standing
from tests.sinks.courier import command
from tests.sinks.simulator.listmonk import Listmonk
from tests.sinks.simulator.server import KEY, Simulator
from transport import open_log
from transport.config import settings_at

ADA, BEN = "ada@example.org", "ben@example.org"


@pytest.fixture
def platform() -> Iterator[Simulator]:
    with Simulator(Listmonk()) as running:
        for address in (ADA, BEN):
            running.world.put(address, "newsletter")
        yield running
        assert running.violations == []
        assert running.world.wrongs == []


@pytest.fixture
def home(tmp_path: Path, platform: Simulator) -> Path:
    (tmp_path / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n    accounts:\n"
        "      mailbox: {sink: file}\n"
        f"      listmonk: {{sink: listmonk, options: {{url: '{platform.url}', user: segma, token: {{file: key}}}}}}\n"
    )
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    assert segma(tmp_path, "import", "demo/listmonk", "newsletter").exit_code == 0
    return tmp_path


def segma(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--home", str(home)])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def person(address: str) -> str:
    return subscriber_id(b"s" * 40, address)


def deliver(home: Path, *commands: Command, waiting: int = 0, account: str = "listmonk") -> None:
    """Send commands to the account and deliver until each has its outcome, those ``waiting`` behind them too."""
    log: Log = open_log(settings_at(home))
    log.ensure([*fixed_topics(), *account_topics("demo", account)])
    records = [Outgoing(moves_topic("demo", account), b"k", to_json(each)) for each in commands]
    reader = log.reader(OUTCOMES, from_end=True)
    log.publisher().publish(records)
    stop = threading.Event()
    thread = threading.Thread(target=deliver_account, args=(settings_at(home), f"demo/{account}", stop))
    thread.start()
    seen = 0
    while seen < len(commands) + waiting:
        found = len(reader.poll(100, 60.0))
        assert found, "no outcome"
        seen += found
    stop.set()
    thread.join()
    reader.close()
    log.close()


def of(address: str, found: Command, account: str = "listmonk") -> Command:
    return replaced(found, workspace="demo", account=account, subscriber=person(address))


def test_accounts_are_listed_paused_and_let_go_on(home: Path) -> None:
    listed = segma(home, "accounts", "list", "--json")
    assert listed.exit_code == 0
    assert [(row["account"], row["sink"], row["state"]) for row in lines(listed)] == [
        ("demo/mailbox", "file", "delivers"),
        ("demo/listmonk", "listmonk", "delivers"),
    ]
    assert segma(home, "accounts", "pause", "demo/listmonk", "--because", "a new key").exit_code == 0
    paused = segma(home, "accounts", "list", "--json")
    assert paused.exit_code == 1
    assert (lines(paused)[1]["reason"], lines(paused)[1]["detail"]) == ("paused", "a new key")
    assert "a new key" in segma(home, "accounts", "list").stdout
    assert segma(home, "accounts", "resume", "demo/listmonk").exit_code == 0
    assert segma(home, "accounts", "list").exit_code == 0
    assert segma(home, "accounts", "pause", "demo/nothing").exit_code == 2


def alerts(home: Path) -> dict[str, dict[str, Any]]:
    """What the doctor finds of accounts."""
    words = [sys.executable, "-m", "cli", "doctor", "--json", "--home", str(home)]
    findings = json.loads(subprocess.run(words, capture_output=True, text=True, check=False).stdout)
    return {each["subject"]: each for each in findings if each["subject"].startswith("account ")}


@pytest.mark.slow
def test_an_account_in_alert_is_shown_by_the_list_and_by_the_doctor(home: Path, platform: Simulator) -> None:
    platform.fail("bad_key")
    log = open_log(settings_at(home))
    log.ensure([*fixed_topics(), *account_topics("demo", "listmonk")])
    watching = log.reader(ACCOUNTS, from_end=True)
    log.publisher().publish([Outgoing(moves_topic("demo", "listmonk"), b"k", to_json(of(ADA, command("warm"))))])
    stop = threading.Event()
    thread = threading.Thread(target=deliver_account, args=(settings_at(home), "demo/listmonk", stop))
    thread.start()
    assert watching.poll(1, 60.0), "nobody was told"
    stop.set()
    thread.join()
    watching.close()
    away = AccountState("demo", "mailbox", stopped=False, at_ms=1, reason="unreachable", detail="503")
    log.publisher().publish([Outgoing(ACCOUNTS, away_key("demo", "mailbox"), to_json(away))])
    log.close()
    listed = segma(home, "accounts", "list", "--json")
    assert listed.exit_code == 1
    assert [(row["state"], row["reason"]) for row in lines(listed)] == [
        ("away", "unreachable"),
        ("stopped", "bad_credentials"),
    ]
    found = alerts(home)
    assert [each["ok"] for each in found.values()] == [False, False]
    assert found["account demo/listmonk"]["found"].startswith("stopped: bad_credentials")
    assert "segma accounts resume demo/listmonk" in found["account demo/listmonk"]["remedy"]
    assert found["account demo/mailbox"]["found"] == "away: unreachable 503"
    segma(home, "accounts", "resume", "demo/listmonk")
    assert list(alerts(home)) == ["account demo/mailbox"]


def test_an_account_is_asked_whether_it_answers(home: Path, platform: Simulator) -> None:
    answered = segma(home, "accounts", "check", "demo/listmonk", "--json")
    assert lines(answered)[0]["lists"] == ["newsletter"]
    tried = {each["name"]: each["works"] for each in lines(answered)[0]["rights"]}
    assert tried["subscribers:get_all"] is True
    platform.dialect.rights -= {"subscribers:get_all"}  # type: ignore[attr-defined]
    lacking = segma(home, "accounts", "check", "demo/listmonk")
    assert lacking.exit_code == 1
    assert "MISSING  subscribers:get_all" in lacking.stdout
    platform.fail("bad_key")
    refused = segma(home, "accounts", "check", "demo/listmonk")
    assert refused.exit_code == 1
    assert "bad_credentials" in refused.stderr
    assert KEY not in refused.output


def test_a_dead_letter_is_listed_shown_and_tried_again(home: Path, platform: Simulator) -> None:
    platform.world.bad.add("cleo@example.org")
    (home / "more.csv").write_text("address\ncleo@example.org\n")
    segma(home, "import", "demo/listmonk", "newsletter", "--csv", str(home / "more.csv"))
    deliver(home, of("cleo@example.org", command("vip")), of(ADA, command("vip", "newsletter")))
    (letter,) = lines(segma(home, "deadletters", "list", "--json"))
    assert letter["reason"] == "refused_by_platform"
    shown = segma(home, "deadletters", "show", str(letter["number"]))
    assert shown.exit_code == 0
    assert "example.org" not in shown.stdout
    assert segma(home, "deadletters", "show", "99").exit_code == 1
    assert segma(home, "deadletters", "replay").exit_code == 2
    platform.world.bad.clear()
    tried = segma(home, "deadletters", "replay", "--reason", "refused_by_platform")
    assert (tried.exit_code, tried.stderr) == (0, "1 command is tried again\n")
    deliver(home, of(BEN, command("vip")), waiting=1)
    assert platform.world.members("vip") == {ADA, BEN, "cleo@example.org"}


def test_drift_is_shown_and_mended(home: Path, platform: Simulator) -> None:
    deliver(home, of(ADA, command("vip", "newsletter")), of(BEN, command("vip")))
    assert segma(home, "reconcile", "demo/listmonk", "vip").exit_code == 0
    platform.world.put(ADA, "newsletter")
    platform.leave(BEN, "vip")
    drift = segma(home, "reconcile", "demo/listmonk", "newsletter", "--mend", "--json")
    assert drift.exit_code == 1
    assert (lines(drift)[0]["back"], lines(drift)[0]["asked"]) == ([person(ADA)], 0), "they may have joined"
    left = segma(home, "reconcile", "demo/listmonk", "vip", "--json")
    assert left.exit_code == 0
    assert lines(left)[0]["left"] == [person(BEN)]
    assert platform.world.members("newsletter") == {ADA, BEN}


def test_consent_is_told_with_its_sources(home: Path, platform: Simulator) -> None:
    deliver(home, of(ADA, command("vip", "newsletter")))
    platform.leave(ADA, "vip")
    deliver(home, of(ADA, command("hot", "vip")))
    facts = lines(segma(home, "why", ADA, "--consent", "--json"))
    told = [(each["list"], each["what"]) for each in facts]
    assert {("vip", "put in"), ("newsletter", "taken out"), ("vip", "left: unsubscribed")} <= set(told)
    assert ("hot", "not done: unsubscribed") in told
    assert ADA not in segma(home, "why", ADA, "--consent").output


@pytest.mark.parametrize(("why", "comes_back"), [("left", False), ("removed", True)])
def test_why_many_are_gone_at_once_is_asked_and_answered(home: Path, why: str, comes_back: bool) -> None:
    people = [f"p{number}@example.org" for number in range(60)]
    members = settings_at(home).data / "lists" / "demo" / "mailbox" / "news.txt"
    members.parent.mkdir(parents=True)
    members.write_text("".join(f"{each}\n" for each in people))
    assert segma(home, "import", "demo/mailbox", "news").exit_code == 0
    assert segma(home, "accounts", "answer", "demo/mailbox", "news", why).exit_code == 1, "nothing is unclear yet"
    members.write_text("".join(f"{each}\n" for each in people[25:]))

    def ask_for_the_first() -> None:
        deliver(home, of(people[0], command("news"), "mailbox"), account="mailbox")

    def asked() -> dict[str, int]:
        found: dict[str, int] = lines(segma(home, "accounts", "list", "--json"))[0].get("unclear", {})
        return found

    ask_for_the_first()
    assert asked() == {"news": 25}
    assert people[0] not in members.read_text()
    assert "segma accounts answer demo/mailbox news left|removed" in segma(home, "accounts", "list").stdout
    for wrong in (("demo/mailbox", "news", "perhaps"), ("demo/nothing", "news", why)):
        assert segma(home, "accounts", "answer", *wrong).exit_code == 2
    assert segma(home, "accounts", "answer", "demo/mailbox", "other", why).exit_code == 1
    assert segma(home, "accounts", "answer", "demo/listmonk", "news", why).exit_code == 1
    assert asked() == {"news": 25}
    answered = segma(home, "accounts", "answer", "demo/mailbox", "news", why)
    assert answered.exit_code == 0
    assert f"{why} now: 25 people of news" in answered.stderr
    assert asked() == {}
    assert segma(home, "accounts", "answer", "demo/mailbox", "news", why).exit_code == 1, "answered once"
    ask_for_the_first()
    assert (people[0] in members.read_text().split()) is comes_back


def test_drift_is_told_apart() -> None:
    wanted = {"in": True, "lost": True, "left": True, "out": False, "back": False}
    found = {"in": Standing.ACTIVE, "left": Standing.LEFT, "back": Standing.PENDING, "other": Standing.ACTIVE}
    drift = compare(wanted, found, unknown=2)
    assert (drift.agreeing, drift.missing, drift.left, drift.back, drift.unmanaged) == (
        2,
        ["lost"],
        ["left"],
        ["back"],
        3,
    )


def test_tokens_are_pushed_once_and_the_links_syntax_is_told(home: Path, platform: Simulator) -> None:
    pushed = segma(home, "tokens", "push", "demo/listmonk")
    assert pushed.exit_code == 0, pushed.output
    assert "#sgm={{.Subscriber.Attribs.segma_token}}" in pushed.stdout
    written = {row.split(",")[0]: row.split(",")[1] for row in segma(home, "tokens", "demo").stdout.splitlines()[1:]}
    for address in (ADA, BEN):
        found = platform.world.person(address)
        assert found is not None
        assert found.fields == {"segma_token": written[person(address)]}
    calls = len(platform.calls)
    again = segma(home, "tokens", "push", "demo/listmonk", "--json")
    assert lines(again) == [{"account": "demo/listmonk", "failed": 0, "people": 2, "written": 2}]
    assert len(platform.calls) == calls
    assert segma(home, "tokens", "push", "demo/mailbox").exit_code == 2
    assert platform.world.members("newsletter") == {ADA, BEN}
