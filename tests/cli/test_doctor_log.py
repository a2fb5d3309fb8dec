"""``segma doctor`` on logs that cannot be read: each is told as what it is, beside all else that it looks at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.__main__ import cli
from cli.doctor import log_findings
from contracts.errors import LogUnavailable
from contracts.topics import Topic


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    for words in (["init", "--origin", "https://shop.example"], ["topics", "create"]):
        assert CliRunner().invoke(cli, [*words, "--home", str(made)]).exit_code == 0
    return made


def told(home: Path) -> tuple[int, dict[str, object]]:
    """The exit code, and what is found of the log."""
    result = CliRunner().invoke(cli, ["doctor", "--home", str(home), "--json"])
    found = {each["subject"]: each for each in json.loads(result.stdout)}
    assert {"Python", "segma.yaml", "token keys", "processes"} <= set(found)
    return result.exit_code, found["log"]


def test_an_embedded_log_that_is_damaged_is_wrong_also_while_nothing_runs(home: Path) -> None:
    (home / "data" / "log" / "events.db").write_bytes(b"no database" * 1_000)
    code, log = told(home)
    assert (code, log["ok"]) == (1, False)
    assert "events.db" in str(log["remedy"])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ("SEGMA_KAFKA_SECURITY=sasl_ssl\n", "SASL needs"),
        (
            "SEGMA_KAFKA_SECURITY=sasl_ssl\nSEGMA_KAFKA_USERNAME=segma\nSEGMA_KAFKA_PASSWORD_FILE=/nowhere/password\n",
            "SEGMA_KAFKA_PASSWORD_FILE",
        ),
        ("SEGMA_KAFKA_REPLICATION=three\n", "SEGMA_KAFKA_REPLICATION"),
    ],
)
def test_settings_that_lead_to_no_log_are_one_finding_of_many(home: Path, settings: str, names: str) -> None:
    (home / "segma.env").write_text(f"SEGMA_LOG=kafka\n{settings}")
    code, log = told(home)
    assert (code, log["ok"]) == (1, False)
    assert names in str(log["remedy"])


class Away:
    """A log whose brokers do not answer."""

    def topics(self) -> list[Topic]:
        raise LogUnavailable("nobody answers")

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("own", "running", "ok"), [(True, False, None), (True, True, False), (False, False, False)])
def test_only_a_broker_that_stands_still_with_its_home_may_be_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, own: bool, running: bool, ok: bool | None
) -> None:
    (home / "segma.env").write_text("SEGMA_LOG=kafka\n")
    if own:
        (home / "data" / "kafka").mkdir()
    monkeypatch.setattr("cli.doctor.open_log", lambda _: Away())
    (log,) = log_findings(home, running=running)
    assert (log.ok, log.remedy) == (ok, "nobody answers")
