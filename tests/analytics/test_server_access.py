"""``infra/clickhouse/access``: the analyst of a server, as far as it can be run here.

The embedded engine parses the statements, but keeps no users: it has no writable access storage.
"""

from __future__ import annotations

from pathlib import Path

from tests.analytics.embedded import Embedded

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "infra" / "clickhouse" / "access" / "analyst.sql"


def statements() -> list[str]:
    lines = [line for line in SQL.read_text("utf-8").splitlines() if not line.startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip()]


def test_the_statements_are_clickhouses_own_and_give_the_history_to_be_read_alone(embedded: Embedded) -> None:
    with embedded.client() as client:
        sql = "SELECT formatQuerySingleLine({sql:String})"
        read = [str(client.command(sql, parameters={"sql": each})) for each in statements()]
    text = "\n".join(read)
    grants = [each for each in read if each.startswith("GRANT ")]
    assert grants == ["GRANT SELECT ON segma.* TO segma_analyst", "GRANT segma_analyst TO analyst"]
    assert "readonly = 1" in text
    assert "max_execution_time = 600 MIN 1 MAX 600 CHANGEABLE_IN_READONLY" in text
    assert "HOST NONE" in text, "nobody comes in before a password is set"
    assert "DEFAULT DATABASE segma" in text
    assert "queries = 10000" in text
    assert text.count(" IF NOT EXISTS ") == len(read) - len(grants), "each can be run again"


def test_every_table_of_the_history_has_the_policy() -> None:
    migrations = "".join(path.read_text("utf-8") for path in (ROOT / "infra" / "clickhouse").glob("*.sql"))
    made = {line.split()[5] for line in migrations.splitlines() if line.startswith("CREATE TABLE IF NOT EXISTS")}
    policy = next(each for each in statements() if "ROW POLICY" in each)
    assert len(made) >= 9
    assert {table for table in made if f"segma.{table}" not in policy} == set()
