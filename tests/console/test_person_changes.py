"""Export, link and forget from a person's page: by whom, after which words, by which command, with what trail."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import click
import pytest

from cli.forget import export_command, forget_command
from cli.links import link_command
from console.commands import Commands
from contracts.rows import Act
from tests.console.test_workspace_pages import EVIL, NOW, answer, posted
from tests.console.visitor import Stage, signed_in

PERSON = "s_0123456789abcdef0123456789abcdef"
HERE = f"/w/demo/people/{PERSON}"
COMMAND = """
import json, pathlib, sys
words = sys.argv[1:]
home = pathlib.Path(words[words.index("--home") + 1])
with (home / "words.ndjson").open("a") as file:
    file.write(json.dumps(words) + "\\n")
told = json.loads((home / "told.json").read_text())
print(json.dumps(told["answer"]))
print(told["said"], file=sys.stderr)
sys.exit(told["code"])
"""
"""Stands where the command line does: keeps what it was told, and answers as a test says."""
REAL: dict[str, click.Command] = {"export": export_command, "link": link_command, "forget": forget_command}
PROOF = {
    "workspace": "demo",
    "subscriber": PERSON,
    "erased_at_ms": 5,
    "directory_entry": True,
    "rows": {"event_rows": 7},
}


def commanded(stage: Stage, told: object = None, said: str = "", code: int = 0) -> Stage:
    """The stage with a command line that answers so."""
    (stage.folder / "told.json").write_text(json.dumps({"answer": told, "said": said, "code": code}))
    (stage.folder / "words.ndjson").write_text("")
    commands = Commands([sys.executable, "-c", COMMAND], stage.folder)
    return replace(stage, desk=replace(stage.desk, commands=commands))


def asked(stage: Stage) -> list[dict[str, object]]:
    """What the commands were asked for, as the real command line reads the words."""
    lines = [json.loads(line) for line in (stage.folder / "words.ndjson").read_text().splitlines()]
    return [{"command": name, **REAL[name].make_context(name, words).params} for name, *words in lines]


def test_an_engineer_finds_the_three_on_a_persons_page_and_a_marketer_does_not(stage: Stage) -> None:
    page = signed_in(stage.app(), "enno").get(HERE).text
    for change in ("export", "link", "forget"):
        assert f"{HERE}/confirm?change={change}" in page
    assert "/confirm?change=" not in signed_in(stage.app(), "mara").get(HERE).text
    assert "/confirm?change=" not in signed_in(stage.app(), "enno").get("/w/demo/people/a%40b.example").text


def test_a_page_says_what_each_does_before_it_is_done(stage: Stage) -> None:
    stage = commanded(stage)
    visitor = signed_in(stage.app(), "enno")
    forget = visitor.get(f"{HERE}/confirm?change=forget").text
    assert "nobody can take that back" in forget
    assert f'action="{HERE}/forget"' in forget
    assert "the address with it" in visitor.get(f"{HERE}/confirm?change=export").text
    assert "counts as them" in visitor.get(f"{HERE}/confirm?change=link").text
    assert asked(stage) == []
    for wrong in ("", "drop", "forget%20"):
        assert visitor.get(f"{HERE}/confirm?change={wrong}").status_code == 404


def test_before_somebody_is_forgotten_the_lists_are_named_that_keep_them(stage: Stage) -> None:
    rows = ("warm", "mailbox", NOW, None), ("former", "mailbox", NOW, NOW)
    answer(stage, "ORDER BY until IS NOT NULL", "person_lists", *rows)
    part = signed_in(stage.app(), "enno").get(f"{HERE}/confirm?change=forget&part=lists").text
    assert "warm · mailbox" in part
    assert "former" not in part
    assert [(row.act, row.subscriber) for row in stage.trail()[-1:]] == [(Act.LOOKED_UP, PERSON)]


def test_a_person_is_forgotten_by_the_command_and_the_proof_is_shown(stage: Stage) -> None:
    stage = commanded(stage, PROOF, "The proof is in the table `erasures`; it holds no address.")
    done = posted(signed_in(stage.app(), "enno"), f"{HERE}/forget")
    assert done.status_code == 200
    assert "event_rows: 7 rows erased" in done.text
    assert "Entry in the directory: erased" in done.text
    (words,) = asked(stage)
    assert (words["command"], words["person"], words["workspace"]) == ("forget", PERSON, "demo")
    assert words["yes"]
    assert [(row.user, row.act, row.subscriber) for row in stage.trail()[-1:]] == [("enno", Act.FORGOT, PERSON)]


def test_an_export_is_a_file_that_stands_on_no_page(stage: Stage) -> None:
    told = {"directory": {"address": "ann@example.org", "name": "Ännchen"}, "event_rows": []}
    stage = commanded(stage, told)
    done = posted(signed_in(stage.app(), "enno"), f"{HERE}/export")
    assert json.loads(done.text) == told
    assert done.headers["content-type"] == "application/json"
    assert done.headers["content-disposition"] == f'attachment; filename="{PERSON}.json"'
    assert done.headers["cache-control"] == "no-store"
    (words,) = asked(stage)
    assert (words["command"], words["person"], words["workspace"]) == ("export", PERSON, "demo")
    assert [row.act for row in stage.trail()[-1:]] == [Act.EXPORTED]


def test_a_link_is_made_by_the_command_and_shown_once(stage: Stage) -> None:
    stage = commanded(stage, {"link": f"https://shop.example/?a={EVIL}#sgm=tok"}, "The redirect will not lead there.")
    visitor = signed_in(stage.app(), "enno")
    given = {"url": "https://shop.example/?a=--home=/x", "campaign": "-spring --help", "redirect": "yes"}
    done = posted(visitor, f"{HERE}/link", **given)
    assert "#sgm=tok" in done.text
    assert "The redirect will not lead there." in done.text
    assert "<script>alert" not in done.text
    posted(visitor, f"{HERE}/link", url="https://shop.example/")
    first, second = asked(stage)
    assert (first["workspace"], first["person"], first["url"]) == ("demo", PERSON, given["url"])
    assert (first["campaign"], first["collector"], str(first["home"])) == (
        given["campaign"], "http://c.test", str(stage.folder),
    )  # fmt: skip
    assert (second["campaign"], second["collector"], second["fragment"]) == ("", None, True)
    assert [row.act for row in stage.trail()[-2:]] == [Act.LINKED] * 2
    assert "tok" not in repr(stage.trail())
    assert posted(visitor, f"{HERE}/link", url="https://x/" + "x" * 2_100).status_code == 400


@pytest.mark.parametrize("person", ["--help", "-", "ann%40example.org", "a%20b", "s1;x", "%0a", "x" * 101, "%C3%A4"])
@pytest.mark.parametrize("change", ["export", "link", "forget"])
def test_what_is_no_id_reaches_no_command(stage: Stage, person: str, change: str) -> None:
    stage = commanded(stage, PROOF)
    visitor, before = signed_in(stage.app(), "enno"), len(stage.trail())
    assert visitor.get(f"/w/demo/people/{person}/confirm?change={change}").status_code == 404
    assert posted(visitor, f"/w/demo/people/{person}/{change}", url="https://shop.example/").status_code == 404
    assert asked(stage) == []
    assert len(stage.trail()) == before


@pytest.mark.parametrize("change", ["export", "link", "forget"])
def test_what_a_command_refuses_is_said_in_its_words(stage: Stage, change: str) -> None:
    refusing = commanded(stage, None, f"this person is not in the directory {EVIL}", 1)
    told = posted(signed_in(refusing.app(), "enno"), f"{HERE}/{change}", url="https://shop.example/")
    assert told.status_code == 409
    assert "this person is not in the directory" in told.text
    assert "<script>alert" not in told.text
    lost = replace(stage, desk=replace(stage.desk, commands=Commands(["/nowhere"], stage.folder)))
    told = posted(signed_in(lost.app(), "enno"), f"{HERE}/{change}", url="https://shop.example/")
    assert (told.status_code, "It did not come to an end" in told.text) == (503, True)


@pytest.mark.parametrize("change", ["export", "link", "forget"])
def test_without_a_trail_nothing_is_done_for_a_person(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    stage = commanded(stage, PROOF)
    visitor = signed_in(stage.app(), "enno")
    csrf = visitor.get("/").csrf

    async def not_noted(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr("console.audit.Audit.note", not_noted)
    assert visitor.post(f"{HERE}/{change}", {"csrf": csrf}).status_code == 503
    assert asked(stage) == []
