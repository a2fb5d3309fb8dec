"""A stage a test: a console with a real log, which its tests share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from console.access.provider import Provider
from console.access.users import Users
from console.config import unguessable
from contracts.log import Log
from tests.console.company import SECRET, Company
from tests.console.company_visit import HOME, MARKETING, NOW_MS, settings_for
from tests.console.visitor import Clock, Stage, open_log_in, staged
from tests.ports import free_port
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
def console(stage: Stage) -> Iterator[str]:
    """The stage's console on a port, for real browsers; its address."""
    port = free_port()
    app = stage.app(clock=wall_clock_ms)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def app(stage: Stage) -> ASGIApp:
    return stage.app()


@pytest.fixture
def users(stage: Stage) -> Users:
    return stage.users


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW_MS)


@pytest.fixture
def company(clock: Clock) -> Iterator[Company]:
    made = Company(HOME, clock, says=dict(MARKETING))
    yield made
    made.close()


@pytest.fixture
def open_app(stage: Stage, company: Company, clock: Clock) -> Callable[..., ASGIApp]:
    def opened(*, secret: str | None = SECRET, local: bool = True, **changes: object) -> ASGIApp:
        provider = Provider(settings_for(company, **changes), secret, HOME, clock)
        return stage.app(clock=clock, unique=unguessable, provider=provider, local=local)

    return opened
