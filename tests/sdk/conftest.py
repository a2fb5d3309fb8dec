from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.sdk.engines import Engine
from tests.sdk.engines.chromium import Chromium
from tests.sdk.engines.firefox import Firefox
from tests.sdk.engines.webkit import WebKit
from tests.sdk.stage import ASKED, SECRETS, RealCollector, StaticSite


@pytest.fixture(scope="session")
def site() -> Iterator[StaticSite]:
    served = StaticSite()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def collector(site: StaticSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCollector]:
    started = RealCollector(tmp_path_factory.mktemp("collector"), [site.url])
    started.ask(ASKED)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def plain_site(site: StaticSite, collector: RealCollector) -> Iterator[None]:
    site.files.clear()
    site.headers.clear()
    site.redirects.clear()
    site.requests.clear()
    collector.forget()
    yield
    collector.look()
    bodies = b"\n".join({each.record.body for each in collector.stored}).lower()
    assert [secret for secret in SECRETS if secret.encode() in bodies] == []


@pytest.fixture(scope="session")
def chromium(browser: Browser) -> Iterator[Engine]:
    made = Chromium(browser)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def firefox() -> Iterator[Engine]:
    made = Firefox()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def webkit(site: StaticSite) -> Iterator[Engine]:
    made = WebKit(site.url)
    yield made
    made.stop()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine that the test names; started when the first test asks for it."""
    named: Engine = request.getfixturevalue(request.param)
    yield named
    assert named.errors() == []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert errors == []
