"""A workspace's ``trust``: what its listeners that respond ask for where they name none. It travels with a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.installation import check_installation
from contracts.topics import fixed_topics
from flows.config import load_shared, with_listeners_of
from flows.versions.deployment import Versions, listener_of, versions_in
from transport import open_log
from transport.config import Settings

MOVES = (
    "listener: l\nsequence: [{action: page_viewed}, {not: page_closed, for: 5m}]\nthen: [{add: {to: a, at: mailbox}}]\n"
)
STEPS = "listener: l\nsequence: [{action: page_viewed, trust: server}]\nthen: [{add: {to: a, at: mailbox}}]\n"
ROWS = "listener: l\nsequence: [{action: page_viewed}]\n"


def applied(home: Path, text: str, trust: str) -> tuple[str | None, list[str | None]]:
    """What a listener asks for, and each of its steps."""
    (home / "l.yaml").write_text(text)
    (version,) = versions_in(home / "l.yaml", home / "actions.yaml", "shop", trust)
    found = listener_of(version, ())
    return found.trust, [each.condition.trust if each.condition else None for each in found.sequence]


@pytest.mark.parametrize(
    ("text", "trust", "asked"),
    [
        (MOVES, "token", ("token", ["token", None])),
        (MOVES, "server", ("server", ["server", None])),
        (MOVES, "browser", (None, [None, None])),
        (f"{MOVES}trust: browser\n", "token", ("browser", ["browser", None])),
        (f"{MOVES}trust: server\n", "token", ("server", ["server", None])),
        (STEPS, "token", ("token", ["server"])),
        (ROWS, "token", (None, [None])),
    ],
)
def test_what_responds_and_names_no_trust_asks_for_the_workspaces(
    tmp_path: Path, text: str, trust: str, asked: tuple[str | None, list[str | None]]
) -> None:
    assert applied(tmp_path, text, trust) == asked


def test_a_version_keeps_what_it_was_applied_with(tmp_path: Path) -> None:
    (tmp_path / "listeners").mkdir()
    (tmp_path / "listeners" / "l.yaml").write_text(MOVES)
    log = open_log(Settings(data=tmp_path / "data"))
    log.ensure(fixed_topics(1))
    asked = []
    for trust in ("token", "browser"):
        own = {"secret": {"file": "s"}, "accounts": {"mailbox": {"sink": "file"}}, "trust": trust}
        installation = check_installation(
            {"token_keys": {"file": "k"}, "partitions": 1, "workspaces": {"shop": own}}, where="segma.yaml"
        )
        shared = load_shared(installation, beside=tmp_path / "segma.yaml")
        with_listeners_of(log, shared, installation, beside=tmp_path / "segma.yaml", now_ms=1)
        versions = Versions(log)
        asked += [listener_of(each, ()).trust for each in versions.known]
        versions.close()
    log.close()
    assert asked == ["token", "token"]
