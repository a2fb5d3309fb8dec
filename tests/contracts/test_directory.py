"""The one id of a person: by every address, and under both entries of who stands in the directory twice."""

from __future__ import annotations

import random

import pytest

from contracts.directory import Identities
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id

SECRET = b"k" * 40


def made(address: str) -> str:
    return subscriber_id(SECRET, address)


def identities(*entries: DirectoryEntry) -> Identities:
    found = Identities({"w": SECRET})
    for each in entries:
        found.take(f"{each.workspace}/{each.subscriber}".encode(), each)
    return found


UNICODE, ASCII = "jan@łódź.example", "jan@xn--d-uga0v4h.example"
OWN = made(ASCII)


def test_of_two_entries_of_a_mailbox_the_one_from_before_stands_for_both() -> None:
    entries = DirectoryEntry("w", "s_before", UNICODE, imported_at_s=9), DirectoryEntry("w", OWN, ASCII)
    for order in (entries, entries[::-1]):
        found = identities(*order)
        assert {found.current("w", each) for each in ("s_before", OWN, made(UNICODE))} == {"s_before"}
        assert found.current("v", OWN) == OWN, "another workspace"


def test_of_several_from_before_the_first_imported_counts_whatever_comes_in_which_order() -> None:
    entries = [DirectoryEntry("w", f"s_{each}", UNICODE, imported_at_s=each // 2 + 1) for each in range(2, 8)]
    entries.append(DirectoryEntry("w", OWN, ASCII, imported_at_s=1))
    for seed in range(20):
        order = entries * 2
        random.Random(seed).shuffle(order)
        found = identities(*order)
        assert {found.current("w", each.subscriber) for each in entries} == {"s_2"}
        found.take(b"w/s_2", None)
        assert {found.current("w", each) for each in ("s_3", "s_7", OWN)} == {"s_3"}
        found.take(b"w/s_3", DirectoryEntry("w", "s_3", "jan@elsewhere.example", imported_at_s=2))
        assert found.current("w", "s_3") == found.current("w", made("jan@elsewhere.example")) == "s_3"
        assert found.current("w", OWN) == "s_4"
        for each in entries:
            found.take(f"w/{each.subscriber}".encode(), None)
        assert [found.current("w", each) for each in ("s_2", "s_7", OWN)] == ["s_2", "s_7", OWN]


@pytest.mark.parametrize("is_known", [True, False])
def test_who_had_an_address_is_meant_by_it_until_somebody_else_has_it(is_known: bool) -> None:
    moved = DirectoryEntry("w", "s_1", "now@shop.example", former=(made("once@shop.example"), OWN))
    found = identities(moved, *([DirectoryEntry("w", OWN, ASCII)] if is_known else []))
    for address in ("now@shop.example", "once@shop.example", ASCII, UNICODE):
        assert found.current("w", made(address)) == "s_1"
    taken = DirectoryEntry("w", "s_2", "once@shop.example")
    found.take(b"w/s_2", taken)
    assert found.current("w", made("once@shop.example")) == "s_2"
    assert found.current("w", "s_1") == "s_1"


def test_an_id_is_its_own_where_nothing_is_known() -> None:
    found = identities(DirectoryEntry("v", "s_1", UNICODE), DirectoryEntry("w", OWN, ASCII))
    assert [found.current("v", OWN), found.current("w", OWN), found.current("w", "")] == [OWN, OWN, ""]


def test_what_is_no_address_makes_nobody_anothers_twin() -> None:
    people = [DirectoryEntry("w", f"s_{number}", "") for number in range(3)]
    found = identities(*people, DirectoryEntry("w", "s_9", "@", former=("s_old",)))
    assert [found.current("w", each.subscriber) for each in people] == ["s_0", "s_1", "s_2"]
    assert found.current("w", "s_old") == "s_9"
