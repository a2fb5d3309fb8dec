"""The trip ends at a real platform: a person clicks, looks twice, and GNU Mailman itself has them in the new list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.commands import Outcome, Result
from tests.recovery.people import People
from tests.recovery.world import LISTENERS, ORIGIN, SECRET, TOKEN_SECRET, World
from tests.sinks.simulator.mailman import Mailman
from tests.sinks.simulator.server import KEY

pytestmark = [pytest.mark.alone, pytest.mark.mailman]

PATIENCE_S = 120.0


class MailmanWorld(World):
    """The installation of the recovery tests, with a Mailman for its account."""

    def __init__(self, home: Path, mailman: Mailman) -> None:
        self.mailman = mailman
        super().__init__(home)

    def _write(self, delay_ms: int) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "secret").write_bytes(SECRET)
        (self.home / "keys").write_text(f"k1 {TOKEN_SECRET.hex()}\n")
        (self.home / "password").write_text(KEY)
        (self.home / "sdk.js").write_text("/* sdk */\n")
        options = f"url: '{self.mailman.server.url}', user: segma, password: {{file: password}}"
        (self.home / "segma.yaml").write_text(
            "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n    grace: 200ms\n    sites:\n"
            f"      shop: {{key: shop-key, origins: ['{ORIGIN}'], redirect_hosts: [shop.test]}}\n    accounts:\n"
            f"      mailbox: {{sink: mailman, options: {{{options}, domain: {self.mailman.domain}}}}}\npartitions: 2\n"
        )
        (self.home / "listeners").mkdir()
        for name, text in LISTENERS.items():
            (self.home / "listeners" / f"{name}.yaml").write_text(f"listener: {name}\n{text}")
        for address in self.addresses[:2]:
            self.mailman.put(address, "newsletter")

    def await_engaged(self) -> list[Outcome]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = [each for each in self.outcomes() if each.to_list == "engaged"]
            if found:
                return found
            time.sleep(0.2)  # the topic is read whole each time: there is nothing to wait on
        raise AssertionError(f"nobody was moved: {self.said('flow')} {self.said('delivery')}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MailmanWorld]:
    made = MailmanWorld(tmp_path / "home", Mailman())
    with made:
        made.start("collector", "flow", "delivery")
        yield made


@pytest.mark.slow
def test_the_trip_ends_in_mailmans_own_lists(world: MailmanWorld) -> None:
    walker, other = world.addresses[:2]
    assert world.mailman.members("newsletter") == {walker, other}
    assert world.mailman.config("newsletter")["send_goodbye_message"] is True
    person = People(world, 0)
    person.start()
    for number in (0, None):
        person.rounds.put(number)
    person.join(PATIENCE_S)
    assert person.failure is None
    (outcome,) = world.await_engaged()
    assert (outcome.result, outcome.changed) == (Result.APPLIED, ("+engaged", "-newsletter"))
    assert world.mailman.members("engaged") == {walker}
    assert world.mailman.members("newsletter") == {other}
    assert world.mailman.mails() == [], "of the running queues, through the server that catches every mail"
