"""``segma init``: what it writes is an installation; what is there stays."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from console.access.users import Users
from flows.config import load_shared
from transport.config import load_installation, load_keyring


def init(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["init", "--home", str(home), "--origin", "https://shop.example", *words])


def test_what_it_writes_every_room_can_read(tmp_path: Path) -> None:
    result = init(tmp_path, "--workspace", "acme", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["account"] == "acme/mailbox"
    config = tmp_path / "segma.yaml"
    first = Users(config).checked(said["user"], said["password"])
    assert first is not None
    assert first.roles == {"acme": "engineer"}
    installation = load_installation(config)
    load_keyring(installation, beside=config)
    assert installation.workspaces["acme"].sites["site"].origins == ("https://shop.example",)
    assert set(load_shared(installation, beside=config).engines) == {"acme"}
    assert (tmp_path / "listeners" / "looked-twice.yaml").exists()
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "secrets").iterdir())] == [0o600] * 3
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    assert init(tmp_path).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = init(tmp_path, "--workspace", "other")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("origin", ["shop.example", "ftp://shop.example", "https://shop.example/path", "https://"])
def test_an_origin_is_scheme_and_host(tmp_path: Path, origin: str) -> None:
    result = CliRunner().invoke(cli, ["init", "--home", str(tmp_path), "--origin", origin])
    assert result.exit_code == 2
    assert "https://shop.example" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bad_name_writes_nothing(tmp_path: Path) -> None:
    result = init(tmp_path, "--workspace", "Not A Name")
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_what_it_says_to_type_next_is_for_the_ports_that_were_asked_for(tmp_path: Path) -> None:
    said = init(tmp_path, "--port-base", "9100")
    assert '"http://127.0.0.1:9100/sdk/segma.js"' in said.stdout
    assert f"segma up --home {tmp_path} --port-base 9100`" in said.stderr
    assert "--port-base" not in init(tmp_path / "usual").stderr


def test_what_it_says_to_type_next_brings_people_in(tmp_path: Path) -> None:
    said = init(tmp_path).stderr
    (tmp_path / "data" / "lists" / "main" / "mailbox").mkdir(parents=True)
    people = tmp_path / "data" / "lists" / "main" / "mailbox" / "newsletter.txt"
    assert str(people) in said.replace("\n", "")
    people.write_text("ada@example.org\n")
    words = ["import", "main/mailbox", "newsletter", "--home", str(tmp_path)]
    assert " ".join(["segma", *words]) in said.replace("\n", "")
    done = CliRunner().invoke(cli, words)
    assert (done.exit_code, done.stdout) == (0, "1 person of newsletter, 1 of them new.\n"), done.output
