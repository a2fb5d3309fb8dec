"""``segma listeners apply``, ``promote``, ``remove``, ``versions``, and what a start applies by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.doctor import log_findings
from contracts.events import Event, Trust
from contracts.installation import SecretAt
from contracts.log import Outgoing, Stored
from contracts.rows import MatchRow
from contracts.topics import EVENTS, fixed_topics
from contracts.versions import NOTICE_MS, ListenerVersion
from flows.config import load_shared, with_listeners_of
from flows.operators.logic import Shared
from flows.versions.deployment import Versions
from sinks.platforms import webhook
from sinks.platforms.kafka import KafkaSink
from sinks.registry import SINKS
from sinks.toolkit.options import Around
from tests.sinks.beds import ALL, bed_of, brief, now_ms
from tests.sinks.simulator.server import KEY
from transport import open_log
from transport.config import Settings, load_installation, wall_clock_ms

pytestmark = pytest.mark.slow

NOW_MS = 1_800_000_000_000
LISTENER = """listener: looked
version: {version}
sequence: [{{action: page_viewed}}, {{action: {action}}}]
then: [{{add: {{to: x, at: {account}}}}}]
"""


def write(home: Path, version: int = 1, *, action: str = "product_added", account: str = "mailbox") -> None:
    (home / "listeners").mkdir(exist_ok=True)
    text = LISTENER.format(version=version, action=action, account=account)
    (home / "listeners" / "looked.yaml").write_text(text)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    (tmp_path / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n"
        "    sites: {shop: {key: shop-key}}\n    accounts: {mailbox: {sink: file}}\n"
    )
    write(tmp_path)
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["listeners", *words, "--home", str(home)])


def states(home: Path) -> list[tuple[int, str]]:
    result = run(home, "versions", "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    return [(each["version"], each["state"]) for each in found]


@contextmanager
def versions(home: Path) -> Iterator[Versions]:
    log = open_log(Settings(config=home / "segma.yaml", data=home / "data"))
    log.ensure(fixed_topics(4))
    found = Versions(log)
    yield found
    found.close()
    log.close()


@contextmanager
def started(home: Path, now_ms: int = NOW_MS, *, first: bool = True) -> Iterator[Shared]:
    """What a flow makes of the home at its start."""
    config = home / "segma.yaml"
    installation = load_installation(config)
    log = open_log(Settings(config=config, data=home / "data"))
    log.ensure(fixed_topics(installation.partitions))
    shared = load_shared(installation, beside=config)
    yield with_listeners_of(log, shared, installation, beside=config, now_ms=now_ms, first=first)
    log.close()


def known(home: Path) -> list[ListenerVersion]:
    with versions(home) as found:
        return found.known


def test_what_is_applied_is_a_shadow_until_it_is_promoted(home: Path) -> None:
    assert run(home, "apply", str(home / "listeners")).exit_code == 0
    assert states(home) == [(1, "coming")]
    (one,) = known(home)
    assert one.state(one.shadow_from_ms) == "shadow"
    result = run(home, "promote", "looked", "1")
    assert result.exit_code == 0
    (one,) = known(home)
    assert one.live_from_ms is not None
    assert one.state(one.live_from_ms) == "live"
    write(home, 2)
    assert run(home, "apply", str(home / "listeners"), "--promote").exit_code == 0
    first, second = known(home)
    assert first.until_ms == second.live_from_ms == second.shadow_from_ms
    again = run(home, "apply", str(home / "listeners"))
    assert (again.exit_code, "nothing new" in again.stdout) == (0, True)


def test_a_version_never_changes_but_its_comments_may(home: Path) -> None:
    assert run(home, "apply", str(home / "listeners")).exit_code == 0
    path = home / "listeners" / "looked.yaml"
    path.write_text("# better said\n" + path.read_text())
    assert run(home, "apply", str(home / "listeners")).exit_code == 0
    write(home, action="product_bought")
    result = run(home, "apply", str(home / "listeners"))
    assert (result.exit_code, "a version never changes" in result.stderr) == (1, True)
    assert len(known(home)) == 1


def test_a_listener_is_paused_and_goes_on_and_every_place_says_so(home: Path) -> None:
    assert run(home, "pause", "looked").exit_code == 1, "nothing was applied"
    run(home, "apply", str(home / "listeners"))
    result = run(home, "pause", "looked")
    assert (result.exit_code, "no version of looked is live" in result.stderr) == (1, True)
    run(home, "promote", "looked", "1")
    result = run(home, "pause", "looked")
    assert (result.exit_code, "looked@1  paused from" in result.stdout) == (0, True)
    assert "is paused already" in run(home, "pause", "looked").stdout
    (one,) = known(home)
    ((from_ms, until_ms),) = one.pauses
    assert (one.state(from_ms), until_ms) == ("paused", None)
    write(home, 2)
    result = run(home, "apply", str(home / "listeners"), "--promote")
    assert (result.exit_code, "looked@2  paused from" in result.stdout) == (0, True), "a pause goes on in the next"
    told = json.loads(run(home, "resume", "looked", "--json").stdout)
    assert (told["version"], told["state"]) == (2, "live")
    assert all(until_ms is not None for _, until_ms in told["pauses"])
    assert "is not paused" in run(home, "resume", "looked").stdout
    assert run(home, "resume", "nobody").exit_code == 1


def test_a_running_flow_hears_of_a_pause_and_doctor_and_versions_say_since_when(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(home) as shared:
        assert run(home, "pause", "looked").exit_code == 0
        shared.refresh(NOW_MS)
        (one,) = known(home)
        from_ms = one.pauses[0][0]
        engine = shared.engines["demo"]
        person = engine.new("s_ann", from_ms)
        for number, action in enumerate(("page_viewed", "product_added")):
            at_ms = from_ms + number
            event = Event("demo", "s_ann", f"e{number}", action, at_ms, trust=Trust.TOKEN, log_time_ms=at_ms)
            emitted = engine.apply(person, event, at_ms)
        assert [row.reason for row in emitted.rows if isinstance(row, MatchRow)] == ["listener_paused"]
        assert emitted.commands == []
    for module in ("cli.deploy", "cli.doctor"):
        monkeypatch.setattr(f"{module}.wall_clock_ms", lambda: from_ms)
    assert "paused" in run(home, "versions").stdout
    findings = {each.subject: each for each in log_findings(home, running=False)}
    assert findings["listener demo/looked"].ok is None
    assert findings["listener demo/looked"].found.startswith("paused since")
    assert "segma listeners resume looked" in findings["listener demo/looked"].remedy


def test_no_change_counts_for_what_the_log_holds_by_the_clock_of_a_machine_that_is_slow(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("cli.deploy", "cli.promote", "cli.pauses"):
        monkeypatch.setattr(f"{module}.wall_clock_ms", lambda: wall_clock_ms() - 600_000)
    log = open_log(Settings(config=home / "segma.yaml", data=home / "data"))
    log.ensure(fixed_topics(4))
    with closing(log), closing(log.publisher()) as publisher:
        (stored,) = publisher.publish([Outgoing(EVENTS, b"demo/s_ann", b"{}")])
    assert isinstance(stored, Stored)
    told = []
    for words in (["apply"], ["promote", "looked"], ["pause", "looked"], ["resume", "looked"], ["remove", "looked"]):
        before = known(home)
        assert run(home, *words).exit_code == 0
        (one,) = known(home)
        assert [one] != before
        instants = [one.shadow_from_ms, one.live_from_ms, one.until_ms, *(at for each in one.pauses for at in each)]
        told.append(max(at_ms for at_ms in instants if at_ms is not None))
    assert min(told) > stored.log_time_ms, "what was decided before it keeps its reasons"


def test_an_unknown_account_is_refused(home: Path) -> None:
    write(home, account="nowhere")
    result = run(home, "apply", str(home / "listeners"))
    assert (result.exit_code, "nowhere" in result.stderr) == (1, True)
    assert known(home) == []


def test_removing_ends_all_and_what_has_ended_stays_so(home: Path) -> None:
    run(home, "apply", str(home / "listeners"), "--promote")
    assert run(home, "remove", "looked").exit_code == 0
    (one,) = known(home)
    assert one.until_ms is not None
    assert run(home, "remove", "looked").exit_code == 1
    result = run(home, "promote", "looked", "1")
    assert (result.exit_code, "has ended" in result.stderr) == (1, True)
    assert run(home, "promote", "looked", "9").exit_code == 1


def test_a_first_start_makes_the_files_live_for_all_that_the_log_holds(home: Path) -> None:
    with started(home) as shared:
        (one,) = known(home)
        assert (one.shadow_from_ms, one.live_from_ms, one.until_ms) == (0, 0, None)
        assert set(shared.engines) == {"demo"}
    with started(home):
        assert known(home) == [one]


def test_a_later_start_brings_a_new_version_from_then_on(home: Path) -> None:
    with started(home):
        write(home, 2)
    with started(home, NOW_MS):
        first, second = known(home)
        assert (first.live_from_ms, first.until_ms) == (0, NOW_MS + NOTICE_MS)
        assert (second.shadow_from_ms, second.live_from_ms) == (NOW_MS + NOTICE_MS, NOW_MS + NOTICE_MS)
    write(home, 3)
    with started(home, NOW_MS, first=False):
        assert known(home) == [first, second], "another process brings new versions"
    write(home, 1)
    with started(home, NOW_MS):
        assert known(home) == [first, second], "an older file brings nothing back"


def test_a_start_with_a_changed_version_keeps_what_was_applied_and_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(home):
        (one,) = known(home)
    write(home, action="product_bought")
    with started(home):
        assert known(home) == [one]
    assert "a version never changes" in capsys.readouterr().out


def test_a_running_flow_takes_over_what_is_applied(home: Path) -> None:
    with started(home) as shared:
        engine = shared.engines["demo"]
        before = engine.at_work(NOW_MS)
        write(home, 2)
        assert run(home, "apply", str(home / "listeners"), "--promote").exit_code == 0
        shared.refresh(NOW_MS)
        assert (before, engine.at_work(10 * NOW_MS)) == ([("looked", 1)], [("looked", 2)])


def test_a_running_flow_hears_of_new_actions_with_the_listener_that_names_them(home: Path) -> None:
    with started(home) as shared:
        assert "quiz_finished" not in shared.rules["demo"].actions
        (home / "actions.yaml").write_text("actions: [quiz_finished]\n")
        write(home, 2, action="quiz_finished")
        assert run(home, "apply", str(home / "listeners"), "--promote").exit_code == 0
        shared.refresh(NOW_MS)
        assert "quiz_finished" in shared.rules["demo"].actions
        assert shared.engines["demo"].at_work(10 * NOW_MS) == [("looked", 2)]


def test_tags_at_a_platform_without_tags_are_refused_before_anything_runs(home: Path) -> None:
    text = (home / "listeners" / "looked.yaml").read_text()
    (home / "listeners" / "looked.yaml").write_text(
        text.replace("{add: {to: x, at: mailbox}}", "{tag: {add: warm, at: mailbox}}")
    )
    refused = run(home, "apply")
    assert refused.exit_code == 1
    said = " ".join(refused.output.split())
    assert "`mailbox` is an account at file, where people have no tags" in said
    assert "add: {to: warm, at: mailbox}" in said
    assert states(home) == []


@pytest.mark.slow
def test_which_platforms_have_tags_is_told_alike_by_the_registry_and_the_sinks(tmp_path: Path) -> None:
    told = {}
    for name in ALL:
        if name != "memory":
            bed = bed_of(name, tmp_path / name)
            told[name.partition("-")[0]] = bed.sink().traits.tags
            bed.close()
    around = Around("w/mail", tmp_path, brief, now_ms, lambda at, field: KEY)
    hook = webhook.make(webhook.WebhookOptions(secret=SecretAt(env="KEY"), hosts=("crm.example",)), around)
    told |= {"webhook": hook.traits.tags, "kafka": KafkaSink.traits.tags}
    hook.close()
    assert told == {name: kind.tags for name, kind in SINKS.items()}
