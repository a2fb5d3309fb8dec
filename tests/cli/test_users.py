"""``segma users``: who may sign in, and that a password is shown once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.demo import write_demo
from cli.up import LocalAddresses
from console.access.users import Users


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_demo(tmp_path, LocalAddresses.at(8400, shop=True))
    return tmp_path


def users(home: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["users", *words, "--home", str(home)], input=typed)


def test_a_user_is_added_changed_and_taken_away(home: Path) -> None:
    said = json.loads(users(home, "add", "mara", "--role", "marketer", "--json").stdout)
    known = Users(home / "segma.yaml")
    assert known.checked("mara", said["password"]) is not None
    assert known.known()["mara"].roles == {"demo": "marketer"}
    more = users(home, "add", "mara", "--role", "viewer", "--workspace", "demo", "--json")
    assert json.loads(more.stdout) == {"name": "mara"}
    again = json.loads(users(home, "passwd", "mara", "--json").stdout)["password"]
    assert known.checked("mara", said["password"]) is None
    assert known.checked("mara", again) is not None
    assert users(home, "passwd", "mara", "--ask", typed="a typed password\na typed password\n").exit_code == 0
    assert known.checked("mara", "a typed password") is not None
    assert json.loads(users(home, "list", "--json").stdout) == {"name": "mara", "roles": {"demo": "viewer"}}
    assert users(home, "remove", "mara").exit_code == 0
    assert known.known() == {}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("remove", "nobody"), 1), (("passwd", "nobody"), 1), (("add", "a b"), 2),
        (("add", "mara", "--workspace", "other"), 2), (("add", "mara", "--role", "owner"), 2),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(home: Path, words: tuple[str, ...], code: int) -> None:
    result = users(home, *words)
    assert result.exit_code == code
    assert result.stderr
    assert Users(home / "segma.yaml").known() == {}
