"""A listener tried in its form before it is saved: on what one person did, and on a sample of events."""

from __future__ import annotations

import html
import re

import pytest

from analytics.clickhouse import HistoryUnavailable
from console.history import AWAY
from console.writing.merge import form_in
from console.writing.samples import MOST, as_events, sample_of
from contracts.actions import known_actions
from contracts.errors import ListenerError
from contracts.rows import Act
from contracts.tokens import subscriber_id
from flows.language.parse import parse_listeners
from flows.replay.examples import matches_of, parse_examples
from tests.console.test_workspace_pages import EVIL
from tests.console.test_write_pages import WRITE, fields, sent
from tests.console.visitor import Answer, Stage, Visitor, signed_in

ANN = subscriber_id(b"s" * 32, "ann@example.org")
SPRING = """\
listener: spring
version: 1
sequence:
  - step: clicked
    action: email_clicked
    where: {campaign: "spring-*"}
  - action: page_viewed
    where: {path: [/a, /b]}
    times: {at_least: 2}
    after: 10m
  - action: product_added
    where: {value: {more_than: 49}}
  - not: product_bought
    for: 30m
then:
  - move: {from: newsletter, to: warm, at: mailbox}
"""


def recorded(stage: Stage, *actions: str) -> None:
    """The history holds these of whoever is asked for, a second apart."""

    def rows(_: str, params: dict[str, str]) -> object:
        person, properties = params["first"], '{"campaign":"spring-1","path":"/a"}'
        for at, action in enumerate(actions, 1):
            known = (person, f"e{at}", action, at * 1_000, 0, properties, "browser", False, False)
            yield (*known, "", 1_000, 1_000, 1_000, "")

    stage.answers.stream = rows  # type: ignore[attr-defined]


def tried(stage: Stage, do: str, text: str = SPRING, visitor: Visitor | None = None, **cells: str) -> Answer:
    asker = visitor or signed_in(stage.app())
    return sent(asker, asker.get(WRITE), do, text=text, **cells)


def transcript(page: Answer) -> str:
    found = re.search(r'<pre class="words" id="transcript"[^>]*>(.*?)</pre>', page.text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def test_a_listener_is_tried_unsaved_on_what_a_person_did_and_says_what_it_waits_for(stage: Stage) -> None:
    recorded(stage, "email_clicked", "page_viewed")
    before = len(stage.trail())
    page = tried(stage, "try_person", person=" Ann@Example.org ")
    assert f"spring, version 1, for {ANN}: 2 events, 0 matches." in transcript(page)
    assert "as step 1 `clicked`" in transcript(page)
    assert "waits for" in transcript(page)
    assert fields(page)["person"] == ANN
    assert "xample.org" not in page.text
    (row,) = [each for each in stage.trail()[before:] if each.act is Act.TRIED]
    assert (row.user, row.subscriber, row.target) == ("mara", ANN, "spring")
    assert stage.desk.drafts["demo"].names() == []


def test_what_was_changed_in_the_form_is_what_is_tried(stage: Stage) -> None:
    recorded(stage, "email_opened")
    page = tried(stage, "follow")
    again = sent(signed_in(stage.app()), page, "try_person", s1__action="email_opened", person="s1")
    assert "e1 (email_opened) opens it" in transcript(again)
    assert "action: email_opened" in fields(again)["text"]


def test_nobody_is_tried_on_without_a_trail_a_person_or_a_well_formed_listener(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(stage, "email_clicked")
    for person in ("", " ", "x" * 400):
        assert "Write an address" in tried(stage, "try_person", person=person).text
    for broken in (SPRING.replace("email_clicked", "email_clickt"), "listener: ["):
        page = tried(stage, "try_person", text=broken, person="s1")
        assert transcript(page) == ""
        assert [row for row in stage.trail() if row.act is Act.TRIED] == []

    async def not_noted(*_: object, **__: object) -> bool:
        return False

    visitor = signed_in(stage.app())
    monkeypatch.setattr("console.audit.Audit.note", not_noted)
    page = tried(stage, "try_person", visitor=visitor, person="s1")
    assert "Nothing was done." in page.text
    assert transcript(page) == ""


def test_the_history_away_is_a_sentence_and_the_form_stays(stage: Stage) -> None:
    def away(*_: object) -> None:
        raise HistoryUnavailable("away")

    stage.answers.stream = away  # type: ignore[attr-defined]
    page = tried(stage, "try_person", person="s1")
    assert AWAY in page.text
    assert "spring-*" in fields(page)["text"]
    assert transcript(page) == ""


def test_a_viewer_tries_nothing(stage: Stage) -> None:
    visitor, before = signed_in(stage.app(), "vera"), len(stage.trail())
    form = {"csrf": visitor.get("/").csrf, "do": "try_person", "person": "ann@example.org", "text": SPRING}
    assert visitor.post(WRITE, form).status_code == 403
    assert stage.trail()[before:] == []


def test_a_sample_is_made_of_what_the_steps_ask_for_and_told_step_by_step(stage: Stage) -> None:
    page = tried(stage, "try_sample")
    assert "4 events, 1 match." in transcript(page)
    assert "it is complete: the last `not`'s time is over" in transcript(page)
    short = tried(stage, "try_sample", quiet="29m")
    assert "4 events, 0 matches." in transcript(short)
    assert "it still waits for the time of the last `not`" in transcript(short)


def test_a_sample_is_the_events_of_a_listeners_own_tests(stage: Stage) -> None:
    form = form_in(SPRING)
    text = sample_of(form)
    assert text.splitlines()[0] == "- {at: 0s, event: email_clicked, with: {campaign: spring-1, path: /}}"
    (listener,) = parse_listeners([("spring.yaml", SPRING.encode())], known_actions=known_actions(()))
    inside = "".join(f"      {line}\n" for line in text.splitlines())
    file = f"examples:\n  - name: it\n    until: 2h\n    expect: []\n    events:\n{inside}"
    (example,) = parse_examples("spring.test.yaml", file.encode(), known_actions=known_actions(()))
    assert len(matches_of([listener], example)) == 1


def test_a_sample_of_ones_own_is_kept_and_what_is_wrong_with_it_is_said(stage: Stage) -> None:
    own = "- {at: 0s, event: email_clicked, with: {campaign: spring-x}}\n- {at: 5s, event: product_bought}"
    page = tried(stage, "try_sample", sample=own)
    assert "2 events, 0 matches." in transcript(page)
    assert "spring-x" in page.text
    for wrong, said in {
        "- {at: 0s, event: email_clickt}": "events[1].event",
        "- {at: soon, event: email_clicked}": "events[1].at",
        "[]": "0 events",
        "- {": "These are no events",
        "]\n---\nexamples: []": "These are no events",
        "- {at: 0s, event: email_clicked}\n" * (MOST + 1): f"{MOST + 1} events",
    }.items():
        page = tried(stage, "try_sample", sample=wrong)
        assert (page.status_code, transcript(page)) == (200, "")
        assert said in html.unescape(page.text)
    for wrong in ("", "soon", "-1d", "0s"):
        assert "Write a time" in tried(stage, "try_sample", quiet=wrong).text
    assert "listener" in fields(tried(stage, "try_sample", quiet="9" * 15 + "d"))


def test_nothing_of_a_trial_is_markup(stage: Stage) -> None:
    recorded(stage, EVIL)
    for do in ("try_person", "try_sample"):
        for text in (SPRING, SPRING.replace("clicked\n", f'"{EVIL[:25]}"\n')):
            page = tried(stage, do, text=text, person=EVIL, sample=EVIL, quiet=EVIL).text
            assert "<script>alert" not in page


def test_events_of_a_sample_begin_when_they_are_told_to() -> None:
    events = as_events(sample_of(form_in(SPRING)), known_actions(()), 7_000)
    assert [event.occurred_at_ms for event in events] == [7_000, 607_000, 1_207_000, 1_208_000]
    with pytest.raises(ListenerError):
        as_events("", known_actions(()), 0)
