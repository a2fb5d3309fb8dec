"""What the console asks, of a real ClickHouse: every question it has, within its rows and its time."""

from __future__ import annotations

from analytics.clickhouse import ClickHouse
from console.history import History
from tests.analytics.embedded import Embedded
from tests.analytics.story import at
from tests.console.visitor import ran

QUESTIONS: tuple[tuple[str, dict[str, str]], ...] = (
    ("listener_days", {}), ("funnel", {"listener": "keen", "since": "-30d"}), ("person_lists", {"person": "ann"}),
    ("timeline", {"person": "ann"}), ("why", {"person": "ann", "list": "hot"}),
    ("attempts", {"person": "ann", "list": "hot"}), ("sizes", {"since": "-1d"}), ("list_changes", {}),
    ("account_health", {"since": "-30d"}), ("audit", {}), ("seen_values", {"since": "-30d"}),
)  # fmt: skip


def test_every_question_of_the_console_is_answered(story: ClickHouse, embedded: Embedded) -> None:
    def connected() -> ClickHouse:
        return ClickHouse(embedded.url, "segma", embedded.passwords["segma"], "segma")

    history = History(connected, lambda: at(7), timeout_s=120)

    async def ask_all() -> None:
        for name, given in QUESTIONS:
            told = await history.ask(name, "demo", newest_by="at" if name == "timeline" else "", **given)
            assert (name, told.problem, bool(told.rows)) == (name, "", name != "audit")
        life = (await history.ask("timeline", "demo", newest_by="at", person="ann")).rows
        assert [row["at"] for row in life] == sorted((row["at"] for row in life), reverse=True)

    ran(ask_all())
    history.close()
