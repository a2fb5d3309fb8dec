"""The embedded ClickHouse answers as its OpenAPI says: a short run of ``tests.docs.schemathesis_run``."""

from __future__ import annotations

from pathlib import Path

from analytics.config import OWNER
from tests.analytics.embedded import Embedded
from tests.docs.schemathesis_run import check_answers, clickhouse_door


def test_every_answer_is_as_described(embedded: Embedded, tmp_path: Path) -> None:
    check_answers(clickhouse_door(embedded.url, embedded.passwords[OWNER]), tmp_path)
