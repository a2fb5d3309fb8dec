"""A flow process that would own no partition is refused before it makes anything, at every door that starts one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.__main__ import cli
from contracts.errors import ConfigError
from flows.config import check_share

CONFIG = """
token_keys: {file: keys}
workspaces: {demo: {secret: {file: secret}, sites: {shop: {key: shop-key}}}}
partitions: 2
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    return tmp_path


@pytest.mark.parametrize("words", [["up", "--kafka", "--flows", "3"], ["flow", "--index", "2", "--of", "3"]])
def test_more_processes_than_partitions_are_refused_in_a_sentence(home: Path, words: list[str]) -> None:
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(cli, [*words, "--home", str(home)])
    assert done.exit_code == 2, done.output
    said = " ".join(done.output.split())
    assert "process 2 of 3 would have nothing to do: there are 2 partitions" in said
    assert "start at most 2 flow processes" in said
    assert sorted(home.rglob("*")) == before, "no store of nobody's, no Kafka"


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_exactly_the_processes_that_own_a_partition_are_let_through(of: int) -> None:
    refused = []
    for index in range(of):
        try:
            check_share(index, of, 2)
        except ConfigError:
            refused.append(index)
    assert refused == [index for index in range(of) if not [part for part in range(2) if part % of == index]]
