"""An installation that takes imports, and what an import left in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from contracts.accounts import Veto
from contracts.codec import json_reader
from contracts.reading import all_of
from contracts.tokens import subscriber_id
from contracts.topics import VETOES, fixed_topics
from sinks.delivery.directory import Directory
from transport import open_log
from transport.config import Settings

CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key}}
    accounts: {mailbox: {sink: file}}
"""
SECRET = "s" * 40
read_veto = json_reader(Veto)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    return tmp_path


def segma_import(home: Path, text: str | bytes, *options: str, name: str = "people.csv") -> Result:
    path = home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    words = ["import", "demo/mailbox", "newsletter", "--csv", str(path), *options, "--json", "--home", str(home)]
    return CliRunner().invoke(cli, words)


def told(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def directory_of(home: Path) -> dict[str, str]:
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    found = {entry.address: entry.name for entry in Directory(log).people("demo")}
    log.close()
    return found


def vetoes_of(home: Path) -> dict[tuple[str, str], Veto]:
    log = open_log(Settings(data=home / "data"))
    vetoes = [read_veto(record.value) for record in all_of(log, VETOES) if record.value is not None]
    log.close()
    return {(veto.subscriber, veto.list_name): veto for veto in vetoes}


def id_of(address: str) -> str:
    return subscriber_id(SECRET.encode(), address)
