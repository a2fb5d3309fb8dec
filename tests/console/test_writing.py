"""A listener's form and its YAML: each follows the other, and nothing that was not meant changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from console.writing.cells import Form, in_cell, scalar
from console.writing.checking import Terms, checked
from console.writing.drafts import FOLDER, Conflict, Drafts, NotSaved
from console.writing.merge import form_in, merged, reshaped
from console.writing.yaml_edit import NotEditable, append, remove, set_value, swap, written
from contracts.versions import ListenerVersion
from flows.language.files import listener_files

LISTENERS = sorted(Path("listeners").resolve().glob("*[!t].yaml"))
TEXT = """\
# the spring's best
listener: warm  # its name
sequence:
  # first the mail
  - step: clicked # a link
    # of spring
    action: email_clicked
    where:
      # any of them
      campaign: "spring-*" # 2026

  # then a look
  - action: page_viewed
    times: {at_least: 2}
  - not: product_bought
    for: 10s
then: # all that it does
  - move: {from: newsletter, to: warm, at: mailbox}
"""
TERMS = Terms("demo", frozenset({"quiz_finished"}), ["mailbox"], [])


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def changed(text: str, **cells: str) -> str:
    """The text after these cells were changed in its form (``s2_action`` is the cell ``s2.action``)."""
    shown = form_in(text)
    given = {name.replace("_", "."): value for name, value in cells.items()}
    assert given.keys() <= shown.cells.keys()
    return merged(text, shown, {**shown.cells, **given})


@pytest.mark.parametrize("path", LISTENERS, ids=lambda path: path.stem)
def test_a_form_that_nobody_changed_changes_nothing(path: Path) -> None:
    text = path.read_text()
    shown = form_in(text)
    assert merged(text, shown, {name: value.replace("\n", "\r\n") for name, value in shown.cells.items()}) == text
    assert merged(text, shown, {}) == text


@pytest.mark.parametrize(
    ("cells", "place", "value"),
    [
        ({"s2_action": "product_added"}, ("sequence", 1, "action"), "product_added"),
        ({"s2_times": "3"}, ("sequence", 1, "times"), {"at_least": 3}),
        ({"s2_often": "exactly"}, ("sequence", 1, "times"), 2),
        ({"s2_times": ""}, ("sequence", 1, "times"), None),
        ({"s3_for": "30m"}, ("sequence", 2, "for"), "30m"),
        ({"s1_step": ""}, ("sequence", 0, "step"), None),
        ({"s1_w1_value": "no"}, ("sequence", 0, "where"), {"campaign": "no"}),
        ({"s1_w1_property": ""}, ("sequence", 0, "where"), None),
        ({"s1_w1_property": "Ä: #b"}, ("sequence", 0, "where"), {"Ä: #b": "spring-*"}),
        ({"s1_w2_property": "value", "s1_w2_test": "at_least", "s1_w2_value": "1.5"}, ("sequence", 0, "where"),
         {"campaign": "spring-*", "value": {"at_least": 1.5}}),
        ({"s2_w1_property": "path", "s2_w1_test": "any", "s2_w1_value": "/a, 7"}, ("sequence", 1, "where"),
         {"path": ["/a", 7]}),
        ({"r1_do": "tag", "r1_to": "hot: now"}, ("then", 0), {"tag": {"add": "hot: now", "at": "mailbox"}}),
        ({"r1_to": "{step.x}"}, ("then", 0, "move", "to"), "{step.x}"),
        ({"within": "2h"}, ("within",), "2h"),
        ({"repeat": "cooldown", "cooldown": "7d"}, ("repeat",), {"cooldown": "7d"}),
        ({"description": 'a "b"\nc'}, ("description",), 'a "b"\nc'),
        ({"version": "3"}, ("version",), 3),
    ],
)  # fmt: skip
def test_a_cell_changes_its_own_entry_and_keeps_comments(
    cells: dict[str, str], place: tuple[str | int, ...], value: object
) -> None:
    text = changed(TEXT, **cells)
    found, former = yaml.safe_load(text), yaml.safe_load(TEXT)
    for part in place[:-1]:
        found, former = found[part], former[part]
    last = place[-1]
    got = found.pop(last, None) if isinstance(found, dict) else found.pop(last)
    assert got == value
    former.pop(last, None) if isinstance(former, dict) else former.pop(last)
    assert found == former
    gone = [each for each in comments(TEXT) if each not in comments(text)]
    assert gone == [] or value is None or "Ä: #b" in text
    assert merged(text, form_in(text), form_in(text).cells) == text


def test_the_kind_of_a_step_is_one_word_of_its_line() -> None:
    assert changed(TEXT, s2_kind="not") == TEXT.replace("action: page_viewed", "not: page_viewed")
    assert changed(TEXT, s3_kind="action") == TEXT.replace("not: product_bought", "action: product_bought")


def test_steps_and_responses_come_go_and_change_places_with_their_comments() -> None:
    lower = reshaped(TEXT, "lower_step", 1, "mailbox")
    said = comments(TEXT)
    assert comments(lower) == said[:2] + said[7:8] + said[2:7] + said[8:]
    assert [form_in(lower).cells[f"s{number}.action"] for number in (1, 2, 3)] == [
        "page_viewed", "email_clicked", "product_bought",
    ]  # fmt: skip
    assert form_in(reshaped(lower, "raise_step", 2, "mailbox")).cells == form_in(TEXT).cells
    fewer = reshaped(TEXT, "drop_step", 2, "mailbox")
    assert form_in(fewer).steps == 2
    assert set(comments(fewer)) == set(comments(TEXT))
    more = reshaped(reshaped(TEXT, "add_step", 0, "mailbox"), "add_response", 0, "other")
    assert (form_in(more).steps, form_in(more).cells["r2.at"]) == (4, "other")
    assert more.startswith(TEXT[: TEXT.index("then:")].rstrip("\n"))
    none = reshaped(TEXT, "drop_response", 1, "mailbox")
    assert form_in(none).responses == 0
    assert form_in(reshaped(none, "add_response", 0, "m")).cells["r1.to"] == "a-list"
    assert form_in(reshaped("listener: a\n", "add_step", 0, "m")).cells["s1.action"] == "page_viewed"
    for change, number in (("drop_step", 9), ("raise_step", 1), ("lower_step", 3)):
        with pytest.raises(NotEditable):
            reshaped(TEXT, change, number, "mailbox")


def test_the_yaml_and_the_form_may_both_be_changed() -> None:
    shown = form_in(TEXT)
    text = TEXT.replace("newsletter", "others").replace("listener: warm ", "listener: hot ")
    both = merged(text, shown, {**shown.cells, "s3.for": "30m", "listener": "warm"})
    assert both == text.replace("10s", "30m")
    with pytest.raises(NotEditable):
        merged(reshaped(TEXT, "drop_step", 3, "m"), shown, {**shown.cells, "s1.action": "page_viewed"})
    for broken in ("a: [", "", "- a", "a: 1\n---\nb: 2", "a: &x 1\nb: *x", "\x00"):
        with pytest.raises(NotEditable):
            form_in(broken)


def test_what_the_form_cannot_show_stays_as_it_is() -> None:
    text = """\
listener: a
repeat: {cooldown: 1d, more: 2}
sequence:
  - {any_of: [page_viewed, {action: product_added}], where: {path: {between: [1, 2]}, sku: [a, "b,c"]}, optional: true}
  - all_of: [page_viewed]
  - nothing
then: [{webhook: {url: "https://a.example"}}]
"""
    form = form_in(text)
    assert form.kept(1) == "any_of, optional, where.path, where.sku"
    assert "s1.action" not in form.cells
    assert "repeat" not in form.cells
    assert form.cells["r1.kept"] == "webhook"
    assert changed(text, s1_w3_property="category", s1_w3_value="x") == text.replace(
        'sku: [a, "b,c"]', 'sku: [a, "b,c"], category: x'
    )


@pytest.mark.parametrize("value", ["no", "1e5", "0755", "1:30", "2026-01-01", "<<", "a: b", "{x}", "#", " a", "~", "é"])
def test_a_text_is_written_as_one_that_no_reader_takes_for_something_else(value: str) -> None:
    text = set_value("listener: a\n", ("description",), value)
    assert yaml.safe_load(text)["description"] == value
    assert form_in(text).cells["description"] == value
    assert scalar(in_cell(value)) == value


def test_values_of_other_styles_are_found_whole() -> None:
    text = "a: |\n  one\n  two\nb: 'x' # y\nc:\nd: [1, {e: 2}]\n"
    assert set_value(text, ("a",), "z") == "a: z\nb: 'x' # y\nc:\nd: [1, {e: 2}]\n"
    assert set_value(text, ("c",), "z") == text.replace("c:", "c: z")
    assert remove(text, ("d", 0)) == text.replace("[1, {e: 2}]", "[{e: 2}]")
    assert remove(text, ("d", 1)) == text.replace("[1, {e: 2}]", "[1]")
    assert append(text, ("d",), {"f": [1, None]}) == text.replace("{e: 2}]", "{e: 2}, {f: [1, null]}]")
    assert swap(text, ("d",), 0) == text.replace("[1, {e: 2}]", "[{e: 2}, 1]")
    assert remove(text, ("a",)) == text.partition("two\n")[2]
    assert written({"a": True, "b": (1.5, "off")}) == '{a: true, b: [1.5, "off"]}'


def line_of(text: str, part: str) -> int:
    (line,) = (number for number, each in enumerate(text.splitlines(), 1) if part in each)
    return line


def test_a_problem_stands_under_its_cell_and_by_its_line() -> None:
    text = (
        TEXT.replace("email_clicked", "email_clickt").replace("10s", "10 minutes").replace("at: mailbox", "at: other")
    )
    found = checked(text, form_in(text), TERMS)
    assert set(found.under) == {"s1.action", "s3.for"}
    assert "email_clicked" in found.under["s1.action"]
    assert [each.line for each in found.marks if each.grave] == [line_of(text, "clickt"), line_of(text, "10 minutes")]
    found = checked(text.replace("clickt", "clicked").replace("10 minutes", "10s"), form_in(text), TERMS)
    assert found.under == {"r1.at": "the unknown account `other`; one of mailbox"}
    assert [each.line for each in found.marks] == [line_of(text, "at: other")]
    assert not found.is_well
    broken = checked("listener: [", Form({}, 0, 0), TERMS)
    assert (len(broken.others), [each.line for each in broken.marks]) == (1, [2])
    applied = ListenerVersion("demo", "warm", 1, TEXT, 0)
    later = checked(changed(TEXT, s3_for="30m"), form_in(TEXT), TERMS._replace(known=[applied]))
    assert set(later.under) == {"version"}
    assert [each.line for each in later.marks] == [line_of(TEXT, "listener: warm")]
    assert checked(TEXT, form_in(TEXT), TERMS._replace(known=[applied])).is_well
    assert "warm" in checked(TEXT, form_in(TEXT), TERMS).words


def test_two_save_one_draft_and_the_second_is_told(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "listeners")
    assert (drafts.names(), drafts.read("warm")) == ([], ("", ""))
    first, said = drafts.save("warm", TEXT, "", "mara")
    assert said == ""
    again, _ = drafts.save("warm", TEXT, "", "vera")  # the same text is no conflict
    assert again == first
    with pytest.raises(Conflict) as caught:
        drafts.save("warm", TEXT + "# mine\n", "", "enno")
    assert (caught.value.theirs, caught.value.user) == (first, "vera")
    assert drafts.read("warm").text == TEXT
    second, _ = drafts.save("warm", TEXT + "# mine\n", caught.value.theirs.token, "enno")
    with pytest.raises(Conflict):
        drafts.save("warm", TEXT + "# others\n", first.token, "mara")
    assert drafts.read("warm") == second
    assert drafts.names() == ["warm"]


def test_no_start_takes_a_draft_to_work(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.save("warm", TEXT, "", "mara")
    assert listener_files(tmp_path) == []
    assert drafts.put_to_work("warm", TEXT, "mara", "Bring warm to work") == ""
    assert [path.name for path in listener_files(tmp_path)] == ["warm.yaml"]
    assert (drafts.names(), drafts.at_work("warm")) == ([], TEXT)
    drafts.save("warm", TEXT + "# next\n", "", "mara")
    drafts.put_to_work("warm", TEXT.replace("10s", "20s"), "mara", "Roll back")
    assert drafts.names() == ["warm"]
    (tmp_path / "many.yaml").write_text(f"{TEXT}---\n{TEXT.replace('warm', 'hot')}")
    assert drafts.at_work("hot") == ""


@pytest.mark.parametrize("name", ["", "../warm", "a/b", "/etc/x", "A", "a.b", "x" * 81, "-a", "a\n"])
def test_a_name_that_is_a_path_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotSaved):
        Drafts(tmp_path).save(name, TEXT, "", "mara")
    with pytest.raises(NotSaved):
        Drafts(tmp_path).read(name)
    assert list(tmp_path.rglob("*")) == []


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def test_in_a_checkout_a_draft_is_a_commit_of_its_user_and_of_nothing_else(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "other.txt").write_text("mine")
    git(tmp_path, "add", "other.txt")
    folder = tmp_path / "listeners"
    folder.mkdir()
    drafts = Drafts(folder)
    draft, said = drafts.save("warm", TEXT, "", "mara")
    assert said == ""
    assert git(tmp_path, "log", "--format=%an %s") == "mara Draft warm"
    assert git(tmp_path, "show", "--format=", "--name-only") == f"listeners/{FOLDER}/warm.yaml"
    assert drafts.save("warm", TEXT, draft.token, "mara")[1] == ""
    assert drafts.put_to_work("warm", TEXT, "enno", "Bring warm to work") == ""
    assert git(tmp_path, "log", "--format=%an %s").splitlines()[0] == "enno Bring warm to work"
    assert git(tmp_path, "status", "--porcelain") == "A  other.txt"
    (tmp_path / ".gitignore").write_text("listeners/\n")
    assert drafts.save("hot", TEXT, "", "mara")[1] == ""
    assert len(git(tmp_path, "log", "--format=%h").splitlines()) == 2
