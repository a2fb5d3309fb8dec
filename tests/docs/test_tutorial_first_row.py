"""docs/tutorials/first-row.md, typed as it stands, with the link opened in a real browser."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.docs.typed import GOES_ON, File, Terminal, answers, steps
from tests.ports import free_port

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "first-row.md").read_text(encoding="utf-8")


def page_on(collector: int, site: int) -> str:
    """The page with these ports instead of 8400 and 8500, which somebody may have."""
    started = PAGE.replace("up --home shop ", f"up --home shop --port-base {collector} ")
    tag = '<script src="http://127.0.0.1:{}/sdk/segma.js"'
    return started.replace(tag.format(8400), tag.format(collector)).replace("8500", str(site))


def press_the_button(context: BrowserContext, link: str, collector: int) -> None:
    """Open the link and press the button, as the page says between two commands; the tab stays open."""
    answers(f"http://127.0.0.1:{collector}/ready")
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Into the basket").click()
    expect(page).not_to_have_url(link)


def test_every_line_of_the_page_does_what_it_says(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, site = free_port((0, 1, 2, 3)), free_port()
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    link = ""
    with closing(browser.new_context()) as context, Terminal(tmp_path, environment) as terminal:
        for step in steps(page_on(collector, site)):
            if isinstance(step, File):
                terminal.write(step)
            elif step.line.endswith(GOES_ON):
                terminal.begin(step)
            else:
                if " tail " in step.line:
                    press_the_button(context, link, collector)
                said = terminal.run(step)
                link = said.strip() if " link " in step.line else link
    assert link
