"""Listeners and a site's own actions on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import ListenerError
from flows.language.files import load_actions, load_listeners, load_versions

NONE = Path("/nowhere/actions.yaml")


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name.replace('__', '.')}.yaml").write_text(text, encoding="utf-8")
    return directory


def listener(name: str, version: int = 1) -> str:
    return f"listener: {name}\nversion: {version}\nsequence: [{{action: page_viewed}}]\n"


def test_the_newest_version_of_each_by_name_and_no_tests(tmp_path: Path) -> None:
    write(tmp_path, c=listener("c"), a=listener("b", 10), b=listener("b", 9), c__test="no listener")
    (tmp_path / "d.yml").write_text(listener("a") + "---\n" + listener("d"))
    (tmp_path / "notes.txt").write_text("nothing")
    assert [(each.name, each.version) for each in load_listeners(tmp_path, NONE)] == [
        ("a", 1), ("b", 10), ("c", 1), ("d", 1),
    ]  # fmt: skip
    assert len(load_versions(tmp_path, NONE)) == 5


def test_one_file_instead_of_a_directory(tmp_path: Path) -> None:
    write(tmp_path, a=listener("a"), b=listener("b"))
    assert [each.name for each in load_listeners(tmp_path / "b.yaml", NONE)] == ["b"]


def problems(directory: Path, actions: Path = NONE) -> list[str]:
    with pytest.raises(ListenerError) as caught:
        load_listeners(directory, actions)
    return [str(problem) for problem in caught.value.problems]


def test_what_cannot_be_read_is_a_problem_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    write(tmp_path, b="listener: b\n")
    assert problems(tmp_path) == [
        f"{tmp_path}/a.yaml: a file that cannot be read (Is a directory); a readable file",
        f"{tmp_path}/b.yaml:1: sequence: nothing; `sequence` is needed",
    ]
    assert problems(tmp_path / "nowhere") == [
        f"{tmp_path}/nowhere: a file that cannot be read (No such file or directory); a readable file"
    ]


def test_a_home_is_told_from_the_folder_of_its_listeners(tmp_path: Path) -> None:
    (tmp_path / "segma.yaml").write_text("workspaces: {}\n")
    assert problems(tmp_path) == [
        f"{tmp_path}: a home, for segma.yaml is there; the folder of its listeners, such as {tmp_path}/listeners"
    ]


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(1 << 40)
    assert problems(tmp_path) == [f"{tmp_path}/a.yaml:1: more than 524288 bytes; split the file"]


def actions(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own-actions"
    file.write_text(text, encoding="utf-8")
    return file


def test_own_actions(tmp_path: Path) -> None:
    assert load_actions(NONE) == frozenset()
    assert load_actions(actions(tmp_path, "actions: [a_b, c]")) == {"a_b", "c"}
    assert load_actions(actions(tmp_path, "actions: {a_b: What it means., c: }")) == {"a_b", "c"}
    assert load_actions(actions(tmp_path, "actions: []")) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("actions: a_b", '1: actions: the text "a_b"; a list of actions, or a mapping from actions to what they mean'),
        (
            "actions: [A]",
            '1: actions[1]: the text "A"; an action: snake_case, in the past tense, such as quiz_finished',
        ),
        (
            "actions: {A: x}",
            '1: actions.A: the text "A"; an action: snake_case, in the past tense, such as quiz_finished',
        ),
        ("actions: {a: x, a: y}", '1: actions.a: "a" a second time; it stands at line 1 already'),
        ("action: [a]", '1: action: the unknown field "action"; did you mean "actions"?'),
        ("", "1: an empty file; begin with `actions:`"),
    ],
)
def test_own_actions_that_are_wrong(tmp_path: Path, text: str, expected: str) -> None:
    file = actions(tmp_path, text)
    with pytest.raises(ListenerError) as caught:
        load_actions(file)
    assert str(caught.value.problems[0]) == f"{file}:{expected}"
