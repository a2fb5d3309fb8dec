"""Settings and secrets: all problems at once, and no secret in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import CollectorSettings
from contracts.errors import ConfigError
from contracts.installation import SecretAt
from transport.config import load_installation, load_keyring, read_secret, settings_of

GOOD = """
token_keys: {file: keys}
workspaces: {demo: {secret: {env: DEMO_SECRET}, sites: {shop: {key: shop-key}}}}
"""


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_installation(path)
    return [problem.field for problem in caught.value.problems]


def test_every_problem_of_the_file_is_named(tmp_path: Path) -> None:
    text = """
token_keys: {file: a, env: b}
workspaces:
  Demo: {secret: {file: s}}
  shop: {secret: {file: s}, sites: {one: {key: x}}, lateness: soon, colour: red}
partitions: 0
"""
    found = problems(tmp_path / "segma.yaml", text)
    assert {field.split(".")[0] for field in found} == {"token_keys", "workspaces", "partitions"}
    assert any(field.endswith("lateness") for field in found)
    assert any(field.endswith("colour") for field in found)


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "key: \x00"])
def test_what_is_no_mapping_is_told(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path / "segma.yaml", text) == [""]


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_installation(tmp_path / "segma.yaml")


def test_two_sites_with_one_key_are_refused(tmp_path: Path) -> None:
    text = """
token_keys: {file: k}
workspaces:
  a: {secret: {file: s}, sites: {one: {key: same-key}}}
  b: {secret: {file: s}, sites: {two: {key: same-key}}}
"""
    (tmp_path / "segma.yaml").write_text(text)
    with pytest.raises(ConfigError, match="same-key"):
        load_installation(tmp_path / "segma.yaml")


def test_settings_name_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMA_COLLECTOR_PORT", "far")
    monkeypatch.setenv("SEGMA_SPOOL_MAX_BYTES", "0")
    with pytest.raises(ConfigError) as caught:
        settings_of(CollectorSettings)
    assert {problem.field for problem in caught.value.problems} == {"SEGMA_COLLECTOR_PORT", "SEGMA_SPOOL_MAX_BYTES"}


def test_secrets_come_from_where_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tmp_path / "segma.yaml"
    beside.write_text(GOOD)
    monkeypatch.setenv("DEMO_SECRET", "from the environment")
    (tmp_path / "file").write_bytes(b"from a file\n")
    assert read_secret(SecretAt(env="DEMO_SECRET"), beside=beside, field="f") == b"from the environment"
    assert read_secret(SecretAt(file="file"), beside=beside, field="f") == b"from a file"
    for absent in (SecretAt(env="NO_SUCH_SECRET"), SecretAt(file="absent")):
        with pytest.raises(ConfigError, match="empty or cannot be read"):
            read_secret(absent, beside=beside, field="f")


def test_a_bad_key_is_told_and_not_shown(tmp_path: Path) -> None:
    beside = tmp_path / "segma.yaml"
    beside.write_text(GOOD)
    (tmp_path / "keys").write_text("k1 5ec2e7")
    with pytest.raises(ConfigError) as caught:
        load_keyring(load_installation(beside), beside=beside)
    assert "5ec2e7" not in str(caught.value)
    (tmp_path / "keys").write_text(f"k2 {'cd' * 64}\nk1 {'ab' * 64}\n")
    assert load_keyring(load_installation(beside), beside=beside)
