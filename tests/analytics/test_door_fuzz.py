"""A short run of the fuzz of ClickHouse's door; `python -m tests.clients.door_fuzz` runs it as long as one likes."""

from __future__ import annotations

from tests.analytics.embedded import Embedded
from tests.clients.door_client import Client, Seen
from tests.clients.door_fuzz import fuzz


def test_a_short_run_finds_nothing(embedded: Embedded) -> None:
    embedded.history("segma").close()  # other tests of this server drop it
    seen = Seen()
    fuzz(embedded, seed=7, tries=160, clients=4, seen=seen)
    assert seen.wrong == []
    tried = {name.removeprefix("tried ") for name in seen.counts if name.startswith("tried ")}
    assert tried == {"insert", "count", "odd", "session", "analyst", "external", "never_ended", "left_early"}
    assert sum(count for name, count in seen.counts.items() if name.startswith("tried ")) == 160


def test_the_model_notices_rows_that_nobody_sent(embedded: Embedded) -> None:
    seen = Seen()
    with embedded.client() as owner:
        owner.command("CREATE DATABASE IF NOT EXISTS fuzz")
        owner.command("DROP TABLE IF EXISTS fuzz.t9")
        client = Client(embedded, 1, 9, seen)
        owner.command("INSERT INTO fuzz.t9 VALUES (1)")
        client.run(range(40))
        client.close()
        owner.command("DROP DATABASE fuzz")
    assert seen.wrong
