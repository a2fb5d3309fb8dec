"""Many people gone from a list at once: adding waits until the customer says why (docs/semantics.md 8.1, 3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Fact, Veto
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Outcome
from contracts.log import Outgoing
from contracts.reading import all_of
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, VETOES, fact_key, subscriber_key
from sinks.delivery.leavings import leavings_of_accounts
from tests.sinks.beds import FileBed
from tests.sinks.courier import Courier, command

PEOPLE = [f"p{number}" for number in range(60)]
_read = json_reader(Veto)


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    bed: Any = FileBed(tmp_path / "lists")
    made = Courier(bed, tmp_path / "data", *PEOPLE)
    (tmp_path / "lists" / "news.txt").write_text("".join(f"{each}@example.org\n" for each in PEOPLE))
    seen = [DirectoryEntry("w", f"s_{each}", f"{each}@example.org", seen_in={"mail": {"news": 5}}) for each in PEOPLE]
    made.publish(*(Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in seen))
    yield made
    made.close()


def asked(courier: Courier, *given: Any) -> list[Outcome]:
    before = len(courier.outcomes())
    courier.send(*given)
    courier.deliver()
    return courier.outcomes()[before:]


def gone(courier: Courier, count: int) -> None:
    for each in PEOPLE[:count]:
        courier.bed.leave(f"{each}@example.org", "news")


def questions(courier: Courier) -> dict[str, list[Veto]]:
    found = leavings_of_accounts(all_of(courier.log, VETOES)).get(("w", "mail"))
    return found.questions() if found is not None else {}


def reasons(courier: Courier, *lists: tuple[str, str]) -> list[str]:
    return [each.reason for each in asked(courier, *(command(to, out_of, person="p0") for to, out_of in lists))]


def test_twenty_of_sixty_are_asked_about_and_nobody_is_added_until_then(courier: Courier) -> None:
    gone(courier, 20)
    assert reasons(courier, ("news", ""), ("hot", "news")) == ["unclear", "unclear"]
    assert {each.subscriber for each in questions(courier)["news"]} == {f"s_{each}" for each in PEOPLE[:20]}
    assert courier.bed.members("hot") == set()
    assert reasons(courier, ("other", "")) == [""], "of another list nothing is unclear"
    (first, *_) = asked(courier, command("hot", "news", person="p30"))
    assert str(first.result) == "applied"


def test_nineteen_have_left(courier: Courier) -> None:
    gone(courier, 19)
    assert reasons(courier, ("news", "")) == ["unsubscribed"]
    assert questions(courier) == {}


@pytest.mark.parametrize(("answer", "reason"), [(Fact.LEFT, "unsubscribed"), (Fact.REMOVED, "")])
def test_the_customers_answer_settles_it(courier: Courier, answer: Fact, reason: str) -> None:
    gone(courier, 25)
    assert reasons(courier, ("news", "")) == ["unclear"]
    for each in questions(courier)["news"]:
        veto = replaced(each, fact=answer, reason="unsubscribed" if answer is Fact.LEFT else "", source="customer")
        courier.publish(Outgoing(VETOES, fact_key(veto), to_json(veto)))
    assert questions(courier) == {}
    assert reasons(courier, ("news", "")) == [reason]
    assert ("p0@example.org" in courier.bed.members("news")) is (answer is Fact.REMOVED)


def test_who_leaves_after_that_answer_has_left(courier: Courier) -> None:
    gone(courier, 20)
    reasons(courier, ("news", ""))
    for each in questions(courier)["news"]:
        veto = replaced(each, fact=Fact.REMOVED, source="customer")
        courier.publish(Outgoing(VETOES, fact_key(veto), to_json(veto)))
    assert reasons(courier, ("news", "")) == [""]
    gone(courier, 1)
    assert reasons(courier, ("news", "")) == ["unsubscribed"]
