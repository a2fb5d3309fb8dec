"""The data folder is its owner's alone, and a start says so where it is not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.__main__ import cli
from contracts.errors import ConfigError
from contracts.log import Outgoing
from contracts.reading import all_of
from contracts.topics import SUBSCRIBERS, fixed_topics
from transport import open_log
from transport.config import Settings
from transport.embedded.log import EmbeddedLog
from transport.private import OTHERS, open_data

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key}}
    accounts: {mailbox: {sink: file}}
"""


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    former = os.umask(0o022)
    yield
    os.umask(former)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    (tmp_path / "people.csv").write_text("email\nann@example.org\n")
    return tmp_path


def segma(home: Path, *words: str) -> int:
    return CliRunner().invoke(cli, [*words, "--home", str(home)]).exit_code


def wide(folder: Path) -> list[str]:
    return [str(path) for path in [folder, *folder.rglob("*")] if path.lstat().st_mode & OTHERS]


def test_what_a_command_makes_is_its_owners_alone(home: Path) -> None:
    assert segma(home, "import", "demo/mailbox", "newsletter", "--csv", str(home / "people.csv")) == 0
    assert (home / "data" / "log" / "subscribers.db").is_file()
    assert wide(home / "data") == []
    assert os.umask(0o022) == 0o022, "the mask of the process that ran the command is its own again"


def test_what_a_log_makes_is_its_owners_alone(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path / "data"))
    log.ensure(fixed_topics())
    reader = log.reader("rows")
    reader.poll(1)
    assert wide(tmp_path / "data" / "log") == []
    reader.close()
    log.close()


@pytest.mark.parametrize("part", ["", "log", "log/subscribers.db"])
def test_a_start_is_refused_where_others_may_look_with_the_command_that_mends_it(home: Path, part: str) -> None:
    words = ("import", "demo/mailbox", "newsletter", "--csv", str(home / "people.csv"))
    assert segma(home, *words) == 0
    path = home / "data" / part
    path.chmod(path.stat().st_mode | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0))
    refused = CliRunner().invoke(cli, [*words, "--home", str(home)])
    assert refused.exit_code == 2
    command = refused.stderr.partition("`")[2].partition("`")[0]
    assert command.startswith("chmod -R go-rwx ")
    subprocess.run(command, shell=True, check=True)
    assert segma(home, *words) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [("collector",), ("flows",), ("sinks", "--account", "demo/mailbox"), ("console",), ("analytics", "loader")],
)
def test_every_process_refuses_it(home: Path, module: tuple[str, ...]) -> None:
    open_log(Settings(data=home / "data")).close()
    (home / "data").chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SEGMA_CONFIG": str(home / "segma.yaml"),
        "SEGMA_DATA": str(home / "data"),
        "SEGMA_SDK": str(ROOT / "js-sdk" / "dist" / "segma.js"),
        "SEGMA_COLLECTOR_PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", *module], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode not in {0, None}
    assert "chmod -R go-rwx" in done.stdout + done.stderr, done.stderr[-800:]


def test_a_folder_in_which_nothing_has_worked_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    assert wide(open_data(tmp_path / "data")) == []


def test_a_folder_of_somebody_elses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(ConfigError, match="belongs to another user"):
        open_data(tmp_path / "data")


def test_a_scrubbed_topic_holds_no_byte_of_what_was_deleted_or_replaced(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure(fixed_topics())
    assert isinstance(log, EmbeddedLog)
    publisher = log.publisher()
    for number in range(300):
        publisher.publish([Outgoing(SUBSCRIBERS, b"demo/other-%d" % number, b"x" * 500)])
    publisher.publish([Outgoing(SUBSCRIBERS, b"demo/s1", b"first ann.quist@example.org")])
    publisher.publish([Outgoing(SUBSCRIBERS, b"demo/s1", b"second ann.quist@example.org")])
    reader = log.reader(SUBSCRIBERS)
    reader.poll(10)
    publisher.publish([Outgoing(SUBSCRIBERS, b"demo/s1", None)])
    assert any(b"ann.quist" in path.read_bytes() for path in (tmp_path / "log").glob("*.db*"))
    log.scrub(SUBSCRIBERS)
    assert [path for path in (tmp_path / "log").glob("*.db*") if b"ann.quist" in path.read_bytes()] == []
    left = {record.key: record.value for record in all_of(log, SUBSCRIBERS)}
    assert (len(left), left[b"demo/s1"]) == (301, None)
    reader.close()
    log.close()
