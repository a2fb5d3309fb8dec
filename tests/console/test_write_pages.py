"""The pages on which a listener is written and brought to work, by a browser without a screen that runs no script."""

from __future__ import annotations

import html
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from console.commands import CommandLost, Commands
from contracts.errors import LogUnavailable
from contracts.rows import Act
from contracts.versions import promoted
from flows.versions.deployment import versions_in
from tests.console.test_workspace_pages import EVIL, answer, posted, state_of, version, write
from tests.console.visitor import Answer, Stage, Visitor, signed_in

WRITE = "/w/demo/write"
APPLIES = """
import json, pathlib, sys
words = sys.argv[1:]
file = pathlib.Path(words[2])
told = json.dumps([*words[:2], *words[3:], file.read_text()])
(pathlib.Path(words[words.index("--home") + 1]) / "words.json").write_text(told)
if "newsletter" not in file.read_text():
    print(json.dumps({"where": "x:1", "field": "then", "found": "no newsletter", "wanted": "one <b>"}))
    sys.exit(1)
"""
"""Stands where the command line does: refuses what has no newsletter, and keeps what it was told."""


def fields(page: Answer) -> dict[str, str]:
    """The form of the page as a browser without scripts would send it back."""
    form = re.search(r'<form[^>]* id="write">(.*?)</form>', page.text, re.DOTALL)
    assert form is not None
    found = {}
    for tag, inside in re.findall(r"<(input|select|textarea)([^>]*)>", form[1]):
        name = re.search(r' name="([^"]*)"', inside)
        value = re.search(r' value="([^"]*)"', inside, re.DOTALL)
        if tag == "input" and name:
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', form[1], re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', options)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    text = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", form[1], re.DOTALL)
    assert text is not None
    found["text"] = html.unescape(text[1])
    return {name: value.replace("\n", "\r\n") for name, value in found.items()}


def sent(visitor: Visitor, page: Answer, do: str, **cells: str) -> Answer:
    changed = {name.replace("__", "."): value for name, value in cells.items()}
    return visitor.post(WRITE, {**fields(page), **changed, "do": do})


def text_of(page: Answer) -> str:
    return fields(page)["text"].replace("\r\n", "\n")


def saved(stage: Stage, visitor: Visitor, name: str, **cells: str) -> Answer:
    page = sent(visitor, visitor.get(WRITE), "save", listener=name, **cells)
    assert stage.desk.drafts["demo"].read(name).text == text_of(page)
    return page


def test_the_story_of_the_spring_mail_is_written_by_the_form_alone(stage: Stage) -> None:
    visitor, before = signed_in(stage.app()), len(stage.trail())
    page = visitor.get(WRITE)
    page = sent(visitor, page, "add_step", listener="spring", s1__w1__property="campaign", s1__w1__value="spring-sale")
    page = sent(visitor, page, "add_step", s2__w1__property="path", s2__w1__value="/products/*", s2__times="2")
    page = sent(visitor, page, "follow", s3__kind="not", s3__action="product_bought")
    page = sent(visitor, page, "save", s3__for="30m")
    assert (
        text_of(page)
        == """\
listener: spring
version: 1
sequence:
  - step: clicked
    action: email_clicked
    where: {campaign: spring-sale}
  - action: page_viewed
    where: {path: "/products/*"}
    times: {at_least: 2}
  - not: product_bought
    for: 30m
then:
  - move: {from: newsletter, to: warm, at: mailbox}
"""
    )
    assert "The draft is saved." in page.text
    assert 'id="to-work"' in page.text
    assert [(row.user, row.act, row.target) for row in stage.trail()[before:]] == [("mara", Act.DRAFTED, "spring")]
    again = visitor.get(f"{WRITE}?listener=spring")
    assert fields(again) == fields(page)
    assert "?listener=spring" in visitor.get("/w/demo/listeners").text
    assert "?listener=spring" not in signed_in(stage.app(), "vera").get("/w/demo/listeners").text


def test_the_yaml_leads_the_form_too_and_its_problems_stand_under_their_cells(stage: Stage) -> None:
    visitor = signed_in(stage.app())
    page = visitor.get(WRITE)
    page = sent(visitor, page, "follow", text=text_of(page).replace("email_clicked", "email_clickt # typo"))
    assert fields(page)["s1.action"] == "email_clickt"
    assert re.search(r'id="p-s1.action">the unknown action &#34;email_clickt&#34;', page.text)
    page = sent(visitor, page, "follow", s1__action="email_clicked")
    assert "email_clicked # typo" in text_of(page)
    broken = sent(visitor, page, "save", text="listener: [", listener="x")
    assert text_of(broken).strip() == "listener: ["
    assert "The form and the YAML no longer fit together" in broken.text
    assert "The form shows nothing" in broken.text
    assert "s1.action" not in fields(broken)
    assert stage.desk.drafts["demo"].names() == []
    mended = sent(visitor, broken, "follow", text=text_of(page))
    assert fields(mended)["s1.action"] == "email_clicked"
    unnamed = sent(visitor, mended, "save", listener="../x")
    assert (unnamed.status_code, "The draft was not saved." in unnamed.text) == (200, True)
    assert stage.desk.drafts["demo"].names() == []


def test_the_second_of_two_editors_is_told_and_nothing_is_lost(stage: Stage) -> None:
    first, second = signed_in(stage.app(), "mara"), signed_in(stage.app(), "enno")
    saved(stage, first, "shared")
    pages = [visitor.get(f"{WRITE}?listener=shared") for visitor in (first, second)]
    sent(first, pages[0], "save", description="Mara's.")
    told = sent(second, pages[1], "save", description="Enno's.")
    assert (told.status_code, "Somebody else saved this draft" in told.text) == (409, True)
    assert "mara" in told.text
    assert "Enno's." in text_of(told)
    theirs = re.search(r'<pre id="theirs"[^>]*>(.*?)</pre>', told.text, re.DOTALL)
    assert theirs is not None
    assert "Mara&#39;s." in theirs[1]
    assert "Mara's." in stage.desk.drafts["demo"].read("shared").text
    assert sent(second, told, "save").status_code == 200
    assert "Enno's." in stage.desk.drafts["demo"].read("shared").text
    # A new one of a name that is taken is somebody else's too.
    assert sent(first, first.get(WRITE), "save", listener="shared").status_code == 409


def test_the_next_version_of_what_is_at_work_begins_with_its_text(stage: Stage) -> None:
    write(stage, version("begun", 1, live_from_ms=0), version("begun", 2, "Newer."))
    visitor = signed_in(stage.app())
    text = text_of(visitor.get(f"{WRITE}?listener=begun"))
    assert "version: 3" in text
    assert "Newer." in text
    for wrong in ("none", "../x", "A"):
        assert visitor.get(f"{WRITE}?listener={wrong}").status_code == 404


def test_writing_goes_on_without_history_log_or_trail(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise LogUnavailable("no broker")

    visitor = signed_in(stage.app())
    page = visitor.get(WRITE)
    monkeypatch.setattr("console.board.Board.versions", away)
    kept = sent(visitor, page, "follow", listener="kept")
    assert (kept.status_code, "The log cannot be read now." in kept.text) == (200, True)

    async def not_noted(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr("console.audit.Audit.note", not_noted)
    told = sent(visitor, kept, "save", description="Precious.")
    assert (told.status_code, "Precious." in text_of(told)) == (503, True)
    assert stage.desk.drafts["demo"].names() == []


def test_suggestions_come_from_what_was_seen(stage: Stage) -> None:
    answer(stage, "LIMIT 30 BY property", "seen_values", ("path", EVIL, 9), ("campaign", "spring", 5))
    part = signed_in(stage.app()).get(f"{WRITE}?part=seen").text
    assert '<datalist id="seen-path">' in part
    assert '<option value="spring">' in part
    assert "<script>" not in part


def test_nothing_that_somebody_writes_is_markup(stage: Stage) -> None:
    visitor = signed_in(stage.app())
    page = sent(visitor, visitor.get(WRITE), "follow", listener=EVIL, description=EVIL, s1__action=EVIL, r1__to=EVIL)
    texts = [page.text, sent(visitor, page, "follow", text=f"{EVIL}: [").text]
    texts.append(sent(visitor, page, "save", listener="evil", s1__action="email_clicked").text)
    texts.append(visitor.get(f"{WRITE}?listener=evil").text)
    for text in texts:
        assert "<script>alert" not in text
        assert EVIL not in text
        assert html.escape("<script>alert(1)") in text
    assert visitor.get("/w/demo/listeners/evil/confirm?change=apply").status_code == 200
    assert "<script>" not in visitor.get("/w/demo/listeners/%3Cscript%3E/confirm?change=apply").text


def test_a_text_without_end_is_no_form(stage: Stage) -> None:
    visitor = signed_in(stage.app())
    page = visitor.get(WRITE)
    assert sent(visitor, page, "follow", text="x" * 1_100_000).status_code == 400
    long = sent(visitor, page, "save", text=text_of(page) + "# " + "x" * 140_000, listener="long")
    assert stage.desk.drafts["demo"].names() == []
    assert long.status_code in {200, 409}


def with_commands(stage: Stage) -> Stage:
    return replace(stage, desk=replace(stage.desk, commands=Commands([sys.executable, "-c", APPLIES], stage.folder)))


def told_words(stage: Stage) -> list[str]:
    return list(json.loads((stage.folder / "words.json").read_text()))


def test_a_draft_is_brought_to_work_by_the_command_line(stage: Stage) -> None:
    stage = with_commands(stage)
    visitor = signed_in(stage.app())
    page = saved(stage, visitor, "brought")
    before = len(stage.trail())
    confirm = visitor.get("/w/demo/listeners/brought/confirm?change=apply")
    assert "As a shadow its matches are rows" in confirm.text
    assert posted(visitor, "/w/demo/listeners/brought/apply", live="no").status_code == 303
    home = ["--json", "--home", str(stage.folder), "--workspace", "demo"]
    assert told_words(stage) == ["listeners", "apply", *home, text_of(page)]
    assert stage.desk.drafts["demo"].names() == []
    assert stage.desk.drafts["demo"].at_work("brought") == text_of(page)
    assert posted(visitor, "/w/demo/listeners/brought/apply", live="yes").status_code == 404
    saved(stage, visitor, "refused", r1__from="others")
    refused = posted(visitor, "/w/demo/listeners/refused/apply", live="yes")
    assert (refused.status_code, "then: no newsletter; one &lt;b&gt;" in refused.text) == (409, True)
    assert told_words(stage)[2] == "--promote"
    assert stage.desk.drafts["demo"].names() == ["refused"]
    acts = [(row.act, row.target) for row in stage.trail()[before:]]
    assert acts == [(Act.APPLIED, "brought"), (Act.DRAFTED, "refused"), (Act.PROMOTED, "refused")]


def test_a_roll_back_applies_the_former_text_under_the_next_number(stage: Stage, tmp_path: Path) -> None:
    stage = with_commands(stage)
    one, two = version("rolled", 1, "Good.", live_from_ms=0), version("rolled", 2, "Bad.")
    write(stage, *promoted([one], two, stage.desk.now_ms() - 1_000))
    visitor, before = signed_in(stage.app()), len(stage.trail())
    page = visitor.get("/w/demo/listeners/rolled").text
    assert "confirm?change=roll_back&amp;version=1" in page
    confirm = visitor.get("/w/demo/listeners/rolled/confirm?change=roll_back&version=1").text
    assert "applied anew as version 3" in confirm
    assert "+Good." in confirm
    assert posted(visitor, "/w/demo/listeners/rolled/roll-back", version="1").status_code == 303
    text = told_words(stage)[-1]
    assert text == one.text.replace("version: 1", "version: 3")
    (tmp_path / "now.yaml").write_text(text)
    (now,) = versions_in(tmp_path / "now.yaml", tmp_path / "actions.yaml", "demo")
    assert (now.listener, now.version) == ("rolled", 3)
    assert stage.desk.drafts["demo"].at_work("rolled") == text
    assert [(row.act, row.target) for row in stage.trail()[before:]] == [(Act.ROLLED_BACK, "rolled@1")]
    for wrong, status in (("9", 409), ("x", 400), ("", 400)):
        assert posted(visitor, "/w/demo/listeners/rolled/roll-back", version=wrong).status_code == status


def test_a_page_says_what_a_change_would_do_before_it_is_done(stage: Stage) -> None:
    write(stage, version("asked", 1, "Old.", live_from_ms=0), version("asked", 2, "New."))
    visitor = signed_in(stage.app())
    promote = visitor.get("/w/demo/listeners/asked/confirm?change=promote&version=2").text
    assert "Version 2 begins to move people" in promote
    assert "Version 1, which is live now, ends" in promote
    assert "+New." in promote
    end = visitor.get("/w/demo/listeners/asked/confirm?change=end").text
    assert "Version 1 ends" in end
    assert "Version 2 ends" in end
    assert state_of(stage, "asked") == {1: "live", 2: "shadow"}
    wrong = {"change=promote&version=9": 409, "change=end&version=x": 400, "change=drop": 400, "": 400}
    for query, status in wrong.items():
        assert visitor.get(f"/w/demo/listeners/asked/confirm?{query}").status_code == status
    assert visitor.get("/w/demo/listeners/none/confirm?change=end").status_code == 404


def test_a_command_that_cannot_be_started_is_a_sentence(stage: Stage) -> None:
    lost = replace(stage, desk=replace(stage.desk, commands=Commands(["/nowhere"], stage.folder)))
    visitor = signed_in(lost.app())
    saved(lost, visitor, "lost")
    told = posted(visitor, "/w/demo/listeners/lost/apply", live="no")
    assert (told.status_code, "refused it" in told.text) == (503, True)
    with pytest.raises(CommandLost):
        lost.desk.commands.run("listeners", "apply", workspace="demo")
