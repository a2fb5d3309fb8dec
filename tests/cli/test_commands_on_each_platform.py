"""``import``, ``accounts check``, ``reconcile``, ``tokens push`` and ``why --consent`` on each imitated platform.

One walk a platform, by the commands alone: nobody who left is added, nobody is made known, no mail is caused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.output import Exit
from contracts.codec import replaced, to_json
from contracts.commands import Command
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.tokens import subscriber_id
from contracts.topics import OUTCOMES, account_topics, fixed_topics, moves_topic
from sinks.__main__ import deliver_account
from sinks.base import Fate, Trouble
from sinks.registry import SINKS
from sinks.toolkit.list_sink import ListSink
from tests.sinks.beds import WIDE
from tests.sinks.courier import command
from tests.sinks.simulator.imitation import imitations
from tests.sinks.simulator.server import KEY, Simulator
from tests.sinks.simulator.world import World
from transport import open_log
from transport.config import settings_at

pytestmark = pytest.mark.slow

ADA, BEN, CLEO, DORA = (f"{name}@example.org" for name in ("ada", "ben", "cleo", "dora"))
PATIENCE_S = 60.0


class Walk:
    """A home with one account at an imitated platform. Ada, Ben and Cleo are in ``news``; Dora is not there."""

    def __init__(self, name: str, home: Path) -> None:
        self.imitation, self.home = imitations()[name], home
        world = getattr(self.imitation.dialect, "world", World)()
        self.platform = Simulator(self.imitation.dialect(), world=world)
        self.platform.dialect.quotas = {}
        self.world = self.platform.world
        for address in (ADA, BEN, CLEO):
            self.world.put(address, "news")
            self.world.put(address, "other")
        given = {"url": self.platform.url, "timeout": "5s", "quotas": WIDE}
        account = {"sink": self.platform.dialect.name, "options": {**self.imitation.options, **given}}
        workspace = {"secret": {"file": "secret"}, "accounts": {"mail": account}}
        (home / "segma.yaml").write_text(
            yaml.safe_dump({"token_keys": {"file": "keys"}, "workspaces": {"demo": workspace}})
        )
        (home / "secret").write_text("s" * 40)
        (home / "keys").write_text(f"k1 {'ab' * 64}\n")

    def segma(self, *words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--home", str(self.home)])

    def told(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.segma(*words, "--json").stdout.splitlines() if line.startswith("{")]

    def deliver(self, commands: Sequence[Command], outcomes: int) -> None:
        """Give commands out and deliver until there are so many outcomes more."""
        log = open_log(settings_at(self.home))
        log.ensure([*fixed_topics(), *account_topics("demo", "mail")])
        reader = log.reader(OUTCOMES, from_end=True)
        log.publisher().publish([Outgoing(moves_topic("demo", "mail"), b"k", to_json(each)) for each in commands])
        stop = threading.Event()
        thread = threading.Thread(target=deliver_account, args=(settings_at(self.home), "demo/mail", stop), daemon=True)
        thread.start()
        while outcomes > 0:
            found = len(reader.poll(100, PATIENCE_S))
            assert found, "no outcome"
            outcomes -= found
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        reader.close()
        log.close()

    def close(self) -> None:
        self.platform.close()
        assert self.platform.violations == []
        assert self.world.wrongs == []
        assert self.world.mails == []


@pytest.fixture
def walk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    monkeypatch.setenv("KEY", KEY)
    made = Walk(request.param, tmp_path)
    yield made
    made.close()


def person(address: str) -> str:
    return subscriber_id(b"s" * 40, address)


def move(address: str) -> Command:
    return replaced(command("hot", "news"), workspace="demo", account="mail", subscriber=person(address))


def refuse_to_remove(monkeypatch: pytest.MonkeyPatch, walk: Walk, address: str) -> None:
    """The platform refuses for good to take this person out."""
    kind = SINKS[walk.platform.dialect.name]
    real = kind.make

    def make(options: Any, around: Any) -> Any:
        sink: Any = real(options, around)
        assert isinstance(sink, ListSink)
        seam: Any = sink._platform
        remove = seam.remove

        def refusing(name: str, ones: Sequence[Any]) -> Any:
            refused = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING)
            others = [one for one in ones if one.change.address != address]
            answers = iter(remove(name, others) if others else [])
            return [refused if one.change.address == address else next(answers) for one in ones]

        seam.remove = refusing
        return sink

    monkeypatch.setitem(SINKS, walk.platform.dialect.name, kind._replace(make=make))


@pytest.mark.parametrize("walk", imitations(), indirect=True)
def test_the_commands_keep_consent_on_each_platform(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert walk.segma("import", "demo/mail", "news").exit_code == 0
    assert walk.segma("accounts", "check", "demo/mail").exit_code == 0
    walk.platform.violations.clear()  # rights are tried by calls that are refused as they stand
    (walk.home / "more.csv").write_text(f"address\n{DORA}\n")
    assert walk.segma("import", "demo/mail", "news", "--csv", str(walk.home / "more.csv")).exit_code == 0

    with monkeypatch.context() as refusing:
        refuse_to_remove(refusing, walk, BEN)
        walk.deliver([move(ADA), move(BEN)], 2)
    assert walk.world.members("hot") == {ADA, BEN}
    assert walk.world.members("news") == {BEN, CLEO}
    walk.platform.leave(CLEO, "news")
    before = walk.world.memberships()

    (drift,) = walk.told("reconcile", "demo/mail", "news")
    assert (drift["behind"], drift["asked"]) == ([person(BEN)], 0)
    assert walk.world.memberships() == before, "shown alone, nothing is mended"
    (drift,) = walk.told("reconcile", "demo/mail", "news", "--mend")
    assert (drift["behind"], drift["asked"]) == ([person(BEN)], 1)
    walk.deliver([], 1)
    assert walk.world.members("news") - {CLEO} == set()
    assert walk.world.members("hot") == {ADA, BEN}, "whoever was put in stays"

    walk.platform.leave(ADA, "hot")
    before = walk.world.memberships()
    (drift,) = walk.told("reconcile", "demo/mail", "hot", "--mend")
    assert (drift["asked"], drift["behind"], drift["back"]) == (0, [], []), "whoever left is not brought back"
    assert walk.world.memberships() == before

    has_field = bool(walk.imitation.token_field)
    assert walk.segma("tokens", "push", "demo/mail").exit_code == (Exit.OK if has_field else Exit.USAGE)
    calls = len(walk.platform.writes())
    walk.segma("tokens", "push", "demo/mail")
    assert len(walk.platform.writes()) == calls, "pushed once"
    assert walk.world.memberships() == before
    assert walk.world.person(DORA) is None, "nobody is made known by a token"

    facts = walk.told("why", BEN, "--consent")
    assert {("hot", "put in"), ("news", "taken out")} <= {(each["list"], each["what"]) for each in facts}
    assert BEN not in json.dumps(facts)
