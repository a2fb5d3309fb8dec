"""The write page's editor in a real browser: the language and the site suggest, what is wrong is marked by its line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.console.test_walk import PATIENCE_MS, barriers, enter, opened
from tests.console.test_workspace_pages import answer
from tests.console.visitor import Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IS_LEFT = "document.activeElement !== document.body && !document.activeElement.closest('.cm-editor')"


def choose(page: Page, label: str) -> None:
    """Take one of the suggestions."""
    page.locator(".cm-tooltip-autocomplete [role=option]", has=page.get_by_text(label, exact=True)).click()


def test_the_editor_suggests_marks_and_lets_go(browser: Browser, console: str, stage: Stage) -> None:
    from playwright.sync_api import expect

    answer(stage, "LIMIT 30 BY property", "seen_values", ("path", "/products/*", 9))
    context = browser.new_context(locale="de-DE", color_scheme="dark", viewport={"width": 360, "height": 800})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "favicon" not in str(message.location) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    enter(page, console, "mara")
    with page.expect_response("**/static/editor.js") as loaded, page.expect_response("**/static/*.json"):
        opened(page, f"{console}/w/demo/write")
    assert loaded.value.header_value("content-encoding") == "gzip"
    text = page.locator("#text")
    expect(text).to_be_hidden()

    page.locator(".cm-line", has_text="action: email_clicked").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("wh")
    page.locator(".cm-completionInfo >> text=all lines must hold").wait_for()
    assert barriers(page) == []
    choose(page, "where")
    page.keyboard.type(" {pa")
    choose(page, "path")
    choose(page, "/products/*")
    page.keyboard.type("}")
    expect(text).to_have_value(re.compile('    action: email_clicked\n    where: {path: "/products/\\*"}\n'))
    expect(page.locator('[name="s1.w1.value"]')).to_have_value("/products/*", timeout=PATIENCE_MS)

    page.keyboard.type(" # looked")
    page.keyboard.press("Enter")
    page.keyboard.type("within: soon")
    wrong = page.locator(".cm-line:has(.cm-lintRange-error)")
    expect(wrong).to_have_text("    within: soon", timeout=PATIENCE_MS)
    expect(page.locator('[name="s1.within"][aria-invalid]')).to_have_count(1)
    expect(page.locator(".cm-gutterElement .cm-lint-marker-error")).to_have_count(1)
    page.keyboard.press("F8")
    page.locator(".cm-announced", has_text='the text "soon"').wait_for()
    page.keyboard.press("Control+Shift+M")
    page.locator(".cm-panel-lint [role=listbox][aria-label=Probleme]").wait_for()
    assert barriers(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    page.wait_for_function(IS_LEFT)
    assert page.locator("style").count() == 0
    context.close()
    assert said == []


def test_the_textarea_stays_where_the_editor_does_not_load(browser: Browser, console: str) -> None:
    from playwright.sync_api import expect

    context = browser.new_context()
    context.route("**/static/editor.js", lambda route: route.abort())
    page = context.new_page()
    enter(page, console, "mara")
    opened(page, f"{console}/w/demo/write")
    text = page.locator("#text")
    text.fill(text.input_value().replace("email_clicked", "email_opened"))
    text.press("Tab")
    expect(page.locator('[name="s1.action"]')).to_have_value("email_opened", timeout=PATIENCE_MS)
    page.fill('[name="s1.step"]', "opened")
    page.press('[name="s1.step"]', "Tab")
    expect(text).to_have_value(re.compile("step: opened\n"), timeout=PATIENCE_MS)
    context.close()
