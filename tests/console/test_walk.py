"""A marketer's walk in a real browser: in, around, and out; axe finds nothing on any page, light, dark and narrow."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from contracts.codec import to_json
from contracts.events import Event
from contracts.rows import Act, DirectoryEntry, EventRow
from contracts.tokens import subscriber_id
from contracts.topics import ROWS, SUBSCRIBERS
from tests.console.test_workspace_pages import answer, letter_at, version, write
from tests.console.visitor import PASSWORD, Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PATIENCE_MS = 30_000
ANN = subscriber_id(b"s" * 32, "ann@example.org")
PAGES = (
    "/", "/inbox", "/w/demo/listeners", "/w/demo/listeners/walked", "/w/demo/people",
    f"/w/demo/people/{ANN}?list=warm&listener=walked", "/w/demo/lists", "/lists", "/events", "/w/demo/sites",
    f"/w/demo/people/{ANN}/confirm?change=forget", f"/w/demo/people/{ANN}/confirm?change=link",
    "/w/demo/accounts", "/w/demo/audit", "/w/demo/write", "/w/demo/write?listener=walked", "/w/demo/record",
    "/w/demo/listeners/nothing", "/w/demo/lists?list=warm&at=2026-01-02T03:04", f"/events?person=demo/{ANN}",
    "/w/demo/listeners/walked/confirm?change=promote&version=2", "/w/demo/listeners/walked/confirm?change=end",
    "/w/demo/listeners/walked/confirm?change=pause", "/w/demo/listeners/halted",
    "/w/demo/listeners/halted/confirm?change=resume",
    "/w/demo/listeners/walked/trial?goal=product_bought", "/w/none/listeners",
)  # fmt: skip


def told(stage: Stage) -> None:
    """What the history and the log hold of Ann."""
    write(stage, version("walked", 1, "Clicked and looked.", live_from_ms=0), version("walked", 2, "Looked twice."))
    write(stage, version("halted", 1, live_from_ms=0, pauses=((1, None),)))
    letter_at(stage, "demo", "s9", "the list is gone")
    stage.watch.fold_in(SUBSCRIBERS, [to_json(DirectoryEntry("demo", ANN, "ann@example.org", "Ann"))])
    stage.watch.fold_in(ROWS, [to_json(EventRow(Event("demo", ANN, "e1", "page_viewed", 5, properties={"path": "/"})))])
    days = [("walked", date(2026, 11, day), day % 5, day % 5, 0, NOW) for day in range(1, 30)]
    answer(stage, "countIf(result = 'failed'), max(matched_at)", "listener_days", *days)
    answer(stage, "WINDOW steps AS", "funnel", ("1", "email_clicked", 40, 30, 30, 1.0, 9.0, 3))
    answer(stage, "ORDER BY until IS NOT NULL", "person_lists", ("warm", "mailbox", NOW, None))
    life = [(NOW, "event", "page_viewed", "e1"), (NOW, "match", "walked@1", "m")]
    answer(stage, "started_at, 'session'", "timeline", *life)
    change = (NOW, "warm", "mailbox", ANN, 1, "walked", 1)
    answer(stage, "SELECT command_id, listener", "list_changes", change)
    answer(stage, "CROSS JOIN changes", "sizes", (date(2026, 11, 29), "warm", 3))
    answer(stage, "minOrNullIf", "account_health", ("mailbox", 1, NOW, 40, 2, 1, NOW))
    answer(stage, "FROM audit", "audit", (NOW, "mara", "looked_up", ANN, ""))
    stay = (
        "mailbox", NOW, None, "move", "walked", 1, "m1", NOW, "newsletter", "",
        [("1", "email_clicked", NOW, "e1"), ("2", "page_viewed", NOW, "e2")], "applied", "200", NOW, "c1",
    )  # fmt: skip
    answer(stage, "if(m.command_id = '', 'import', 'move')", "why", stay)
    answer(stage, "five_minutes", "site_events", ("shop", NOW, NOW, "page_viewed", "/", 3, 40, 2))
    answer(stage, "FROM dead_letters", "refusals", ("shop", "wrong_origin", "https://www.shop.example", 7, NOW))
    answer(stage, "token_problem", "tokens", ("token_malformed", "spring", "shop", 9, 4, NOW))
    row = (ANN, "e1", "email_clicked", 1_000, 0, "{}", "browser", False, False, "", 1_000, 1_000, 1_000, "")
    stage.answers.stream = lambda sql, params: iter([row])  # type: ignore[attr-defined]


def opened(page: Page, url: str) -> None:
    """Open a page, and let its parts come in."""
    page.goto(url)
    page.locator("[data-part]:not([data-loaded])").first.wait_for(state="detached")


def barriers(page: Page) -> list[str]:
    """What axe finds on the page that is open."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    return [f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


def enter(page: Page, console: str, name: str) -> None:
    page.goto(f"{console}/login")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("#sign-in")
    page.locator("#sign-out").wait_for()


def test_a_marketer_walks_through_the_console(browser: Browser, console: str, stage: Stage) -> None:
    told(stage)
    context = browser.new_context()
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{console}/w/demo/listeners")
    page.fill("[name=name]", "mara")
    page.fill("[name=password]", PASSWORD)
    page.click("#sign-in")
    page.locator("#did-walked svg.line").wait_for()
    page.locator("#did-walked + td >> text=2026-11-29").wait_for()
    assert page.locator("[data-fills]").count() == 0
    page.click("text=walked")
    page.click("text=Make it live")
    page.click("#confirm")
    page.click("nav >> text=People")
    page.fill("[name=person]", "ann@example.org")
    page.click("#look-up")
    page.click("text=Why warm?")
    page.locator(".words >> text=In warm since").wait_for()
    assert "ann@example.org" not in page.url
    page.select_option("[name=listener]", "walked")
    page.click("#why-not")
    page.locator(".words >> text=0 matches").wait_for()
    page.click("nav >> text=Events")
    page.fill("[name=person]", "ann@example.org")
    page.select_option("[name=action]", "page_viewed")
    page.click("#filter")
    page.locator("#all-events").wait_for()
    assert "ann@example.org" not in page.url
    page.locator("#events >> text=page_viewed").wait_for()
    page.click("#sign-out")
    page.locator("#sign-in").wait_for()
    page.goto(f"{console}/w/demo/people/{ANN}")
    assert page.locator("#sign-in").count() == 1
    context.close()
    assert wrong == []
    acts = [row.act for row in stage.trail() if row.user == "mara"]
    assert (acts[0], acts[1], acts[-1]) == (Act.SIGNED_IN, Act.PROMOTED, Act.SIGNED_OUT)
    assert set(acts[2:-1]) == {Act.LOOKED_UP}


def test_the_form_and_the_yaml_follow_each_other_while_one_types(browser: Browser, console: str, stage: Stage) -> None:
    from playwright.sync_api import expect

    context = browser.new_context()
    page = context.new_page()
    enter(page, console, "mara")
    opened(page, f"{console}/w/demo/write")

    def follow(field: str, value: str) -> None:
        with page.expect_response("**/write"):
            page.fill(field, value)
            page.press(field, "Tab")

    follow('[name="s1.w1.property"]', "campaign")
    page.locator('[name="s1.w2.property"]').wait_for()
    follow('[name="s1.w1.value"]', "spring-sale")
    text = page.locator("#text")
    expect(text).to_have_value(re.compile("campaign: spring-sale"), timeout=PATIENCE_MS)
    page.locator(".cm-line", has_text="action: email_clicked").click()
    for key in ("End", "Backspace", "Backspace"):
        page.keyboard.press(key)
    page.keyboard.type("t # a typo")
    page.locator('[name="s1.action"][aria-invalid]').wait_for()
    follow('[name="s1.action"]', "email_opened")
    expect(text).to_have_value(re.compile("email_opened # a typo"), timeout=PATIENCE_MS)
    page.click("#save")
    page.locator(".done").wait_for()
    assert "email_opened # a typo" in stage.desk.drafts["demo"].read("new-listener").text
    page.click("#try-sample")
    page.locator("#transcript >> text=1 match.").wait_for()
    told(stage)
    page.fill("#person", "ann@example.org")
    page.press("#person", "Enter")
    page.locator(f"#transcript >> text=for {ANN}").wait_for()
    expect(page.locator("#person")).to_have_value(ANN, timeout=PATIENCE_MS)
    context.close()


def test_no_page_has_a_barrier(browser: Browser, console: str, stage: Stage) -> None:
    told(stage)
    found: list[str] = []
    for scheme, width, locale in (("light", 1_200, "en-GB"), ("dark", 360, "de-DE")):
        context = browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 800},
            locale=locale,
        )
        page = context.new_page()
        page.goto(f"{console}/login")
        found += barriers(page)
        enter(page, console, "enno")
        for path in PAGES:
            opened(page, f"{console}{path}")
            found += barriers(page)
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                found.append(f"{page.url}: wider than the screen")
        context.close()
    assert found == []
