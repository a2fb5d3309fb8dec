"""Every action of the vocabulary moves a person to a list: browser, collector, flow, file sink, in one run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext

from cli.people import import_people
from contracts.actions import ASKED_FOR, VOCABULARY
from contracts.codec import json_reader, to_json
from contracts.commands import Outcome
from contracts.membership import MEMBERSHIP, SESSION_ENDED
from contracts.tokens import subscriber_id
from contracts.topics import OUTCOMES
from tests.sdk.site import serve
from tests.sdk.stage import ASKED, PATIENCE_S, SECRET, SERVER_KEY, SITE, RealCollector, StaticSite, token
from tests.sdk.test_capture import ROWS, Gesture, script
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADDRESS: Final = "anna@example.org"
ANNA: Final = subscriber_id(SECRET, ADDRESS)
MAIL_CLIENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
MAILS: Final = ("email_delivered", "email_bounced", "email_complained")
"""What no browser does: the platform tells of it, here by the server's door."""

SENT: Final = VOCABULARY - MEMBERSHIP - {SESSION_ENDED}
"""Each action that is sent: by a page, or by a platform's webhook."""
BY_ITSELF: Final = {"email_clicked", "email_opened", "page_viewed", "page_loaded", "page_closed", *MAILS}
GESTURES: Final[dict[str, tuple[str, ...]]] = {
    "page_clicked": ("click on text",),
    "button_clicked": ("button, mouse",),
    "file_downloaded": ("download by extension",),
    "pdf_viewed": ("PDF link",),
    "product_added": ("product added",),
    "logged_in": ("login form",),
    "logged_out": ("logout link",),
    "field_focused": ("field focused",),
    "field_unfocused": ("field left",),
    "form_filled": ("field filled",),
    "form_submitted": ("form submitted, mouse",),
    "searched": ("search",),
    "key_pressed": ("key pressed",),
    "key_held": ("key held",),
    "key_released": ("key released",),
    "shortcut_pressed": ("shortcut",),
    "letter_typed": ("letter",),
    "mouse_pressed": ("mouse pressed",),
    "mouse_over": ("mouse over",),
    "mouse_moved": ("mouse moved",),
    "hovered": ("hovered",),
    "scrolled_past": ("scrolled by a jump",),
    "bottom_reached": ("scrolled by a jump",),
    "content_copied": ("copied",),
    "content_pasted": ("pasted",),
    "video_played": ("video",),
    "audio_played": ("audio",),
}
"""Action \u2192 the rows of the table that make it."""
BUY: Final[Gesture] = script("segma.track('product_bought', {sku: 'a', category: 'shoes', order_id: '1'})")
BUY_ALIKE: Final[Gesture] = script("segma.track('product_bought', {sku: 'b', category: 'shoes', order_id: '2'})")
"""``similar_product_bought`` is derived in the flow: the second purchase shares a category with the first."""


def listener(action: str) -> str:
    """A listener that waits for one action alone; where listeners must name something, as the stage's do."""
    where = ""
    if action in ASKED and ASKED_FOR[action].asked_by:
        each = ASKED[action][0]
        name = "percent" if isinstance(each, int) else ASKED_FOR[action].asked_by[0]
        where = f", where: {{{name}: {each!r}}}"
    name = action.replace("_", "-")
    then = f"then: [{{add: {{to: did-{name}, at: mailbox}}}}]"
    if action == "email_unsubscribed":
        then = "then: [{remove: {from: newsletter, at: mailbox}}]"  # nobody who left is put on a list
    return f"listener: on-{name}\nsequence: [{{action: {action}{where}}}]\n{then}\n"


class Installation(RealCollector):
    """Collector, flow and delivery, with a listener for each action and one person in the directory."""

    def __init__(self, home: Path, origins: list[str]) -> None:
        (home / "listeners").mkdir(parents=True)
        for action in SENT:
            (home / "listeners" / f"{action.replace('_', '-')}.yaml").write_text(listener(action))
        members = home / "data" / "lists" / "shop" / "mailbox" / "newsletter.txt"
        members.parent.mkdir(parents=True)
        members.write_text(f"{ADDRESS}\n")
        workspace = "    accounts: {mailbox: {sink: file}}\n    grace: 200ms\n    quarantine: 1s\n"
        super().__init__(home, origins, workspace=workspace)
        import_people(home, "shop/mailbox", "newsletter")
        self._workers = [
            subprocess.Popen(
                [sys.executable, "-m", *module], env=self.environment, stdout=self._output, stderr=self._output
            )
            for module in (["flows"], ["sinks", "--account", "shop/mailbox"])
        ]
        self._outcomes = self.log.reader(OUTCOMES)
        self.moved: set[str] = set()

    def await_moved(self, wanted: set[str]) -> None:
        """Return once the person was put on each of these lists (``-name``: was taken off)."""
        read = json_reader(Outcome)
        until = time.monotonic() + PATIENCE_S
        while not wanted <= self.moved:
            for record in self._outcomes.poll(500, 0.2):
                outcome = read(record.value) if record.value else None
                if outcome is not None and outcome.subscriber == ANNA and outcome.result in {"applied", "already"}:
                    self.moved |= {outcome.to_list} | {change for change in outcome.changed if change.startswith("-")}
            assert time.monotonic() < until, (
                sorted(wanted - self.moved),
                (self.home / "collector.log").read_text()[-3_000:],
            )

    def server(self, action: str) -> None:
        """What a platform's webhook says, by the server's door."""
        now_ms = time.time_ns() // 1_000_000
        event = {"event_id": f"mail-{action}", "action": action, "occurred_at_ms": now_ms, "properties": {}}
        body = to_json({"site": SITE, "address": ADDRESS, "events": [event]})
        headers = {"Authorization": f"Bearer {SERVER_KEY.decode()}"}
        assert requests.post(f"{self.url}/v1/events", data=body, headers=headers, timeout=10).status_code == 204

    def stop(self) -> None:
        """End all processes."""
        self._outcomes.close()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(30)
        super().stop()


@pytest.fixture
def installation(site: StaticSite, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home", [site.url])
    yield made
    made.stop()


def list_of(action: str) -> str:
    return f"did-{action.replace('_', '-')}"


def test_each_action_puts_the_person_on_its_list(
    browser: Browser, context: BrowserContext, site: StaticSite, installation: Installation
) -> None:
    named: dict[str, Any] = {action: ASKED[action][:1] for action in ASKED}
    installation.await_asked(named | {"hovered": ASKED["hovered"], "scrolled_past": (40,)})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    rows = {row.name: row for row in ROWS}
    sealed = token(ANNA)
    address = serve(site, "minified", installation.url)
    page = context.new_page()
    mail = browser.new_context(user_agent=MAIL_CLIENT)
    mail.new_page().goto(f"{installation.url}/o/{sealed}.gif")
    mail.close()
    visit = Visit(page, installation, f"{address}?utm_campaign=spring#sgm={sealed}")
    for action in MAILS:
        installation.server(action)
    for action, names in GESTURES.items():
        for name in names:
            page.goto("about:blank")
            page.goto(address)
            page.wait_for_function("!!window.segma?.v")
            rows[name].gesture(visit.tab)
        visit.wait_for(action)
    BUY(visit.tab)
    BUY_ALIKE(visit.tab)
    page.goto("about:blank")
    covered = {*BY_ITSELF, *GESTURES, "product_bought", "similar_product_bought", "email_unsubscribed"}
    assert covered == SENT
    installation.await_moved({list_of(action) for action in covered - {"email_unsubscribed"}})
    lists = installation.home / "data" / "lists" / "shop" / "mailbox"
    for action in covered - {"email_unsubscribed"}:
        assert (lists / f"{list_of(action)}.txt").read_text().split() == [ADDRESS]
    installation.server("email_unsubscribed")
    installation.await_moved({"-newsletter"})
    assert (lists / "newsletter.txt").read_text().split() == []
