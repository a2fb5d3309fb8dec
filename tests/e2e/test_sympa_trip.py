"""The trip ends at a real Sympa: a person clicks, looks twice, and Sympa itself has them in the new list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.commands import Outcome, Result
from tests.recovery.people import People
from tests.recovery.world import LISTENERS, ORIGIN, SECRET, TOKEN_SECRET, World
from tests.sinks.simulator.sympa import DOMAIN, RealSympa

pytestmark = [pytest.mark.alone, pytest.mark.sympa]

PATIENCE_S = 120.0


class SympaWorld(World):
    """The installation of the recovery tests, with a Sympa for its account."""

    def __init__(self, home: Path, sympa: RealSympa) -> None:
        self.sympa = sympa
        super().__init__(home)

    def _write(self, delay_ms: int) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "secret").write_bytes(SECRET)
        (self.home / "keys").write_text(f"k1 {TOKEN_SECRET.hex()}\n")
        (self.home / "sdk.js").write_text("/* sdk */\n")
        options = f"domain: {DOMAIN}, owner: owner@example.org, command: [{', '.join(self.sympa.command)}]"
        options += f", database: '{self.sympa.database}', lists: '{self.sympa.lists}'"
        (self.home / "segma.yaml").write_text(
            "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n    grace: 200ms\n    sites:\n"
            f"      shop: {{key: shop-key, origins: ['{ORIGIN}'], redirect_hosts: [shop.test]}}\n    accounts:\n"
            f"      mailbox: {{sink: sympa, options: {{{options}}}}}\npartitions: 2\n"
        )
        (self.home / "listeners").mkdir()
        for name, text in LISTENERS.items():
            (self.home / "listeners" / f"{name}.yaml").write_text(f"listener: {name}\n{text}")
        self.sympa.make("newsletter", *self.addresses[:2])

    def await_engaged(self) -> list[Outcome]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = [each for each in self.outcomes() if each.to_list == "engaged"]
            if found:
                return found
            time.sleep(0.2)  # the topic is read whole each time: there is nothing to wait on
        raise AssertionError(f"nobody was moved: {self.said('flow')} {self.said('delivery')}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SympaWorld]:
    made = SympaWorld(tmp_path / "home", RealSympa(tmp_path / "sympa"))
    with made:
        made.start("collector", "flow", "delivery")
        yield made


@pytest.mark.slow
def test_the_trip_ends_in_sympas_own_lists(world: SympaWorld) -> None:
    walker, other = world.addresses[:2]
    assert world.sympa.members("newsletter") == {walker, other}
    person = People(world, 0)
    person.start()
    for number in (0, None):
        person.rounds.put(number)
    person.join(PATIENCE_S)
    assert person.failure is None
    (outcome,) = world.await_engaged()
    assert (outcome.result, outcome.changed) == (Result.APPLIED, ("+engaged", "-newsletter"))
    assert world.sympa.members("engaged") == {walker}
    assert world.sympa.members("newsletter") == {other}
    assert "reception digest" in world.sympa.dumped("engaged"), "how they get their mail has come along"
    assert world.sympa.mails() == []
    world.sympa.ask("del", f"newsletter@{DOMAIN}", given=f"{other}\n")
    assert len(world.sympa.mails()) == 1, "none at all means that none was sent"
