"""What differs between engines, each case in the engine that it is about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sdk.door import Door
from tests.sdk.engines import Engine
from tests.sdk.engines.each import engines
from tests.sdk.engines.firefox import Firefox
from tests.sdk.site import serve
from tests.sdk.stage import RealCollector, StaticSite, serve_builds, tag, token
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.slow]

PAGE = """<!doctype html><title>Page</title>{tag}<body><button id="press">Press</button>
<a id="away" href="/other">Away</a></body>"""


@pytest.fixture
def door(collector: RealCollector) -> Iterator[Door]:
    made = Door(collector.url)
    yield made
    made.stop()


def put(site: StaticSite, collector: str) -> str:
    serve_builds(site)
    site.put("/other", "<!doctype html><title>Other</title>")
    return site.put("/page", PAGE.format(tag=tag("minified", collector)))


@engines("firefox", "webkit")
def test_the_queue_goes_on_after_back(engine: Engine, site: StaticSite, collector: RealCollector, door: Door) -> None:
    visit = Visit(engine.fresh(), collector, put(site, door.url))
    tab = visit.tab
    door.answers_after_s = 0.3
    tab.run("window.same = true")
    tab.click_twice("#press", "#away", 0.12)
    tab.until("location.pathname === '/other'")
    tab.back()
    tab.until("location.pathname === '/page'")
    assert tab.run("window.same === true"), "the browser did not keep the page"
    tab.click("#press")
    assert len(visit.wait_for("button_clicked", 2)) == 2


@pytest.mark.parametrize("policy", ["no-referrer", "same-origin"])
@engines()
def test_a_policy_that_hides_the_referrer_costs_no_event(
    engine: Engine, site: StaticSite, collector: RealCollector, policy: str
) -> None:
    site.headers["referrer-policy"] = policy
    visit = Visit(engine.fresh(), collector, put(site, collector.url))
    visit.tab.click("#away")
    visit.tab.until("location.pathname === '/other'")
    assert len(visit.wait_for("page_clicked")) == len(visit.wait_for("page_closed")) == 1


@engines()
def test_what_a_page_ended_with_is_not_sent_again_by_the_next_page(
    engine: Engine, site: StaticSite, collector: RealCollector
) -> None:
    address = put(site, collector.url)
    site.put("/other", PAGE.format(tag=f"<template>{tag('minified', collector.url)}</template>"))
    visit = Visit(engine.fresh(), collector, address)
    # The next page's SDK starts once the last words are stored: what it does before is for ``bench visits`` to count.
    for page in range(1, 4):
        visit.tab.click("#away")
        visit.wait_for("page_closed", page)
        visit.tab.until("!!document.querySelector('template')?.content.firstChild")
        visit.tab.run("document.head.append(document.querySelector('template').content)")
        visit.wait_for("page_viewed", page + 1)
        visit.tab.until("!localStorage.length || !Object.keys(localStorage).join().includes('.spool.')")
    visit.told("all_told")
    assert len(visit.of("page_closed")) == len(visit.of("page_clicked")) == 3
    assert {count for (device, _), count in collector.times.items() if device == visit.device} == {1}


@pytest.mark.parametrize(("named", "is_lost"), [("", False), ("#chapter", True)], ids=["none", "its own"])
@engines()
def test_a_fragment_outlives_a_redirect_that_names_none(
    engine: Engine, site: StaticSite, collector: RealCollector, named: str, is_lost: bool
) -> None:
    put(site, collector.url)
    site.redirects["/wrapped"] = f"/page{named}"
    visit = Visit(engine.fresh(), collector, f"{site.url}/wrapped#sgm={token()}")
    assert visit.tab.run("location.href") == f"{site.url}/page{named}"
    found = {each.record.subscriber for each in visit.mine()}
    assert found == ({""} if is_lost else {"s_anna"})


LOGIN = """<!doctype html><title>Login</title><script>
window.filled = [];
addEventListener("change", ({{ target, isTrusted }}) => window.filled.push(`${{target.name}} ${{isTrusted}}`), true);
</script>{tag}<body><form action="/other"><input name="user" autocomplete="username"> <input name="note">
<input type="password" name="pass"></form></body>"""


@pytest.fixture
def saved_login(firefox: Firefox, site: StaticSite) -> Iterator[None]:
    firefox.save_login(site.url, "anna", "password-canary")
    yield
    firefox.forget_logins()


@pytest.mark.usefixtures("saved_login")
@engines("firefox")
def test_a_saved_login_that_the_browser_fills_in_is_nobodys_doing(
    engine: Engine, site: StaticSite, collector: RealCollector
) -> None:
    put(site, collector.url)
    visit = Visit(engine.fresh(), collector, site.put("/login", LOGIN.format(tag=tag("minified", collector.url))))
    visit.tab.until("window.filled.includes('user true')")
    visit.told("filled_in")
    assert visit.of("form_filled") == []
    visit.tab.click("[name=note]")
    visit.tab.type("hi")
    visit.tab.click("[name=user]")
    assert [each.event.properties["field"] for each in visit.wait_for("form_filled")] == ["note"]


@engines("webkit")
def test_what_is_watched_is_counted_from_the_first_tick(
    engine: Engine, site: StaticSite, collector: RealCollector
) -> None:
    visit = Visit(engine.fresh(), collector, serve(site, "minified", collector.url))
    visit.tab.run(
        "() => { const it = document.getElementById('talk'); it.muted = true; it.playbackRate = 4; return it.play(); }"
    )
    played = visit.wait_for("audio_played", 5)
    assert [each.event.properties["progress"] for each in played] == [0, 25, 50, 75, 100]
    assert played[-1].event.properties["watched_s"] >= 3.0
