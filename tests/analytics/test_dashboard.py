"""The Grafana dashboard, without a Grafana: its shape, and every query of it against the embedded ClickHouse.

The data source plug-in puts instants and literals in the place of its macros before ClickHouse sees anything; here the
macros that the dashboard uses are replaced as the plug-in's documentation says. Anything else that is left is an error.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.analytics.story import DAY, at, put, the_runs, when

GRAFANA = Path(__file__).resolve().parents[2] / "infra" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "history.json").read_text("utf-8"))
FROM, TO = "toDateTime64('2026-10-20 00:00:00', 3, 'UTC')", "toDateTime64('2026-11-20 00:00:00', 3, 'UTC')"
ROWS = {
    "People in lists now": [(3,)],
    "Moves": [(2,)],
    "Moves that failed": [(0,)],
    "Dead letters": [(3,)],
    "Sessions by campaign": [("spring", 2), ("(none)", 1)],
    "Dead letters by reason": [("unknown_action", 2), ("not_json", 1)],
    "Matches by listener": [("keen", "stands", 2, 2)],
    "Runs on their way": [
        (when(at(0)), "keen@2 3", 2),
        (when(at(0)), "keen@2 step2", 6),
        (when(at(0, DAY // 2)), "keen@2 3", 2),
        (when(at(0, DAY // 2)), "keen@2 step2", 6),
        (when(at(1)), "keen@2 step2", 5),
    ],
    "Latency ledger": [("keen", 2, 20, 10, 370, 380)],
}
"""Worked out by hand from ``story.py``."""


def filled_in(sql: str) -> str:
    sql = re.sub(r"\$__timeFilter\(((?:[^()]|\([^()]*\))*)\)", rf"(\1 >= {FROM} AND \1 <= {TO})", sql)
    sql = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql)
    sql = sql.replace("$__fromTime", FROM).replace("$__toTime", TO).replace("${workspace:singlequote}", "'demo'")
    assert "$" not in sql, sql
    return sql


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_the_query_of_a_panel_runs_and_answers(panel: dict[str, Any], embedded: Embedded, story: ClickHouse) -> None:
    put(story, the_runs(), first_offset=500)
    with embedded.client("analyst", database="segma") as client:
        (target,) = panel["targets"]
        answer = client.query(filled_in(target["rawSql"]))
        assert answer.result_rows
        if target["queryType"] == "timeseries":
            assert answer.column_names[0] == "time"
        if panel["title"] in ROWS:
            assert answer.result_rows == ROWS[panel["title"]]


def test_the_variable_lists_the_workspaces(embedded: Embedded, story: ClickHouse) -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    with embedded.client("analyst", database="segma") as client:
        assert client.query(variable["query"]).result_rows == [("demo",)]


def test_panels_have_places_of_their_own_and_one_data_source() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/segma.yaml").read_text())["datasources"]
    found = {(panel["datasource"]["uid"], panel["datasource"]["type"]) for panel in panels}
    assert found == {(source["uid"], source["type"])}
    assert yaml.safe_load((GRAFANA / "provisioning/dashboards/segma.yaml").read_text())["providers"]
