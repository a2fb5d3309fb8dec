"""A stage a test: a console with a real log, which its tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from console.access.users import Users
from contracts.log import Log
from tests.console.visitor import Stage, open_log_in, staged
from transport.config import wall_clock_ms


@pytest.fixture(scope="session")
def shared_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """One log for the room's tests: its topics are made once."""
    with open_log_in(tmp_path_factory.mktemp("console")) as log:
        yield log


@pytest.fixture
def stage(tmp_path: Path, shared_log: Log) -> Iterator[Stage]:
    with staged(tmp_path, shared_log, wall_clock_ms) as made:
        yield made


@pytest.fixture
def app(stage: Stage) -> ASGIApp:
    return stage.app()


@pytest.fixture
def users(stage: Stage) -> Users:
    return stage.users
