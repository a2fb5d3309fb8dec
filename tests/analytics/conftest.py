"""One embedded server for the room's tests; each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.analytics.story import put, the_story


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    server = Embedded(tmp_path_factory.mktemp("clickhouse"), SEGMA_CLICKHOUSE_MEMORY_BYTES=str(2**28))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def story(embedded: Embedded) -> Iterator[ClickHouse]:
    """The story of ``story.py`` in the history's own database, for tests that only read and for analysts."""
    name = "segma"
    clickhouse = embedded.history(name)
    put(clickhouse, the_story())
    try:
        yield clickhouse
    finally:
        clickhouse.command(f"DROP DATABASE {name}", database=False)
        clickhouse.close()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    return f"t_{abs(hash(request.node.nodeid)) % 10**12}"


@pytest.fixture
def history(embedded: Embedded, database: str) -> Iterator[ClickHouse]:
    clickhouse = embedded.history(database)
    try:
        yield clickhouse
    finally:
        clickhouse.command(f"DROP DATABASE {database}", database=False)
        clickhouse.close()
