"""People who stand in the directory twice, once by each spelling of their domain: what either has left, both have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Veto
from contracts.codec import to_json
from contracts.commands import Result
from contracts.log import Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, VETOES, fact_key, subscriber_key
from sinks.delivery.directory import Directory
from tests.sinks.beds import FileBed
from tests.sinks.courier import Courier, command

SPELLINGS = ("ute@müller.example", "ute@xn--mller-kva.example", "ute@müller.example.")


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    bed: Any = FileBed(tmp_path / "lists")
    made = Courier(bed, tmp_path / "data", "anna")
    for name, address in zip(("one", "two", "three"), SPELLINGS, strict=True):
        _known(made, name, address)
    _known(made, "other", "uta@müller.example")
    yield made
    made.close()


def _known(courier: Courier, name: str, address: str, workspace: str = "w") -> None:
    entry = DirectoryEntry(workspace, f"s_{name}", address)
    courier.publish(Outgoing(SUBSCRIBERS, subscriber_key(workspace, f"s_{name}"), to_json(entry)))


def _left(courier: Courier, name: str) -> None:
    veto = Veto("w", "mail", f"s_{name}", "", 1, "email_unsubscribed")
    courier.publish(Outgoing(VETOES, fact_key(veto), to_json(veto)))


@pytest.mark.parametrize("left", ["one", "two", "three"])
def test_who_left_under_one_id_is_added_under_none(courier: Courier, left: str) -> None:
    _left(courier, left)
    courier.send(*(command("hot", person=each) for each in ("one", "two", "three", "other", "anna")))
    courier.deliver()
    told = [(each.result is Result.APPLIED, each.reason) for each in courier.outcomes()]
    assert told == [(False, "unsubscribed")] * 3 + [(True, ""), (True, "")]


def test_who_has_another_address_by_now_is_another(courier: Courier) -> None:
    _left(courier, "two")
    _known(courier, "two", "ute@elsewhere.example")
    courier.send(command("hot", person="one"))
    courier.deliver()
    assert [each.reason for each in courier.outcomes()] == [""]


def test_twins_are_of_one_workspace_and_follow_the_directory(courier: Courier) -> None:
    directory = Directory(courier.log)
    assert directory.twins("w", "s_one") == ["s_three", "s_two"]
    assert directory.twins("w", "s_anna") == directory.twins("w", "s_nobody") == []
    _known(courier, "far", SPELLINGS[1], "v")
    courier.publish(Outgoing(SUBSCRIBERS, subscriber_key("w", "s_two"), None))
    directory.follow()
    assert directory.twins("w", "s_one") == ["s_three"]
    assert directory.twins("v", "s_far") == []
    directory.close()
